//! The directory: what names mean, and which addresses are whose. It is made of what a person published and of what
//! the console knows itself, counted, signed, and given to every node of which this console is the root.

mod compile;
mod reserve;
mod routes;
mod spread;

pub(crate) use reserve::{Reservation, move_address};
pub(crate) use routes::routes;
pub(crate) use spread::{mind, publish_addresses, text};
