//! Every text form read back, and the malformed ones refused.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use proptest::prelude::{any, proptest};

use crate::{
    Digest, Digester, Epoch, INTEGER_MAX, KeyId, LeaseId, Name, Nonce, PublicKey, SealingKey, TierId, Time,
};

fn reads_back<T: Display + FromStr<Err: Debug> + PartialEq + Debug>(value: T) {
    assert_eq!(value.to_string().parse::<T>().unwrap(), value);
}

proptest! {
    #[test]
    fn every_text_form_reads_back(short in any::<[u8; 16]>(), long in any::<[u8; 32]>(), millis in any::<u64>()) {
        reads_back(TierId::from_bytes(short));
        reads_back(LeaseId::from_bytes(short));
        reads_back(Nonce::from_bytes(short));
        reads_back(Digest::from_bytes(long));
        reads_back(SealingKey::from_bytes(&std::array::from_fn(|i| long[i % 32])));
        reads_back(KeyId::of_public_key(&long));
        if let Ok(key) = PublicKey::from_bytes(long) {
            reads_back(key);
        }
        reads_back(Time::from_millis(millis));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in ".{0,90}") {
        let parsed = (
            text.parse::<TierId>().is_ok(),
            text.parse::<Digest>().is_ok(),
            text.parse::<KeyId>().is_ok(),
            text.parse::<PublicKey>().is_ok(),
            text.parse::<SealingKey>().is_ok(),
            text.parse::<Time>().is_ok(),
            text.parse::<Name>().is_ok(),
        );
        // Whatever the parsers answered, they answered.
        std::hint::black_box(parsed);
    }
}

#[test]
fn text_forms_are_the_documented_ones() {
    assert_eq!(Time::from_millis(1_500).to_string(), "1970-01-01T00:00:01.5Z");
    assert_eq!(
        Digest::of(b"").to_string(),
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    assert_eq!(KeyId::of_public_key(&[0; 32]).to_string(), "lh1:Zmh6rfhivXdsj8GLjp-OIAiXFIVu4jOzkCpZHQ1fKSU");
}

#[test]
fn malformed_texts_are_refused_with_what_was_expected() {
    let error = "2026-01-01T00:00:00+01:00".parse::<Time>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"2026-01-01T00:00:00+01:00\" is not a time (RFC 3339 in UTC, as 2026-01-31T12:00:00Z)"
    );
    for bad in ["", "ABCDEF00112233445566778899aabbcc", "00112233445566778899aabbccddee", "zz"] {
        assert!(bad.parse::<TierId>().is_err(), "{bad}");
    }
    for bad in ["", "-a", "a-", "A", "a b", "abcdefghijklmnopqrstuvwxyz0123456", "ä"] {
        assert!(bad.parse::<Name>().is_err(), "{bad}");
    }
}

#[test]
fn counters_stay_exact_in_json() {
    assert_eq!(Epoch::new(INTEGER_MAX).unwrap().next(), None);
    assert!(serde_json::from_str::<Epoch>("9007199254740992").is_err());
    assert_eq!(serde_json::from_str::<Epoch>("7").unwrap().get(), 7);
    assert!(serde_json::from_str::<Epoch>("-1").is_err());
}

#[test]
fn parts_do_not_run_together() {
    let digest = |a: &[u8], b: &[u8]| Digester::new("t").part(a).part(b).finish();
    assert_ne!(digest(b"ab", b"c"), digest(b"a", b"bc"));
}

#[test]
fn public_keys_are_canonical_and_of_full_order() {
    let mut prime = [0xff; 32];
    (prime[0], prime[31]) = (0xed, 0x7f);
    for sign in [0, 0x80] {
        for mut small in PublicKey::SMALL_ORDER {
            small[31] |= sign;
            assert!(PublicKey::from_bytes(small).is_err(), "{small:?}");
        }
        // The prime itself and what is above it are second spellings of 0, 1, 2 ….
        for above in 0..19 {
            let mut bytes = prime;
            bytes[0] += above;
            bytes[31] |= sign;
            assert!(PublicKey::from_bytes(bytes).is_err(), "{bytes:?}");
        }
        // -2, the largest that is neither.
        let mut bytes = prime;
        bytes[0] -= 2;
        bytes[31] |= sign;
        assert!(PublicKey::from_bytes(bytes).is_ok(), "{bytes:?}");
    }
}
