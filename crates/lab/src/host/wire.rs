//! What the lab asks of an engine, and what that answers.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// A connection.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Where packets are sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// TCP or UDP.
    pub transport: Transport,
    /// Address and port.
    pub to: SocketAddr,
}

/// What reached a listening port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// TCP or UDP.
    pub transport: Transport,
    /// The port.
    pub port: u16,
    /// Connections or datagrams.
    pub count: u64,
    /// When anything came last, in nanoseconds of the machine's monotonic clock; 0 for never.
    pub last_ns: u64,
    /// When the newest of the datagrams was sent that came from [`Host::send`](crate::Host::send); 0 for none. It may
    /// have waited on its way, and at the port for somebody to take it.
    pub sent_ns: u64,
}

/// What probes to one target found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// Where they went.
    pub target: Target,
    /// How many were sent.
    pub sent: u64,
    /// How many were answered in any way, a refusal by the other end included.
    pub passed: u64,
}

/// How a stream of bytes over an open connection went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Streamed {
    /// How many bytes came back.
    pub answers: u64,
    /// When the last one did, in nanoseconds of the machine's monotonic clock.
    pub last_ns: u64,
}

/// A request to an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// Answer with what comes, on this port.
    Listen { transport: Transport, port: u16 },
    /// What came so far.
    Heard,
    /// Open a connection.
    Connect { to: SocketAddr, within_ms: u64 },
    /// Send something over a connection and wait for it to come back.
    Exchange { connection: usize, within_ms: u64 },
    /// Send a datagram and wait for it to come back.
    Datagram { to: SocketAddr, within_ms: u64 },
    /// Keep sending over a connection, a byte as soon as the last one came back.
    Stream { connection: usize },
    /// How that went so far.
    Streamed { connection: usize },
    /// Keep sending datagrams to these, one each so many microseconds, answered or not.
    Send { to: Vec<SocketAddr>, every_us: u64 },
    /// Keep trying to reach these, none of which should answer.
    Probe { targets: Vec<Target> },
    /// End that, and say how it went.
    Probed,
}

/// An engine's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// Done.
    Done,
    /// The connection is open, under this number.
    Connected(usize),
    /// It came back, after so many microseconds.
    Back(u64),
    /// It did not; why, in words.
    Not(String),
    /// What was heard.
    Heard(Vec<Heard>),
    /// How a stream went.
    Streamed(Streamed),
    /// How probes went.
    Probed(Vec<Probed>),
}
