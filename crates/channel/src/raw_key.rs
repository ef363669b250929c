//! Ed25519 keys as TLS carries them without a certificate: a SubjectPublicKeyInfo (RFC 7250 §3, RFC 8410 §4).

use id::PublicKey;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

/// What stands before the 32 bytes of any Ed25519 key.
const BEFORE: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The key as the other side is shown it.
pub(crate) fn encode(key: &PublicKey) -> CertificateDer<'static> {
    CertificateDer::from([BEFORE.as_slice(), key.as_bytes()].concat())
}

/// The same, for the library.
pub(crate) fn info(key: &PublicKey) -> SubjectPublicKeyInfoDer<'static> {
    SubjectPublicKeyInfoDer::from([BEFORE.as_slice(), key.as_bytes()].concat())
}

/// The key that the other side has shown; none if it is anything but a usable Ed25519 key in its one form.
pub(crate) fn decode(shown: &[u8]) -> Option<PublicKey> {
    let raw = shown.strip_prefix(&BEFORE)?;
    PublicKey::from_bytes(raw.try_into().ok()?).ok()
}
