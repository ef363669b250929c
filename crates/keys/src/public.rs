//! Ed25519 public keys, written `ed25519:` and the base64url of their 32 bytes.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use id::KeyId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::signing::Signature;

/// An Ed25519 public key that is written in its one canonical way and is no point of small order.
///
/// aws-lc takes both kinds of key: under a small-order one, one signature fits every eighth message or
/// more, and two encodings of one point would give one key two ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

/// Why a text or 32 bytes are no public key of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnusableKey {
    /// The text has another shape.
    #[error("a public key is `ed25519:` and 43 characters of base64url")]
    Text,
    /// The y coordinate is not below 2^255 - 19.
    #[error("the public key is not written canonically")]
    NotCanonical,
    /// Signatures under it would say nothing.
    #[error("the public key is a point of small order")]
    SmallOrder,
}

impl PublicKey {
    /// A key from its 32 raw bytes (RFC 8032 §5.1.2).
    ///
    /// # Errors
    /// [`UnusableKey`] if the bytes are not canonical or of small order.
    pub fn from_raw(raw: [u8; 32]) -> Result<Self, UnusableKey> {
        if !is_canonical(&raw) {
            return Err(UnusableKey::NotCanonical);
        }
        if SMALL_ORDER.contains(&without_sign(raw)) {
            return Err(UnusableKey::SmallOrder);
        }
        Ok(Self(raw))
    }

    /// The 32 raw bytes.
    #[must_use]
    pub const fn as_raw(&self) -> &[u8; 32] {
        &self.0
    }

    /// What the key is called in envelopes and records.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::of_public_key(&self.0)
    }

    /// Whether `signature` is this key's over exactly `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature.as_bytes()).is_ok()
    }
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
    type Err = UnusableKey;

    fn from_str(text: &str) -> Result<Self, UnusableKey> {
        let raw = text
            .strip_prefix("ed25519:")
            .and_then(|encoded| BASE64URL_NOPAD.decode(encoded.as_bytes()).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(UnusableKey::Text)?;
        Self::from_raw(raw)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The y coordinates of the eight points whose order divides 8, little-endian, the x sign cleared.
pub(crate) const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    y(0x01, 0x00, 0x00),
    y(0xec, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const fn y(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

const fn without_sign(mut raw: [u8; 32]) -> [u8; 32] {
    raw[31] &= 0x7f;
    raw
}

/// Whether y is below the prime, which is `7fff…ffed`; and x = 0 (y = 1 or -1) has no sign to set, but
/// those two are of small order anyway.
fn is_canonical(raw: &[u8; 32]) -> bool {
    let prime = y(0xed, 0xff, 0x7f);
    without_sign(*raw).iter().rev().lt(prime.iter().rev())
}
