//! HPKE (RFC 9180), one message in base mode, with one suite: X-Wing, HKDF-SHA-256, ChaCha20-Poly1305
//! (draft-ietf-hpke-pq). Its primitives are aws-lc's; the key schedule is section 5.1 for one mode.
//!
//! It tells the opener nothing about the sealer: whatever is sealed carries a signature within.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::hmac;
use id::SealingKey;
use zeroize::Zeroizing;

use crate::x_wing::{ENCAPSULATION_BYTES, OpeningKey, Shared, UnusableKey, encapsulate};

/// X-Wing's number (draft-ietf-hpke-pq).
const X_WING: u16 = 0x647a;
const HKDF_SHA_256: u16 = 1;
const CHACHA20POLY1305: u16 = 3;

const BASE: u8 = 0;

/// A message for the holder of a key: what to send first, then the sealed message.
pub(crate) fn seal(
    key: &SealingKey,
    info: &[u8],
    aad: &[u8],
    message: &[u8],
) -> Result<([u8; ENCAPSULATION_BYTES], Vec<u8>), UnusableKey> {
    let (sent, shared) = encapsulate(key)?;
    let (aead, nonce) = schedule(X_WING, &shared, info);
    let mut sealed = message.to_vec();
    aead.seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed).map_err(|_too_long| UnusableKey)?;
    Ok((sent, sealed))
}

/// The message, if it was sealed for this key with the same `info` and `aad`.
pub(crate) fn open(
    key: &OpeningKey,
    info: &[u8],
    aad: &[u8],
    sent: &[u8; ENCAPSULATION_BYTES],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let shared = key.decapsulate(sent).ok()?;
    let (aead, nonce) = schedule(X_WING, &shared, info);
    let mut message = Zeroizing::new(sealed.to_vec());
    let length = aead.open_in_place(nonce, Aad::from(aad), &mut message).ok()?.len();
    message.truncate(length);
    Some(message)
}

/// KeySchedule in base mode, and the key and nonce of the first and only message.
pub(crate) fn schedule(kem: u16, shared: &Shared, info: &[u8]) -> (LessSafeKey, Nonce) {
    let suite = Suite::of(kem);
    // With one mode the names of pre-shared keys are always empty.
    let context =
        [&[BASE], suite.extract(b"psk_id_hash", b"").as_ref(), suite.extract(b"info_hash", info).as_ref()]
            .concat();
    let secret = Salt::new(HKDF_SHA256, shared.as_slice()).extract(&suite.labeled(b"secret", b""));
    let mut key = Zeroizing::new([0; 32]);
    suite.expand(&secret, b"key", &context, key.as_mut_slice());
    let mut nonce = [0; NONCE_LEN];
    suite.expand(&secret, b"base_nonce", &context, &mut nonce);
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).expect("32 bytes are a key's length");
    (LessSafeKey::new(key), Nonce::assume_unique_for_key(nonce))
}

struct Suite([u8; 10]);

impl Suite {
    fn of(kem: u16) -> Self {
        let mut id = *b"HPKE------";
        for (place, number) in id[4..].chunks_exact_mut(2).zip([kem, HKDF_SHA_256, CHACHA20POLY1305]) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        Self(id)
    }

    fn labeled(&self, label: &[u8], value: &[u8]) -> Vec<u8> {
        [b"HPKE-v1", self.0.as_slice(), label, value].concat()
    }

    /// LabeledExtract with an empty salt, of what is no secret.
    fn extract(&self, label: &[u8], value: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[]), &self.labeled(label, value))
    }

    /// LabeledExpand.
    fn expand(&self, secret: &Prk, label: &[u8], context: &[u8], out: &mut [u8]) {
        let length = u16::try_from(out.len()).expect("keys and nonces are short");
        let info = [&length.to_be_bytes(), self.labeled(label, context).as_slice()].concat();
        secret
            .expand(&[&info], Length(out.len()))
            .and_then(|expanded| expanded.fill(out))
            .expect("HKDF-SHA-256 gives up to 8,160 bytes");
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
