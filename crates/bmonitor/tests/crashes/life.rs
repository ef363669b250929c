//! A node's life with one crash in it: leased, opened, changed, narrowed, renewed, severed, leased again.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use id::{Digest, Time};
use keys::Envelope;
use lab::{Caller, Facility, Guard, Host, Object, Party, Plan, Standing, Target, Transport};
use node_protocol::call::{Answer, Call, Status};
use tenure::{Boundary, Console, Grant, Lease, Quota, Renew, Rights, Target as Below, Terms, Verb};

use crate::demand;
use crate::point::{How, Point};

pub(crate) const TENANT: &str = "tenant-a";
const LANDLORD: &str = "landlord";
/// Ports that some act opens to the outside client.
pub(crate) const OPENED: [u16; 2] = [80, 443];
/// Ports that none does, though an engine listens on all of them.
const NEVER: [(Transport, u16); 2] = [(Transport::Tcp, 22), (Transport::Udp, 53)];
/// Where the realm's engine tries to send to.
const DISCARD: u16 = 9;

const PATIENCE: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_millis(100);
/// How long a status is waited for before the node is asked how it is meanwhile.
const GLANCE: Duration = Duration::from_millis(40);

/// What parties order, in this order, over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Lease,
    Open,
    Change,
    Narrow,
    Renew,
    Sever,
}

pub(crate) const ACTS: [Act; 6] = [Act::Lease, Act::Open, Act::Change, Act::Narrow, Act::Renew, Act::Sever];

impl Act {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Open => "open",
            Self::Change => "change",
            Self::Narrow => "narrow",
            Self::Renew => "renew",
            Self::Sever => "sever",
        }
    }
}

/// A console that nobody is: the tenant has a courier, which dials it in vain.
fn nobody() -> Console {
    let key = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".parse().unwrap();
    Console { key, addresses: vec!["10.0.0.1:9".parse().unwrap()] }
}

/// What a life showed.
pub(crate) struct Found {
    orders: usize,
    probes: u64,
    crash: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, probes, crash } = self;
        write!(f, "{crash}; {orders} orders kept, {probes} probes, none passed; kernel equals journal")
    }
}

/// A node, its parties, and what was said to it.
pub(crate) struct Life {
    pub(crate) facility: Facility,
    _guard: Guard,
    landlord: Party,
    tenant: Party,
    server: Option<Host>,
    /// Connections that were open after the last act: port and number.
    held: Vec<(u16, usize)>,
    /// Orders that the node acknowledged.
    pub(crate) acknowledged: Vec<Digest>,
    /// The crash, once it has been seen.
    crash: Option<String>,
    probes: u64,
}

/// Lives a life with the crash in it.
pub(crate) fn live(point: &Point) -> Found {
    let mut life = Life::begin(point);
    let mut after = 0;
    // Twice through all acts: every step is passed after any act at which it is armed.
    for number in 0..2 * ACTS.len() {
        if number == point.act {
            life.arm(point);
        }
        let act = ACTS[number % ACTS.len()];
        let timed = match (&point.how, number == point.act) {
            (How::After(span), true) => Some(*span),
            (How::After(_) | How::Step { .. }, _) => None,
        };
        life.perform(act, timed);
        if life.crash.is_some() {
            life.look(act);
            // The next act shows that the node lives on.
            after += 1;
            if after == 2 {
                break;
            }
        }
        life.hold(act);
    }
    life.end(point)
}

impl Life {
    fn begin(point: &Point) -> Self {
        let mut random = point.random();
        let landlord = Party::of_seed(&random.bytes()).unwrap();
        let tenant = Party::of_seed(&random.bytes()).unwrap();
        let guard = Guard::start().unwrap();
        let own: [u8; 3] = os::random::bytes().unwrap();
        let mut plan = Plan::new(format!("cr{:02x}{:02x}{:02x}", own[0], own[1], own[2]), 1, &[TENANT]);
        plan.bmonitor = Some(PathBuf::from(env!("CARGO_BIN_EXE_bmonitor")));
        plan.nodes[0].enrolment = landlord.enrolment(LANDLORD);
        let facility = Facility::build(plan, &guard).unwrap();
        facility.internet.listen(Transport::Udp, DISCARD).unwrap();
        let targets: Vec<Target> =
            NEVER.iter().map(|(transport, port)| Target { transport: *transport, to: at(*port) }).collect();
        facility.internet.probe(&targets).unwrap();
        let mut life = Self {
            facility,
            _guard: guard,
            landlord,
            tenant,
            server: None,
            held: Vec::new(),
            acknowledged: Vec::new(),
            crash: None,
            probes: 0,
        };
        let enrols = matches!(&point.how, How::Step { name, .. } if name.starts_with("enrol:"));
        if enrols {
            life.arm(point);
        } else {
            life.start(&[]);
            life.settle();
        }
        life
    }

    /// Lets the processes of the monitor die at the point's step from now on. The supervisor that ran so
    /// far is killed for that: one more crash, at a quiet time.
    fn arm(&mut self, point: &Point) {
        let How::Step { name, .. } = &point.how else { return };
        if self.crash.is_some() {
            return;
        }
        // None runs before the first start.
        if self.facility.nodes()[0].was_started() {
            self.facility.nodes_mut()[0].kill_supervisor().unwrap();
        }
        // The first helper that looks at a realm which is there finds its policy in the maps already.
        let second = name == "policy:prepared" && self.server.is_some();
        let die_at = if second { format!("{name}:2") } else { name.clone() };
        self.start(&["--die-at", &die_at]);
        self.settle();
    }

    fn start(&mut self, further: &[&str]) {
        self.facility.nodes_mut()[0].start_supervisor(further, false).unwrap();
    }

    pub(crate) fn caller(&self) -> Caller {
        self.facility.nodes()[0].caller()
    }

    /// One act: its order is acknowledged, by this supervisor or the next, and the node has settled.
    fn perform(&mut self, act: Act, killed_after: Option<Duration>) {
        let (envelope, object) = self.order(act);
        let objects: Vec<&Object> = object.iter().collect();
        if act == Act::Renew || act == Act::Sever {
            self.listen_to_server();
        }
        let answer = match killed_after {
            Some(span) => self.submit_and_kill(&envelope, &objects, span),
            None => self.caller().order(&envelope, &objects, PATIENCE),
        };
        let kept = Digest::of(envelope.to_json().as_bytes());
        match answer {
            Ok(Answer::Accepted { .. }) => (),
            Ok(other) => panic!("{act:?}: {other:?}\n{}", self.log()),
            // Nobody knows what became of it; the next supervisor does. What it has not, it is given again:
            // the same bytes.
            Err(_lost) => {
                self.restart_the_dead();
                self.settle();
                if !demand::journal_has(&self.caller().journal(PATIENCE).unwrap(), &kept) {
                    let again = self.caller().order(&envelope, &objects, PATIENCE);
                    assert!(matches!(again, Ok(Answer::Accepted { .. })), "{act:?} again: {again:?}");
                }
            }
        }
        self.acknowledged.push(kept);
        self.settle();
        self.note_the_step();
        if act == Act::Renew || act == Act::Sever {
            let lives = self.server.as_ref().is_some_and(|server| server.heard().is_ok());
            assert!(!lives, "{act:?}: the engine lives\n{}", self.log());
        }
        self.serve(act);
    }

    fn submit_and_kill(
        &mut self,
        envelope: &Envelope,
        objects: &[&Object],
        after: Duration,
    ) -> Result<Answer, lab::Failed> {
        let caller = self.caller();
        let node = &mut self.facility.nodes_mut()[0];
        let answer = thread::scope(|scope| {
            let answer = scope.spawn(|| caller.order(envelope, objects, PATIENCE));
            // The seeded time: nothing is ready, so this is the clock alone.
            os::poll::wait(&[], Some(after)).unwrap();
            node.kill_supervisor().unwrap();
            answer.join().unwrap()
        });
        self.crash = Some("killed".to_owned());
        self.start(&[]);
        answer
    }

    /// Waits until nothing is pending; starts a supervisor that has died at its step again.
    fn settle(&mut self) -> Status {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "not settled: {:?}\n{}", self.glance(), self.log());
            if let Ok((Answer::Status(status), _)) =
                self.caller().call(&Call::Status { settled: true }, &[], GLANCE)
            {
                return *status;
            }
            self.restart_if_dead();
            if self.glance().is_none() {
                // Not there yet, or not any more: asked again a little later, until the deadline.
                os::poll::wait(&[], Some(Duration::from_millis(2))).unwrap();
            }
        }
    }

    /// How the node is, settled or not.
    fn glance(&self) -> Option<Status> {
        match self.caller().call(&Call::Status { settled: false }, &[], GLANCE) {
            Ok((Answer::Status(status), _)) => Some(*status),
            Ok(_) | Err(_) => None,
        }
    }

    /// A process that dies at its step says so: the supervisor, a helper or custody.
    fn note_the_step(&mut self) {
        let log = self.log();
        let said = log.lines().rev().find_map(|line| line.strip_prefix("dies at "));
        if let Some(step) = said.filter(|_| self.crash.is_none()) {
            self.crash = Some(format!("died at {step}"));
        }
    }

    fn restart_if_dead(&mut self) {
        let ended = self.facility.nodes_mut()[0].supervisor_ended(Duration::ZERO);
        if let Ok(ending) = ended {
            self.restart(&ending);
        }
    }

    /// The answer to an order was lost: a supervisor has died, or dies now.
    fn restart_the_dead(&mut self) {
        if self.crash.is_some() {
            return;
        }
        let ending = self.facility.nodes_mut()[0].supervisor_ended(PATIENCE).unwrap();
        self.restart(&ending);
    }

    fn restart(&mut self, ending: &lab::Ending) {
        assert_eq!(ending.how, "signal 9", "{}", self.log());
        self.start(&[]);
    }

    fn order(&mut self, act: Act) -> (Envelope, Option<Object>) {
        let status = self.settle();
        let standing = |name| Standing::of(&status, name).unwrap();
        let landlord = standing(LANDLORD);
        let object = match act {
            Act::Lease => Some(allow(&[80, 443])),
            Act::Open | Act::Narrow => Some(allow(&[80])),
            Act::Change => Some(allow(&[443])),
            Act::Renew | Act::Sever => None,
        };
        let name = object.as_ref().map(Object::name);
        let boundary = |tier| Verb::Boundary(Boundary { tier, object: name.unwrap() });
        let below = || standing(TENANT).tier;
        let envelope = match act {
            Act::Lease => self.landlord.order(&landlord, Verb::Lease(self.lease(name.unwrap()))),
            Act::Open | Act::Change => self.tenant.order(&standing(TENANT), boundary(None)),
            Act::Narrow => self.landlord.order(&landlord, boundary(Some(below()))),
            Act::Renew => self
                .tenant
                .order(&standing(TENANT), Verb::Renew(Renew { tier: None, keep: vec![], nonce: None })),
            Act::Sever => self.landlord.order(&landlord, Verb::Sever(Below { tier: below() })),
        };
        (envelope, object)
    }

    fn lease(&self, boundary: Digest) -> Lease {
        Lease {
            name: TENANT.parse().unwrap(),
            contract: "L-9".to_owned().try_into().unwrap(),
            terms: Terms { not_before: Time::ZERO, until: Time::MAX },
            rights: Grant::ALL,
            quota: Quota { tiers: 1, keys: 8, objects: 8, records_per_hour: 1000, space_mib: 64 },
            keys: vec![self.tenant.controller(Rights::ALL)],
            boundary,
            consoles: vec![nobody()],
            directory: None,
        }
    }

    /// After an act the realm, where there is one, has an engine that listens on every port and tries to
    /// send out all the time.
    fn serve(&mut self, act: Act) {
        if act == Act::Sever {
            self.server = None;
            return;
        }
        if self.server.as_ref().is_some_and(|server| server.heard().is_ok()) {
            return;
        }
        let path = self.facility.path_of(&format!("n1-{TENANT}"));
        let server = self.facility.nodes_mut()[0].start_engine("server", &path).unwrap();
        for port in OPENED {
            server.listen(Transport::Tcp, port).unwrap();
        }
        for (transport, port) in NEVER {
            server.listen(transport, port).unwrap();
        }
        let out = SocketAddr::new(lab::INTERNET, DISCARD);
        server.probe(&[Target { transport: Transport::Udp, to: out }]).unwrap();
        self.server = Some(server);
    }

    /// Opens a connection to each port that the act left open. Those of the act before are looked at only
    /// if this act was hit.
    fn hold(&mut self, act: Act) {
        let ports: &[u16] = match act {
            Act::Lease => &[80, 443],
            Act::Open => &[80],
            Act::Change => &[443],
            Act::Narrow | Act::Renew | Act::Sever => &[],
        };
        let connect = |port: &u16| {
            let connection = self.facility.internet.connect(at(*port), PATIENCE).unwrap().unwrap();
            self.facility.internet.exchange(connection, PATIENCE).unwrap().unwrap();
            (*port, connection)
        };
        self.held = ports.iter().map(connect).collect();
    }

    /// What came to the realm's engine: on ports that are never open, nothing.
    fn listen_to_server(&self) {
        let Some(server) = &self.server else { return };
        for heard in server.heard().unwrap() {
            let never = NEVER.contains(&(heard.transport, heard.port));
            assert!(!never || heard.count == 0, "the realm heard {heard:?}\n{}", self.log());
        }
    }

    /// Compares the kernel with the journal, and tries what passes.
    fn look(&mut self, act: Act) {
        let status = self.settle();
        let open = demand::check(self, &status);
        let engine_lives = !matches!(act, Act::Renew | Act::Sever);
        for (port, connection) in std::mem::take(&mut self.held) {
            let wanted = engine_lives && open.contains(&port);
            let within = if wanted { PATIENCE } else { SILENCE };
            let exchanged = self.facility.internet.exchange(connection, within).unwrap();
            assert_eq!(exchanged.is_ok(), wanted, "{act:?}: held on {port}: {exchanged:?}\n{}", self.log());
        }
        for port in OPENED {
            let wanted = open.contains(&port);
            let within = if wanted { PATIENCE } else { SILENCE };
            let connected = self.facility.internet.connect(at(port), within).unwrap();
            assert_eq!(connected.is_ok(), wanted, "{act:?}: port {port}: {connected:?}\n{}", self.log());
            if let Ok(connection) = connected {
                self.facility.internet.exchange(connection, PATIENCE).unwrap().unwrap();
            }
        }
        self.listen_to_server();
    }

    fn end(mut self, point: &Point) -> Found {
        let crash = self.crash.take().unwrap_or_else(|| panic!("{point} was never reached\n{}", self.log()));
        let probed = self.facility.internet.probed().unwrap();
        let passed: u64 = probed.iter().map(|probed| probed.passed).sum();
        self.probes += probed.iter().map(|probed| probed.sent).sum::<u64>();
        assert!(passed == 0 && self.probes > 0, "{probed:?}");
        let heard = self.facility.internet.heard().unwrap();
        assert!(heard.iter().all(|heard| heard.count == 0), "the realm sent: {heard:?}");
        self.listen_to_server();
        Found { orders: self.acknowledged.len(), probes: self.probes, crash }
    }

    pub(crate) fn log(&self) -> String {
        self.facility.nodes()[0].log()
    }
}

/// TCP from the outside client's network to these ports.
fn allow(ports: &[u16]) -> Object {
    let text = format!(
        "version = 1\n[[allow]]\ndirection = \"in\"\nprotocol = \"tcp\"\n\
         remote = [\"203.0.113.0/24\"]\nlocal_port = {ports:?}\n"
    );
    Object::new(&text).unwrap()
}

/// A port of the realm.
fn at(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::Ipv4Addr::new(10, 1, 0, 11).into(), port)
}
