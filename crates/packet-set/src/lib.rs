//! Exact algebra of packet sets: interval decision diagrams.
//!
//! A packet here is the first packet of a flow, or a packet that must have no reply, as seen from one
//! realm: [`Packet`]. A [`PacketSet`] is an immutable set of them, kept as a decision diagram with one
//! level a field ([`Field`], in this order: form, direction, protocol, remote address, remote port,
//! local port). A node's edges are ascending upper bounds with the child that they lead to; equal
//! nodes are one node; neighbouring edges never lead to the same child. Hence equal sets have equal
//! diagrams, and equal digests, however they were written.
//!
//! The order of the fields matters: with the address behind the ports a set of ten thousand rules
//! grows from seven thousand edges to over a million.
//!
//! Whoever may hand in hostile sets gives every operation a [`Budget`]; an operation that would
//! exceed it answers [`TooComplex`], and the caller must refuse.
#![forbid(unsafe_code)]

mod algebra;
mod arena;
mod beyond;
mod budget;
mod cross;
mod packet;
mod region;
mod set;
mod witness;

pub use budget::{Budget, TooComplex};
pub use packet::{
    Direction, Form, ICMP, ICMPV6, Packet, PortUse, SCTP, TCP, UDP, V4_FIRST, V4_LAST, address_number,
    address_of, port_use,
};
pub use region::{Field, Ranges, Region};
pub use set::{Child, Edge, NodeIndex, PacketSet};
pub use witness::Witness;

#[cfg(test)]
mod tests;
