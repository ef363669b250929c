//! What the supervisor says to who leases addresses, and what it hears.

use std::net::Ipv4Addr;

use id::TierId;
use serde::{Deserialize, Serialize};

/// Whose address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Who {
    /// The node's own.
    Node,
    /// That of a tier's realm.
    Realm(TierId),
}

/// An address that is wished for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    pub(crate) who: Who,
    /// Its client id, in hexadecimal.
    pub(crate) client: String,
    /// Its hardware address; the bridge's own where there is none.
    pub(crate) mac: Option<[u8; 6]>,
    /// The address that it should be.
    pub(crate) expected: Option<Ipv4Addr>,
    /// The address that it was.
    pub(crate) had: Option<Ipv4Addr>,
}

/// What the supervisor says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum ToLeasing {
    /// These addresses are wished for from now on, and no others: what was leased beside is given back.
    Wishes(Vec<Wish>),
}

/// What the role says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub(crate) enum FromLeasing {
    /// There is an address, or it is there for longer: until `until_ms` of the clock since the machine's start.
    Leased { who: Who, address: Ipv4Addr, prefix: u8, router: Option<Ipv4Addr>, until_ms: u64 },
    /// It must not be used any more.
    Lost { who: Who, why: String },
    /// A server gave an address that another station uses.
    InUse { who: Who, address: Ipv4Addr },
}
