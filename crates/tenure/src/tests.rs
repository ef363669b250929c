//! What the other tests stand on: a small world of parties and orders.

mod engines;
pub(crate) mod example;
mod orders;
mod plans;
mod random;
mod rules;
mod story;
mod volumes;
