//! Every process of the monitor is killed at once while one boundary takes the place of another, with packets flowing
//! both ways: meanwhile and afterwards nothing passes that should not.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use id::TierId;
use lab::{Heard, Host, INTERNET, Object, Transport};
use node_protocol::call::{Answer, Call};
use os::clock::monotonic;
use os::process::Process;
use serde_json::json;
use tenure::{Boundary, Verb};

use crate::console::{Unopened, courier_is_built};
use crate::world::{SOON, TENANT, World, at};

/// As everybody's on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two datagrams of a flow.
const EVERY: Duration = Duration::from_millis(1);
/// What each set has beside the one that counts, so that a swap takes its time.
const PREFIXES: u32 = 1_000;
/// So long after a record that takes something back the kernel closes by itself, whoever is dead.
const BRACED: Duration = Duration::from_secs(2);
/// Until then all has arrived that was on its way.
const ARRIVED: Duration = Duration::from_millis(300);
/// Packets that come through before it is believed that no other does.
const MANY: u64 = 50;

/// Ports of the outside that the realm sends to. Those of the realm that the outside sends to are a hundred higher.
const BOTH: u16 = 9001;
const EITHER: [u16; 2] = [9002, 9003];
const NEITHER: u16 = 9009;
const INWARD: u16 = 100;

const GIVEN: &str = "version = 1\n[[allow]]\nremote = [\"203.0.113.7\", \"10.96.0.0/11\"]\n";

/// The first set admits the first port of [`EITHER`], the second one the second.
fn set(which: usize) -> String {
    let (out, inward) = ([BOTH, EITHER[which]], [BOTH + INWARD, EITHER[which] + INWARD]);
    let mut remote = String::from("\"203.0.113.7\"");
    for number in 0..PREFIXES {
        write!(remote, ", \"10.{}.{}.0/25\"", 96 + number / 250, number % 250).unwrap();
    }
    format!(
        "version = 1\n\
         [[allow]]\nprotocol = \"udp\"\ndirection = \"out\"\nremote = [{remote}]\nremote_port = {out:?}\n\
         [[allow]]\nprotocol = \"udp\"\ndirection = \"in\"\nremote = [{remote}]\nlocal_port = {inward:?}\n"
    )
}

/// When everything is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after the order is handed in: perhaps nobody ever answers it.
    Ordered(Duration),
    /// So long after it was acknowledged.
    Answered(Duration),
}

const MOMENTS: [Moment; 7] = [
    Moment::Answered(Duration::ZERO),
    Moment::Ordered(Duration::from_millis(2)),
    Moment::Answered(Duration::from_millis(10)),
    Moment::Ordered(Duration::from_millis(15)),
    Moment::Answered(Duration::from_millis(40)),
    Moment::Ordered(Duration::from_millis(60)),
    Moment::Answered(Duration::from_millis(150)),
];

struct Story {
    world: World,
    tier: TierId,
    engine: Host,
}

pub(crate) fn killed_amid() {
    courier_is_built();
    let mut world = World::unstarted();
    // Nobody listens there: the tenant has a courier nevertheless.
    world.tenants_consoles = vec![Unopened::new(7443).named()];
    world.start(0, &[]);
    world.settled(0);
    let (tier, _lease) = world.lease(0, GIVEN);
    world.narrow(0, &set(0)).accepted();
    world.settled(0);
    let engine = world.engine(0, "engine");
    let mut story = Story { world, tier, engine };
    story.flow();
    let mut present = 0;
    story.holds(present);
    for (round, moment) in MOMENTS.into_iter().enumerate() {
        let next = 1 - present;
        let acknowledged = story.swap_and_kill(next, moment);
        if let Some(acknowledged) = acknowledged.filter(|_| round == 0) {
            // Nobody is there to switch.
            let closed = acknowledged + BRACED;
            os::poll::wait(&[], Some((closed + ARRIVED).saturating_sub(monotonic()))).unwrap();
            assert!(story.sent(EITHER[present]) < closed, "what was taken back goes on");
        }
        story.world.start(0, &[]);
        story.settled();
        present = story.in_force();
        assert!(acknowledged.is_none() || present == next, "{moment:?}: an acknowledged set is lost");
        story.holds(present);
    }
}

impl Story {
    /// Packets to every port begin, both ways, each port a flow of its own.
    fn flow(&self) {
        let outside = &self.world.facility.internet;
        let ports = [BOTH, EITHER[0], EITHER[1], NEITHER];
        for port in ports {
            outside.listen(Transport::Udp, port).unwrap();
            self.engine.listen(Transport::Udp, port + INWARD).unwrap();
        }
        self.engine.send(&ports.map(|port| SocketAddr::new(INTERNET, port)), EVERY).unwrap();
        outside.send(&ports.map(|port| at(0, port + INWARD)), EVERY).unwrap();
    }

    /// When the newest packet was sent that came through to a port, of the outside or of the realm.
    fn sent(&self, port: u16) -> Duration {
        let outside = heard(&self.world.facility.internet, port).sent_ns;
        Duration::from_nanos(outside.max(heard(&self.engine, port + INWARD).sent_ns))
    }

    /// Hands in the order for a set, and kills every process of the monitor. Gives when the order was acknowledged.
    fn swap_and_kill(&mut self, which: usize, moment: Moment) -> Option<Duration> {
        let object = Object::new(&set(which)).unwrap();
        let node = &self.world.facility.nodes()[0];
        let put = Call::PutObject { name: object.name() };
        assert!(matches!(node.call(&put, object.as_bytes(), PATIENCE).unwrap().0, Answer::Stored { .. }));
        let verb = Verb::Boundary(Boundary { tier: None, object: object.name() });
        let order = self.world.tenant.order(&self.world.standing(0, TENANT), verb);
        let caller = node.caller();
        let first = node.first_process();
        let acknowledged = thread::scope(|scope| {
            let ordering = scope.spawn(|| {
                let said = caller.order(&order, &[], PATIENCE);
                said.is_ok_and(|answer| matches!(answer, Answer::Accepted { .. })).then(monotonic)
            });
            match moment {
                Moment::Ordered(after) => {
                    os::poll::wait(&[], Some(after)).unwrap();
                    kill_all(first);
                    ordering.join().unwrap()
                }
                Moment::Answered(after) => {
                    let acknowledged = ordering.join().unwrap();
                    os::poll::wait(&[], Some(after)).unwrap();
                    kill_all(first);
                    acknowledged
                }
            }
        });
        self.world.facility.nodes_mut()[0].supervisor_ended(SOON).unwrap();
        acknowledged
    }

    fn settled(&self) {
        let node = &self.world.facility.nodes()[0];
        assert!(node.settled(PATIENCE).is_ok(), "{}", node.log());
    }

    /// The set that binds the realm, as the node says.
    fn in_force(&self) -> usize {
        let passes = |port: u16| {
            let packet = json!({
                "direction": "out", "protocol": 17, "remote": INTERNET, "remote_port": port, "local_port": 40_000,
            });
            let call = Call::Explain { tier: self.tier, packet };
            let answer = self.world.facility.nodes()[0].call(&call, &[], PATIENCE).unwrap().0;
            let Answer::Explained(explained) = answer else { panic!("{answer:?}") };
            explained.pass
        };
        let found = EITHER.map(passes);
        assert!(found[0] != found[1], "{found:?}");
        usize::from(found[1])
    }

    /// Nothing that is sent from now on comes through but what that set admits, and that does.
    fn holds(&self, which: usize) {
        let (now, before) = (monotonic(), self.counts());
        let deadline = Instant::now() + PATIENCE;
        let come = |now: &Counts| {
            [0, 1]
                .iter()
                .all(|way| [0, 1 + which].iter().all(|port| now[*way][*port] >= before[*way][*port] + MANY))
        };
        while !come(&self.counts()) {
            assert!(
                Instant::now() < deadline,
                "what it admits does not come: {before:?} {:?}",
                self.counts()
            );
            os::poll::wait(&[], Some(EVERY)).unwrap();
        }
        assert!(self.sent(EITHER[1 - which]) < now, "a packet passed that the set does not admit");
        assert_eq!(self.sent(NEITHER), Duration::ZERO, "no set admits it");
    }

    /// How many came, to each end, to the port that both sets admit and to those that one does.
    fn counts(&self) -> Counts {
        let ports = [BOTH, EITHER[0], EITHER[1]];
        let outside = &self.world.facility.internet;
        [
            ports.map(|port| heard(outside, port).count),
            ports.map(|port| heard(&self.engine, port + INWARD).count),
        ]
    }
}

type Counts = [[u64; 3]; 2];

/// What came to a port.
fn heard(host: &Host, port: u16) -> Heard {
    host.heard().unwrap().into_iter().find(|heard| heard.port == port).unwrap()
}

/// Kills every process of the monitor on the node whose first process that is, the supervisor first: it is to
/// start nothing again.
fn kill_all(first: u32) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut found = monitors(first);
        if found.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?} live");
        found.sort_by_key(|(is_supervisor, _)| !is_supervisor);
        for (_, id) in found {
            // Who has ended meanwhile is dead, too.
            drop(Process::open(id).and_then(|process| process.kill()));
        }
    }
}

/// The processes on a node that run one of the monitor's programs, and whether each is the supervisor.
fn monitors(first: u32) -> Vec<(bool, u32)> {
    let namespace = |id: u32| fs::read_link(format!("/proc/{id}/ns/pid")).ok();
    let node = namespace(first).unwrap();
    let ids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let found = ids.filter(|id: &u32| namespace(*id).as_ref() == Some(&node)).filter_map(|id| {
        let program = fs::read_link(format!("/proc/{id}/exe")).ok()?;
        let line = fs::read(format!("/proc/{id}/cmdline")).ok()?;
        let role = line.split(|byte| *byte == 0).nth(1).unwrap_or_default();
        let is_one = program.file_name()?.to_str()?.starts_with("bmonitor");
        is_one.then_some((role == b"supervisor", id))
    });
    found.collect()
}
