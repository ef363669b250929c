//! The channel between a node and a console: TLS 1.3 with raw public keys, HTTP/2 the other way round.
//!
//! ```text
//! node (courier)                                   console
//!   dials ───────────────── TCP ─────────────────▶  accepts
//!   TLS client ◀── shows its key first ───────────  TLS server
//!   shows the tier's identity U ─────────────────▶  compares it with its pins
//!   HTTP/2 server ◀── POST /call, GET /status ────  HTTP/2 client
//! ```
//!
//! The node is always the TLS client: a server shows its key to whoever asks, and nobody but the tier's
//! consoles is to learn U. A connection gives no authority; orders carry their own.
//!
//! There is no resumption, ticket or early data on either side: a resumed session asks no pin, and so lets a
//! severed party back in. All of TLS is set up in [`tls`], and nowhere else.
#![forbid(unsafe_code)]

pub mod back_off;
mod console;
mod cut;
mod http;
mod limits;
mod lines;
mod node;
mod pins;
mod raw_key;
mod sign;
pub mod tls;

pub use console::{Accepted, CallFailed, Link, Listener, Statuses, Stranger};
pub use limits::Limits;
pub use node::{DialFailed, Dialled, Dialler, Serve, Told};
pub use pins::Pins;
pub use sign::{NotSetUp, Sign, SignFailed};

#[cfg(test)]
mod tests;
