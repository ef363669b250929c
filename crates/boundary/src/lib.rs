//! Filter sets as people write them: rules, files, directory, narrowing, explanations, the packet oracle.
//!
//! A boundary file is parsed into a [`FilterSet`], whose names a [`Directory`] resolves; the
//! [`ResolvedSet`] that comes out has numbers only. From it follow its exact [`packet_set::PacketSet`],
//! its rectangles ([`rectangle`]) and, packet by packet, its own word ([`ResolvedSet::decide`]): three
//! ways to the same meaning, of which tests demand that they agree. [`oracle`] is the model of the
//! whole data path on raw frames.
//!
//! Parsers take bytes and answer with values or with every fault and its line; no input makes them panic.
#![forbid(unsafe_code)]

mod addresses;
mod compare;
mod directory;
mod document;
mod explain;
mod filter_set;
mod keys;
mod meaning;
mod narrow;
pub mod oracle;
mod packet_file;
mod problem;
pub mod rectangle;
mod resolved;
mod rule;

pub use compare::{Comparison, Excess, Unproved, compare, intersection, witness};
pub use directory::{Directory, Node, REALM_ADDRESSES_MAX};
pub use document::FILE_BYTES_MAX;
pub use explain::{Explanation, explain};
pub use filter_set::{FilterSet, RULES_MAX};
pub use keys::{Keys, Value, Values};
pub use meaning::Meaning;
pub use narrow::Written;
pub use packet_file::{PacketJson, in_words, parse_packets};
pub use packet_set::{Budget, Direction, Form, Packet, PacketSet, TooComplex};
pub use problem::{Problem, Problems};
pub use resolved::{Decision, ResolvedRule, ResolvedSet};
pub use rule::{Remote, Rule};
