//! Orders: numbered, signed, sent, and what the node said kept.

mod routes;
mod submit;

pub(crate) use routes::routes;
pub(crate) use submit::{Wanted, decode, settle, unreachable};
