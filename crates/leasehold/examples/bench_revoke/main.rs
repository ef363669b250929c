//! `cargo xtask bench revoke`: from the order that takes a boundary back to the last packet that it had admitted, at
//! whoever hears it. Needs root; the programs are expected in the folder above this example's own.
//!
//! The clock starts before the order is handed to the supervisor: its verification and the fsync of its record are in
//! each figure. It stops with the last packet before a long silence: of open flows, UDP from the realm and a TCP
//! connection to it; and of flows that are begun all the time, each by one datagram to the realm. Each of thirty
//! rounds is within the bound, or this fails.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lab::{Facility, Failed, Guard, Host, INTERNET, Object, Party, Plan, Standing, Transport};
use node_protocol::call::Answer;
use serde_json::json;
use tenure::{Boundary, Grant, Lease, Quota, Rights, Terms, Verb};

const ROUNDS: usize = 30;
const BOUND_MS: f64 = 100.0;
const TENANT: &str = "tenant";
const PORTS: [u16; 4] = [9001, 9002, 9003, 9004];
/// Where new flows are begun.
const NEW: u16 = 9100;
const REALM: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 11);
/// Between two datagrams.
const EVERY: Duration = Duration::from_micros(200);
/// Between two new flows: those of a minute have room in the realm's table.
const NEW_EVERY: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(20);
/// What comes through before it is taken back: datagrams of open flows, of new ones, and answers on the connection.
const ENOUGH: [u64; 3] = [200, 20, 20];
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);
/// When nothing was heard for so long, nothing comes any more.
const SILENCE: Duration = Duration::from_millis(250);
const OPEN: &str = "version = 1\n[[allow]]\nremote = [\"internet\"]\n";
/// What is left when it is taken back.
const LEFT: &str = "version = 1\n[[allow]]\ndirection = \"in\"\nprotocol = \"tcp\"\nremote = [\"internet\"]\nlocal_port = 22\n";

fn main() -> ExitCode {
    if let Some(ended) = lab::serve() {
        return ended;
    }
    match rounds() {
        Ok(rounds) => {
            let within = [
                told("revoke", rounds.iter().map(|round| round.open)),
                told("revoke_new", rounds.iter().map(|round| round.new)),
            ];
            if within.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(failed) => {
            println!("error: {}", failed.told());
            ExitCode::FAILURE
        }
    }
}

/// Prints the 99th percentile, which of thirty is the worst, and the median; gives whether the bound was kept.
fn told(name: &str, each: impl Iterator<Item = Duration>) -> bool {
    let mut ms: Vec<f64> = each.map(|time| time.as_secs_f64() * 1e3).collect();
    ms.sort_by(f64::total_cmp);
    let (best, median, worst) = (ms[0], ms[ms.len() / 2], ms[ms.len() - 1]);
    let figure = |name: String, value: f64| {
        let line = json!({
            "bench": "revoke", "figure": name, "value": value, "unit": "ms", "bound": BOUND_MS, "runs": ROUNDS,
            "median": median,
            "spread": [best, worst],
        });
        println!("{line}");
    };
    figure(format!("{name}_ms"), worst);
    figure(format!("{name}_median_ms"), median);
    worst <= BOUND_MS
}

/// What one revocation took, until the last packet of a flow that was open, and of one that was begun.
struct Round {
    open: Duration,
    new: Duration,
}

fn rounds() -> Result<Vec<Round>, Failed> {
    let guard = Guard::start()?;
    let bench = Bench::new(&guard)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let beginning = scope.spawn(|| bench.begin_flows(&stop));
        let rounds = (0..ROUNDS).map(|_| bench.round()).collect();
        stop.store(true, Ordering::Relaxed);
        let ended = beginning.join().map_err(|_panic| Failed::new("begin flows", "it panicked"))?;
        ended.and(rounds)
    })
}

struct Bench {
    facility: Facility,
    tenant: Party,
    engine: Host,
    /// The outside's connection to the realm. It outlives the rounds: what is cut off goes on once it is admitted.
    connection: usize,
}

impl Bench {
    /// With everything admitted, and all flows under way.
    fn new(guard: &Guard) -> Result<Self, Failed> {
        let (landlord, tenant) = (Party::new()?, Party::new()?);
        let random: [u8; 3] = os::random::bytes().map_err(|error| Failed::new("choose a name", error))?;
        let prefix = format!("br{:02x}{:02x}{:02x}", random[0], random[1], random[2]);
        let mut plan = Plan::new(prefix, 1, &[TENANT]);
        plan.bmonitor = Some(program("bmonitor")?);
        plan.nodes.iter_mut().for_each(|node| node.enrolment = landlord.enrolment("landlord"));
        let mut facility = Facility::build(plan, guard)?;
        facility.nodes_mut()[0].start_supervisor(&[], false)?;
        lease(&facility, &landlord, &tenant)?;
        let path = facility.path_of(&format!("n1-{TENANT}"));
        let engine = facility.nodes_mut()[0].start_engine("engine", &path)?;
        PORTS.iter().try_for_each(|&port| facility.internet.listen(Transport::Udp, port))?;
        engine.listen(Transport::Udp, NEW)?;
        engine.listen(Transport::Tcp, 80)?;
        engine.send(&PORTS.map(|port| SocketAddr::new(INTERNET, port)), EVERY)?;
        let refused = |why| Failed::new("connect", why);
        let connection = facility.internet.connect(SocketAddr::new(REALM.into(), 80), PATIENCE)?;
        let connection = connection.map_err(refused)?;
        facility.internet.stream(connection)?;
        Ok(Self { facility, tenant, engine, connection })
    }

    /// Begins a flow to the realm with each datagram.
    fn begin_flows(&self, stop: &AtomicBool) -> Result<(), Failed> {
        let act = "begin flows";
        let begun = self.facility.namespace("internet")?.run(|| -> std::io::Result<()> {
            while !stop.load(Ordering::Relaxed) {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
                // What cannot be sent now is lost, as anywhere on the way.
                socket.send_to(&[0], (REALM, NEW)).unwrap_or_default();
                os::poll::wait(&[], Some(NEW_EVERY))?;
            }
            Ok(())
        });
        begun.map_err(|error| Failed::new(act, error))?.map_err(|error| Failed::new(act, error))
    }

    /// Admits everything, and takes it back.
    fn round(&self) -> Result<Round, Failed> {
        self.order(OPEN)?;
        self.facility.nodes()[0].settled(PATIENCE)?;
        let (outside, open) = (&self.facility.internet, self.connection);
        let count = || -> Result<[u64; 3], Failed> {
            Ok([heard(outside)?.0, heard(&self.engine)?.0, outside.streamed(open)?.answers])
        };
        let (before, began) = (count()?, os::clock::monotonic());
        while count()?.iter().zip(before).zip(ENOUGH).any(|((now, before), enough)| *now < before + enough) {
            if os::clock::monotonic().saturating_sub(began) > PATIENCE {
                return Err(Failed::new("hear what is admitted", "it does not come"));
            }
            pause()?;
        }
        let ordered = os::clock::monotonic();
        self.order(LEFT)?;
        let last = || -> Result<(Duration, Duration), Failed> {
            let streamed = Duration::from_nanos(outside.streamed(open)?.last_ns);
            Ok((heard(outside)?.1.max(streamed), heard(&self.engine)?.1))
        };
        let (last_open, last_new) = loop {
            let last = last()?;
            if os::clock::monotonic().saturating_sub(last.0.max(last.1)) > SILENCE {
                break last;
            }
            pause()?;
        };
        Ok(Round { open: last_open.saturating_sub(ordered), new: last_new.saturating_sub(ordered) })
    }

    /// The tenant sets its boundary.
    fn order(&self, text: &str) -> Result<(), Failed> {
        let (object, node) = (Object::new(text)?, &self.facility.nodes()[0]);
        let verb = Verb::Boundary(Boundary { tier: None, object: object.name() });
        let order = self.tenant.order(&standing(&self.facility, TENANT)?, verb);
        accepted(&node.caller().order(&order, &[&object], PATIENCE)?)
    }
}

fn lease(facility: &Facility, landlord: &Party, tenant: &Party) -> Result<(), Failed> {
    let object = Object::new(OPEN)?;
    let lease = Lease {
        name: TENANT.parse().map_err(|error| Failed::new("name a tier", error))?,
        contract: "L-1".to_owned().try_into().map_err(|error: String| Failed::new("lease", error))?,
        terms: Terms::ALWAYS,
        rights: Grant::ALL,
        quota: Quota { tiers: 0, keys: 2, objects: 4, records_per_hour: 1_000, space_mib: 0 },
        keys: vec![tenant.controller(Rights::ALL)],
        boundary: object.name(),
        consoles: Vec::new(),
        directory: None,
    };
    let order = landlord.order(&standing(facility, "landlord")?, Verb::Lease(lease));
    accepted(&facility.nodes()[0].caller().order(&order, &[&object], PATIENCE)?)?;
    facility.nodes()[0].settled(PATIENCE).map(drop)
}

fn standing(facility: &Facility, tier: &str) -> Result<Standing, Failed> {
    let status = facility.nodes()[0].settled(PATIENCE)?;
    Standing::of(&status, tier).ok_or_else(|| Failed::new("go on", "there is no such tier"))
}

/// How many datagrams came to somebody's ports, and when the last did.
fn heard(who: &Host) -> Result<(u64, Duration), Failed> {
    let heard = who.heard()?;
    let datagrams = || heard.iter().filter(|heard| heard.transport == Transport::Udp);
    let last = datagrams().map(|heard| heard.last_ns).max().unwrap_or(0);
    Ok((datagrams().map(|heard| heard.count).sum(), Duration::from_nanos(last)))
}

fn accepted(answer: &Answer) -> Result<(), Failed> {
    if matches!(answer, Answer::Accepted { .. }) {
        return Ok(());
    }
    Err(Failed::new("order", format!("the node said {answer:?}")))
}

fn pause() -> Result<(), Failed> {
    os::poll::wait(&[], Some(LOOK)).map(drop).map_err(|error| Failed::new("wait", error))
}

/// A program that was built with this example.
fn program(name: &str) -> Result<PathBuf, Failed> {
    let act = || format!("find {name}");
    let own = std::env::current_exe().map_err(|error| Failed::new(act(), error))?;
    let path = own.parent().and_then(|folder| folder.parent()).map(|folder| folder.join(name));
    path.filter(|path| path.exists()).ok_or_else(|| Failed::new(act(), "it is not built"))
}
