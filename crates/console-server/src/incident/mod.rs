//! Trouble: noticed, put together, remedied, told.
//!
//! ```text
//!  live ─▶ watch ─ symptoms ─▶ office (one desk, one task) ─▶ store: incidents, deliveries, fences
//!                                  ▲            │
//!            people: ack, ladders ─┘            └─▶ remedies, each in a task of its own ─ outcome ─▶ office
//! ```

mod engines;
mod kept;
mod office;
mod probe;
mod remedies;
mod routes;
mod watch;

pub(crate) use office::{Office, follow};
pub(crate) use routes::routes;
pub(crate) use watch::follow as watch;
