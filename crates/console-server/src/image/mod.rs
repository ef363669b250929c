//! Images of engines, kept by their digests in the console's folder until nobody wants them.

mod kept;
mod routes;

pub(crate) use kept::Images;
pub(crate) use routes::routes;
