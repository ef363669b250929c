//! Leases: granted, taken over, severed.

mod grant;
pub(crate) mod renewal;
mod routes;
mod sever;
mod take;

pub(crate) use routes::routes;
pub(crate) use sever::short;
