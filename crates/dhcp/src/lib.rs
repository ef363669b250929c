//! DHCP (RFC 2131, RFC 2132): codec, client machine, server machine. Sockets, clocks and randomness are
//! arguments.
//!
//! The codec is our own, small and strict, because it reads what anybody on the wire wrote, in a process
//! that may open raw sockets; tests compare it with an independent one.
#![forbid(unsafe_code)]

pub mod arp;
pub mod client;
mod client_id;
pub mod desk;
pub mod frame;
mod mac;
mod malformed;
mod message;
mod options;
pub mod server;
pub mod wire;

pub use client_id::{ClientId, NODE_CLASS, REALM_CLASS, TIER_OF_THE_NODE};
pub use mac::{Mac, NoMac};
pub use malformed::Malformed;
pub use message::{Kind, MESSAGE_BYTES_MAX, Message, Short};

/// The port that servers listen on.
pub const SERVER_PORT: u16 = 67;
/// The port that clients listen on.
pub const CLIENT_PORT: u16 = 68;
