//! Published vectors, and everything that must be refused.

use crate::{Envelope, PayloadType, SigningKey};

fn key(byte: u8) -> SigningKey {
    SigningKey::from_seed(&[byte; 32]).unwrap()
}

#[test]
fn an_envelope_reads_back_and_verifies() {
    let envelope = Envelope::sign(PayloadType::Order, b"{}".to_vec(), &key(1));
    let read = Envelope::parse(envelope.to_json().as_bytes()).unwrap();
    assert_eq!(read, envelope);
    assert_eq!(read.verify(key(1).public()).unwrap().payload, b"{}");
    assert!(read.verify(key(2).public()).is_err());
}
