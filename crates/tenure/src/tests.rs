//! What the other tests stand on: a small world of parties and orders.

mod example;
mod story;
