//! What a facility is to consist of, and how everything in it is called and addressed.
//!
//! ```text
//! internet 203.0.113.7 ── router ── bridge ┬─ node n1 (10.0.0.11) ─ br0 ┬─ realm 10.1.0.11
//!                       203.0.113.1        │                            └─ realm 10.2.0.11
//!                       10.0.0.1 10.1.0.1 …├─ node n2 (10.0.0.12) ─ br0 ── …
//!                                          └─ console landlord (10.0.0.2)
//! ```

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// The outside client's address: documentation range, which the boundaries call `internet`.
pub const INTERNET: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// What to build.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the names of its network namespaces begin with.
    pub prefix: String,
    /// Whether they are named in `/run/netns`, for people to see; else in the facility's own folder,
    /// so that any number of facilities run side by side.
    pub visible: bool,
    /// The `bmonitor` program that the nodes run; none for nodes without one.
    pub bmonitor: Option<PathBuf>,
    /// The `leasehold` program that the consoles run; none for consoles without one.
    pub leasehold: Option<PathBuf>,
    /// The nodes.
    pub nodes: Vec<NodePlan>,
    /// The parties' consoles, on the same bridge.
    pub consoles: Vec<ConsolePlan>,
    /// The realms' networks beside those of the nodes' plans, each as the router's address in it.
    pub networks: Vec<Ipv4Addr>,
    /// Whether what the nodes' custody keeps is locked by key files on another medium, in memory.
    pub key_files: bool,
    /// Whether the nodes get their own addresses by DHCP; else each is told its own.
    pub dhcp: bool,
    /// Whether consoles can turn the nodes' power on and off, at a simulated BMC with this password.
    pub power: Option<String>,
}

/// One console: a place on the management network where a party's programs run.
#[derive(Debug, Clone)]
pub struct ConsolePlan {
    /// Its name.
    pub name: String,
    /// Its management address.
    pub address: Ipv4Addr,
}

/// One node.
#[derive(Debug, Clone)]
pub struct NodePlan {
    /// Its name.
    pub name: String,
    /// The text of its `enrolment.json`.
    pub enrolment: String,
    /// Its realms' addresses.
    pub realms: Vec<RealmPlan>,
}

/// One realm that a node may come to have.
#[derive(Debug, Clone)]
pub struct RealmPlan {
    /// The tier's name.
    pub tier: String,
    /// Its address, in a network of 16 bits.
    pub address: Ipv4Addr,
}

impl Plan {
    /// The demo's and most tests' facility: `nodes` nodes called `n1`, `n2` …, each with room for a
    /// realm of each of `tiers`, whose networks are 10.1/16, 10.2/16 and so on.
    #[must_use]
    pub fn new(prefix: impl Into<String>, nodes: u8, tiers: &[&str]) -> Self {
        let node = |number: u8| NodePlan {
            name: format!("n{number}"),
            enrolment: String::new(),
            realms: (1..)
                .zip(tiers)
                .map(|(network, tier)| RealmPlan {
                    tier: (*tier).to_owned(),
                    address: Ipv4Addr::new(10, network, 0, 10 + number),
                })
                .collect(),
        };
        Self {
            prefix: prefix.into(),
            visible: false,
            bmonitor: None,
            leasehold: None,
            nodes: (1..=nodes).map(node).collect(),
            consoles: Vec::new(),
            networks: Vec::new(),
            key_files: false,
            dhcp: false,
            power: None,
        }
    }

    /// Adds consoles, at 10.0.0.2 and the addresses after it.
    #[must_use]
    pub fn with_consoles(mut self, names: &[&str]) -> Self {
        let console = |(last, name): (u8, &&str)| ConsolePlan {
            name: (*name).to_owned(),
            address: Ipv4Addr::new(10, 0, 0, last),
        };
        self.consoles = (2..=10).zip(names).map(console).collect();
        self
    }

    /// The management address of the node at this place in the plan.
    #[must_use]
    pub fn management(place: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 0, 0, u8::try_from(place).unwrap_or(u8::MAX).saturating_add(11))
    }

    /// The networks that the router joins: the nodes' own and the realms', each as its first address.
    pub(crate) fn gateways(&self) -> Vec<Ipv4Addr> {
        let realms = self.nodes.iter().flat_map(|node| &node.realms).map(|realm| realm.gateway());
        let realms = realms.chain(self.networks.iter().copied());
        let mut gateways: Vec<_> = realms.chain([Ipv4Addr::new(10, 0, 0, 1)]).collect();
        gateways.sort_unstable();
        gateways.dedup();
        gateways
    }
}

impl RealmPlan {
    /// The router's address in the realm's network.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        let [a, b, _, _] = self.address.octets();
        Ipv4Addr::new(a, b, 0, 1)
    }
}
