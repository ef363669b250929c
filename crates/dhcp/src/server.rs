//! The server's machine (RFC 2131 §4.3).
//!
//! What a client is given is a [`Record`], an address each. Records are stored before the answer that rests on
//! them is sent: [`Command`]s are to be done in their order, and none after one that failed. A server that
//! starts again with what was stored gives no address twice.
//!
//! ```text
//!            DISCOVER             REQUEST, stored            RELEASE, stored
//!   free ───────────────▶ offered ───────────────▶ leased ──────────────────▶ released: free, but
//!    ▲                      │                       │  │                      remembered for its client
//!    │   not taken in time, │        its time over: │  │ DECLINE, stored
//!    ├──────────────────────┘          remembered   │  ▼
//!    └──────────────────────────────────────────────┘  declined, for five minutes
//! ```
//!
//! Relays are not served: a message that came by one is dropped.

mod answer;
mod choose;
mod config;
mod record;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::client_id::ClientId;
use crate::mac::Mac;
use crate::message::{Kind, Message};

pub use self::config::{Class, Config, Pool, Wrong};
pub use self::record::{Record, Standing};

/// How long an offer is kept for its client, in seconds.
const OFFER_S: u64 = 20;
/// How long an address that is in use by another is not given, in seconds.
const DECLINED_S: u64 = 300;
/// Foreign servers that are remembered.
const FOREIGN_MAX: usize = 16;
/// Checks of addresses under way at once; a further DISCOVER is dropped, and comes again.
const CHECKS_MAX: usize = 256;

/// What happens to a server. Times are seconds since 1970, and never go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message came, from this station.
    Heard(&'a Message, Mac),
    /// Whether somebody answered to the address that [`Command::Check`] named.
    Checked {
        /// The address.
        address: Ipv4Addr,
        /// Whether somebody uses it.
        used: bool,
    },
    /// It is known that this client uses its address no more, though it could not give it back itself.
    Ended(&'a ClientId),
}

/// What the server wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// To be on the medium before anything further is done. It replaces what was stored for its address.
    Store(Record),
    /// To be sent.
    Reply(Reply),
    /// Does somebody use the address (ARP, ping)? The answer comes as [`Event::Checked`].
    Check {
        /// The address.
        address: Ipv4Addr,
        /// Who asked for it; what it answers itself counts for nothing.
        client: Mac,
    },
    /// Something that a person should know.
    Report(Report),
}

/// An answer with where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What it says.
    pub message: Message,
    /// To which address.
    pub to: Ipv4Addr,
    /// To which station.
    pub to_mac: Mac,
}

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A client got no address, because its pool has none left.
    Full {
        /// Which pool.
        class: Class,
        /// Who got none.
        client: ClientId,
    },
    /// The address reserved for a client is another's until that lease is over.
    ReservedInUse {
        /// The address.
        address: Ipv4Addr,
        /// For whom it is reserved.
        client: ClientId,
    },
    /// Another server gives addresses on this link.
    Foreign {
        /// What it calls itself.
        server: Ipv4Addr,
        /// The station that it was heard from; a client that takes its offer tells only the address.
        mac: Option<Mac>,
    },
    /// Somebody uses an address that nobody gave.
    InUse {
        /// The address.
        address: Ipv4Addr,
    },
}

/// A server.
#[derive(Debug, Clone)]
pub struct Server {
    config: Config,
    reservations: BTreeMap<ClientId, Ipv4Addr>,
    reserved: BTreeMap<Ipv4Addr, ClientId>,
    records: BTreeMap<Ipv4Addr, Record>,
    /// The newest record of each client.
    newest: BTreeMap<ClientId, Ipv4Addr>,
    offers: BTreeMap<Ipv4Addr, Offer>,
    checks: BTreeMap<Ipv4Addr, (Message, Mac)>,
    foreign: BTreeMap<Ipv4Addr, Option<Mac>>,
}

#[derive(Debug, Clone)]
struct Offer {
    client: ClientId,
    until_s: u64,
}

/// Somebody else has the address reserved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReserved {
    /// By this client.
    #[error("{address} is reserved for another client, {client}")]
    Taken {
        /// The address.
        address: Ipv4Addr,
        /// Who has it.
        client: ClientId,
    },
    /// It cannot be given on this link.
    #[error("{address} is no address that this server can give")]
    Outside {
        /// The address.
        address: Ipv4Addr,
    },
}

impl Server {
    /// A server that goes on with what was stored.
    #[must_use]
    pub fn new(config: Config, records: impl IntoIterator<Item = Record>) -> Self {
        let mut server = Self {
            config,
            reservations: BTreeMap::new(),
            reserved: BTreeMap::new(),
            records: BTreeMap::new(),
            newest: BTreeMap::new(),
            offers: BTreeMap::new(),
            checks: BTreeMap::new(),
            foreign: BTreeMap::new(),
        };
        let mut records: Vec<Record> = records.into_iter().collect();
        records.sort_by_key(|record| record.until_s);
        for record in records {
            server.remember(record);
        }
        server
    }

    /// How it is set up.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// What clients were given, by address; what is over is in it, too.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// Which clients have an address reserved.
    pub fn reservations(&self) -> impl Iterator<Item = (&ClientId, Ipv4Addr)> {
        self.reservations.iter().map(|(client, address)| (client, *address))
    }

    /// Other servers that were heard, or that clients took an address from.
    pub fn foreign(&self) -> impl Iterator<Item = (Ipv4Addr, Option<Mac>)> {
        self.foreign.iter().map(|(server, mac)| (*server, *mac))
    }

    /// Reserves an address for a client, in place of what was reserved for it. Nobody else gets it from now
    /// on; who has it is refused at the next renewal.
    ///
    /// # Errors
    /// When the address is reserved for another, or cannot be given.
    pub fn reserve(&mut self, client: ClientId, address: Ipv4Addr) -> Result<(), NotReserved> {
        if let Some(other) = self.reserved.get(&address).filter(|other| **other != client) {
            return Err(NotReserved::Taken { address, client: other.clone() });
        }
        if !self.config.can_give(address) {
            return Err(NotReserved::Outside { address });
        }
        self.unreserve(&client);
        self.reserved.insert(address, client.clone());
        self.reservations.insert(client, address);
        Ok(())
    }

    /// Ends a reservation. A lease that rests on it goes on until it ends.
    pub fn unreserve(&mut self, client: &ClientId) {
        if let Some(address) = self.reservations.remove(client) {
            self.reserved.remove(&address);
        }
    }

    /// An address of a pool that is reserved for nobody and that nobody has: for a reservation.
    #[must_use]
    pub fn unreserved(&self, class: Class, now_s: u64) -> Option<Ipv4Addr> {
        let pool = self.config.pool(class)?;
        pool.addresses()
            .find(|&address| !self.reserved.contains_key(&address) && !self.is_held(address, now_s))
    }

    /// Takes an event in.
    pub fn step(&mut self, event: Event<'_>, now_s: u64, out: &mut Vec<Command>) {
        match event {
            Event::Heard(message, from) => self.heard(message, from, now_s, out),
            Event::Checked { address, used } => self.checked(address, used, now_s, out),
            Event::Ended(client) => self.ended(client, now_s, out),
        }
    }

    fn heard(&mut self, message: &Message, from: Mac, now_s: u64, out: &mut Vec<Command>) {
        if message.kind.is_from_server() {
            self.heard_server(message.server, Some(from), out);
        }
        if !message.giaddr.is_unspecified() {
            return;
        }
        match message.kind {
            Kind::Discover => self.discovered(message, from, now_s, out),
            Kind::Request => self.requested(message, from, now_s, out),
            Kind::Decline => self.declined(message, now_s, out),
            Kind::Release => self.released(message, now_s, out),
            Kind::Inform => self.informed(message, from, out),
            Kind::Offer | Kind::Ack | Kind::Nak => {}
        }
    }

    /// Told once for each foreign server.
    fn heard_server(&mut self, server: Option<Ipv4Addr>, mac: Option<Mac>, out: &mut Vec<Command>) {
        let Some(server) = server.filter(|&server| server != self.config.server) else { return };
        let known = self.foreign.get(&server);
        if known.is_some_and(|known| known.is_some() || mac.is_none()) || self.foreign.len() >= FOREIGN_MAX {
            return;
        }
        self.foreign.insert(server, mac);
        out.push(Command::Report(Report::Foreign { server, mac }));
    }

    fn remember(&mut self, record: Record) {
        self.newest.insert(record.client.clone(), record.address);
        self.records.insert(record.address, record);
    }

    fn store(&mut self, record: Record, out: &mut Vec<Command>) {
        self.remember(record.clone());
        out.push(Command::Store(record));
    }
}
