//! Filter sets as people write them: rules, files, directory, narrowing, explanations, the packet oracle.
//!
//! A boundary file is parsed into a [`FilterSet`], whose names a [`Directory`] resolves; the
//! [`ResolvedSet`] that comes out has numbers only. From it follow its exact [`packet_set::PacketSet`],
//! its rectangles ([`rectangle`]) and, packet by packet, its own word ([`ResolvedSet::decide`]): three
//! ways to the same meaning, of which tests demand that they agree. [`oracle`] is the model of the
//! whole data path on raw frames.
#![forbid(unsafe_code)]

pub mod oracle;
mod resolved;

pub use packet_set::{Budget, Direction, Form, Packet, PacketSet, TooComplex};
pub use resolved::{Decision, ResolvedRule, ResolvedSet};
