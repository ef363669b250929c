//! The server on a link of its own, with real packets. Needs root.

use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::dhcp::client::{Client, Command, Event, Lease, Outgoing, Renewal, Settings};
use ::dhcp::server::Reply;
use ::dhcp::wire::{self, Heard};
use ::dhcp::{ClientId, Kind, Message, REALM_CLASS, Short};
use console_api::DhcpStanding;
use id::{KeyId, NodeId, TierId, Time};
use os::link::{End, Links};
use os::namespace::{self, Namespace};
use tempfile::TempDir;

use super::*;

const WORLD: World =
    World { random: os::random::bytes, now: || Time::ZERO.plus(os::clock::wall()), tell: |_| {} };
const RESERVED: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 77);
const PATIENCE: Duration = Duration::from_secs(30);
const DHCP: &str = "realms = \"10.1.0.10-10.1.0.99\"\n[dhcp]\ninterface = \"near\"\nserver = \"10.0.0.2\"\n\
                    realms = { prefix = 16, router = \"10.1.0.1\" }\n";

/// A landlord's console with a server of DHCP at the end `near` of a link in a namespace of its own.
struct Bed {
    link: Namespace,
    home: PathBuf,
    folder: TempDir,
}

impl Bed {
    fn new(dhcp: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let link = Namespace::create(&folder.path().join("link")).unwrap();
        let home = folder.path().join("console");
        let bed = Self { link, home, folder };
        let wired = bed.link.run(|| -> Result<(), os::Failed> {
            let mut links = Links::open()?;
            let end = |name| End { name, mac: None, namespace: None };
            links.add_veth(end("near"), end("far"))?;
            links.set_up("near")?;
            links.set_up("far")
        });
        wired.unwrap().unwrap();
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
        crate::init(&bed.home, &init, &WORLD).unwrap();
        let file = bed.home.join("console.toml");
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + dhcp).unwrap();
        bed
    }

    /// The other end of the link.
    fn tap(&self) -> Tap {
        self.link.run(|| Tap::open("far", &[CLIENT_PORT])).unwrap().unwrap()
    }

    fn office(&self, opened: &Opened) -> Office {
        self.link.run(|| Office::open(opened, WORLD)).unwrap().unwrap().unwrap()
    }
}

/// However the test ends.
impl Drop for Bed {
    fn drop(&mut self) {
        namespace::delete(&self.folder.path().join("link")).unwrap_or_default();
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
    let bed = Bed::new(DHCP);
    let tap = bed.tap();
    let (node, tier) = place();
    let reservation = Reservation { node, tier, name: "tenant-a".parse().unwrap(), address: RESERVED };
    let opened = Opened::open(&bed.home).unwrap();
    for had in [None, Some(RESERVED)] {
        let office = bed.office(&opened);
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
    let office = bed.office(&opened);
    office.follow(&[]);
    assert_eq!(office.shared.desk().server().reservations().count(), 0);
}

#[test]
fn a_console_tells_of_a_full_pool_and_of_another_server() {
    let bed = Bed::new(
        "[dhcp]\ninterface = \"near\"\nserver = \"10.0.0.2\"\n\
         others = { addresses = \"10.0.0.100-10.0.0.100\", prefix = 16 }\n",
    );
    let tap = bed.tap();
    let opened = Opened::open(&bed.home).unwrap();
    let office = bed.office(&opened);
    for number in [8, 9] {
        let frame = wire::of_client(&Outgoing {
            message: Message::new(Kind::Discover, 5, station(number)),
            from: Ipv4Addr::UNSPECIFIED,
            to: Ipv4Addr::BROADCAST,
            to_mac: Mac::BROADCAST,
        });
        tap.send(&frame).unwrap();
    }
    is_told(&office, "full", &ClientId::of_mac(station(9)).to_string());

    let foreign = Ipv4Addr::new(10, 0, 0, 3);
    let offer = Message {
        server: Some(foreign),
        yiaddr: Ipv4Addr::new(10, 0, 0, 200),
        ..Message::new(Kind::Offer, 5, station(9))
    };
    let reply = Reply { message: offer, to: Ipv4Addr::BROADCAST, to_mac: Mac::BROADCAST };
    tap.send(&wire::of_server(&reply, station(3), foreign)).unwrap();
    is_told(&office, "foreign-server", &format!("{foreign} from {}", station(3)));
    let codes: Vec<_> = office.shown().reports.into_iter().map(|report| report.code).collect();
    assert_eq!(codes, ["full", "foreign-server"]);
}

fn station(number: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, number])
}

/// Waits until a report of that code names what it is about.
fn is_told(office: &Office, code: &str, about: &str) {
    let began = Instant::now();
    loop {
        let reports = office.shown().reports;
        if reports.iter().any(|report| report.code == code && report.message.contains(about)) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{code} {about}: {reports:?}");
        wait(&[], Some(Duration::from_millis(20))).unwrap();
    }
}
