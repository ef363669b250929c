//! A link with a server that crashes, clients that come and go, and strangers; all of it follows from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use dhcp::arp::Arp;
use dhcp::client::{self, Client, Renewal, Settings};
use dhcp::server::{self, Class, Config, Pool, Record, Server};
use dhcp::{ClientId, Kind, Mac, Message, NODE_CLASS, REALM_CLASS, Short};

/// No message is under way for longer. Nothing in DHCP tells a RELEASE from one that comes ten seconds late,
/// after its client has taken the address again; so clients here wait that long before they come back.
const UNDER_WAY_MAX_MS: u64 = 9_000;
const ARP_MS: u64 = 100;
const CHECK_MS: u64 = 500;

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    fn pick(&mut self, among: usize) -> usize {
        usize::try_from(self.below(among.try_into().unwrap())).unwrap()
    }
}

/// What may go wrong in a world.
#[derive(Clone, Copy)]
pub(crate) struct Perils {
    /// The wire loses, repeats, delays.
    pub(crate) wire: bool,
    /// Stations that hold an address answer to ARP, so that a double one would be noticed by its client.
    pub(crate) arp: bool,
    /// The server loses what it stored: a broken one, that the model must catch.
    pub(crate) forgets: bool,
}

enum Packet {
    ToServer(Vec<u8>, Mac),
    ToClients(Vec<u8>, Mac, Mac),
    ArpTo(usize, Arp),
    Checked(Ipv4Addr, bool),
}

struct Actor {
    settings: Settings,
    client: Option<Client>,
    had: Option<Ipv4Addr>,
    not_before_ms: u64,
}

pub(crate) struct World {
    pub(crate) random: Random,
    perils: Perils,
    now_ms: u64,
    server: Option<Server>,
    back_at_ms: u64,
    disk: BTreeMap<Ipv4Addr, Record>,
    reservations: BTreeMap<ClientId, Ipv4Addr>,
    actors: Vec<Actor>,
    wire: Vec<(u64, Packet)>,
    strangers: BTreeSet<Ipv4Addr>,
    /// How often each thing came about that the model is for.
    pub(crate) seen: BTreeMap<&'static str, u64>,
}

pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const SERVER_MAC: Mac = Mac([2, 0, 0, 0, 0, 0xff]);

pub(crate) fn config() -> Config {
    let pool = |third: u8, size: u8| {
        let at = |last| Ipv4Addr::new(10, 0, third, last);
        Some(Pool { first: at(1), last: at(size), prefix: 16, router: None, reserved_only: false })
    };
    Config { server: SERVER, lease_s: 60, nodes: pool(1, 6), realms: pool(2, 6), others: None, check: true }
}

fn settings(number: u8) -> Settings {
    let class = if number.is_multiple_of(2) { NODE_CLASS } else { REALM_CLASS };
    Settings {
        mac: Mac([2, 0, 0, 0, 0, number]),
        id: ClientId::of(&[number; 32], &[0; 16]),
        class: Short::new(class.as_bytes()).unwrap(),
        renewal: if number.is_multiple_of(3) { Renewal::ToEverybody } else { Renewal::ToTheServer },
        expected: None,
    }
}

impl World {
    pub(crate) fn new(seed: u64, perils: Perils) -> Self {
        let actor = |number| Actor { settings: settings(number), client: None, had: None, not_before_ms: 0 };
        Self {
            random: Random(seed),
            perils,
            now_ms: 1_000_000_000_000,
            server: Some(Server::new(config(), [])),
            back_at_ms: 0,
            disk: BTreeMap::new(),
            reservations: BTreeMap::new(),
            actors: (1..=8).map(actor).collect(),
            wire: Vec::new(),
            strangers: BTreeSet::new(),
            seen: BTreeMap::new(),
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.now_ms)
    }

    /// Lets `span_ms` pass; with `mischief`, things happen that are nobody's wish.
    pub(crate) fn run(&mut self, span_ms: u64, mischief: bool) {
        let end = self.now_ms + span_ms;
        while self.now_ms < end {
            let quiet_until = if mischief { self.now_ms + self.random.below(8_000) + 1 } else { end };
            self.until(quiet_until.min(end));
            if mischief {
                self.mischief();
            }
        }
    }

    /// Without perils of the wire from now on.
    pub(crate) fn calm(&mut self) {
        self.perils.wire = false;
        self.strangers.clear();
        self.back_at_ms = self.now_ms;
        for actor in &mut self.actors {
            actor.not_before_ms = actor.not_before_ms.min(self.now_ms + UNDER_WAY_MAX_MS);
        }
    }

    fn until(&mut self, end_ms: u64) {
        loop {
            let wakes = self.actors.iter().filter_map(|actor| match &actor.client {
                Some(client) => client.wake_at().map(|at| u64::try_from(at.as_millis()).unwrap()),
                None => Some(actor.not_before_ms),
            });
            let arrives = self.wire.iter().map(|(at, _)| *at);
            let back = self.server.is_none().then_some(self.back_at_ms);
            let next = wakes.chain(arrives).chain(back).min().unwrap_or(end_ms);
            if next > end_ms {
                self.now_ms = end_ms;
                return;
            }
            self.now_ms = self.now_ms.max(next);
            self.due();
            self.check();
        }
    }

    fn due(&mut self) {
        if self.server.is_none() && self.back_at_ms <= self.now_ms {
            self.start_server();
        }
        if let Some(at) = self.wire.iter().position(|(at, _)| *at <= self.now_ms) {
            let (_, packet) = self.wire.swap_remove(at);
            return self.arrived(packet);
        }
        for number in 0..self.actors.len() {
            let (now, actor) = (self.now(), &mut self.actors[number]);
            match &actor.client {
                Some(client) if client.wake_at().is_some_and(|at| at <= now) => {
                    self.tell(number, client::Event::Time);
                }
                None if actor.not_before_ms <= self.now_ms => {
                    actor.client = Some(Client::new(actor.settings.clone(), actor.had, now));
                }
                Some(_) | None => {}
            }
        }
    }

    fn start_server(&mut self) {
        if self.perils.forgets {
            self.disk.clear();
        }
        let mut server = Server::new(config(), self.disk.values().cloned());
        for (client, address) in &self.reservations {
            server.reserve(client.clone(), *address).unwrap();
        }
        self.server = Some(server);
        self.count("server restarted");
    }

    fn arrived(&mut self, packet: Packet) {
        match packet {
            Packet::ToServer(bytes, from) => {
                let message = Message::read(&bytes).unwrap();
                self.ask_server(server::Event::Heard(&message, from));
            }
            Packet::Checked(address, used) => self.ask_server(server::Event::Checked { address, used }),
            Packet::ToClients(bytes, to, from) => {
                let message = Message::read(&bytes).unwrap();
                for number in 0..self.actors.len() {
                    if to == Mac::BROADCAST || to == self.actors[number].settings.mac {
                        self.tell(number, client::Event::Heard(&message, from));
                    }
                }
            }
            Packet::ArpTo(number, arp) => self.tell(number, client::Event::Arp(arp)),
        }
    }

    fn ask_server(&mut self, event: server::Event<'_>) {
        let Some(server) = &mut self.server else { return };
        let mut commands = Vec::new();
        server.step(event, self.now_ms / 1000, &mut commands);
        for command in commands {
            // Power may go between any two.
            if self.perils.wire && self.random.one_in(200) {
                return self.stop_server();
            }
            match command {
                server::Command::Store(record) => drop(self.disk.insert(record.address, record)),
                server::Command::Reply(reply) => {
                    self.check_reply(&reply.message);
                    self.send(Packet::ToClients(reply.message.write(), reply.to_mac, SERVER_MAC));
                }
                server::Command::Check { address, .. } => {
                    let used = self.strangers.contains(&address);
                    self.wire.push((self.now_ms + CHECK_MS, Packet::Checked(address, used)));
                }
                server::Command::Report(report) => self.count(match report {
                    server::Report::Full { .. } => "full",
                    server::Report::ReservedInUse { .. } => "reserved in use",
                    server::Report::Foreign { .. } => "foreign",
                    server::Report::InUse { .. } => "in use",
                }),
            }
        }
    }

    fn stop_server(&mut self) {
        self.server = None;
        self.back_at_ms = self.now_ms + self.random.below(120_000);
    }

    fn tell(&mut self, number: usize, event: client::Event<'_>) {
        let (now, random) = (self.now(), self.random.next());
        let Some(client) = &mut self.actors[number].client else { return };
        let mut commands = Vec::new();
        client.step(event, now, random, &mut commands);
        let mac = client.settings().mac;
        for command in commands {
            match command {
                client::Command::Send(outgoing) => {
                    assert!(outgoing.to_mac == Mac::BROADCAST || outgoing.to_mac == SERVER_MAC);
                    self.send(Packet::ToServer(outgoing.message.write(), mac));
                }
                client::Command::Probe(address) => self.probe(number, address),
                client::Command::Bound(lease) => {
                    self.actors[number].had = Some(lease.address);
                    self.count("bound");
                }
                client::Command::Renewed(_) => self.count("renewed"),
                client::Command::Lost(client::Loss::Expired) => self.count("expired"),
                client::Command::Lost(client::Loss::Refused) => self.count("refused"),
                client::Command::Lost(client::Loss::Released) => self.count("released"),
                client::Command::InUse(_) => self.count("declined"),
            }
        }
    }

    fn probe(&mut self, number: usize, address: Ipv4Addr) {
        let now = self.now();
        let holds = |actor: &Actor| {
            let lease = actor.client.as_ref().and_then(|client| client.lease(now));
            lease.is_some_and(|lease| lease.address == address)
        };
        let others =
            self.perils.arp && self.actors.iter().enumerate().any(|(at, actor)| at != number && holds(actor));
        if others || self.strangers.contains(&address) {
            let arp = Arp {
                asks: false,
                sender_mac: Mac([2, 0, 0, 0, 9, 9]),
                sender: address,
                target: Ipv4Addr::UNSPECIFIED,
            };
            self.wire.push((self.now_ms + ARP_MS, Packet::ArpTo(number, arp)));
        }
    }

    fn send(&mut self, packet: Packet) {
        if !self.perils.wire {
            self.wire.push((self.now_ms + 1, packet));
            return;
        }
        if self.random.one_in(6) {
            return self.count("message lost");
        }
        let mut delay = || if self.random.one_in(3) { self.random.below(UNDER_WAY_MAX_MS) } else { 1 };
        let (once, again) = (self.now_ms + delay(), self.now_ms + delay());
        if self.random.one_in(6) {
            let copy = match &packet {
                Packet::ToServer(bytes, mac) => Packet::ToServer(bytes.clone(), *mac),
                Packet::ToClients(bytes, to, from) => Packet::ToClients(bytes.clone(), *to, *from),
                Packet::ArpTo(..) | Packet::Checked(..) => panic!("these are not sent"),
            };
            self.wire.push((again, copy));
            self.count("message repeated");
        }
        self.wire.push((once, packet));
    }

    fn mischief(&mut self) {
        let number = self.random.pick(self.actors.len());
        match self.random.below(16) {
            0 if self.server.is_some() => self.stop_server(),
            1 | 2 => {
                // Off, and on later: with what it remembers, or without.
                let later = self.now_ms + UNDER_WAY_MAX_MS + self.random.below(90_000);
                let forgets = self.random.one_in(2);
                let actor = &mut self.actors[number];
                (actor.client, actor.not_before_ms) = (None, later);
                actor.had = actor.had.filter(|_| !forgets);
            }
            3 => {
                self.tell(number, client::Event::Release);
                let later = self.now_ms + UNDER_WAY_MAX_MS + self.random.below(90_000);
                let actor = &mut self.actors[number];
                (actor.client, actor.not_before_ms) = (None, later);
            }
            4 => self.reserve(number),
            5 => {
                let client = self.actors[number].settings.id.clone();
                self.reservations.remove(&client);
                if let Some(server) = &mut self.server {
                    server.unreserve(&client);
                }
            }
            6 => {
                let stranger = Ipv4Addr::new(10, 0, self.any_pool(), self.any_host());
                let now = self.now();
                let leases = self.actors.iter().filter_map(|actor| actor.client.as_ref()?.lease(now));
                if leases.map(|lease| lease.address).all(|held| held != stranger) {
                    self.strangers.insert(stranger);
                }
            }
            7 => drop(self.strangers.pop_first()),
            _ => {}
        }
    }

    fn any_pool(&mut self) -> u8 {
        if self.random.one_in(2) { 1 } else { 2 }
    }

    fn any_host(&mut self) -> u8 {
        u8::try_from(self.random.below(6) + 1).unwrap()
    }

    fn reserve(&mut self, number: usize) {
        let third = self.any_pool();
        let address = Ipv4Addr::new(10, 0, third, self.any_host());
        let client = self.actors[number].settings.id.clone();
        if let Some(server) = &mut self.server
            && server.reserve(client.clone(), address).is_ok()
        {
            self.reservations.insert(client, address);
            self.count("reserved");
        }
    }

    /// An address is given to whom it is reserved for, and to nobody else.
    fn check_reply(&self, reply: &Message) {
        if reply.kind == Kind::Nak || reply.yiaddr.is_unspecified() {
            return;
        }
        let client = reply.client_id();
        let address = reply.yiaddr;
        let owner = self.reservations.iter().find(|(_, reserved)| **reserved == address);
        assert!(owner.is_none_or(|(owner, _)| *owner == client), "{address} is reserved");
        let own = self.reservations.get(&client);
        assert!(own.is_none_or(|reserved| *reserved == address), "{client} has {own:?} reserved");
        if reply.kind == Kind::Ack {
            assert!(self.disk.contains_key(&address), "{address} was given, and not stored");
        }
    }

    /// Never two clients with one address, and none in a pool of the other class.
    fn check(&mut self) {
        let now = self.now();
        let mut held = BTreeMap::new();
        for actor in &self.actors {
            let Some(lease) = actor.client.as_ref().and_then(|client| client.lease(now)) else { continue };
            let other = held.insert(lease.address, actor.settings.mac);
            assert!(
                other.is_none(),
                "{} is held by {} and {}",
                lease.address,
                other.unwrap(),
                actor.settings.mac
            );
        }
    }

    /// Clients that have an address.
    pub(crate) fn holders(&self) -> usize {
        let now = self.now();
        self.actors
            .iter()
            .filter(|actor| actor.client.as_ref().is_some_and(|it| it.lease(now).is_some()))
            .count()
    }

    pub(crate) fn clients(&self) -> usize {
        self.actors.len()
    }

    /// Those that cannot get an address, since theirs is reserved where others of their kind leave none.
    pub(crate) fn pools_suffice(&self) -> bool {
        let wanting = |class: Class| {
            let of_class = |actor: &&Actor| {
                let word = if class == Class::Node { NODE_CLASS } else { REALM_CLASS };
                actor.settings.class.as_bytes() == word.as_bytes()
                    && !self.reservations.contains_key(&actor.settings.id)
            };
            let wanting = self.actors.iter().filter(of_class).count();
            let pool = config().pool(class).unwrap();
            let taken = self.reservations.values().filter(|address| pool.contains(**address)).count();
            wanting + taken <= usize::try_from(pool.size()).unwrap()
        };
        wanting(Class::Node) && wanting(Class::Realm)
    }
}
