//! The consoles of a tier: whom its courier dials, and where. A console's channel key gives no right but
//! being dialled.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use id::PublicKey;
use serde::{Deserialize, Serialize};

use crate::limits::{CONSOLE_ADDRESSES_MAX, CONSOLES_PER_TIER_MAX};
use crate::refusal::{Limited, Refusal};

/// A console with its channel key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// Its channel key, which is no controller key.
    pub key: PublicKey,
    /// Where it listens.
    pub addresses: Vec<ConsoleAddress>,
}

/// Where a console listens: `10.0.0.2:7443`, `[fd00:10::2]:7443`. One spelling each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConsoleAddress(SocketAddr);

impl ConsoleAddress {
    /// The address, if a console can be dialled there: not one of nobody or of many, and with a port.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(address: SocketAddr) -> Result<Self, String> {
        let dialled = match address.ip() {
            IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast(),
            IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast() && ip.to_ipv4_mapped().is_none(),
        };
        let plain = match address {
            SocketAddr::V4(_) => true,
            SocketAddr::V6(address) => address.scope_id() == 0 && address.flowinfo() == 0,
        };
        if dialled && plain && address.port() != 0 {
            Ok(Self(address))
        } else {
            Err(format!("nobody can be dialled at {address}"))
        }
    }

    /// Whether it means the node itself, or what only its own link has.
    const fn is_local(&self) -> bool {
        match self.0.ip() {
            IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
        }
    }

    /// The address.
    #[must_use]
    pub const fn get(&self) -> SocketAddr {
        self.0
    }
}

impl FromStr for ConsoleAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || format!("an address and a port as \"10.0.0.2:7443\" are wanted, not {text:?}");
        let address: SocketAddr = text.parse().map_err(|_no_address| wanted())?;
        if address.to_string() == text { Self::new(address) } else { Err(wanted()) }
    }
}

impl fmt::Display for ConsoleAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for ConsoleAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ConsoleAddress> for String {
    fn from(address: ConsoleAddress) -> Self {
        address.to_string()
    }
}

/// Whether a tier may have these consoles, or none: few, each once, each with a few addresses, each once.
///
/// # Errors
/// `limit` or `bad-consoles`.
pub fn are_consoles(consoles: &[Console]) -> Result<(), Refusal> {
    if consoles.len() > CONSOLES_PER_TIER_MAX {
        return Err(Refusal::Limit { what: Limited::Consoles, max: CONSOLES_PER_TIER_MAX as u64 });
    }
    let keys: BTreeSet<PublicKey> = consoles.iter().map(|console| console.key).collect();
    if keys.len() != consoles.len() {
        return Err(Refusal::BadConsoles {});
    }
    for Console { addresses, .. } in consoles {
        if addresses.len() > CONSOLE_ADDRESSES_MAX {
            return Err(Refusal::Limit { what: Limited::Addresses, max: CONSOLE_ADDRESSES_MAX as u64 });
        }
        let each: BTreeSet<ConsoleAddress> = addresses.iter().copied().collect();
        if addresses.is_empty() || each.len() != addresses.len() {
            return Err(Refusal::BadConsoles {});
        }
    }
    Ok(())
}

/// Whether a tier below the root may have these: the node dials for a stranger then, from its own address, and so
/// neither itself nor its own link (decision 31).
///
/// # Errors
/// `limit` or `bad-consoles`.
pub(crate) fn are_consoles_below_the_root(consoles: &[Console]) -> Result<(), Refusal> {
    are_consoles(consoles)?;
    let mut addresses = consoles.iter().flat_map(|console| &console.addresses);
    if addresses.any(ConsoleAddress::is_local) { Err(Refusal::BadConsoles {}) } else { Ok(()) }
}
