//! A stack of packet sets in the form that the maps hold.

use std::net::IpAddr;

use id::{Digest, Digester};

use crate::layout::mapped;

/// Tiers in the maps. The compiler intersects what lies deeper into the last one.
pub const TIERS_MAX: usize = 8;
/// Addresses of one realm.
pub const ADDRESSES_MAX: usize = 16;
/// Prefixes of one tier's trie.
pub const PREFIXES_MAX: usize = 1 << 18;
/// Words of one tier's table: 8 bytes each.
pub const WORDS_MAX: usize = 1 << 20;

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
    pub(crate) tiers: Vec<Tier>,
}

/// How much a tier takes in the maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierSize {
    /// Prefixes in its trie.
    pub prefixes: usize,
    /// Words in its table.
    pub words: usize,
}

/// One tier: remote address → row, and the table of words that `bpf/tiers.h` describes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tier {
    /// Sorted by address, then length.
    pub(crate) prefixes: Vec<Prefix>,
    pub(crate) words: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix {
    pub(crate) address: u128,
    pub(crate) bits: u8,
    pub(crate) row: u32,
}

impl Image {
    /// The digest over all that is in it. [`Observed`](crate::Observed) has the same of what the kernel holds.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut digester = Digester::new("leasehold map image").part(&self.lease.mac);
        for address in &self.lease.addresses {
            digester = digester.part(&mapped(*address).octets());
        }
        for tier in &self.tiers {
            digester = digester.part(&tier.prefix_bytes()).part(&tier.word_bytes());
        }
        digester.finish()
    }

    /// The lease that it was compiled for.
    #[must_use]
    pub const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// What each tier takes, from the top.
    #[must_use]
    pub fn sizes(&self) -> Vec<TierSize> {
        self.tiers
            .iter()
            .map(|tier| TierSize { prefixes: tier.prefixes.len(), words: tier.words.len() })
            .collect()
    }
}

impl Tier {
    fn prefix_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.prefixes.len() * 21);
        for prefix in &self.prefixes {
            bytes.extend_from_slice(&prefix.address.to_be_bytes());
            bytes.push(prefix.bits);
            bytes.extend_from_slice(&prefix.row.to_be_bytes());
        }
        bytes
    }

    fn word_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }
}
