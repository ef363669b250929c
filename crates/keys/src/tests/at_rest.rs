//! Files sealed for the node itself.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use crate::at_rest::{NotUnsealed, SEALED_MORE_BYTES, seal, unseal};

#[test]
fn a_sealed_file_opens_under_its_key_and_name_alone() {
    let sealed = seal(&[1; 32], &[2; 32], "node.key", b"a secret of the node");
    assert_eq!(sealed.len(), b"a secret of the node".len() + SEALED_MORE_BYTES);
    assert_eq!(unseal(&[1; 32], "node.key", &sealed).unwrap().as_slice(), b"a secret of the node");
    assert_eq!(unseal(&[3; 32], "node.key", &sealed).unwrap_err(), NotUnsealed::Key);
    assert_eq!(unseal(&[1; 32], "other.key", &sealed).unwrap_err(), NotUnsealed::Key);
    assert!(!sealed.windows(8).any(|window| window == b"a secret"));
    assert_ne!(sealed, seal(&[1; 32], &[4; 32], "node.key", b"a secret of the node"));
}

#[test]
fn no_flipped_bit_and_no_cut_file_opens() {
    let sealed = seal(&[1; 32], &[2; 32], "node.key", b"content");
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        assert!(unseal(&[1; 32], "node.key", &changed).is_err(), "byte {place}");
        assert!(unseal(&[1; 32], "node.key", &sealed[..place]).is_err(), "{place} bytes");
    }
}

proptest! {
    #[test]
    fn whatever_is_sealed_opens(key: [u8; 32], salt: [u8; 32], name in ".{0,40}", content in vec(any::<u8>(), 0..300)) {
        let sealed = seal(&key, &salt, &name, &content);
        assert_eq!(unseal(&key, &name, &sealed).unwrap().as_slice(), content);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        assert!(unseal(&[0; 32], "", &bytes).is_err());
    }
}
