//! The server on a link of its own, with real packets. Needs root.

use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use ::dhcp::client::{Client, Command, Event, Lease, Renewal, Settings};
use ::dhcp::wire::{self, Heard};
use ::dhcp::{REALM_CLASS, Short};
use console_api::DhcpStanding;
use id::{KeyId, NodeId, TierId, Time};
use os::link::{End, Links};
use os::namespace::{self, Namespace};

use super::*;

const WORLD: World =
    World { random: os::random::bytes, now: || Time::ZERO.plus(os::clock::wall()), tell: |_| {} };
const RESERVED: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 77);
const PATIENCE: Duration = Duration::from_secs(30);
const DHCP: &str = "realms = \"10.1.0.10-10.1.0.99\"\n[dhcp]\ninterface = \"near\"\nserver = \"10.0.0.2\"\n\
                    realms = { prefix = 16, router = \"10.1.0.1\" }\n";

/// A named namespace that goes when the test ends, however it ends.
struct Named<'a>(&'a Path);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        namespace::delete(self.0).unwrap_or_default();
    }
}

fn place() -> (NodeId, TierId) {
    (NodeId(KeyId::of_public_key(&[7; 32])), TierId::from_bytes([3; 16]))
}

fn settings() -> Settings {
    let (node, tier) = place();
    Settings {
        mac: Mac([2, 0, 0, 0, 0, 7]),
        id: client_of(node, tier),
        class: Short::new(REALM_CLASS.as_bytes()).unwrap(),
        renewal: Renewal::ToEverybody,
        expected: Some(RESERVED),
    }
}

/// Runs a client until it has an address.
fn lease(tap: &Tap, had: Option<Ipv4Addr>) -> Lease {
    let began = Instant::now();
    let mut client = Client::new(settings(), had, os::clock::boot());
    loop {
        assert!(began.elapsed() < PATIENCE, "{}", client.state());
        let random = || u64::from_ne_bytes(os::random::bytes().unwrap());
        let mut commands = Vec::new();
        while let Some(tapped) = tap.receive().unwrap() {
            if let Ok(Heard::Message(message, from)) = wire::read(&tapped.frame, checksum(&tapped)) {
                client.step(Event::Heard(&message, from), os::clock::boot(), random(), &mut commands);
            }
        }
        client.step(Event::Time, os::clock::boot(), random(), &mut commands);
        for command in commands {
            match command {
                Command::Send(outgoing) => drop(tap.send(&wire::of_client(&outgoing)).unwrap()),
                Command::Bound(lease) => return lease,
                Command::Probe(_) | Command::Renewed(_) | Command::Lost(_) | Command::InUse(_) => {}
            }
        }
        let wake = client.wake_at().map(|at| at.saturating_sub(os::clock::boot()));
        wait(&[(tap.as_fd(), Wanted::READ)], wake).unwrap();
    }
}

#[test]
fn a_console_gives_what_is_reserved_and_remembers_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("link");
    let _named = Named(&path);
    let link = Namespace::create(&path).unwrap();
    let wired = link.run(|| -> Result<(), os::Failed> {
        let mut links = Links::open()?;
        let end = |name| End { name, mac: None, namespace: None };
        links.add_veth(end("near"), end("far"))?;
        links.set_up("near")?;
        links.set_up("far")
    });
    wired.unwrap().unwrap();
    let home = folder.path().join("console");
    let init = crate::Init {
        name: "landlord".parse().unwrap(),
        listen: "10.0.0.2:7443".parse().unwrap(),
        addresses: Vec::new(),
        api: None,
        unencrypted: false,
        socket: None,
        realms: None,
        controllers: Vec::new(),
    };
    crate::init(&home, &init, &WORLD).unwrap();
    let file = home.join("console.toml");
    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + DHCP).unwrap();

    let tap = link.run(|| Tap::open("far", &[CLIENT_PORT])).unwrap().unwrap();
    let (node, tier) = place();
    let reservation = Reservation { node, tier, name: "tenant-a".parse().unwrap(), address: RESERVED };
    let opened = Opened::open(&home).unwrap();
    for had in [None, Some(RESERVED)] {
        let office = link.run(|| Office::open(&opened, WORLD)).unwrap().unwrap().unwrap();
        office.follow(std::slice::from_ref(&reservation));
        let lease = lease(&tap, had);
        assert_eq!((lease.address, lease.prefix), (RESERVED, 16));
        assert_eq!(lease.router, Some(Ipv4Addr::new(10, 1, 0, 1)));
        assert_eq!(office.shown().reports, []);
        let stored = records::all::<DhcpLease>(&*opened.store, kept::LEASES).unwrap();
        assert_eq!((stored.len(), stored[0].value.address), (1, RESERVED));
        assert_eq!(stored[0].value.standing, DhcpStanding::Leased);
    }
    // Nobody's any more: it is not given again.
    let office = link.run(|| Office::open(&opened, WORLD)).unwrap().unwrap().unwrap();
    office.follow(&[]);
    assert_eq!(office.shared.desk().server().reservations().count(), 0);
}
