//! Our server and our client at their links, each in a thread of its own.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use dhcp::arp::Arp;
use dhcp::client::{Client, Command, Event, Lease, Settings};
use dhcp::desk::{Clock, Desk, Ground};
use dhcp::frame::UdpChecksum;
use dhcp::server::{Config, Pool, Record, Report, Server};
use dhcp::wire::{self, Heard};
use dhcp::{CLIENT_PORT, ClientId, SERVER_PORT};
use os::link::Links;
use os::namespace::Namespace;
use os::packet::{Tap, Tapped};
use os::poll::{Wanted, wait};

use crate::place::eventually;

pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// What a server here serves: pools of `size`, leases of `lease_s`.
pub(crate) fn config(size: u8, lease_s: u32) -> Config {
    let pool = |third| {
        Some(Pool {
            first: Ipv4Addr::new(10, 0, third, 1),
            last: Ipv4Addr::new(10, 0, third, size),
            prefix: 16,
            router: Some(Ipv4Addr::new(10, 0, 0, 1)),
            reserved_only: false,
        })
    };
    Config { server: SERVER, lease_s, nodes: pool(1), realms: pool(2), others: pool(3), check: true }
}

fn checksum(tapped: &Tapped) -> UdpChecksum {
    if tapped.checksum_ready { UdpChecksum::Ready } else { UdpChecksum::NotReady }
}

/// A server's medium, and what it told people.
#[derive(Clone, Default)]
pub(crate) struct Office {
    pub(crate) records: Arc<Mutex<BTreeMap<Ipv4Addr, Record>>>,
    pub(crate) reports: Arc<Mutex<Vec<Report>>>,
    pub(crate) reserved: Arc<Mutex<Vec<(ClientId, Ipv4Addr)>>>,
}

impl Office {
    pub(crate) fn record(&self, address: Ipv4Addr) -> Option<Record> {
        self.records.lock().unwrap().get(&address).cloned()
    }

    pub(crate) fn is_reported(&self, wanted: impl Fn(&Report) -> bool) {
        eventually("a report", || self.reports.lock().unwrap().iter().any(&wanted).then_some(()));
    }
}

struct At<'a>(&'a Tap, &'a Office);

impl Ground for At<'_> {
    type Error = Infallible;

    fn store(&mut self, record: &Record) -> Result<(), Infallible> {
        self.1.records.lock().unwrap().insert(record.address, record.clone());
        Ok(())
    }

    fn send(&mut self, frame: &[u8]) {
        self.0.send(frame).unwrap();
    }

    fn report(&mut self, report: &Report) {
        self.1.reports.lock().unwrap().push(report.clone());
    }
}

/// Something in a thread that ends with this.
pub(crate) struct Running {
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn new(
        namespace: &Namespace,
        ports: &[u16],
        work: impl FnOnce(Tap, UnixStream) + Send + 'static,
    ) -> Self {
        let tap = namespace.run(|| Tap::open("eth0", ports)).unwrap().unwrap();
        let (stop, stopped) = UnixStream::pair().unwrap();
        Self { stop: Some(stop), thread: Some(std::thread::spawn(|| work(tap, stopped))) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

/// Waits for a frame or a time; false when it is to end.
fn waited(tap: &Tap, stop: &UnixStream, wake_in: Option<Duration>) -> bool {
    let ready = wait(&[(tap.as_fd(), Wanted::READ), (stop.as_fd(), Wanted::READ)], wake_in).unwrap();
    !ready[1]
}

/// Our server on the machine `server`, with what its office remembers.
pub(crate) fn serve(machine: &Namespace, config: Config, office: &Office) -> Running {
    let mut server = Server::new(config, office.records.lock().unwrap().values().cloned());
    for (client, address) in office.reserved.lock().unwrap().iter() {
        server.reserve(client.clone(), *address).unwrap();
    }
    // So that the kernel does not tell clients that the port is closed.
    let closed = machine.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, SERVER_PORT))).unwrap().unwrap();
    let office = office.clone();
    Running::new(machine, &[SERVER_PORT, CLIENT_PORT], move |tap, stop| {
        let _closed = closed;
        let mut desk = Desk::new(server, dhcp::Mac(tap.mac()));
        loop {
            let now = os::clock::boot();
            let clock = Clock { wall: os::clock::wall(), steady: now };
            while let Some(tapped) = tap.receive().unwrap() {
                let Ok(()) = desk.heard(&tapped.frame, checksum(&tapped), clock, &mut At(&tap, &office));
            }
            let Ok(()) = desk.time(clock, &mut At(&tap, &office));
            if !waited(&tap, &stop, desk.wake_at().map(|at| at.saturating_sub(now))) {
                return;
            }
        }
    })
}

/// What a client of ours came to, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Came {
    Bound(Lease),
    Renewed(Lease),
    Lost(dhcp::client::Loss),
    InUse(Ipv4Addr),
}

/// Our client in a thread.
pub(crate) struct Station {
    came: Arc<Mutex<Vec<Came>>>,
    seen: usize,
    release: Arc<Mutex<bool>>,
    poke: UnixStream,
    _running: Running,
}

impl Station {
    /// A client on `machine`, whose clock goes `speed` times as fast as others: leases of two minutes are the
    /// shortest of some servers.
    pub(crate) fn start(machine: Namespace, settings: Settings, had: Option<Ipv4Addr>, speed: u32) -> Self {
        let came = Arc::new(Mutex::new(Vec::new()));
        let release = Arc::new(Mutex::new(false));
        let (poke, poked) = UnixStream::pair().unwrap();
        poked.set_nonblocking(true).unwrap();
        let (told, released) = (came.clone(), release.clone());
        let running = Running::new(&machine.run(Namespace::current).unwrap().unwrap(), &[CLIENT_PORT], {
            move |tap, stop| {
                let now = || os::clock::boot() * speed;
                let client = Client::new(settings, had, now());
                let mut one = One { client, tap, machine, told };
                loop {
                    one.step(Event::Time, now());
                    while let Some(tapped) = one.tap.receive().unwrap() {
                        match wire::read(&tapped.frame, checksum(&tapped)) {
                            Ok(Heard::Message(message, from)) => {
                                one.step(Event::Heard(&message, from), now())
                            }
                            Ok(Heard::Arp(arp)) => one.step(Event::Arp(arp), now()),
                            Err(_) => {}
                        }
                    }
                    if std::mem::take(&mut *released.lock().unwrap()) {
                        one.step(Event::Release, now());
                    }
                    let wake = one.client.wake_at().map(|at| at.saturating_sub(now()) / speed);
                    let descriptors = [
                        (one.tap.as_fd(), Wanted::READ),
                        (stop.as_fd(), Wanted::READ),
                        (poked.as_fd(), Wanted::READ),
                    ];
                    if wait(&descriptors, wake).unwrap()[1] {
                        return;
                    }
                    while std::io::Read::read(&mut (&poked), &mut [0; 8]).is_ok_and(|read| read > 0) {}
                }
            }
        });
        Self { came, seen: 0, release, poke, _running: running }
    }

    pub(crate) fn release(&mut self) {
        *self.release.lock().unwrap() = true;
        std::io::Write::write_all(&mut self.poke, b"x").unwrap();
    }

    /// The next thing that comes and that `wanted` takes.
    pub(crate) fn wait_for<T>(&mut self, what: &str, wanted: impl Fn(&Came) -> Option<T>) -> T {
        eventually(what, || {
            let came = self.came.lock().unwrap();
            let (at, found) =
                came.iter().enumerate().skip(self.seen).find_map(|(at, came)| Some((at, wanted(came)?)))?;
            self.seen = at + 1;
            Some(found)
        })
    }

    pub(crate) fn bound(&mut self) -> Lease {
        self.wait_for("bound", |came| if let Came::Bound(lease) = came { Some(*lease) } else { None })
    }

    pub(crate) fn renewed(&mut self) -> Lease {
        self.wait_for("renewed", |came| if let Came::Renewed(lease) = came { Some(*lease) } else { None })
    }

    pub(crate) fn lost(&mut self) -> dhcp::client::Loss {
        self.wait_for("lost", |came| if let Came::Lost(loss) = came { Some(*loss) } else { None })
    }
}

struct One {
    client: Client,
    tap: Tap,
    machine: Namespace,
    told: Arc<Mutex<Vec<Came>>>,
}

impl One {
    fn step(&mut self, event: Event<'_>, now: Duration) {
        let mut commands = Vec::new();
        let random = u64::from_ne_bytes(os::random::bytes().unwrap());
        let before = self.client.lease(now).copied();
        self.client.step(event, now, random, &mut commands);
        for command in commands {
            let came = match command {
                Command::Send(outgoing) => {
                    self.tap.send(&wire::of_client(&outgoing)).unwrap();
                    continue;
                }
                Command::Probe(address) => {
                    self.tap.send(&Arp::probe(self.client.settings().mac, address)).unwrap();
                    continue;
                }
                Command::Bound(lease) => {
                    self.set_address(lease, true);
                    Came::Bound(lease)
                }
                Command::Renewed(lease) => Came::Renewed(lease),
                Command::Lost(loss) => {
                    before.into_iter().for_each(|lease| self.set_address(lease, false));
                    Came::Lost(loss)
                }
                Command::InUse(address) => Came::InUse(address),
            };
            self.told.lock().unwrap().push(came);
        }
    }

    /// The machine answers to ARP for the address, as any machine would.
    fn set_address(&self, lease: Lease, has: bool) {
        let set = self.machine.run(|| {
            let mut links = Links::open()?;
            if has {
                links.add_address("eth0", lease.address.into(), lease.prefix)
            } else {
                links.remove_address("eth0", lease.address.into(), lease.prefix)
            }
        });
        if let Err(failed) = set.unwrap() {
            let is_so = failed.already_exists() || failed.kind() == std::io::ErrorKind::AddrNotAvailable;
            assert!(is_so, "{failed}");
        }
    }
}
