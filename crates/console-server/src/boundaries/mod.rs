//! Filter sets through a console: planned on its mirror, applied by order, shown.

mod apply;
mod explain;
mod matrix;
mod replay;
mod routes;
mod sets;

pub(crate) use routes::routes;
