//! Orders: numbered, signed, sent, and what the node said kept.

mod routes;
mod submit;
mod undecided;

pub(crate) use routes::routes;
pub(crate) use submit::{Wanted, decode, unreachable};
pub(crate) use undecided::{settle, undecided_about};
