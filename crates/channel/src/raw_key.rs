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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_form_and_no_other_is_read() {
        let key: PublicKey = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".parse().unwrap();
        let shown = encode(&key);
        assert_eq!(decode(&shown), Some(key));
        for at in 0..BEFORE.len() {
            for bit in 0..8 {
                let mut other = shown.to_vec();
                other[at] ^= 1 << bit;
                assert_eq!(decode(&other), None, "byte {at}, bit {bit}");
            }
        }
        for length in 0..shown.len() {
            assert_eq!(decode(&shown[..length]), None);
        }
        assert_eq!(decode(&[shown.as_ref(), &[0]].concat()), None);
        // Points of small order, under which everybody signs.
        for point in PublicKey::SMALL_ORDER {
            assert_eq!(decode(&[BEFORE.as_slice(), &point].concat()), None);
        }
    }
}
