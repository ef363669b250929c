//! From a severing's order to the last packet of the old tenant at its peer, the tenant sending without end; and
//! to the end of the connection that the node has to the tenant's console.
//!
//! The clock starts before the order is handed to the supervisor: its verification and the fsync of its
//! record are in both figures. It stops with the last packet that the peer heard before a long silence, and when
//! the console sees that its connection is over.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use lab::{Facility, Failed, Guard, Host, INTERNET, Object, Party, Plan, Standing, Transport};
use node_protocol::call::Answer;
use tenure::{Grant, Lease, Quota, Rights, Target, Terms, Verb};

use super::console::Console;
use super::figure::{figure, sorted};
use super::program;

const ROUNDS: usize = 30;
/// "p99 of 30 under 100 ms" (issue 3).
const BOUND_MS: f64 = 100.0;
const TENANT: &str = "tenant";
const PORTS: [u16; 4] = [9001, 9002, 9003, 9004];
/// Between two datagrams of a flow.
const EVERY: Duration = Duration::from_micros(200);
const PATIENCE: Duration = Duration::from_secs(20);
/// When the peer heard nothing for so long, nothing comes any more.
const SILENCE: Duration = Duration::from_millis(250);
const OPEN: &str = "version = 1\n[[allow]]\nremote = [\"internet\"]\n";

/// The figures, a JSON object each.
pub(super) fn figures() -> Result<Vec<String>, Failed> {
    let guard = Guard::start()?;
    let mut bench = Bench::new(&guard)?;
    let rounds = (0..ROUNDS).map(|_| bench.round()).collect::<Result<Vec<Round>, Failed>>()?;
    let packets = rounds.iter().map(|round| round.last_packet);
    let connections = rounds.iter().map(|round| round.connection);
    let (packets, connections) = (row("sever", packets), row("sever_console", connections));
    Ok([packets, connections].concat())
}

/// The 99th percentile and the median of one figure.
fn row(name: &str, each: impl Iterator<Item = Duration>) -> Vec<String> {
    let ms = sorted(each.map(|time| time.as_secs_f64() * 1e3));
    let whole = figure(&format!("{name}_ms"), "ms", &ms, 0.99, Some(BOUND_MS));
    vec![whole, figure(&format!("{name}_median_ms"), "ms", &ms, 0.5, None)]
}

/// What one severing took.
struct Round {
    /// Until the last packet at the peer.
    last_packet: Duration,
    /// Until the end of the connection to the tenant's console.
    connection: Duration,
}

struct Bench {
    facility: Facility,
    landlord: Party,
    tenant: Party,
    console: Console,
}

impl Bench {
    fn new(guard: &Guard) -> Result<Self, Failed> {
        let (landlord, tenant) = (Party::new()?, Party::new()?);
        let random: [u8; 3] = os::random::bytes().map_err(|error| Failed::new("choose a name", error))?;
        let prefix = format!("bt{:02x}{:02x}{:02x}", random[0], random[1], random[2]);
        let mut plan = Plan::new(prefix, 1, &[TENANT]);
        plan.bmonitor = Some(program("bmonitor")?);
        plan.nodes.iter_mut().for_each(|node| node.enrolment = landlord.enrolment("landlord"));
        let mut facility = Facility::build(plan, guard)?;
        for node in facility.nodes_mut() {
            node.start_supervisor(&[], false)?;
            node.settled(PATIENCE)?;
        }
        PORTS.iter().try_for_each(|&port| facility.internet.listen(Transport::Udp, port))?;
        let console = Console::open(&facility)?;
        Ok(Self { facility, landlord, tenant, console })
    }

    /// Leases, lets the tenant's console and its packets through, severs.
    fn round(&mut self) -> Result<Round, Failed> {
        self.lease()?;
        let connection = self.console.connection(PATIENCE)?;
        let path = self.facility.path_of(&format!("n1-{TENANT}"));
        let engine = self.facility.nodes_mut()[0].start_engine("flood", &path)?;
        engine.listen(Transport::Tcp, 80)?;
        let realm = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 11)), 80);
        let internet = &self.facility.internet;
        let refused = |why| Failed::new("connect", why);
        let open = internet.connect(realm, PATIENCE)?.map_err(refused)?;
        internet.stream(open)?;
        let before = heard(internet)?.0;
        engine.send(&PORTS.map(|port| SocketAddr::new(INTERNET, port)), EVERY)?;
        while heard(internet)?.0 < before + 200 || internet.streamed(open)?.answers < 20 {}
        let severed = self.standing(TENANT)?;
        let order =
            self.landlord.order(&self.standing("landlord")?, Verb::Sever(Target { tier: severed.tier }));
        let ordered = os::clock::monotonic();
        let answer = self.facility.nodes()[0].caller().order(&order, &[], PATIENCE)?;
        accepted("sever", &answer)?;
        self.facility.nodes()[0].settled(PATIENCE)?;
        let internet = &self.facility.internet;
        let last = loop {
            let last = heard(internet)?.1.max(Duration::from_nanos(internet.streamed(open)?.last_ns));
            if os::clock::monotonic().saturating_sub(last) > SILENCE {
                break last;
            }
        };
        let ended = self.console.ended(connection, PATIENCE)?;
        Ok(Round { last_packet: last.saturating_sub(ordered), connection: ended.saturating_sub(ordered) })
    }

    fn lease(&self) -> Result<(), Failed> {
        let object = Object::new(OPEN)?;
        let lease = Lease {
            name: TENANT.parse().map_err(|error| Failed::new("name a tier", error))?,
            contract: "L-1".to_owned().try_into().map_err(|error: String| Failed::new("lease", error))?,
            terms: Terms::ALWAYS,
            rights: Grant::ALL,
            quota: Quota { tiers: 0, keys: 2, objects: 4, records_per_hour: 100, space_mib: 256 },
            keys: vec![self.tenant.controller(Rights::ALL)],
            boundary: object.name(),
            consoles: vec![self.console.named()],
            directory: None,
        };
        let node = &self.facility.nodes()[0];
        let order = self.landlord.order(&self.standing("landlord")?, Verb::Lease(lease));
        accepted("lease", &node.caller().order(&order, &[&object], PATIENCE)?)?;
        let order = self.tenant.order(
            &self.standing(TENANT)?,
            Verb::Boundary(tenure::Boundary { tier: None, object: object.name() }),
        );
        accepted("open", &node.caller().order(&order, &[&object], PATIENCE)?)?;
        node.settled(PATIENCE).map(drop)
    }

    fn standing(&self, tier: &str) -> Result<Standing, Failed> {
        let status = self.facility.nodes()[0].settled(PATIENCE)?;
        Standing::of(&status, tier).ok_or_else(|| Failed::new("go on", "there is no such tier"))
    }
}

/// How many datagrams the peer heard, and when the last.
fn heard(peer: &Host) -> Result<(u64, Duration), Failed> {
    let heard = peer.heard()?;
    let last = heard.iter().map(|heard| heard.last_ns).max().unwrap_or(0);
    Ok((heard.iter().map(|heard| heard.count).sum(), Duration::from_nanos(last)))
}

fn accepted(what: &str, answer: &Answer) -> Result<(), Failed> {
    if matches!(answer, Answer::Accepted { .. }) {
        return Ok(());
    }
    Err(Failed::new(what, format!("the node said {answer:?}")))
}
