//! What nodes signed: statements and receipts, kept as they came, so that anybody can verify them later without
//! this console and without the node.

mod collect;
mod ended;
mod routes;

pub(crate) use collect::collect;
pub(crate) use routes::routes;
