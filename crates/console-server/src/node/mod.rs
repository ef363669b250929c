//! Nodes: who they are, whether they speak, what their journals say.

mod chores;
mod dialled;
pub(crate) mod enrolment;
pub(crate) mod live;
pub(crate) mod mirror;
mod routes;
pub(crate) mod session;
mod share;
pub(crate) mod strangers;

pub(crate) use routes::{no_longer_than, routes};
pub(crate) use session::Gate;
