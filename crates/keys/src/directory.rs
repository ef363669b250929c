//! Signed directories: an envelope whose payload is the TOML of FORMATS, "Directory file".
//!
//! What the text says is `boundary`'s part; here is only whether it is the landlord's.

use id::PublicKey;
use thiserror::Error;

use crate::envelope::{Envelope, MalformedEnvelope, PayloadType, Unverified};
use crate::signing::SigningKey;

/// The longest signed directory: one of 8 MiB, which is the longest that is read, in base64, signed.
pub const DIRECTORY_BYTES_MAX: usize = 11 * 1024 * 1024;

/// Why bytes are not a directory by a key.
#[derive(Debug, Error)]
pub enum NoDirectory {
    /// No envelope.
    #[error("it is no signed envelope")]
    Envelope(#[source] MalformedEnvelope),
    /// An envelope with something else in it.
    #[error("it holds something else: {0}")]
    OtherType(PayloadType),
    /// Not signed by that key.
    #[error("the signature does not hold")]
    Signature(#[source] Unverified),
    /// The payload is not UTF-8.
    #[error("the directory is no text")]
    NoText,
}

/// Signs a directory: the line of JSON that is kept and sent.
#[must_use]
pub fn sign_directory(text: &str, key: &SigningKey) -> String {
    Envelope::sign(PayloadType::Directory, text.as_bytes().to_vec(), key).to_json()
}

/// The text of a directory that `key` has signed.
///
/// # Errors
/// [`NoDirectory`] says what does not hold.
pub fn verify_directory(envelope: &[u8], key: &PublicKey) -> Result<String, NoDirectory> {
    let envelope = Envelope::parse_at_most(envelope, DIRECTORY_BYTES_MAX).map_err(NoDirectory::Envelope)?;
    if envelope.payload_type() != PayloadType::Directory {
        return Err(NoDirectory::OtherType(envelope.payload_type()));
    }
    let verified = envelope.verify(key).map_err(NoDirectory::Signature)?;
    str::from_utf8(verified.payload).map(str::to_owned).map_err(|_no_text| NoDirectory::NoText)
}
