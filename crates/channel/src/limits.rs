//! What a peer may cost. A peer that is over a limit loses its connection, or waits; no other notices.

use std::time::Duration;

use node_protocol::frame::{ATTACHMENT_BYTES_MAX, JSON_BYTES_MAX};

/// The longest body: one frame.
pub(crate) const BODY_BYTES_MAX: usize = JSON_BYTES_MAX + ATTACHMENT_BYTES_MAX + 8;

/// All headers of a request or answer together. Ours have some hundred bytes.
pub(crate) const HEADER_BYTES_MAX: u32 = 4 * 1024;

/// Streams that a console may have open on a connection: calls and status streams.
pub(crate) const STREAMS_MAX: u32 = 16;

/// Calls of a console that a node reads and answers at once; further ones wait. So a connection never holds
/// more than so many bodies.
pub(crate) const CALLS_AT_ONCE: usize = 2;

/// Bytes that may arrive before they are taken, of a stream and of a connection.
pub(crate) const STREAM_WINDOW: u32 = 1024 * 1024;
pub(crate) const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;

/// Bytes that wait to be sent on a stream.
pub(crate) const SEND_BUFFER: usize = 256 * 1024;

/// How long things may take, and how many may be under way.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A whole handshake, from the first byte to the last.
    pub handshake: Duration,
    /// Connecting by TCP.
    pub connect: Duration,
    /// Handshakes under way at a listener. When one more comes, the oldest is given up: honest ones take
    /// some milliseconds, and nobody can keep others out by being slow.
    pub handshakes_max: usize,
    /// A call, from the first byte of the question to the last of the answer.
    pub call: Duration,
    /// How often a silent peer is asked whether it is still there, and how long it has to say so.
    pub alive_every: Duration,
    /// See `alive_every`.
    pub alive_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            handshakes_max: 256,
            call: Duration::from_secs(60),
            alive_every: Duration::from_secs(10),
            alive_within: Duration::from_secs(10),
        }
    }
}
