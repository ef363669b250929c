//! Keys, signed envelopes, what a node signs, and what is sealed for it. Bytes only: no file, no clock, no
//! randomness but what sealing draws within the library (decision 14).
//!
//! Whoever wants a key to sign with draws its 32 bytes elsewhere and hands them in. A [`Verified`] payload exists
//! only where a signature was checked over the very bytes that arrived.
#![forbid(unsafe_code)]

pub mod at_rest;
mod directory;
mod envelope;
mod hpke;
mod key_file;
mod record;
mod schedule;
mod sealed;
mod share;
mod signing;
mod x_wing;

pub use directory::{DIRECTORY_BYTES_MAX, NoDirectory, sign_directory, verify_directory};
pub use envelope::{
    ENVELOPE_BYTES_MAX, Envelope, MalformedEnvelope, PayloadType, SIGNATURES_MAX, Unverified, Verified,
    pre_authentication_encoding,
};
pub use id::{PublicKey, SealingKey};
pub use key_file::{KEY_FILE_BYTES_MAX, MalformedKeyFile, read_key_file, write_key_file};
pub use record::{Fate, Grade, Head, Invalid, NodeRecord, Part, Purpose, Receipt, Statement, Version};
pub use schedule::{
    DataKey, EraseSalt, HEADER_BYTES, KERNEL_KEY_BYTES, Locked, NotUnwrapped, SECRET_BYTES, SHARES_MAX,
    Share, TierSecret, WrongPath,
};
pub use sealed::{
    Addressee, MalformedSealedOrder, NotOpened, NotSealed, Outside, SEALED_ORDER_BYTES_MAX, SealedOrder,
};
pub use share::{SEALED_SHARE_BYTES, SHARE_BYTES, open_share, seal_share};
pub use signing::{Signature, SigningKey, UnusableSeed, verifies};
pub use x_wing::{OPENING_SECRET_BYTES, OpeningKey, UnusableKey};

#[cfg(test)]
mod tests;
