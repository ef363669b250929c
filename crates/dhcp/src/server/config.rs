//! How a server is set up.

use std::fmt;
use std::net::Ipv4Addr;

use thiserror::Error;

use crate::client_id::{NODE_CLASS, REALM_CLASS};
use crate::message::Message;

/// The most addresses of one pool.
const POOL_MAX: u32 = 65_536;
/// The shortest lease: T1 and T2 are whole seconds, in order.
const LEASE_S_MIN: u32 = 4;

/// What kind of client it is, by its vendor class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A node.
    Node,
    /// A realm on a node.
    Realm,
    /// Any other machine.
    Other,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Node, Self::Realm, Self::Other];

    /// What a client says that it is. Anybody may say anything: a class keeps pools apart, and is no right.
    #[must_use]
    pub fn of(message: &Message) -> Self {
        match message.class.as_ref().map(|class| class.as_bytes()) {
            Some(class) if class == NODE_CLASS.as_bytes() => Self::Node,
            Some(class) if class == REALM_CLASS.as_bytes() => Self::Realm,
            Some(_) | None => Self::Other,
        }
    }

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Realm => "realm",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The addresses from `first` to `last`, both included, in a network of their own or one that pools share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// The lowest.
    pub first: Ipv4Addr,
    /// The highest.
    pub last: Ipv4Addr,
    /// The length of the network's prefix.
    pub prefix: u8,
    /// The router that clients are told of.
    pub router: Option<Ipv4Addr>,
    /// Whether only clients get one that it is reserved for.
    pub reserved_only: bool,
}

impl Pool {
    /// Whether the address is one of them.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    /// All of them, from the lowest.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> + use<> {
        (u32::from(self.first)..=u32::from(self.last)).map(Ipv4Addr::from)
    }

    /// How many there are.
    #[must_use]
    pub fn size(&self) -> u32 {
        u32::from(self.last).saturating_sub(self.first.into()).saturating_add(1)
    }

    fn mask(&self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0)
    }

    fn is_in_network(&self, address: Ipv4Addr) -> bool {
        (u32::from(address) ^ u32::from(self.first)) & self.mask() == 0
    }

    /// Whether a machine of the network can have the address.
    fn has_host(&self, address: Ipv4Addr) -> bool {
        let host = u32::from(address) & !self.mask();
        self.is_in_network(address) && host != 0 && host != !self.mask()
    }
}

/// How a server is set up; [`Config::check`] says whether it can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The server's own address, by which it is told from others.
    pub server: Ipv4Addr,
    /// How long leases are, in seconds.
    pub lease_s: u32,
    /// The addresses for nodes.
    pub nodes: Option<Pool>,
    /// The addresses for realms.
    pub realms: Option<Pool>,
    /// The addresses for any other machine; none: these are not served, unless by reservation.
    pub others: Option<Pool>,
    /// Whether an address is checked before it is offered to somebody who did not have it.
    pub check: bool,
}

/// What is wrong with a [`Config`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Wrong {
    /// A network that has no addresses to give.
    #[error("the prefix length for {0} must be 8 to 30")]
    Prefix(Class),
    /// A lease in which T1 and T2 have no room.
    #[error("a lease must be {LEASE_S_MIN} seconds at least")]
    Lease,
    /// A pool whose end is before its beginning.
    #[error("the pool for {0} ends before it begins")]
    Backwards(Class),
    /// More than a server keeps.
    #[error("the pool for {0} has more than {POOL_MAX} addresses")]
    Large(Class),
    /// Addresses that machines of the network cannot have, or that have owners.
    #[error("the pool for {0} has addresses that are not in its network, or that have owners")]
    Outside(Class),
    /// Pools that have addresses in common.
    #[error("the pools for {0} and {1} overlap")]
    Overlap(Class, Class),
    /// A router that clients cannot reach.
    #[error("the router for {0} is not in its network")]
    Router(Class),
    /// Nobody would be served.
    #[error("there is no pool")]
    Empty,
}

impl Config {
    /// Everything that is wrong with it.
    #[must_use]
    pub fn check(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        wrong.extend((self.lease_s < LEASE_S_MIN).then_some(Wrong::Lease));
        wrong.extend(self.pools().next().is_none().then_some(Wrong::Empty));
        for class in Class::ALL {
            wrong.extend(self.pool(class).and_then(|pool| self.check_pool(class, pool)));
        }
        for (one, other) in
            [(Class::Node, Class::Realm), (Class::Node, Class::Other), (Class::Realm, Class::Other)]
        {
            let overlap = self
                .pool(one)
                .zip(self.pool(other))
                .is_some_and(|(one, other)| one.first <= other.last && other.first <= one.last);
            wrong.extend(overlap.then_some(Wrong::Overlap(one, other)));
        }
        wrong
    }

    fn check_pool(&self, class: Class, pool: Pool) -> Option<Wrong> {
        if !(8..=30).contains(&pool.prefix) {
            return Some(Wrong::Prefix(class));
        }
        if pool.router.is_some_and(|router| !pool.has_host(router)) {
            return Some(Wrong::Router(class));
        }
        if pool.last < pool.first {
            return Some(Wrong::Backwards(class));
        }
        if pool.size() > POOL_MAX {
            return Some(Wrong::Large(class));
        }
        let owned = pool.contains(self.server) || self.routers().any(|router| pool.contains(router));
        let inside = pool.has_host(pool.first) && pool.has_host(pool.last);
        (owned || !inside).then_some(Wrong::Outside(class))
    }

    /// The addresses for a class.
    #[must_use]
    pub const fn pool(&self, class: Class) -> Option<Pool> {
        match class {
            Class::Node => self.nodes,
            Class::Realm => self.realms,
            Class::Other => self.others,
        }
    }

    fn pools(&self) -> impl Iterator<Item = Pool> {
        [self.nodes, self.realms, self.others].into_iter().flatten()
    }

    fn routers(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.pools().filter_map(|pool| pool.router)
    }

    /// The pool whose network the address is in.
    pub(super) fn network_of(&self, address: Ipv4Addr) -> Option<Pool> {
        self.pools().find(|pool| pool.is_in_network(address))
    }

    /// Whether a machine on this link can have the address.
    #[must_use]
    pub fn can_give(&self, address: Ipv4Addr) -> bool {
        let owned = address == self.server || self.routers().any(|router| router == address);
        !owned && self.pools().any(|pool| pool.has_host(address))
    }
}
