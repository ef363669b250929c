//! Envelopes, what nodes sign, key files.

use keys::{
    Envelope, Head, NodeRecord, PayloadType, Receipt, SigningKey, Statement, read_key_file, write_key_file,
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

pub fn key_file(bytes: &[u8]) {
    let Ok(read) = read_key_file(bytes) else { return };
    let again = read_key_file(write_key_file(&read).as_bytes()).expect("its own text parses");
    assert_eq!(again.public(), read.public());
}
