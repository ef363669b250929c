//! The two machines, each alone and many together on a wire that loses, repeats, delays and reorders.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod model;
mod server;
mod world;
