//! Who is told of incidents: what is to be delivered is on the medium first, and tried until it is taken.

mod post;
mod routes;

pub(crate) use post::{Post, follow};
pub(crate) use routes::routes;
