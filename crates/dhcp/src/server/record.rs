//! What is stored of an address that was given.

use std::net::Ipv4Addr;

use crate::client_id::ClientId;
use crate::mac::Mac;
use crate::server::Class;

/// Who has, or last had, an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The address.
    pub address: Ipv4Addr,
    /// The client.
    pub client: ClientId,
    /// Its hardware address.
    pub mac: Mac,
    /// What kind of client it is.
    pub class: Class,
    /// When it ends, in seconds since 1970.
    pub until_s: u64,
    /// How the address stands until then.
    pub standing: Standing,
}

/// How an address stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The client's.
    Leased,
    /// Given back: free, and the client's again if it asks before others do.
    Released,
    /// Nobody's: a station uses it that was not given it.
    Declined,
}

impl Record {
    /// Whether the address is not free.
    #[must_use]
    pub const fn is_held(&self, now_s: u64) -> bool {
        match self.standing {
            Standing::Leased | Standing::Declined => now_s < self.until_s,
            Standing::Released => false,
        }
    }

    /// Whether the client has the address.
    #[must_use]
    pub const fn is_leased(&self, now_s: u64) -> bool {
        match self.standing {
            Standing::Leased => now_s < self.until_s,
            Standing::Released | Standing::Declined => false,
        }
    }
}
