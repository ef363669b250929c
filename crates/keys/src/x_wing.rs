//! X-Wing (draft-connolly-cfrg-xwing-kem): a secret for whoever holds a key, safe while X25519 or ML-KEM-768 is.
//!
//! Both halves are aws-lc's; here is only how the draft puts them together. One thing differs from the
//! draft: the secret key is kept as the two halves' keys, because aws-lc makes no ML-KEM key from a given
//! seed. Nobody outside sees the difference (decision 14).

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::digest::{Context, SHA3_256};
use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use id::SealingKey;
use thiserror::Error;
use zeroize::Zeroizing;

/// The length of an [`OpeningKey`]'s secret: ML-KEM-768's 2,400 bytes (FIPS 203), then X25519's 32.
pub const OPENING_SECRET_BYTES: usize = ML_KEM_SECRET + X25519_BYTES;

/// The length of what is sent along so that the other side finds the secret.
pub(crate) const ENCAPSULATION_BYTES: usize = ML_KEM_CIPHERTEXT + X25519_BYTES;

const ML_KEM_SECRET: usize = 2400;
const ML_KEM_PUBLIC: usize = 1184;
const ML_KEM_CIPHERTEXT: usize = 1088;
const X25519_BYTES: usize = 32;

/// Where FIPS 203 puts the public key within the secret one: behind the 1,152 bytes of K-PKE.
const ML_KEM_PUBLIC_AT: usize = 1152;

/// `\.//^\`
const LABEL: &[u8] = b"\\.//^\\";

/// A secret that two sides share.
pub(crate) type Shared = Zeroizing<[u8; 32]>;

/// The secret half of a [`SealingKey`]. It can be used, kept by custody and dropped, and neither copied
/// nor printed.
pub struct OpeningKey {
    ml_kem: DecapsulationKey,
    x25519: PrivateKey,
    secret: Zeroizing<[u8; OPENING_SECRET_BYTES]>,
    public: SealingKey,
}

/// The library made no key, or would not take one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the library takes no such key")]
pub struct UnusableKey;

impl OpeningKey {
    /// A new key. The one place in this crate, beside `encapsulate`, that draws random numbers: aws-lc takes
    /// none from outside for ML-KEM.
    ///
    /// # Errors
    /// [`UnusableKey`] if the library fails, or its two halves do not fit each other.
    pub fn generate() -> Result<Self, UnusableKey> {
        let ml_kem = DecapsulationKey::generate(&ML_KEM_768).map_err(|_failed| UnusableKey)?;
        let ml_kem = ml_kem.key_bytes().map_err(|_failed| UnusableKey)?;
        let mut secret = Zeroizing::new([0; OPENING_SECRET_BYTES]);
        let (first, second) = secret.split_at_mut(ML_KEM_SECRET);
        let fits = ml_kem.as_ref().len() == first.len();
        aws_lc_rs::rand::fill(second).map_err(|_failed| UnusableKey)?;
        if fits {
            first.copy_from_slice(ml_kem.as_ref());
        }
        Self::from_secret(&secret)
    }

    /// The key of a secret that [`OpeningKey::secret`] gave.
    ///
    /// # Errors
    /// [`UnusableKey`] for any other bytes: they would open nothing.
    pub fn from_secret(secret: &[u8; OPENING_SECRET_BYTES]) -> Result<Self, UnusableKey> {
        let (first, second) = secret.split_at(ML_KEM_SECRET);
        let ml_kem = DecapsulationKey::new(&ML_KEM_768, first).map_err(|_rejected| UnusableKey)?;
        let x25519 = PrivateKey::from_private_key(&X25519, second).map_err(|_rejected| UnusableKey)?;
        let public = x25519.compute_public_key().map_err(|_failed| UnusableKey)?;
        let mut bytes = [0; SealingKey::BYTES];
        let (first_public, second_public) = bytes.split_at_mut(ML_KEM_PUBLIC);
        let within = first.get(ML_KEM_PUBLIC_AT..ML_KEM_PUBLIC_AT + ML_KEM_PUBLIC).ok_or(UnusableKey)?;
        first_public.copy_from_slice(within);
        second_public.copy_from_slice(public.as_ref());
        let key =
            Self { ml_kem, x25519, secret: Zeroizing::new(*secret), public: SealingKey::from_bytes(&bytes) };
        // The library looks into neither half before it is used.
        let (sent, shared) = encapsulate(&key.public)?;
        if key.decapsulate(&sent)? == shared { Ok(key) } else { Err(UnusableKey) }
    }

    /// What custody keeps; nobody else has a reason to ask.
    #[must_use]
    pub const fn secret(&self) -> &Zeroizing<[u8; OPENING_SECRET_BYTES]> {
        &self.secret
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &SealingKey {
        &self.public
    }

    /// The secret that was sealed for this key. For something else that was sent it is another secret, or
    /// none.
    pub(crate) fn decapsulate(&self, sent: &[u8; ENCAPSULATION_BYTES]) -> Result<Shared, UnusableKey> {
        let (first, second) = sent.split_at(ML_KEM_CIPHERTEXT);
        let ml_kem = self.ml_kem.decapsulate(Ciphertext::from(first)).map_err(|_failed| UnusableKey)?;
        let x25519 = agree(&self.x25519, second)?;
        Ok(combine(ml_kem.as_ref(), &x25519, second, &self.public))
    }
}

/// A new secret for the holder of a key, and what to send so that it is found.
pub(crate) fn encapsulate(key: &SealingKey) -> Result<([u8; ENCAPSULATION_BYTES], Shared), UnusableKey> {
    let (first, second) = key.as_bytes().split_at(ML_KEM_PUBLIC);
    let ml_kem = EncapsulationKey::new(&ML_KEM_768, first).map_err(|_rejected| UnusableKey)?;
    let (ciphertext, ml_kem) = ml_kem.encapsulate().map_err(|_rejected| UnusableKey)?;
    let ephemeral = PrivateKey::generate(&X25519).map_err(|_failed| UnusableKey)?;
    let public = ephemeral.compute_public_key().map_err(|_failed| UnusableKey)?;
    let x25519 = agree(&ephemeral, second)?;
    let sent = [ciphertext.as_ref(), public.as_ref()].concat();
    let sent = sent.try_into().map_err(|_length| UnusableKey)?;
    Ok((sent, combine(ml_kem.as_ref(), &x25519, public.as_ref(), key)))
}

/// X25519 with a peer's point; the points that give zero are refused.
fn agree(own: &PrivateKey, peer: &[u8]) -> Result<Shared, UnusableKey> {
    agreement::agree(own, UnparsedPublicKey::new(&X25519, peer), UnusableKey, |agreed| {
        agreed.try_into().map(Zeroizing::new).map_err(|_length| UnusableKey)
    })
}

/// The draft's combiner: SHA3-256(ss_M ‖ ss_X ‖ ct_X ‖ pk_X ‖ label).
fn combine(ml_kem: &[u8], x25519: &Shared, sent: &[u8], key: &SealingKey) -> Shared {
    let mut hash = Context::new(&SHA3_256);
    hash.update(ml_kem);
    hash.update(x25519.as_slice());
    hash.update(sent);
    hash.update(key.as_bytes().get(ML_KEM_PUBLIC..).unwrap_or_default());
    hash.update(LABEL);
    let mut shared = Zeroizing::new([0; 32]);
    shared.copy_from_slice(hash.finish().as_ref());
    shared
}
