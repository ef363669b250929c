//! Ids, epochs, digests and times, with their one text form each.
//!
//! Everything here is parsed at the edge: a value that exists is right. None of it does I/O, reads a
//! clock or draws random numbers; whoever makes an id passes the bytes in.
#![forbid(unsafe_code)]

mod counters;
mod digest;
mod key;
mod name;
mod public_key;
mod random;
mod sealing_key;
mod text;
mod time;

pub use counters::{Epoch, Generation, INTEGER_MAX, Sequence};
pub use digest::{Digest, DigestStream, Digester};
pub use key::{KeyId, NodeId};
pub use name::Name;
pub use public_key::PublicKey;
pub use random::{LeaseId, Nonce, TierId};
pub use sealing_key::SealingKey;
pub use text::Malformed;
pub use time::Time;

#[cfg(test)]
mod tests;
