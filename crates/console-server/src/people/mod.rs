//! The people at this console: whom it knows, and what each of them did.

pub(crate) mod audit;
mod routes;
pub(crate) mod users;

pub(crate) use routes::routes;
pub(crate) use users::Asker;
