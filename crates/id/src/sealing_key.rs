//! Public keys to seal for, written `xwing:` and the base64url of their 1,216 bytes.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use crate::digest::Digest;
use crate::text::{Malformed, serde_as_text};

/// An X-Wing encapsulation key (draft-connolly-cfrg-xwing-kem): 1,184 bytes of ML-KEM-768, then 32 of X25519.
/// Whether it can be sealed for shows when `keys` does.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SealingKey(Box<[u8; Self::BYTES]>);

impl SealingKey {
    /// Its length.
    pub const BYTES: usize = 1216;

    /// A key from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        Self(Box::new(*bytes))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Display for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "xwing:{}", BASE64URL_NOPAD.encode(self.0.as_slice()))
    }
}

/// Its digest: the key fills a page.
impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", Digest::of(self.0.as_slice()))
    }
}

impl FromStr for SealingKey {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        text.strip_prefix("xwing:")
            .filter(|encoded| BASE64URL_NOPAD.decode_len(encoded.len()) == Ok(Self::BYTES))
            .and_then(|encoded| BASE64URL_NOPAD.decode(encoded.as_bytes()).ok())
            .and_then(|bytes| bytes.into_boxed_slice().try_into().ok())
            .map(Self)
            .ok_or_else(|| {
                Malformed::new(text, "a key to seal for (`xwing:` and 1622 characters of base64url)")
            })
    }
}

serde_as_text!(SealingKey);
