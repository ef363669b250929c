//! The console's DHCP server: one link, a thread of its own, leases in the store before they are said.

pub(crate) mod kept;
mod routes;
#[cfg(test)]
mod tests;

pub(crate) use routes::routes;

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use ::dhcp::desk::{Clock, Desk, Ground};
use ::dhcp::frame::UdpChecksum;
use ::dhcp::server::{Record, Report, Server};
use ::dhcp::{CLIENT_PORT, ClientId, Mac, SERVER_PORT};
use console_api::{Dhcp, DhcpLease, DhcpReport};
use id::{NodeId, TierId};
use os::packet::{Tap, Tapped};
use os::poll::{Wanted, wait};
use store::{Store, Transaction};

use crate::api::No;
use crate::directory::Reservation;
use crate::folder::Opened;
use crate::settings::dhcp::Settings;
use crate::state::Console;
use crate::{Failed, World, records};

/// Reports that are kept for people.
const REPORTS_MAX: usize = 64;
/// Frames that are taken in before whoever wants to reserve something has a turn.
const FRAMES_A_TURN: usize = 64;

/// A running server; it ends with this.
pub(crate) struct Office {
    shared: Arc<Shared>,
    settings: Settings,
    /// Closed, it ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    desk: Mutex<Desk>,
    reports: Mutex<VecDeque<DhcpReport>>,
    store: Arc<dyn Store>,
    world: World,
    tap: Tap,
}

impl Office {
    /// Starts the server that the settings ask for, with what it gave before.
    pub(crate) fn open(opened: &Opened, world: World) -> Result<Option<Self>, Failed> {
        let Some(settings) = opened.settings.dhcp.clone() else { return Ok(None) };
        let act = |error| Failed::act(format!("serve DHCP on the link {:?}", settings.interface), error);
        let config =
            settings.config(opened.settings.realms).map_err(|wrong| act(std::io::Error::other(wrong)))?;
        let tap = Tap::open(&settings.interface, &[SERVER_PORT, CLIENT_PORT])
            .map_err(|failed| act(std::io::Error::other(failed)))?;
        // Nothing is read from it: without it the kernel would tell clients that nobody listens.
        let closed = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, SERVER_PORT)).map_err(act)?;
        let store = Arc::clone(&opened.store);
        let server = remembered(config, &*store).map_err(|no| Failed::act("read the store", no.0))?;
        let desk = Mutex::new(Desk::new(server, Mac(tap.mac())));
        let shared = Arc::new(Shared { desk, reports: Mutex::default(), store, world, tap });
        let (stop, stopped) = UnixStream::pair().map_err(act)?;
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("dhcp".to_owned()).spawn(move || {
            let _closed = closed;
            serving.serve(&stopped);
        });
        let thread = Some(thread.map_err(act)?);
        Ok(Some(Self { shared, settings, stop: Some(stop), thread }))
    }

    /// The server as people see it.
    fn shown(&self) -> Dhcp {
        let reports = self.shared.reports.lock().unwrap_or_else(PoisonError::into_inner);
        Dhcp {
            interface: self.settings.interface.clone(),
            server: self.settings.server,
            lease_s: self.settings.lease_s,
            reports: reports.iter().cloned().collect(),
        }
    }

    /// A realm's node is known to be off: what the realm has is nobody's from now on.
    pub(crate) fn ended(&self, node: NodeId, tier: TierId) -> Result<(), No> {
        let clock = self.shared.clock();
        self.shared.desk().ended(&client_of(node, tier), clock, &mut &*self.shared).map_err(No::from)
    }

    /// Each of these addresses is one realm's, and those that were are anybody's when the lease on them ends.
    pub(crate) fn follow(&self, reservations: &[Reservation]) {
        let mut desk = self.shared.desk();
        let wanted: BTreeMap<ClientId, Ipv4Addr> =
            reservations.iter().map(|one| (client_of(one.node, one.tier), one.address)).collect();
        let kept: Vec<_> = desk.server().reservations().map(|(client, at)| (client.clone(), at)).collect();
        for (client, address) in &kept {
            if wanted.get(client) != Some(address) {
                desk.server_mut().unreserve(client);
            }
        }
        for (client, address) in wanted {
            if let Err(not) = desk.server_mut().reserve(client, address) {
                self.shared.tell("not-reserved", not.to_string());
            }
        }
    }
}

/// Follows what is reserved, for as long as the console runs.
pub(crate) async fn follow(console: Arc<Console>) -> Infallible {
    let mut happenings = console.live.happenings();
    while let Some(office) = &console.dhcp {
        match console.reservations() {
            Ok(reservations) => office.follow(&reservations),
            Err(no) => {
                office.shared.tell("not-reserved", format!("the reservations cannot be read: {}", no.0))
            }
        }
        if happenings.changed().await.is_err() {
            break;
        }
    }
    // There is nothing to follow any more, or never was.
    std::future::pending().await
}

impl Drop for Office {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has told what there was to tell.
            drop(thread.join());
        }
    }
}

/// The client id of a tier's realm on a node.
fn client_of(NodeId(node): NodeId, tier: TierId) -> ClientId {
    ClientId::of(node.as_bytes(), tier.as_bytes())
}

fn remembered(config: ::dhcp::server::Config, store: &dyn Store) -> Result<Server, No> {
    let leases = records::all::<DhcpLease>(store, kept::LEASES)?;
    Ok(Server::new(config, leases.iter().filter_map(|read| kept::record(&read.value))))
}

impl Shared {
    fn clock(&self) -> Clock {
        let wall = std::time::Duration::from_millis(self.world.now().as_millis());
        Clock { wall, steady: os::clock::boot() }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves until the other end of `stopped` is closed, or the link fails.
    fn serve(&self, stopped: &UnixStream) {
        loop {
            let wake = match self.turn() {
                Ok(wake) => wake,
                Err(why) => return self.world.tell(&format!("DHCP is served no more: {why}")),
            };
            let descriptors = [(self.tap.as_fd(), Wanted::READ), (stopped.as_fd(), Wanted::READ)];
            match wait(&descriptors, wake) {
                Ok(ready) if ready.last() == Some(&true) => return,
                Ok(_) => {}
                Err(error) => return self.world.tell(&format!("DHCP is served no more: {error}")),
            }
        }
    }

    /// Takes in what came; gives how long nothing is to be done then.
    fn turn(&self) -> Result<Option<std::time::Duration>, String> {
        let (clock, mut desk) = (self.clock(), self.desk());
        for _ in 0..FRAMES_A_TURN {
            let Some(tapped) = self.tap.receive().map_err(|failed| failed.to_string())? else { break };
            let heard = desk.heard(&tapped.frame, checksum(&tapped), clock, &mut &*self);
            self.unless_stored(heard);
        }
        let told = desk.time(clock, &mut &*self);
        self.unless_stored(told);
        Ok(desk.wake_at().map(|at| at.saturating_sub(os::clock::boot())))
    }

    /// What is not stored was not said; clients ask again.
    fn unless_stored(&self, done: Result<(), store::Failed>) {
        if let Err(failed) = done {
            self.world.tell(&format!("a DHCP lease was not given: {failed}"));
        }
    }
}

fn checksum(tapped: &Tapped) -> UdpChecksum {
    if tapped.checksum_ready { UdpChecksum::Ready } else { UdpChecksum::NotReady }
}

impl Ground for &Shared {
    type Error = store::Failed;

    fn store(&mut self, record: &Record) -> Result<(), store::Failed> {
        let lease = kept::lease(record);
        let put = Transaction::new().put(&kept::lease_key(&lease), records::value(&lease));
        self.store.commit(put).map(drop)
    }

    fn send(&mut self, frame: &[u8]) {
        // A link that does not take it is as a wire that loses it.
        drop(self.tap.send(frame));
    }

    fn report(&mut self, report: &Report) {
        let (code, message) = told(report);
        self.tell(code, message);
    }
}

impl Shared {
    /// Tells whoever watches the console run, and whoever asks later.
    fn tell(&self, code: &str, message: String) {
        let report = DhcpReport { code: code.to_owned(), message, at: self.world.now() };
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let before = reports.len();
        reports.retain(|other| other.message != report.message);
        if reports.len() == before {
            self.world.tell(&format!("DHCP: {}", report.message));
        }
        if reports.len() == REPORTS_MAX {
            reports.pop_front();
        }
        reports.push_back(report);
    }
}

fn told(report: &Report) -> (&'static str, String) {
    match report {
        Report::Full { class, client } => {
            ("full", format!("the pool for {class} is full: {client} gets no address"))
        }
        Report::ReservedInUse { address, client } => (
            "reserved-in-use",
            format!("{address} is kept for {client}, and another has it until its lease ends"),
        ),
        Report::Foreign { server, mac } => {
            let station = mac.map_or_else(String::new, |mac| format!(" from {mac}"));
            ("foreign-server", format!("another DHCP server answers on this link: {server}{station}"))
        }
        Report::InUse { address } => {
            ("in-use", format!("{address} is used by a station that was not given it"))
        }
    }
}
