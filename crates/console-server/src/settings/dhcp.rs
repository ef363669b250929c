//! The table `[dhcp]` of `console.toml`.

use std::net::Ipv4Addr;

use ::dhcp::server::{Config, Pool};
use serde::{Deserialize, Serialize};

use super::Range;

/// A DHCP server on one link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The link that it serves.
    pub(crate) interface: String,
    /// The console's address there, which clients know the server by.
    pub(crate) server: Ipv4Addr,
    /// How long leases are.
    #[serde(default = "hour")]
    pub(crate) lease_s: u32,
    /// For nodes: any of these addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nodes: Option<Addresses>,
    /// For realms: each the one that is reserved for it, of those that `realms` above the table says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) realms: Option<Network>,
    /// For any other machine; left out, these are not served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) others: Option<Addresses>,
}

/// `{ prefix = 16, router = "10.1.0.1" }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Network {
    prefix: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    router: Option<Ipv4Addr>,
}

/// `{ addresses = "10.0.0.100-10.0.0.199", prefix = 16 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Addresses {
    addresses: Range,
    prefix: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    router: Option<Ipv4Addr>,
}

const fn hour() -> u32 {
    3600
}

impl Settings {
    /// The server's setup, with the addresses that realms get; or everything that is wrong with it.
    pub(crate) fn config(&self, realms: Option<Range>) -> Result<Config, String> {
        let pool = |addresses: Option<Addresses>| {
            addresses.map(|Addresses { addresses, prefix, router }| Pool {
                first: addresses.first(),
                last: addresses.last(),
                prefix,
                router,
                reserved_only: false,
            })
        };
        let reserved = self.realms.zip(realms).map(|(network, range)| Pool {
            first: range.first(),
            last: range.last(),
            prefix: network.prefix,
            router: network.router,
            reserved_only: true,
        });
        let config = Config {
            server: self.server,
            lease_s: self.lease_s,
            nodes: pool(self.nodes),
            realms: reserved,
            others: pool(self.others),
            check: true,
        };
        let without = (self.realms.is_some() && realms.is_none())
            .then(|| "for realms, `realms` above the table says which addresses".to_owned());
        let wrong = config.check().into_iter().map(|wrong| wrong.to_string());
        let wrong: Vec<String> = without.into_iter().chain(wrong).collect();
        if wrong.is_empty() { Ok(config) } else { Err(format!("[dhcp]: {}", wrong.join("; "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let read = |text: &str| toml::from_str::<Settings>(text);
        let range = || Range::try_from("10.1.0.10-10.1.0.99".to_owned()).ok();
        let head = "interface = \"eth0\"\nserver = \"10.0.0.2\"\n";
        let realms = "realms = { prefix = 16, router = \"10.1.0.1\" }\n";
        let good = read(&format!("{head}{realms}")).unwrap();
        assert_eq!(good.config(range()).unwrap().lease_s, 3600);
        assert_eq!(
            good.config(None).unwrap_err(),
            "[dhcp]: for realms, `realms` above the table says which addresses; there is no pool"
        );
        let nodes = "nodes = { addresses = \"10.0.0.1-10.0.0.9\", prefix = 16 }\n";
        let wrong = read(&format!("{head}lease_s = 1\n{nodes}")).unwrap();
        assert_eq!(
            wrong.config(None).unwrap_err(),
            "[dhcp]: a lease must be 4 seconds at least; the pool for node has addresses that are not in its \
             network, or that have owners"
        );
        read(&format!("{head}pool = 1\n")).unwrap_err();
    }
}
