//! A stack of packet sets in the form that the maps hold.

use std::net::IpAddr;

use id::{Digest, Digester};

use crate::layout::mapped;

/// Tiers in the maps. The compiler intersects what lies deeper into the last one.
pub const TIERS_MAX: usize = 8;
/// Addresses of one realm.
pub const ADDRESSES_MAX: usize = 16;
/// Words of an image: 8 bytes each.
pub const WORDS_MAX: usize = 1 << 21;

/// Who the realm is on its link: what it may send from and receive at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The MAC address of the realm's end.
    pub mac: [u8; 6],
    /// Its addresses, IPv4 and IPv6, at most [`ADDRESSES_MAX`].
    pub addresses: Vec<IpAddr>,
}

/// A policy with its lease, ready for [`Filter::switch`](crate::Filter::switch).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub(crate) lease: Lease,
    pub(crate) tiers: usize,
    /// The table that `bpf/tiers.h` describes.
    pub(crate) words: Vec<u64>,
}

impl Image {
    /// The digest over all that is in it. [`Observed`](crate::Observed) has the same of what the kernel holds.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut digester = Digester::new("leasehold map image").part(&self.lease.mac);
        for address in &self.lease.addresses {
            digester = digester.part(&mapped(*address).octets());
        }
        let words: Vec<u8> = self.words.iter().flat_map(|word| word.to_be_bytes()).collect();
        digester.part(&self.tiers.to_be_bytes()).part(&words).finish()
    }

    /// The lease that it was compiled for.
    #[must_use]
    pub const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// How many words it takes in the maps.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.words.len()
    }
}
