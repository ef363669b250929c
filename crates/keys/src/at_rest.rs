//! What lies on a node's own disk, sealed: AES-256-GCM under a key that is made for the one file.
//!
//! ```text
//! "leasehold sealed 1\n" ‖ salt (32 random bytes) ‖ ciphertext ‖ tag (16)
//! file key = HKDF-SHA-256(salt, ikm = key, info = label ‖ name)
//! ```
//!
//! A key of its own for each salt means that no nonce is ever used twice, however often a file is written. The
//! name is bound: a sealed file under another name does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use thiserror::Error;
use zeroize::Zeroizing;

const HEAD: &[u8] = b"leasehold sealed 1\n";
const LABEL: &[u8] = b"leasehold at rest 1";
const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// What sealing adds to a file's length.
pub const SEALED_MORE_BYTES: usize = HEAD.len() + SALT_BYTES + TAG_BYTES;

/// Why a file does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotUnsealed {
    /// It is no sealed file.
    #[error("it is no sealed file")]
    Malformed,
    /// It was sealed under another key or name, or was changed.
    #[error("it was sealed under another key, or was changed")]
    Key,
}

/// Seals a file's content. `salt` is drawn anew each time, by the caller.
#[must_use]
pub fn seal(key: &[u8; 32], salt: &[u8; SALT_BYTES], name: &str, content: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(content.len() + SEALED_MORE_BYTES);
    sealed.extend_from_slice(HEAD);
    sealed.extend_from_slice(salt);
    let (cipher, nonce) = file_key(key, salt, name);
    // Encrypted where it will stay: no copy of the content is left behind.
    let at = sealed.len();
    sealed.extend_from_slice(content);
    let body = sealed.get_mut(at..).unwrap_or_default();
    let tag = cipher
        .seal_in_place_separate_tag(nonce, Aad::empty(), body)
        .expect("a file in memory is far below the limit of AES-GCM, 2^36 bytes");
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

/// The content of a sealed file.
///
/// # Errors
/// [`NotUnsealed`].
pub fn unseal(key: &[u8; 32], name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotUnsealed> {
    let body = sealed.strip_prefix(HEAD).ok_or(NotUnsealed::Malformed)?;
    let (salt, body) = body.split_first_chunk::<SALT_BYTES>().ok_or(NotUnsealed::Malformed)?;
    if body.len() < TAG_BYTES {
        return Err(NotUnsealed::Malformed);
    }
    let (cipher, nonce) = file_key(key, salt, name);
    let mut content = Zeroizing::new(body.to_vec());
    let length = cipher
        .open_in_place(nonce, Aad::empty(), content.as_mut_slice())
        .map_err(|_other_key| NotUnsealed::Key)?
        .len();
    content.truncate(length);
    Ok(content)
}

/// The key of one file, and its only nonce.
fn file_key(key: &[u8; 32], salt: &[u8; SALT_BYTES], name: &str) -> (LessSafeKey, Nonce) {
    let info = [&(LABEL.len() as u64).to_be_bytes(), LABEL, name.as_bytes()];
    let mut bytes = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, salt)
        .extract(key)
        .expand(&info, HKDF_SHA256)
        .and_then(|expanded| expanded.fill(bytes.as_mut_slice()))
        .expect("32 bytes are the length of one SHA-256");
    let key = UnboundKey::new(&AES_256_GCM, bytes.as_slice()).expect("32 bytes are a key's length");
    (LessSafeKey::new(key), Nonce::assume_unique_for_key([0; NONCE_LEN]))
}
