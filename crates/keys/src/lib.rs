//! Keys, signed envelopes, and what a node signs. Bytes only: no file, no clock, no randomness.
//!
//! Whoever wants a key draws its 32 bytes elsewhere and hands them in. A [`Verified`] payload exists
//! only where a signature was checked over the very bytes that arrived.
#![forbid(unsafe_code)]

mod directory;
mod envelope;
mod key_file;
mod record;
mod signing;

pub use directory::{DIRECTORY_BYTES_MAX, NoDirectory, sign_directory, verify_directory};
pub use envelope::{
    ENVELOPE_BYTES_MAX, Envelope, MalformedEnvelope, PayloadType, SIGNATURES_MAX, Unverified, Verified,
    pre_authentication_encoding,
};
pub use id::{PublicKey, SealingKey};
pub use key_file::{KEY_FILE_BYTES_MAX, MalformedKeyFile, read_key_file, write_key_file};
pub use record::{Fate, Grade, Head, Invalid, NodeRecord, Part, Purpose, Receipt, Statement, Version};
pub use signing::{Signature, SigningKey, UnusableSeed, verifies};

#[cfg(test)]
mod tests;
