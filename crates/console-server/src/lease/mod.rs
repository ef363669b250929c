//! Leases: granted, taken over, severed.

pub(crate) mod bring;
mod deed;
mod grant;
mod handover;
pub(crate) mod renewal;
mod routes;
pub(crate) mod sever;
pub(crate) mod standby;
mod take;

pub(crate) use deed::short;
pub(crate) use routes::routes;
