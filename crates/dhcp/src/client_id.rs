//! Who asks for an address: the client identifier (RFC 2132 §9.14).

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::mac::Mac;
use crate::message::Short;

/// The vendor class of nodes (RFC 2132 §9.13); it says which pool a client is served from.
pub const NODE_CLASS: &str = "leasehold-node";
/// The vendor class of realms.
pub const REALM_CLASS: &str = "leasehold-realm";

/// What stands for the tier in the client id of a node itself.
pub const TIER_OF_THE_NODE: [u8; 16] = [0; 16];

const LABEL: &[u8] = b"leasehold dhcp client";

/// A client identifier. Its text form is lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(Short);

impl ClientId {
    /// The fewest bytes of one: a type and something.
    pub const BYTES_MIN: usize = 2;

    /// One of `bytes`, if there are 2 to 255.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Short::new(bytes).filter(|_| bytes.len() >= Self::BYTES_MIN).map(Self)
    }

    /// The realm of a tier on a node, or the node itself ([`TIER_OF_THE_NODE`]): type 0 and the first half
    /// of a digest over both, so that it tells strangers on the wire neither.
    #[must_use]
    pub fn of(node: &[u8; 32], tier: &[u8; 16]) -> Self {
        let digest = Sha256::new().chain_update(LABEL).chain_update(node).chain_update(tier).finalize();
        Self(Short::new(&[&[0], &digest[..16]].concat()).unwrap_or_default())
    }

    /// What a client that names itself by nothing else is known by: type 1, Ethernet, and its address.
    #[must_use]
    pub fn of_mac(mac: Mac) -> Self {
        Self(Short::new(&[&[1], mac.0.as_slice()].concat()).unwrap_or_default())
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) const fn short(&self) -> &Short {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(self.as_bytes()))
    }
}

/// The text is no client id: 2 to 255 bytes in lower-case hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 2 to 255 bytes in lower-case hexadecimal")]
pub struct NoClientId;

impl FromStr for ClientId {
    type Err = NoClientId;

    fn from_str(text: &str) -> Result<Self, NoClientId> {
        HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| Self::from_bytes(&bytes)).ok_or(NoClientId)
    }
}
