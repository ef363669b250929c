//! Ed25519 public keys, written `ed25519:` and the base64url of their 32 bytes.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use crate::key::KeyId;
use crate::text::{Malformed, serde_as_text};

/// An Ed25519 public key (RFC 8032 §5.1.2) that is written in its one canonical way and is no point of
/// small order. Checking a signature with it is `keys`' part.
///
/// The two are refused because aws-lc takes them: two encodings of one point would give one key two ids,
/// and under a point of small order one signature fits every eighth message or more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The y coordinates of the eight points whose order divides 8, little-endian, without the sign of x.
    pub const SMALL_ORDER: [[u8; 32]; 5] = [
        [0; 32],
        y(0x01, 0x00, 0x00),
        y(0xec, 0xff, 0x7f),
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
            0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
            0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
    ];

    /// A key from its 32 bytes.
    ///
    /// # Errors
    /// [`Malformed`] if they are not canonical or of small order. Whether they are a point at all shows
    /// when a signature is checked: none ever fits.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, Malformed> {
        let key = Self(bytes);
        let usable = is_canonical(&bytes) && !Self::SMALL_ORDER.contains(&without_sign(bytes));
        if usable { Ok(key) } else { Err(Malformed::new(&key.to_string(), EXPECTED)) }
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the key is called.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::of_public_key(&self.0)
    }
}

const EXPECTED: &str =
    "a public key (`ed25519:` and 43 characters of base64url, canonical, not of small order)";

const fn y(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

const fn without_sign(mut bytes: [u8; 32]) -> [u8; 32] {
    bytes[31] &= 0x7f;
    bytes
}

/// Whether y is below the prime 2^255 - 19. (The sign of x = 0 could be written in two ways too, but its
/// points, y = 1 and -1, are of small order.)
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let prime = y(0xed, 0xff, 0x7f);
    without_sign(*bytes).iter().rev().lt(prime.iter().rev())
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        text.strip_prefix("ed25519:")
            .and_then(|encoded| BASE64URL_NOPAD.decode(encoded.as_bytes()).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| Malformed::new(text, EXPECTED))
            .and_then(Self::from_bytes)
    }
}

serde_as_text!(PublicKey);
