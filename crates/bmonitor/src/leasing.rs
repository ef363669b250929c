//! The dhcp role: leases the node's address and its realms' addresses. It has one raw socket on the bridge,
//! opened before it gives up every right, with a filter that takes DHCP to clients and ARP and cannot be taken
//! off. It knows nothing of tiers' affairs: it is told which addresses are wished for, and tells what came.

mod messages;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use dhcp::arp::Arp;
use dhcp::client::{Client, Command, Event, Lease, Renewal, Settings};
use dhcp::frame::UdpChecksum;
use dhcp::wire::{self, Heard};
use dhcp::{CLIENT_PORT, ClientId, Mac, NODE_CLASS, REALM_CLASS, Short};
use node_protocol::Decoder;
use os::packet::Tap;
use os::poll::{Wanted, wait};

pub(crate) use self::messages::{FromLeasing, ToLeasing, Who, Wish};
use crate::rights::{self, Begin, Role};

/// The longest message of the supervisor: wishes for a node and all its realms.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The longest wait: a machine that slept notices soon that a lease is over.
const WAIT_AT_MOST: Duration = Duration::from_secs(5);

/// The role: `bmonitor dhcp`. Ends when the supervisor's stream ends; leases stay as they are then.
pub(crate) fn run(parent: u32, bridge: &str) -> io::Result<()> {
    // The one thing that needs a right.
    let tap = Tap::open(bridge, &[CLIENT_PORT]).map_err(io::Error::other)?;
    rights::enforce(Begin { role: Role::Dhcp, parent: Some(parent) }).map_err(io::Error::other)?;
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let decoder = Decoder::limited(MESSAGE_BYTES_MAX, 0);
    let mut leasing = Leasing { tap, stream, decoder, clients: BTreeMap::new() };
    while leasing.turn()? {}
    Ok(())
}

struct Leasing {
    tap: Tap,
    stream: UnixStream,
    decoder: Decoder,
    clients: BTreeMap<Who, Client>,
}

impl Leasing {
    /// Gives whether the supervisor is still there.
    fn turn(&mut self) -> io::Result<bool> {
        let now = os::clock::boot();
        let wakes = self.clients.values().filter_map(Client::wake_at).map(|at| at.saturating_sub(now));
        let at_most = wakes.fold(WAIT_AT_MOST, Duration::min);
        let descriptors = [(self.stream.as_fd(), Wanted::READ), (self.tap.as_fd(), Wanted::READ)];
        let ready = wait(&descriptors, Some(at_most))?;
        if ready.first() == Some(&true) && !self.read()? {
            return Ok(false);
        }
        while let Some(tapped) = self.tap.receive().map_err(io::Error::other)? {
            let checksum = if tapped.checksum_ready { UdpChecksum::Ready } else { UdpChecksum::NotReady };
            match wire::read(&tapped.frame, checksum) {
                Ok(Heard::Message(message, from)) => self.tell_all(Event::Heard(&message, from))?,
                Ok(Heard::Arp(arp)) => self.tell_all(Event::Arp(arp))?,
                // Anybody can send it.
                Err(_malformed) => {}
            }
        }
        self.tell_all(Event::Time)?;
        Ok(true)
    }

    /// Reads what has arrived; gives whether the stream goes on.
    fn read(&mut self) -> io::Result<bool> {
        let mut part = vec![0; 16 * 1024];
        let length = self.stream.read(&mut part)?;
        self.decoder.push(part.get(..length).unwrap_or_default());
        while let Some(frame) = self.decoder.frame().map_err(io::Error::other)? {
            // What is not understood comes from no supervisor of ours.
            let ToLeasing::Wishes(wishes) = frame.message().map_err(io::Error::other)?;
            self.wish(&wishes)?;
        }
        Ok(length > 0)
    }

    fn wish(&mut self, wishes: &[Wish]) -> io::Result<()> {
        let mut wanted = BTreeMap::new();
        for wish in wishes {
            wanted.insert(wish.who, (settings(wish, Mac(self.tap.mac()))?, wish.had));
        }
        let changed = |who: &Who, client: &Client| {
            wanted.get(who).is_none_or(|(settings, _had)| settings != client.settings())
        };
        let over: Vec<Who> =
            self.clients.iter().filter(|(who, client)| changed(who, client)).map(|(who, _)| *who).collect();
        for who in over {
            self.tell(who, Event::Release)?;
            self.clients.remove(&who);
        }
        for (who, (settings, had)) in wanted {
            let client = || Client::new(settings, had, os::clock::boot());
            self.clients.entry(who).or_insert_with(client);
        }
        Ok(())
    }

    fn tell_all(&mut self, event: Event<'_>) -> io::Result<()> {
        let all: Vec<Who> = self.clients.keys().copied().collect();
        all.into_iter().try_for_each(|who| self.tell(who, event))
    }

    fn tell(&mut self, who: Who, event: Event<'_>) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(&who) else { return Ok(()) };
        let random = u64::from_ne_bytes(os::random::bytes()?);
        let (mac, mut commands) = (client.settings().mac, Vec::new());
        client.step(event, os::clock::boot(), random, &mut commands);
        for command in commands {
            match command {
                Command::Send(outgoing) => self.send(&wire::of_client(&outgoing))?,
                Command::Probe(address) => self.send(&Arp::probe(mac, address))?,
                Command::Bound(lease) => {
                    // The router may still remember the realm that had the address before.
                    self.send(&Arp::announcement(mac, lease.address))?;
                    self.say(&leased(who, &lease))?;
                }
                Command::Renewed(lease) => self.say(&leased(who, &lease))?,
                Command::Lost(loss) => self.say(&FromLeasing::Lost { who, why: format!("{loss:?}") })?,
                Command::InUse(address) => self.say(&FromLeasing::InUse { who, address })?,
            }
        }
        Ok(())
    }

    /// What the link does not take is as good as lost on it.
    fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.tap.send(frame).map(drop).map_err(io::Error::other)
    }

    fn say(&mut self, message: &FromLeasing) -> io::Result<()> {
        let mut stream = &self.stream;
        node_protocol::frame::write(&mut stream, message, &[]).map_err(io::Error::other)
    }
}

fn leased(who: Who, lease: &Lease) -> FromLeasing {
    FromLeasing::Leased {
        who,
        address: lease.address,
        prefix: lease.prefix,
        router: lease.router,
        until_ms: u64::try_from(lease.until.as_millis()).unwrap_or(u64::MAX),
    }
}

fn settings(wish: &Wish, own: Mac) -> io::Result<Settings> {
    let client: ClientId = wish.client.parse().map_err(io::Error::other)?;
    let class = if wish.who == Who::Node { NODE_CLASS } else { REALM_CLASS };
    Ok(Settings {
        mac: wish.mac.map_or(own, Mac),
        id: client,
        class: Short::new(class.as_bytes()).unwrap_or_default(),
        // A unicast answer would go to the realm, past this process; and the bridge's own address may change.
        renewal: Renewal::ToEverybody,
        expected: wish.expected,
    })
}
