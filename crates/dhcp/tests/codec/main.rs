//! The codec against an independent one, and against what hostile stations send.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod any;
mod frames;
mod hostile;
mod oracle;
mod spread;
