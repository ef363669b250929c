//! Envelopes, what nodes sign, signed directories, sealed orders and files, key files.

use std::sync::OnceLock;

use keys::{
    Addressee, Envelope, Head, NodeRecord, OpeningKey, PayloadType, Receipt, SealedOrder, SigningKey,
    Statement, at_rest, read_key_file, sign_directory, verify_directory, write_key_file,
};

/// A key that is no secret: the seed is all sevens.
fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32]).expect("any seed makes a key")
}

/// What parses prints to something that parses the same; a signature holds under its own key only.
pub fn envelope(bytes: &[u8]) {
    let Ok(envelope) = Envelope::parse(bytes) else { return };
    let again = Envelope::parse(envelope.to_json().as_bytes()).expect("its own text parses");
    assert_eq!(again.to_json(), envelope.to_json());
    assert_eq!(again.unverified_payload(), envelope.unverified_payload());
    if let Ok(verified) = envelope.verify(key().public()) {
        assert_eq!(verified.payload, envelope.unverified_payload(), "only the signed bytes count");
    }
}

/// The bytes as a payload under a good signature: so the payload's own parser is reached.
pub fn node_records(bytes: &[u8]) {
    reads_back::<Receipt>(PayloadType::Receipt, bytes);
    reads_back::<Statement>(PayloadType::Statement, bytes);
    reads_back::<Head>(PayloadType::Head, bytes);
}

fn reads_back<T: NodeRecord + PartialEq + std::fmt::Debug>(payload_type: PayloadType, bytes: &[u8]) {
    let signed = Envelope::sign(payload_type, bytes.to_vec(), &key());
    let Ok(record) = T::verify(signed.to_json().as_bytes(), None) else { return };
    let again = record.sign(&key());
    assert_eq!(T::verify(again.to_json().as_bytes(), Some(key().public())).ok(), Some(record));
}

/// The bytes as an envelope of somebody else's, and as the text of a directory under a good signature.
pub fn signed_directory(bytes: &[u8]) {
    if let Ok(text) = verify_directory(bytes, key().public()) {
        let again = sign_directory(&text, &key());
        assert_eq!(verify_directory(again.as_bytes(), key().public()).ok(), Some(text));
    }
    let signed = Envelope::sign(PayloadType::Directory, bytes.to_vec(), &key()).to_json();
    let read = verify_directory(signed.as_bytes(), key().public());
    assert_eq!(read.ok().as_deref(), str::from_utf8(bytes).ok());
}

/// The bytes as a sealed order, which opens under no key of ours; and as the payload of an order, which comes
/// out of its seal as it went in.
pub fn sealed_order(bytes: &[u8]) {
    static KEY: OnceLock<OpeningKey> = OnceLock::new();
    let own = KEY.get_or_init(|| OpeningKey::generate().expect("the library makes keys"));
    if let Ok(sealed) = SealedOrder::parse(bytes) {
        let again = SealedOrder::parse(sealed.to_json().as_bytes()).expect("its own text parses");
        assert_eq!(again, sealed);
        let Addressee { node, tier, epoch } = sealed.outside().addressee;
        assert!(sealed.open(own, &Addressee { node, tier, epoch }, id::Time::ZERO).is_err());
    }
    let order = Envelope::sign(PayloadType::Order, bytes.to_vec(), &key()).to_json();
    let Ok(sealed) = SealedOrder::seal(order.as_bytes(), own.public()) else { return };
    let read = SealedOrder::parse(sealed.to_json().as_bytes()).expect("its own text parses");
    let (addressee, end) = (read.outside().addressee, read.outside().not_after);
    assert!(read.open(own, &addressee, end).is_err(), "it is too old at its end");
    if end > id::Time::ZERO {
        assert_eq!(read.open(own, &addressee, id::Time::ZERO).expect("it is ours"), order.as_bytes());
    }
}

/// What custody keeps on a disk that others may have written to.
pub fn sealed_file(bytes: &[u8]) {
    assert!(at_rest::unseal(&[3; 32], "name", bytes).is_err(), "nobody sealed it under that key");
    let sealed = at_rest::seal(&[3; 32], &[4; 32], "name", bytes);
    let opened = at_rest::unseal(&[3; 32], "name", &sealed).expect("it was sealed under that key");
    assert_eq!(*opened, bytes);
}

pub fn key_file(bytes: &[u8]) {
    let Ok(read) = read_key_file(bytes) else { return };
    let again = read_key_file(write_key_file(&read).as_bytes()).expect("its own text parses");
    assert_eq!(again.public(), read.public());
}
