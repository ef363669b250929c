//! Published vectors, and everything that must be refused.

mod at_rest;
mod schedule;
mod sealed;
mod vectors;
mod wycheproof;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use data_encoding::{BASE64, HEXLOWER};
use expect_test::expect;
use id::{Digest, Epoch, LeaseId, NodeId, PublicKey, TierId, Time};
use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use crate::{
    DIRECTORY_BYTES_MAX, ENVELOPE_BYTES_MAX, Envelope, Fate, Grade, Head, Invalid, MalformedEnvelope,
    NoDirectory, NodeRecord as _, Part, PayloadType, Purpose, Receipt, SIGNATURES_MAX, Signature, SigningKey,
    Statement, Unverified, Version, pre_authentication_encoding, read_key_file, sign_directory, verifies,
    verify_directory, write_key_file,
};

fn key(byte: u8) -> SigningKey {
    SigningKey::from_seed(&[byte; 32]).unwrap()
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap()
}

/// RFC 8032 §7.1, tests 1 to 3: seed, public key, message, signature.
const RFC_8032: [[&str; 4]; 3] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
         d25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
         387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659\
         4a7c15e9716ed28dc027beceea1ec40a",
    ],
];

#[test]
fn rfc_8032_vectors_hold() {
    for [seed, public, message, signature] in RFC_8032 {
        let key = SigningKey::from_seed(&bytes(seed)).unwrap();
        let message = HEXLOWER.decode(message.as_bytes()).unwrap();
        let signature = Signature::from_bytes(bytes(signature));
        assert_eq!(*key.public(), PublicKey::from_bytes(bytes(public)).unwrap());
        assert_eq!(key.sign(&message), signature);
        assert!(verifies(key.public(), &message, &signature));
        assert!(!verifies(key.public(), b"other", &signature));
    }
}

/// The order of the base point, little-endian (RFC 8032 §5.1).
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

#[test]
fn a_second_spelling_of_a_signature_does_not_hold() {
    let signature = key(1).sign(b"message");
    let mut other = *signature.as_bytes();
    let mut carry = 0_u16;
    for (byte, order) in other[32..].iter_mut().zip(bytes::<32>(ORDER)) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        let [low, high] = sum.to_le_bytes();
        (*byte, carry) = (low, u16::from(high));
    }
    assert!(!verifies(key(1).public(), b"message", &Signature::from_bytes(other)));
}

/// Why `id::PublicKey` refuses them: the library does not.
#[test]
fn under_a_key_of_small_order_nobody_signs_everything() {
    let mut signature = [0; 64];
    signature[0] = 1;
    for raw in PublicKey::SMALL_ORDER {
        let library = UnparsedPublicKey::new(&ED25519, &raw);
        let fits = (0..=255_u8).filter(|message| library.verify(&[*message], &signature).is_ok()).count();
        assert!(fits > 10, "{raw:?}: {fits} of 256");
        assert!(PublicKey::from_bytes(raw).is_err());
    }
}

/// protocol.md, "Test Vectors".
#[test]
fn dsse_encoding_is_that_of_the_specification() {
    let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
    assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    assert_eq!(pre_authentication_encoding("", b""), b"DSSEv1 0  0 ");
    // Lengths are of bytes, not of characters.
    assert_eq!(pre_authentication_encoding("ä", b"\xff "), b"DSSEv1 2 \xc3\xa4 2 \xff ");
}

#[test]
fn an_envelope_is_written_as_documented_and_reads_back() {
    let envelope = Envelope::sign(PayloadType::Order, b"{}".to_vec(), &key(1));
    let json = envelope.to_json();
    expect![[r#"{"payload":"e30=","payloadType":"application/vnd.leasehold.order+json","signatures":[{"keyid":"lh1:NHUPmL1Z_PyUbaRaqr6TO-FUpLUJThxKv0KGZQXzyX4","sig":"sThOZErwhdEIKK7NeixnZr5N0G9FMQQHrD2HB8Vm3bQiOrPuQscqFI6yAct6fn1dC70LtvuSWTEPz13hF9tCBw=="}]}"#]].assert_eq(&json);
    let read = Envelope::parse(json.as_bytes()).unwrap();
    assert_eq!(read, envelope);
    let verified = read.verify(key(1).public()).unwrap();
    assert_eq!((verified.payload, verified.signer), (b"{}".as_slice(), key(1).public().id()));
    assert_eq!(read.only_signer(), Some(key(1).public().id()));
}

#[test]
fn nobody_elses_signature_counts() {
    let envelope = Envelope::sign(PayloadType::Order, b"{}".to_vec(), &key(1));
    let id = key(2).public().id();
    assert_eq!(envelope.verify(key(2).public()), Err(Unverified::NotSigned(id)));
    // Key 2's name over key 1's signature.
    let renamed = envelope.to_json().replace(&key(1).public().id().to_string(), &id.to_string());
    let renamed = Envelope::parse(renamed.as_bytes()).unwrap();
    assert_eq!(renamed.verify(key(2).public()), Err(Unverified::Forged(id)));
    assert!(renamed.verify(key(1).public()).is_err());
}

#[test]
fn a_signature_covers_type_and_payload() {
    let json = Envelope::sign(PayloadType::Receipt, b"{\"a\":1}".to_vec(), &key(1)).to_json();
    for (from, to) in [
        (PayloadType::Receipt.as_str().to_owned(), PayloadType::Order.as_str().to_owned()),
        (BASE64.encode(b"{\"a\":1}"), BASE64.encode(b"{\"a\":2}")),
        (BASE64.encode(b"{\"a\":1}"), BASE64.encode(b"{\"a\": 1}")),
    ] {
        let changed = Envelope::parse(json.replace(&from, &to).as_bytes()).unwrap();
        assert!(changed.verify(key(1).public()).is_err(), "{to}");
    }
}

#[test]
fn several_keys_can_sign_and_each_once() {
    let envelope = Envelope::sign(PayloadType::Statement, b"{}".to_vec(), &key(1));
    let both = envelope.and_sign(&key(2)).and_sign(&key(2)).and_sign(&key(1));
    let both = Envelope::parse(both.to_json().as_bytes()).unwrap();
    assert_eq!(both.signers().count(), 2);
    assert_eq!(both.only_signer(), None);
    assert!(both.verify(key(1).public()).is_ok() && both.verify(key(2).public()).is_ok());
}

#[test]
fn malformed_envelopes_are_refused() {
    let good = Envelope::sign(PayloadType::Order, b"{}".to_vec(), &key(1)).to_json();
    let check = |from: &str, to: &str, wanted: fn(&MalformedEnvelope) -> bool| {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        let error = Envelope::parse(bad.as_bytes()).unwrap_err();
        assert!(wanted(&error), "{bad}: {error:?}");
    };
    let json: fn(&MalformedEnvelope) -> bool = |error| matches!(error, MalformedEnvelope::Json(_));
    check("{", "", json);
    check("}]}", "}]} x", json);
    check("\"payload\":", "\"payload\":\"e30=\",\"payload\":", json);
    check("\"payload\":", "\"extra\":1,\"payload\":", json);
    check("\"sig\":", "\"sig\":\"\",\"sig\":", json);
    check("\"sig\":", "\"cert\":\"\",\"sig\":", json);
    check("\"keyid\":\"lh1:", "\"keyid\":\"lh2:", json);
    check("\"payloadType\"", "\"payloadtype\"", json);
    check("e30=", "e30", |error| matches!(error, MalformedEnvelope::Payload));
    check("e30=", "e30\\n=", |error| matches!(error, MalformedEnvelope::Payload));
    check("e30=", "e31=", |error| matches!(error, MalformedEnvelope::Payload));
    check("order+json", "Order+json", |error| matches!(error, MalformedEnvelope::PayloadType(_)));
    check("==\"}", "\"}", |error| matches!(error, MalformedEnvelope::Signature(0)));
    check(
        "==\"}",
        "==\"},{\"keyid\":\"lh1:NHUPmLVbkz3uK3shKYIj8HBNODfNW9k-dN7UndNWxf4\",\"sig\":\"\"}",
        |error| matches!(error, MalformedEnvelope::Signature(1)),
    );
    assert!(Envelope::parse(&[0xff, 0xfe]).is_err());
    assert!(Envelope::parse(b"").is_err());
    let long = vec![b' '; ENVELOPE_BYTES_MAX + 1];
    assert!(matches!(Envelope::parse(&long), Err(MalformedEnvelope::TooLong { .. })));
}

#[test]
fn the_number_of_signatures_is_bounded() {
    let of = |keys: std::ops::RangeInclusive<u8>| {
        let first = Envelope::sign(PayloadType::Order, b"{}".to_vec(), &key(*keys.start()));
        let all = keys.fold(first, |envelope, byte| envelope.and_sign(&key(byte)));
        Envelope::parse(all.to_json().as_bytes())
    };
    let most = u8::try_from(SIGNATURES_MAX).unwrap();
    assert!(of(1..=most).is_ok());
    assert!(matches!(of(1..=most + 1), Err(MalformedEnvelope::Signatures(17))));
    let none = r#"{"payload":"","payloadType":"application/vnd.leasehold.order+json","signatures":[]}"#;
    assert!(matches!(Envelope::parse(none.as_bytes()), Err(MalformedEnvelope::Signatures(0))));
    let twice = of(1..=1).unwrap().to_json();
    let begin = twice.find("[{").unwrap() + 1;
    let signature = twice[begin..twice.len() - 2].to_owned();
    let twice = twice.replace(&signature, &format!("{signature},{signature}"));
    assert!(matches!(Envelope::parse(twice.as_bytes()), Err(MalformedEnvelope::SignsTwice(_))));
}

#[test]
fn a_key_file_reads_back() {
    let text = write_key_file(&key(3));
    assert_eq!(read_key_file(text.as_bytes()).unwrap().public(), key(3).public());
    assert!(text.contains(&key(3).public().to_string()));
    let secret = text.lines().find(|line| !line.starts_with('#')).unwrap();
    for bad in ["", "# only\n", &format!("{secret}\n{secret}"), &secret[1..], &secret[..secret.len() - 1]] {
        assert!(read_key_file(bad.as_bytes()).is_err(), "{bad}");
    }
    assert!(read_key_file(&[b'#'; 5_000]).is_err());
}

#[test]
fn a_secret_key_shows_nothing_of_itself() {
    let shown = format!("{:?}", key(3));
    assert_eq!(shown, format!("SigningKey(of {})", key(3).public()));
    let error = read_key_file(b"leasehold-secret-1:c2VjcmV0").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("c2Vj"));
}

fn receipt() -> Receipt {
    Receipt {
        version: Version,
        node: NodeId(key(9).public().id()),
        node_key: *key(9).public(),
        grade: Grade::HostRoot,
        at: Time::from_millis(1_780_000_000_000),
        order: Some(Digest::of(b"order")),
        purpose: Purpose::Severing,
        tier: TierId::from_bytes([1; 16]),
        parts: vec![Part {
            tier: TierId::from_bytes([1; 16]),
            epoch: Epoch::new(4).unwrap(),
            fate: Fate::Ended,
        }],
        destroyed: vec![Digest::of(b"commitment")],
        record: 17,
        record_digest: Digest::of(b"record"),
        previous: None,
    }
}

/// The example of docs/receipts.md.
#[test]
fn a_receipt_is_written_as_documented_and_verifies() {
    let envelope = receipt().sign(&key(9));
    let page = include_str!("../../../docs/receipts.md");
    let example = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(serde_json::to_string_pretty(&receipt()).unwrap() + "\n", example);
    let bytes = envelope.to_json().into_bytes();
    // Whoever keeps a receipt of today's version wants to verify it with every later one.
    assert_eq!(bytes, include_bytes!("../tests/golden/receipt.json").trim_ascii_end());
    assert_eq!(Receipt::verify(&bytes, None).unwrap(), receipt());
    assert_eq!(Receipt::verify(&bytes, Some(key(9).public())).unwrap(), receipt());
    assert!(matches!(Receipt::verify(&bytes, Some(key(8).public())), Err(Invalid::OtherNode { .. })));
    assert!(matches!(Head::verify(&bytes, None), Err(Invalid::OtherType(PayloadType::Receipt))));
}

#[test]
fn receipts_that_are_nobodys_word_are_refused() {
    let forged = receipt().sign(&key(8)).to_json();
    assert!(matches!(Receipt::verify(forged.as_bytes(), None), Err(Invalid::Signature(_))));
    let mut other = receipt();
    other.node_key = *key(8).public();
    let other = other.sign(&key(8)).to_json();
    assert!(matches!(Receipt::verify(other.as_bytes(), None), Err(Invalid::OtherKey)));
    let payload = |from: &str, to: &str| {
        let json = serde_json::to_string(&receipt()).unwrap().replacen(from, to, 1);
        Envelope::sign(PayloadType::Receipt, json.into_bytes(), &key(9)).to_json()
    };
    for (from, to) in [
        ("\"version\":1", "\"version\":2"),
        ("host-root", "host"),
        ("{", "{\"more\":1,"),
        ("\"record\":17", "\"record\":17,\"record\":18"),
        ("\"record\":17", "\"record\":-1"),
        ("\"record\":17", "\"record\":9007199254740992"),
    ] {
        let error = Receipt::verify(payload(from, to).as_bytes(), None).unwrap_err();
        assert!(matches!(error, Invalid::Payload(_)), "{to}: {error:?}");
    }
    assert!(Receipt::verify(b"garbage", None).is_err());
}

proptest! {
    #[test]
    fn any_payload_reads_back(payload in vec(any::<u8>(), 0..200), seed in any::<[u8; 32]>()) {
        let key = SigningKey::from_seed(&seed).unwrap();
        let envelope = Envelope::sign(PayloadType::Head, payload.clone(), &key);
        let read = Envelope::parse(envelope.to_json().as_bytes()).unwrap();
        assert_eq!(read.verify(key.public()).unwrap().payload, payload);
    }

    #[test]
    fn no_flipped_bit_verifies(bit in 0_usize..272 * 8) {
        let mut json = Envelope::sign(PayloadType::Order, b"{}".to_vec(), &key(1)).to_json().into_bytes();
        let bit = bit % (json.len() * 8);
        json[bit / 8] ^= 1 << (bit % 8);
        let verified = Envelope::parse(&json).ok().map(|read| read.verify(key(1).public()).is_ok());
        assert_ne!(verified, Some(true));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in vec(any::<u8>(), 0..400), text in ".{0,200}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            assert!(Envelope::parse(bytes).is_err());
            assert!(Receipt::verify(bytes, None).is_err());
            assert!(read_key_file(bytes).is_err());
        }
    }
}

fn statement() -> Statement {
    Statement {
        version: Version,
        node: NodeId(key(9).public().id()),
        node_key: *key(9).public(),
        grade: Grade::HostRoot,
        at: Time::from_millis(1_780_000_000_000),
        lease: LeaseId::from_bytes([2; 16]),
        tier: TierId::from_bytes([1; 16]),
        epoch: Epoch::new(1).unwrap(),
        identity: Some(*key(5).public()),
        sealing: None,
        controllers: vec![*key(7).public()],
        boundary: Some(Digest::of(b"object")),
        directory: None,
        nonce: None,
    }
}

#[test]
fn a_golden_statement_still_verifies() {
    let signed = statement().sign(&key(9)).to_json();
    assert_eq!(signed, include_str!("../tests/golden/statement.json").trim_end());
    assert_eq!(Statement::verify(signed.as_bytes(), Some(key(9).public())).unwrap(), statement());
    assert!(Receipt::verify(signed.as_bytes(), None).is_err());
}

#[test]
fn a_directory_is_its_signers_alone() {
    let text = "version = 1\nserial = 7\n[node.ä]\n";
    let signed = sign_directory(text, &key(1));
    assert_eq!(verify_directory(signed.as_bytes(), key(1).public()).unwrap(), text);
    let refused = |bytes: &str| verify_directory(bytes.as_bytes(), key(1).public()).unwrap_err();
    assert!(matches!(refused(&sign_directory(text, &key(2))), NoDirectory::Signature(_)));
    let order = Envelope::sign(PayloadType::Order, text.as_bytes().to_vec(), &key(1)).to_json();
    assert!(matches!(refused(&order), NoDirectory::OtherType(PayloadType::Order)));
    let order = order.replace("order+json", "directory+toml");
    assert!(matches!(refused(&order), NoDirectory::Signature(_)));
    let noise = Envelope::sign(PayloadType::Directory, vec![0xff], &key(1)).to_json();
    assert!(matches!(refused(&noise), NoDirectory::NoText));
    assert!(matches!(refused(text), NoDirectory::Envelope(_)));
    // One of the longest that `boundary` reads fits; a longer one is not even looked at.
    let longest = sign_directory(&"#".repeat(8 << 20), &key(1));
    assert!(verify_directory(longest.as_bytes(), key(1).public()).is_ok());
    let longer = " ".repeat(DIRECTORY_BYTES_MAX + 1);
    assert!(matches!(refused(&longer), NoDirectory::Envelope(MalformedEnvelope::TooLong { .. })));
}

/// With the key that orders are sealed for; written the same from what was read.
#[test]
fn a_golden_statement_with_a_key_to_seal_for_verifies() {
    let golden = include_str!("../tests/golden/statement-with-sealing.json").trim_end();
    let read = Statement::verify(golden.as_bytes(), Some(key(9).public())).unwrap();
    assert!(read.sealing.is_some());
    assert_eq!(Statement { sealing: None, ..read.clone() }, statement());
    assert_eq!(read.sign(&key(9)).to_json(), golden);
}
