//! Secret keys and the signatures they make.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use data_encoding::BASE64;
use id::PublicKey;
use thiserror::Error;
use zeroize::Zeroizing;

/// An Ed25519 secret key. It can be used and dropped (both copies are wiped then), and neither copied,
/// printed nor serialised; only a key file takes it out of the process.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

/// A seed that the library would not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the 32 bytes make no usable key")]
pub struct UnusableSeed;

impl SigningKey {
    /// The key of a seed (RFC 8032 §5.1.5): 32 bytes from the system's random source, by the caller,
    /// who keeps them in [`Zeroizing`].
    ///
    /// # Errors
    /// [`UnusableSeed`] if the library rejects the seed; no seed is known that it rejects.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, UnusableSeed> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_rejected| UnusableSeed)?;
        let raw: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_length| UnusableSeed)?;
        let public = PublicKey::from_bytes(raw).map_err(|_unusable| UnusableSeed)?;
        Ok(Self { pair, seed: Zeroizing::new(*seed), public })
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs exactly `message`; the same message always gives the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.pair.sign(message).as_ref());
        Signature(bytes)
    }

    pub(crate) const fn seed(&self) -> &Zeroizing<[u8; 32]> {
        &self.seed
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public)
    }
}

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// A signature from its 64 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", BASE64.encode(&self.0))
    }
}

/// Whether `signature` is the key's over exactly `message`.
#[must_use]
pub fn verifies(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    UnparsedPublicKey::new(&ED25519, key.as_bytes()).verify(message, signature.as_bytes()).is_ok()
}
