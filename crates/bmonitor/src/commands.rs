//! What a person can ask for: a file per command.

mod client;
pub(crate) mod journal;
pub(crate) mod order;
pub(crate) mod receipt;
pub(crate) mod rights;
pub(crate) mod status;
pub(crate) mod steps;
pub(crate) mod supervisor;
