//! A share: 32 bytes that a node's console keeps and gives at each start, so that a stolen disk alone opens
//! nothing. It is sealed for the key of the node's root, so that nobody between the two reads it.

use id::{NodeId, SealingKey};
use zeroize::Zeroizing;

use crate::hpke;
use crate::x_wing::{ENCAPSULATION_BYTES, OpeningKey, UnusableKey};

/// The length of a share.
pub const SHARE_BYTES: usize = 32;

/// The length of a sealed share.
pub const SEALED_SHARE_BYTES: usize = ENCAPSULATION_BYTES + SHARE_BYTES + 16;

const INFO: &[u8] = b"leasehold share 1";

/// Seals a share for a node's root.
///
/// # Errors
/// [`UnusableKey`] if nothing can be sealed for that key.
pub fn seal_share(share: &[u8; SHARE_BYTES], node: NodeId, key: &SealingKey) -> Result<Vec<u8>, UnusableKey> {
    let (sent, sealed) = hpke::seal(key, INFO, node.0.as_bytes(), share)?;
    Ok([sent.as_slice(), &sealed].concat())
}

/// The share, if it was sealed for this key and node.
#[must_use]
pub fn open_share(sealed: &[u8], node: NodeId, key: &OpeningKey) -> Option<Zeroizing<[u8; SHARE_BYTES]>> {
    let (sent, sealed) = sealed.split_first_chunk::<ENCAPSULATION_BYTES>()?;
    let share = hpke::open(key, INFO, node.0.as_bytes(), sent, sealed)?;
    share.as_slice().try_into().ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use id::KeyId;

    use super::*;

    #[test]
    fn a_share_opens_for_its_node_and_key_alone() {
        let (key, other) = (OpeningKey::generate().unwrap(), OpeningKey::generate().unwrap());
        let [node, stranger] =
            [NodeId(KeyId::of_public_key(&[1; 32])), NodeId(KeyId::of_public_key(&[2; 32]))];
        let sealed = seal_share(&[7; 32], node, key.public()).unwrap();
        assert_eq!(sealed.len(), SEALED_SHARE_BYTES);
        assert_eq!(*open_share(&sealed, node, &key).unwrap(), [7; 32]);
        assert!(open_share(&sealed, stranger, &key).is_none());
        assert!(open_share(&sealed, node, &other).is_none());
        for length in [0, 1, ENCAPSULATION_BYTES, sealed.len() - 1] {
            assert!(open_share(&sealed[..length], node, &key).is_none());
        }
    }
}
