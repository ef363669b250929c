//! Engines through a console: images sent, specifications ordered, and how they are.
//!
//! ```text
//! people ─ image (kept here) ─┐
//!        └ specification ─────┴▶ image, part by part ─▶ the node's volume
//!                                object, order ──────▶ the node's journal ─▶ read back, on the medium, "done"
//! ```
//!
//! What is wanted where stands in the nodes' journals, of which this console keeps a mirror: so it knows what ran on a
//! node that is dead.

mod deploy;
mod routes;
mod send;
mod shown;

pub(crate) use deploy::{act_on, deploy_at, span, to_the_end};
pub(crate) use routes::routes;
pub(crate) use shown::{made_of, specification_of};
