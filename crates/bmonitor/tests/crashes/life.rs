//! A node's life with one crash in it: leased, opened, changed, narrowed, renewed, severed, leased again.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use keys::Envelope;
use lab::{Host, Object, Target, Transport};
use tenure::{Boundary, Renew, Target as Below, Verb};

use crate::demand;
use crate::point::{How, Point, Story, Victim};
use crate::subject::{OPENED, PATIENCE, SILENCE, Subject, TENANT, allow, at};

/// Ports that none does, though an engine listens on all of them.
const NEVER: [(Transport, u16); 2] = [(Transport::Tcp, 22), (Transport::Udp, 53)];
/// Where the realm's engine tries to send to.
const DISCARD: u16 = 9;

/// What parties order, in this order, over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Lease,
    Open,
    Change,
    Narrow,
    Renew,
    Sever,
}

const ACTS: [Act; 6] = [Act::Lease, Act::Open, Act::Change, Act::Narrow, Act::Renew, Act::Sever];

pub(crate) const STORY: Story = Story {
    acts: &["lease", "open", "change", "narrow", "renew", "sever"],
    // A node is enrolled once, before the first act. All else is passed again: a life goes twice through all acts.
    last_for: |step| if step.starts_with("enrol:") { 0 } else { ACTS.len() - 1 },
    victims: &[Victim::Supervisor, Victim::Supervisor, Victim::Couriers],
    unpacks: 0,
};

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

/// A node in whose realm an engine of the lab listens to everything.
struct Life {
    subject: Subject,
    server: Option<Host>,
    /// Connections that were open after the last act: port and number.
    held: Vec<(u16, usize)>,
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
            (How::After(victim, span), true) => Some((*victim, *span)),
            (How::After(..) | How::Step { .. }, _) => None,
        };
        life.perform(act, timed);
        if life.subject.crash.is_some() {
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
        let subject = Subject::new(point.random());
        let internet = &subject.facility.internet;
        internet.listen(Transport::Udp, DISCARD).unwrap();
        let targets: Vec<Target> =
            NEVER.iter().map(|(transport, port)| Target { transport: *transport, to: at(*port) }).collect();
        internet.probe(&targets).unwrap();
        let mut life = Self { subject, server: None, held: Vec::new(), probes: 0 };
        let enrols = matches!(&point.how, How::Step { name, .. } if name.starts_with("enrol:"));
        if enrols {
            life.arm(point);
        } else {
            life.subject.start(&[]);
            life.subject.settle();
        }
        life
    }

    fn arm(&mut self, point: &Point) {
        let How::Step { name, .. } = &point.how else { return };
        if self.subject.crash.is_some() {
            return;
        }
        // The first helper that looks at a realm which is there finds its policy in the maps already.
        let second = name == "policy:prepared" && self.server.is_some();
        let die_at = if second { format!("{name}:2") } else { name.clone() };
        self.subject.arm(&die_at);
    }

    /// One act: its order is acknowledged, by this supervisor or the next, and the node has settled.
    fn perform(&mut self, act: Act, hit: Option<(Victim, Duration)>) {
        let order = self.order(act);
        if act == Act::Renew || act == Act::Sever {
            self.listen_to_server();
        }
        self.subject.obey(STORY.acts[act as usize], order, hit);
        if act == Act::Renew || act == Act::Sever {
            let lives = self.server.as_ref().is_some_and(|server| server.heard().is_ok());
            assert!(!lives, "{act:?}: the engine lives\n{}", self.subject.log());
        }
        self.serve(act);
    }

    fn order(&mut self, act: Act) -> (Envelope, Option<Object>) {
        let status = self.subject.settle();
        let object = match act {
            Act::Lease => Some(allow(&[80, 443])),
            Act::Open | Act::Narrow => Some(allow(&[80])),
            Act::Change => Some(allow(&[443])),
            Act::Renew | Act::Sever => None,
        };
        let name = object.as_ref().map(Object::name);
        let boundary = |tier| Verb::Boundary(Boundary { tier, object: name.unwrap() });
        let below = || status.tiers.iter().find(|tier| tier.name.as_str() == TENANT).unwrap().tier;
        let (landlord, tenant) = (
            |verb| self.subject.landlord_orders(&status, verb),
            |verb| self.subject.tenant_orders(&status, verb),
        );
        let envelope = match act {
            Act::Lease => landlord(self.subject.lease(name.unwrap())),
            Act::Open | Act::Change => tenant(boundary(None)),
            Act::Narrow => landlord(boundary(Some(below()))),
            Act::Renew => tenant(Verb::Renew(Renew { tier: None, keep: vec![], nonce: None })),
            Act::Sever => landlord(Verb::Sever(Below { tier: below() })),
        };
        (envelope, object)
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
        let path = self.subject.facility.path_of(&format!("n1-{TENANT}"));
        let server = self.subject.facility.nodes_mut()[0].start_engine("server", &path).unwrap();
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
            let connection = self.subject.facility.internet.connect(at(*port), PATIENCE).unwrap().unwrap();
            self.subject.facility.internet.exchange(connection, PATIENCE).unwrap().unwrap();
            (*port, connection)
        };
        self.held = ports.iter().map(connect).collect();
    }

    /// What came to the realm's engine: on ports that are never open, nothing.
    fn listen_to_server(&self) {
        let Some(server) = &self.server else { return };
        for heard in server.heard().unwrap() {
            let never = NEVER.contains(&(heard.transport, heard.port));
            assert!(!never || heard.count == 0, "the realm heard {heard:?}\n{}", self.subject.log());
        }
    }

    /// Compares the kernel with the journal, and tries what passes.
    fn look(&mut self, act: Act) {
        let status = self.subject.settle();
        let open = demand::check(&self.subject, &status, |_| vec!["lab:engine"]).open;
        let engine_lives = !matches!(act, Act::Renew | Act::Sever);
        for (port, connection) in std::mem::take(&mut self.held) {
            let wanted = engine_lives && open.contains(&port);
            let within = if wanted { PATIENCE } else { SILENCE };
            let exchanged = self.subject.facility.internet.exchange(connection, within).unwrap();
            assert_eq!(
                exchanged.is_ok(),
                wanted,
                "{act:?}: held on {port}: {exchanged:?}\n{}",
                self.subject.log()
            );
        }
        for port in OPENED {
            let wanted = open.contains(&port);
            let within = if wanted { PATIENCE } else { SILENCE };
            let connected = self.subject.facility.internet.connect(at(port), within).unwrap();
            assert_eq!(
                connected.is_ok(),
                wanted,
                "{act:?}: port {port}: {connected:?}\n{}",
                self.subject.log()
            );
            if let Ok(connection) = connected {
                self.subject.facility.internet.exchange(connection, PATIENCE).unwrap().unwrap();
            }
        }
        self.listen_to_server();
    }

    fn end(mut self, point: &Point) -> Found {
        let crash = self
            .subject
            .crash
            .take()
            .unwrap_or_else(|| panic!("{point} was never reached\n{}", self.subject.log()));
        let probed = self.subject.facility.internet.probed().unwrap();
        let passed: u64 = probed.iter().map(|probed| probed.passed).sum();
        self.probes += probed.iter().map(|probed| probed.sent).sum::<u64>();
        assert!(passed == 0 && self.probes > 0, "{probed:?}");
        let heard = self.subject.facility.internet.heard().unwrap();
        assert!(heard.iter().all(|heard| heard.count == 0), "the realm sent: {heard:?}");
        self.listen_to_server();
        Found { orders: self.subject.acknowledged.len(), probes: self.probes, crash }
    }
}
