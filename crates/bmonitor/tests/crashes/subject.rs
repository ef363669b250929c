//! A node under trial: it is started, spoken to, killed, and started again whenever its supervisor has died.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use id::{Digest, Time};
use keys::Envelope;
use lab::{Caller, Ending, Facility, Guard, Node, Object, Party, Plan, Standing};
use node_protocol::call::{Answer, Call, Status};
use tenure::{Console, Grant, Lease, Quota, Rights, Terms, Verb};

use crate::demand;
use crate::point::{Random, Victim};

pub(crate) const TENANT: &str = "tenant-a";
pub(crate) const LANDLORD: &str = "landlord";
/// Ports that some act opens to the outside client.
pub(crate) const OPENED: [u16; 2] = [80, 443];

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const SILENCE: Duration = Duration::from_millis(100);
/// How long one is waited for who may have been there already.
const SOON: Duration = Duration::from_secs(2);
/// How long a status is waited for before the node is asked how it is meanwhile: longer each time, for a busy
/// machine may take longer than that over any answer.
const GLANCE: Duration = Duration::from_millis(40);
const GLANCE_MAX: Duration = Duration::from_secs(5);
/// How often it is looked for what nothing tells of.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// A node, its parties, and what was said to it.
pub(crate) struct Subject {
    pub(crate) facility: Facility,
    _guard: Guard,
    pub(crate) landlord: Party,
    pub(crate) tenant: Party,
    /// Orders that the node acknowledged.
    pub(crate) acknowledged: Vec<Digest>,
    /// The crash, once it has been seen.
    pub(crate) crash: Option<String>,
}

impl Subject {
    /// Nothing runs on it yet.
    pub(crate) fn new(mut random: Random) -> Self {
        let landlord = Party::of_seed(&random.bytes()).unwrap();
        let tenant = Party::of_seed(&random.bytes()).unwrap();
        let guard = Guard::start().unwrap();
        let own: [u8; 3] = os::random::bytes().unwrap();
        let mut plan = Plan::new(format!("cr{:02x}{:02x}{:02x}", own[0], own[1], own[2]), 1, &[TENANT]);
        plan.bmonitor = Some(PathBuf::from(env!("CARGO_BIN_EXE_bmonitor")));
        plan.nodes[0].enrolment = landlord.enrolment(LANDLORD);
        let facility = Facility::build(plan, &guard).unwrap();
        Self { facility, _guard: guard, landlord, tenant, acknowledged: Vec::new(), crash: None }
    }

    pub(crate) fn node(&self) -> &Node {
        &self.facility.nodes()[0]
    }

    pub(crate) fn caller(&self) -> Caller {
        self.node().caller()
    }

    pub(crate) fn log(&self) -> String {
        self.node().log()
    }

    pub(crate) fn start(&mut self, further: &[&str]) {
        self.facility.nodes_mut()[0].start_supervisor(further, false).unwrap();
    }

    /// Lets the processes of the monitor die at a step from now on. The supervisor that ran so far is killed for
    /// that: one more crash, at a quiet time.
    pub(crate) fn arm(&mut self, die_at: &str) {
        // None runs before the first start.
        if self.node().was_started() {
            self.facility.nodes_mut()[0].kill_supervisor().unwrap();
        }
        self.start(&["--die-at", die_at]);
        self.settle();
    }

    /// An order is acknowledged, by this supervisor or the next, and the node has settled.
    pub(crate) fn obey(
        &mut self,
        act: &str,
        order: (Envelope, Option<Object>),
        hit: Option<(Victim, Duration)>,
    ) {
        let (envelope, object) = order;
        let objects: Vec<&Object> = object.iter().collect();
        let answer = match hit {
            Some((victim, after)) => self.submit_and_kill(&envelope, &objects, victim, after),
            None => self.caller().order(&envelope, &objects, PATIENCE),
        };
        let kept = Digest::of(envelope.to_json().as_bytes());
        match answer {
            Ok(Answer::Accepted { .. }) => (),
            Ok(other) => panic!("{act}: {other:?}\n{}", self.log()),
            // Nobody knows what became of it; the next supervisor does. What it has not, it is given again:
            // the same bytes.
            Err(_lost) => {
                self.restart_the_dead();
                self.settle();
                if !demand::journal_has(&self.caller().journal(PATIENCE).unwrap(), &kept) {
                    let again = self.caller().order(&envelope, &objects, PATIENCE);
                    assert!(matches!(again, Ok(Answer::Accepted { .. })), "{act} again: {again:?}");
                }
            }
        }
        self.acknowledged.push(kept);
        self.settle();
        self.note_the_step();
    }

    fn submit_and_kill(
        &mut self,
        envelope: &Envelope,
        objects: &[&Object],
        victim: Victim,
        after: Duration,
    ) -> Result<Answer, lab::Failed> {
        let caller = self.caller();
        let node = &mut self.facility.nodes_mut()[0];
        let (answer, killed) = thread::scope(|scope| {
            let answer = scope.spawn(|| caller.order(envelope, objects, PATIENCE));
            // The seeded time: nothing is ready, so this is the clock alone.
            os::poll::wait(&[], Some(after)).unwrap();
            let killed = match (victim, victim.process()) {
                (Victim::Unpacker, Some(role)) => kill_soon(node, role),
                (_, role) => role.map_or(0, |role| kill(node, role)),
            };
            if killed == 0 {
                node.kill_supervisor().unwrap();
            }
            (answer.join().unwrap(), killed)
        });
        self.crash = Some(format!("killed {}", if killed == 0 { "the supervisor" } else { victim.name() }));
        if killed == 0 {
            self.start(&[]);
        } else if victim == Victim::Launcher {
            self.says("no-launcher");
            self.facility.nodes_mut()[0].kill_supervisor().unwrap();
            self.start(&[]);
        }
        answer
    }

    /// Waits until the node warns of something.
    fn says(&self, code: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self
            .glance(GLANCE_MAX)
            .is_some_and(|status| status.warnings.iter().any(|warning| warning.code == code))
        {
            assert!(Instant::now() < deadline, "it does not say {code}\n{}", self.log());
            os::poll::wait(&[], Some(LOOK)).unwrap();
        }
    }

    /// Waits until nothing is pending; starts a supervisor that has died at its step again.
    pub(crate) fn settle(&mut self) -> Status {
        let (deadline, mut glance) = (Instant::now() + PATIENCE, GLANCE);
        loop {
            assert!(Instant::now() < deadline, "not settled: {:?}\n{}", self.glance(glance), self.log());
            if let Ok((Answer::Status(status), _)) =
                self.caller().call(&Call::Status { settled: true }, &[], glance)
            {
                return *status;
            }
            glance = GLANCE_MAX.min(glance * 2);
            self.restart_if_dead();
            if self.glance(glance).is_none() {
                // Not there yet, or not any more: asked again a little later, until the deadline.
                os::poll::wait(&[], Some(LOOK)).unwrap();
            }
        }
    }

    /// How the node is, settled or not.
    fn glance(&self, within: Duration) -> Option<Status> {
        match self.caller().call(&Call::Status { settled: false }, &[], within) {
            Ok((Answer::Status(status), _)) => Some(*status),
            Ok(_) | Err(_) => None,
        }
    }

    /// A process that dies at its step says so: the supervisor, a helper or custody.
    pub(crate) fn note_the_step(&mut self) {
        let log = self.log();
        let said = log.lines().rev().find_map(|line| line.strip_prefix("dies at "));
        if let Some(step) = said.filter(|_| self.crash.is_none()) {
            self.crash = Some(format!("died at {step}"));
        }
    }

    pub(crate) fn restart_if_dead(&mut self) {
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

    fn restart(&mut self, ending: &Ending) {
        assert_eq!(ending.how, "signal 9", "{}", self.log());
        self.start(&[]);
    }

    /// A lease of everything, whose tenant may reach and be reached as an object says.
    pub(crate) fn lease(&self, boundary: Digest) -> Verb {
        Verb::Lease(Lease {
            name: TENANT.parse().unwrap(),
            contract: "L-9".to_owned().try_into().unwrap(),
            terms: Terms { not_before: Time::ZERO, until: Time::MAX },
            rights: Grant::ALL,
            quota: Quota { tiers: 1, keys: 8, objects: 8, records_per_hour: 1000, space_mib: 128 },
            keys: vec![self.tenant.controller(Rights::ALL)],
            boundary,
            consoles: vec![nobody()],
            directory: None,
        })
    }

    pub(crate) fn landlord_orders(&self, status: &Status, verb: Verb) -> Envelope {
        self.landlord.order(&Standing::of(status, LANDLORD).unwrap(), verb)
    }

    pub(crate) fn tenant_orders(&self, status: &Status, verb: Verb) -> Envelope {
        self.tenant.order(&Standing::of(status, TENANT).unwrap(), verb)
    }
}

/// Kills the node's processes of a role; gives how many there were.
fn kill(node: &Node, role: &str) -> usize {
    let processes = node.processes().unwrap().into_iter().filter(|(name, _)| name == role);
    let kill = |(_, id): &(String, u32)| os::process::Process::open(*id).is_ok_and(|it| it.kill().is_ok());
    processes.filter(kill).count()
}

/// The same of one that is about to begin; none when it never came, or was gone too soon.
fn kill_soon(node: &Node, role: &str) -> usize {
    let deadline = Instant::now() + SOON;
    loop {
        let killed = kill(node, role);
        if killed > 0 || Instant::now() > deadline {
            return killed;
        }
    }
}

/// A console that nobody is: the tenant has a courier, which dials it in vain.
fn nobody() -> Console {
    let key = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".parse().unwrap();
    Console { key, addresses: vec!["10.0.0.1:9".parse().unwrap()] }
}

/// TCP from the outside client's network to these ports.
pub(crate) fn allow(ports: &[u16]) -> Object {
    let text = format!(
        "version = 1\n[[allow]]\ndirection = \"in\"\nprotocol = \"tcp\"\n\
         remote = [\"203.0.113.0/24\"]\nlocal_port = {ports:?}\n"
    );
    Object::new(&text).unwrap()
}

/// A port of the realm.
pub(crate) fn at(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::Ipv4Addr::new(10, 1, 0, 11).into(), port)
}
