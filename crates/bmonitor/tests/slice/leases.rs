//! A node whose addresses come by DHCP, from a server on the landlord's console.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use boundary::{Directory, Node};
use dhcp::desk::{Clock, Desk, Ground};
use dhcp::frame::UdpChecksum;
use dhcp::server::{Class, Config, Pool, Record, Report, Server};
use dhcp::{CLIENT_PORT, ClientId, Mac, SERVER_PORT};
use id::{NodeId, TierId};
use lab::{Facility, Guard, Host, Party, Plan};
use node_protocol::call::Status;
use os::link::Links;
use os::packet::Tap;
use os::poll::{Wanted, wait};
use os::process::Process;

use crate::lessee::{Trap, When};
use crate::rights::the_one;
use crate::world::{REALMS, SHORT, SOON, TENANT, World, pause};

/// Longer than a lease, and than any pause of a client.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LEASE_S: u32 = 8;
const CONSOLE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

fn config(lease_s: u32) -> Config {
    let at = |network, last| Ipv4Addr::new(10, network, 0, last);
    let router = Some(at(1, 1));
    Config {
        server: CONSOLE,
        lease_s,
        nodes: Some(Pool {
            first: at(0, 100),
            last: at(0, 110),
            prefix: 16,
            router: None,
            reserved_only: false,
        }),
        realms: Some(Pool { first: at(1, 50), last: at(1, 60), prefix: 16, router, reserved_only: true }),
        others: None,
        check: true,
    }
}

/// What a server remembers over its starts.
#[derive(Default)]
pub(crate) struct Office {
    lease_s: u32,
    pub(crate) records: Mutex<Vec<Record>>,
    reserved: Mutex<Vec<(ClientId, Ipv4Addr)>>,
    /// Who is killed when what passes the link.
    pub(crate) trap: Mutex<Option<Trap>>,
}

impl Office {
    /// One that gives leases of so many seconds.
    pub(crate) fn giving(lease_s: u32) -> Arc<Self> {
        Arc::new(Self { lease_s, ..Self::default() })
    }

    fn passes(&self, frame: &[u8], checksum: UdpChecksum, when: When) {
        let mut trap = self.trap.lock().unwrap();
        if trap.as_ref().is_some_and(|trap| trap.is_sprung_by(frame, checksum, when)) {
            trap.take().unwrap().springs();
        }
    }

    /// How often an address was given or confirmed.
    pub(crate) fn said(&self, address: Ipv4Addr) -> usize {
        self.records.lock().unwrap().iter().filter(|record| record.address == address).count()
    }
}

struct At<'a>(&'a Tap, &'a Office);

impl Ground for At<'_> {
    type Error = Infallible;

    fn store(&mut self, record: &Record) -> Result<(), Infallible> {
        self.1.records.lock().unwrap().push(record.clone());
        Ok(())
    }

    fn send(&mut self, frame: &[u8]) {
        self.1.passes(frame, UdpChecksum::Ready, When::Sending);
        self.0.send(frame).unwrap();
        self.1.passes(frame, UdpChecksum::Ready, When::Sent);
    }

    fn report(&mut self, _report: &Report) {}
}

/// A server on the landlord's console, until it is dropped.
pub(crate) struct Serving {
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    pub(crate) fn start(facility: &Facility, office: &Arc<Office>) -> Self {
        let tap = facility.namespace("landlord").unwrap();
        let tap = tap.run(|| Tap::open("eth0", &[SERVER_PORT, CLIENT_PORT])).unwrap().unwrap();
        let mut server = Server::new(config(office.lease_s), office.records.lock().unwrap().clone());
        for (client, address) in office.reserved.lock().unwrap().iter() {
            server.reserve(client.clone(), *address).unwrap();
        }
        let (stop, stopped) = UnixStream::pair().unwrap();
        let office = Arc::clone(office);
        let thread = std::thread::spawn(move || serve(&tap, server, &office, &stopped));
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

/// Read for each frame: a server may be held up between two of them.
fn now() -> Clock {
    Clock { wall: os::clock::wall(), steady: os::clock::boot() }
}

fn serve(tap: &Tap, server: Server, office: &Office, stopped: &UnixStream) {
    let mut desk = Desk::new(server, Mac(tap.mac()));
    loop {
        while let Some(tapped) = tap.receive().unwrap() {
            let checksum = if tapped.checksum_ready { UdpChecksum::Ready } else { UdpChecksum::NotReady };
            office.passes(&tapped.frame, checksum, When::Heard);
            let Ok(()) = desk.heard(&tapped.frame, checksum, now(), &mut At(tap, office));
        }
        let clock = now();
        let Ok(()) = desk.time(clock, &mut At(tap, office));
        let wake = desk.wake_at().map(|at| at.saturating_sub(clock.steady));
        if wait(&[(tap.as_fd(), Wanted::READ), (stopped.as_fd(), Wanted::READ)], wake).unwrap()[1] {
            return;
        }
    }
}

/// One node without an address, and a landlord's console.
pub(crate) fn world() -> World {
    let guard = Guard::start().unwrap();
    let (landlord, tenant) = (Party::new().unwrap(), Party::new().unwrap());
    let directory = keys::SigningKey::from_seed(&os::random::bytes().unwrap()).unwrap();
    let random: [u8; 3] = os::random::bytes().unwrap();
    let prefix = format!("bm{:02x}{:02x}{:02x}", random[0], random[1], random[2]);
    let mut plan = Plan::new(prefix, 1, &[]).with_consoles(&["landlord"]);
    plan.bmonitor = Some(PathBuf::from(env!("CARGO_BIN_EXE_bmonitor")));
    (plan.dhcp, plan.networks) = (true, vec![Ipv4Addr::new(10, 1, 0, 1)]);
    plan.nodes[0].enrolment = landlord.enrolment_with("landlord", &[], Some(*directory.public()));
    let facility = Facility::build(plan, &guard).unwrap();
    World::in_facility(facility, guard, landlord, tenant, directory)
}

pub(crate) fn waits_for(world: &World, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
    let began = Instant::now();
    loop {
        let status = world.now(0);
        if wanted(&status) {
            return status;
        }
        let log = || world.facility.nodes()[0].log();
        assert!(began.elapsed() < PATIENCE, "{what}: {status:?}\n{}", log());
        pause();
    }
}

pub(crate) fn is_warned(status: &Status, code: &str) -> bool {
    status.warnings.iter().any(|warning| warning.code == code)
}

pub(crate) fn open_at(address: Ipv4Addr) -> impl Fn(&Status) -> bool {
    move |status| {
        let tenant = status.tiers.iter().find(|tier| tier.name.as_str() == TENANT);
        let realm = tenant.and_then(|tier| tier.realm.as_ref());
        realm.is_some_and(|realm| realm.open && realm.addresses == [IpAddr::V4(address)])
    }
}

/// The landlord says where the realm is.
pub(crate) fn say_directory(world: &World, serial: u64, address: Ipv4Addr) {
    let NodeId(key) = world.now(0).node.unwrap();
    let mut directory = Directory::numbered(serial);
    directory.set_facility(&["10.0.0.0/8"]).unwrap();
    let mut node = Node { key: Some(key), ..Node::default() };
    node.set_realm(TENANT.parse().unwrap(), &[address.into()]);
    directory.insert("n1".parse().unwrap(), node);
    world.say_directory(&directory).accepted();
}

pub(crate) fn client_of(world: &World, tier: TierId) -> ClientId {
    let NodeId(key) = world.now(0).node.unwrap();
    ClientId::of(key.as_bytes(), tier.as_bytes())
}

pub(crate) fn reserve(office: &Office, client: &ClientId, address: Ipv4Addr) {
    let mut reserved = office.reserved.lock().unwrap();
    reserved.retain(|(other, _)| other != client);
    reserved.push((client.clone(), address));
}

pub(crate) fn reaches(client: &Host, address: Ipv4Addr, within: Duration) -> Result<usize, String> {
    client.connect(SocketAddr::new(address.into(), 80), within).unwrap()
}

/// The node's own address; a realm that comes up where the directory says, lives through the death of the
/// supervisor, closes with its lease and opens with it again.
pub(crate) fn live_and_die() {
    let (mut world, office) = (world(), Office::giving(LEASE_S));
    world.start(0, &[]);
    waits_for(&world, "no server", |status| is_warned(status, "no-address"));
    let server = Serving::start(&world.facility, &office);
    waits_for(&world, "an address", |status| !is_warned(status, "no-address"));
    // Whatever else comes from a server's port harms neither.
    world.settled(0);
    let running = world.facility.running("n1").unwrap();
    let mut garbage = lab::Garbage::new(20_261_124);
    for ports in [(SERVER_PORT, CLIENT_PORT), (CLIENT_PORT, SERVER_PORT)] {
        world.facility.broadcast_garbage(ports, &mut garbage, 200).unwrap();
    }
    assert_eq!(world.facility.running("n1").unwrap(), running);
    let node = world.facility.namespace("n1").unwrap();
    let own = node.run(|| Links::open().and_then(|mut links| links.addresses("br0"))).unwrap().unwrap();
    let leased = |class| {
        let records = office.records.lock().unwrap();
        let record = records.iter().rfind(|record| record.class == class);
        record.map(|record| IpAddr::V4(record.address))
    };
    assert!(own.contains(&(leased(Class::Node).unwrap(), 16)), "{own:?}");

    let (tier, _lease) = world.lease(0, REALMS);
    waits_for(&world, "no entry", |status| is_warned(status, "no-directory-entry"));
    let (first, second) = (Ipv4Addr::new(10, 1, 0, 77), Ipv4Addr::new(10, 1, 0, 78));
    drop(server);
    reserve(&office, &client_of(&world, tier), first);
    let server = Serving::start(&world.facility, &office);
    say_directory(&world, 1, first);
    waits_for(&world, "a realm", open_at(first));
    let _web = world.server(0);
    let router = world.facility.path_of("router");
    let client = world.facility.nodes_mut()[0].start_engine("client", &router).unwrap();
    let connection = reaches(&client, first, SOON).unwrap();
    client.exchange(connection, SOON).unwrap().unwrap();

    // The supervisor dies, and with it who leases: the lease goes on.
    world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    client.exchange(connection, SOON).unwrap().unwrap();
    world.start(0, &[]);
    client.exchange(connection, SOON).unwrap().unwrap();
    waits_for(&world, "the realm again", open_at(first));
    client.exchange(connection, SOON).unwrap().unwrap();

    // Who leases dies alone: the next one has its addresses confirmed, and no connection notices.
    let killed = Process::open(the_one(&world, "dhcp")).unwrap();
    killed.kill().unwrap();
    assert!(wait(&[(killed.ended(), Wanted::READ)], Some(PATIENCE)).unwrap()[0]);
    let before = office.said(first);
    waits_for(&world, "confirmed anew", |status| office.said(first) > before && open_at(first)(status));
    client.exchange(connection, SOON).unwrap().unwrap();

    // No server for longer than a lease: closed, and nothing more. Its connections go on afterwards.
    drop(server);
    waits_for(&world, "closed", |status| is_warned(status, "no-address") && !open_at(first)(status));
    client.exchange(connection, SHORT).unwrap().unwrap_err();
    let server = Serving::start(&world.facility, &office);
    waits_for(&world, "opened again", open_at(first));
    client.exchange(connection, SOON).unwrap().unwrap();

    // Another address than the directory says: closed until both say the same.
    drop(server);
    reserve(&office, &client_of(&world, tier), second);
    let _server = Serving::start(&world.facility, &office);
    waits_for(&world, "elsewhere", |status| is_warned(status, "elsewhere"));
    assert!(reaches(&client, first, SHORT).is_err());
    say_directory(&world, 2, second);
    waits_for(&world, "moved", open_at(second));
    reaches(&client, second, SOON).unwrap();

    // A severing gives the address back.
    world.sever(0, tier);
    let began = Instant::now();
    loop {
        let records = office.records.lock().unwrap();
        let record = records.iter().rfind(|record| record.address == second).unwrap();
        if record.standing == dhcp::server::Standing::Released {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{record:?}");
    }
}
