//! Project Wycheproof's vectors for all that this crate builds on, and RFC 5869's. Where the library takes
//! what the project calls invalid, the test says why that cannot reach it.

use ::wycheproof::{TestResult, aead, eddsa, hkdf, keywrap, mlkem, xdh};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::kem::{Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_768};
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap as _};
use data_encoding::HEXLOWER;
use id::PublicKey;

use super::vectors::ml_kem_secret;
use crate::{HEADER_BYTES, OpeningKey, SECRET_BYTES, Signature, verifies};

/// Prints how many vectors held, and that there were as many as ever.
fn counted(what: &str, vectors: usize, at_least: usize) {
    println!("{what}: {vectors} vectors hold");
    assert!(vectors >= at_least, "{what}: {vectors} of at least {at_least}");
}

#[test]
fn aes_256_key_wrap() {
    let mut vectors = 0;
    let set = keywrap::TestSet::load(keywrap::TestName::AesKeyWrap).unwrap();
    for group in set.test_groups.iter().filter(|group| group.key_size == 256) {
        for test in &group.tests {
            vectors += 1;
            let mut opened = vec![0; test.ct.len()];
            let key = AesKek::new(&AES_256, &test.key).unwrap();
            let opened = key.unwrap(&test.ct, &mut opened).ok().map(|opened| opened.to_vec());
            let mut wrapped = vec![0; test.pt.len() + 8];
            let key = AesKek::new(&AES_256, &test.key).unwrap();
            let wrapped = key.wrap(&test.pt, &mut wrapped).ok().map(|wrapped| wrapped.to_vec());
            match test.result {
                TestResult::Valid => {
                    assert_eq!(opened.as_deref(), Some(test.pt.as_slice()), "{}", test.tc_id);
                    assert_eq!(wrapped.as_deref(), Some(test.ct.as_slice()), "{}", test.tc_id);
                }
                // Keys of 0 or 8 bytes: the library may take them, we give it none of these lengths.
                TestResult::Invalid | TestResult::Acceptable if test.pt.len() < 16 => {
                    assert!(test.ct.len() != HEADER_BYTES && test.pt.len() != SECRET_BYTES);
                }
                TestResult::Invalid | TestResult::Acceptable => {
                    assert_ne!(opened.as_deref(), Some(test.pt.as_slice()), "{}", test.tc_id);
                }
            }
        }
    }
    counted("AES-256-KW", vectors, 68);
}

fn expanded(salt: &[u8], secret: &[u8], info: &[u8], length: usize) -> Option<Vec<u8>> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut out = vec![0; length];
    Salt::new(HKDF_SHA256, salt).extract(secret).expand(&[info], Length(length)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

#[test]
fn hkdf_sha_256() {
    let mut vectors = 0;
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        vectors += 1;
        let wanted = (!test.result.must_fail()).then(|| test.okm.to_vec());
        assert_eq!(expanded(&test.salt, &test.ikm, &test.info, test.size), wanted, "{}", test.tc_id);
    }
    counted("HKDF-SHA-256", vectors, 86);
}

/// RFC 5869 A.1 to A.3: ikm, salt, info, okm.
#[test]
fn rfc_5869_vectors_hold() {
    let range = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    let (long_ikm, long_salt, long_info) = (range(0, 0x4f), range(0x60, 0xaf), range(0xb0, 0xff));
    let hex = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
    for (ikm, salt, info, okm) in [
        (
            vec![0x0b; 22],
            range(0, 0x0c),
            range(0xf0, 0xf9),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            long_ikm,
            long_salt,
            long_info,
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09\
             da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            vec![0x0b; 22],
            vec![],
            vec![],
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ] {
        let okm = hex(okm);
        assert_eq!(expanded(&salt, &ikm, &info, okm.len()), Some(okm));
    }
    println!("RFC 5869: 3 vectors hold");
}

#[test]
fn x25519() {
    let mut vectors = 0;
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        vectors += 1;
        let key = PrivateKey::from_private_key(&X25519, &test.private_key).unwrap();
        let peer = UnparsedPublicKey::new(&X25519, test.public_key.as_slice());
        let agreed = agreement::agree(&key, peer, (), |agreed| Ok(agreed.to_vec()));
        // A shared secret of zeros is refused: nobody needs it, and it hides who took part.
        let wanted = if test.shared_secret.iter().all(|&byte| byte == 0) {
            Err(())
        } else {
            Ok(test.shared_secret.to_vec())
        };
        assert_eq!(agreed, wanted, "{}", test.tc_id);
    }
    counted("X25519", vectors, 518);
}

#[test]
fn ed25519() {
    let mut vectors = 0;
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    for group in &set.test_groups {
        let key = PublicKey::from_bytes(group.key.pk.as_slice().try_into().unwrap()).unwrap();
        for test in &group.tests {
            vectors += 1;
            // Signatures of another length end at our edge.
            let signature = test.sig.as_slice().try_into().map(Signature::from_bytes);
            let holds = signature.is_ok_and(|signature| verifies(&key, &test.msg, &signature));
            assert_eq!(holds, !test.result.must_fail(), "{}", test.tc_id);
        }
    }
    counted("Ed25519", vectors, 151);
}

fn ml_kem_768(name: mlkem::TestName) -> Vec<mlkem::Test> {
    let set = mlkem::TestSet::load(name).unwrap();
    set.test_groups.into_iter().flat_map(|group| group.tests).collect()
}

fn opened(secret: &[u8], sent: &[u8]) -> Option<Vec<u8>> {
    let key = DecapsulationKey::new(&ML_KEM_768, secret).ok()?;
    key.decapsulate(Ciphertext::from(sent)).ok().map(|shared| shared.as_ref().to_vec())
}

#[test]
fn ml_kem_768_opens() {
    let tests = ml_kem_768(mlkem::TestName::MlKem768);
    for test in &tests {
        let seed = test.seed.as_ref().unwrap().as_slice();
        let sent = test.ct.as_ref().unwrap();
        let shared = seed.try_into().ok().and_then(|seed| opened(&ml_kem_secret(seed), sent));
        let wanted = (!test.result.must_fail()).then(|| test.shared_secret.as_ref().unwrap().to_vec());
        assert_eq!(shared, wanted, "{}", test.tc_id);
    }
    counted("ML-KEM-768, decapsulation", tests.len(), 201);
    let tests = ml_kem_768(mlkem::TestName::MlKem768SemiExpandedDecaps);
    for test in &tests {
        let shared = opened(test.decaps_key.as_ref().unwrap(), test.ct.as_ref().unwrap());
        let wanted = (!test.result.must_fail()).then(|| test.shared_secret.as_ref().unwrap().to_vec());
        assert_eq!(shared, wanted, "{}", test.tc_id);
    }
    counted("ML-KEM-768, keys as they are kept", tests.len(), 9);
}

/// The library draws what it encapsulates, so that what comes out differs each time: here is seen that it
/// takes good keys and refuses bad ones.
#[test]
fn ml_kem_768_seals() {
    let tests = ml_kem_768(mlkem::TestName::MlKem768Encaps);
    for test in &tests {
        let key = EncapsulationKey::new(&ML_KEM_768, test.encaps_key.as_ref().unwrap());
        let sealed = key.is_ok_and(|key| key.encapsulate().is_ok());
        // What is drawn has the right length, here and always.
        let drawn_wrong = test.msg.as_ref().unwrap().len() != 32;
        assert_eq!(sealed, !test.result.must_fail() || drawn_wrong, "{}", test.tc_id);
    }
    counted("ML-KEM-768, encapsulation", tests.len(), 265);
}

/// The public key that an [`OpeningKey`] finds in its secret is the one that was made with it.
#[test]
fn ml_kem_768_keys() {
    let tests = ml_kem_768(mlkem::TestName::MlKem768KeyGenSeed);
    for test in &tests {
        let secret = [test.decaps_key.as_ref().unwrap().as_slice(), &[9; 32]].concat();
        let key = OpeningKey::from_secret(secret.as_slice().try_into().unwrap()).unwrap();
        let public = &key.public().as_bytes()[..1184];
        assert_eq!(public, test.encaps_key.as_ref().unwrap().as_slice(), "{}", test.tc_id);
        assert_eq!(ml_kem_secret(test.seed.as_ref().unwrap().as_slice().try_into().unwrap()), secret[..2400]);
    }
    counted("ML-KEM-768, keys", tests.len(), 100);
}

fn check_aead(name: aead::TestName, algorithm: &'static Algorithm) -> usize {
    let mut vectors = 0;
    let set = aead::TestSet::load(name).unwrap();
    for group in set.test_groups.iter().filter(|group| group.key_size == 256) {
        for test in &group.tests {
            vectors += 1;
            let key = LessSafeKey::new(UnboundKey::new(algorithm, &test.key).unwrap());
            let mut sealed = [test.ct.as_slice(), &test.tag].concat();
            let nonce = Nonce::try_assume_unique_for_key(&test.nonce);
            let opened = nonce.ok().and_then(|nonce| {
                key.open_in_place(nonce, Aad::from(&test.aad), &mut sealed).ok().map(|opened| opened.to_vec())
            });
            // Nonces of another length than 12 bytes are nowhere taken.
            let wanted = (!test.result.must_fail() && test.nonce.len() == 12).then(|| test.pt.to_vec());
            assert_eq!(opened, wanted, "{}", test.tc_id);
        }
    }
    vectors
}

#[test]
fn sealed_messages() {
    counted("ChaCha20-Poly1305", check_aead(aead::TestName::ChaCha20Poly1305, &CHACHA20_POLY1305), 325);
    counted("AES-256-GCM", check_aead(aead::TestName::AesGcm, &AES_256_GCM), 105);
}
