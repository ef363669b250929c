//! A facility whose nodes run the real supervisor, with a landlord and a tenant.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use id::{LeaseId, NodeId, TierId, Time};
use keys::{Envelope, SigningKey, Statement};
use lab::{Facility, Guard, Host, Object, Party, Plan, Said, Standing, Transport};
use node_protocol::call::{Answer, Call, Status, TierStatus};
use tenure::{Console, Grant, Lease, Quota, Rights, Target, Terms, Verb};

/// Nothing takes that long by itself, but a busy machine may give a process no time for seconds.
pub(crate) const SOON: Duration = Duration::from_secs(60);
pub(crate) const SHORT: Duration = Duration::from_millis(200);
/// How long a node may take to answer, and to settle: a guest whose processor is emulated is slow, and not alone.
const PATIENCE_S: &str = "60";
const LOOK: Duration = Duration::from_millis(10);
pub(crate) const TENANT: &str = "tenant-a";

/// Admits everything between realms.
pub(crate) const REALMS: &str = "version = 1\n[[allow]]\nremote = [\"10.1.0.0/16\"]\n";
/// Admits the web server's port alone.
pub(crate) const WEB: &str = "version = 1\n[[allow]]\ndirection = \"in\"\nprotocol = \"tcp\"\n\
                              remote = [\"10.1.0.0/16\"]\nlocal_port = [80]\n";
/// Admits everything: more than the deny that stands above the root.
pub(crate) const ANY: &str = "version = 1\n[[allow]]\n";

pub(crate) struct World {
    pub(crate) facility: Facility,
    _guard: Guard,
    pub(crate) landlord: Party,
    pub(crate) tenant: Party,
    /// Signs the landlord's directories.
    pub(crate) directory: SigningKey,
    /// The consoles that a lease names.
    pub(crate) tenants_consoles: Vec<Console>,
}

impl World {
    /// Two nodes, whose supervisors are not started yet.
    pub(crate) fn unstarted() -> Self {
        Self::with_consoles(&[])
    }

    /// The same, whose landlord has consoles.
    pub(crate) fn with_consoles(consoles: &[Console]) -> Self {
        Self::of(PathBuf::from(env!("CARGO_BIN_EXE_bmonitor")), consoles)
    }

    /// The same with the node monitor that lies there.
    pub(crate) fn of(bmonitor: PathBuf, consoles: &[Console]) -> Self {
        let guard = Guard::start().unwrap();
        let landlord = Party::new().unwrap();
        let directory = SigningKey::from_seed(&os::random::bytes().unwrap()).unwrap();
        let random: [u8; 3] = os::random::bytes().unwrap();
        let prefix = format!("bm{:02x}{:02x}{:02x}", random[0], random[1], random[2]);
        let mut plan = Plan::new(prefix, 2, &[TENANT]);
        plan.bmonitor = Some(bmonitor);
        for node in &mut plan.nodes {
            node.enrolment = landlord.enrolment_with("landlord", consoles, Some(*directory.public()));
        }
        let facility = Facility::build(plan, &guard).unwrap();
        Self {
            facility,
            _guard: guard,
            landlord,
            tenant: Party::new().unwrap(),
            directory,
            tenants_consoles: Vec::new(),
        }
    }

    /// One with a facility of its own, in which nothing is started.
    pub(crate) fn in_facility(
        facility: Facility,
        guard: Guard,
        landlord: Party,
        tenant: Party,
        directory: SigningKey,
    ) -> Self {
        Self { facility, _guard: guard, landlord, tenant, directory, tenants_consoles: Vec::new() }
    }

    /// The same, with both supervisors started and settled.
    pub(crate) fn new() -> Self {
        let mut world = Self::unstarted();
        for node in 0..2 {
            world.start(node, &[]);
            world.settled(node);
        }
        world
    }

    pub(crate) fn start(&mut self, node: usize, further: &[&str]) -> u32 {
        self.facility.nodes_mut()[node].start_supervisor(further, false).unwrap()
    }

    pub(crate) fn ask(&self, node: usize, arguments: &[&str]) -> Said {
        let arguments: Vec<_> = arguments.iter().map(Into::into).collect();
        self.facility.nodes()[node].bmonitor(&arguments).unwrap()
    }

    /// The node's status, once the world is as its journal demands.
    pub(crate) fn settled(&self, node: usize) -> Status {
        let said = self.ask(node, &["status", "--settled", "--wait", "--timeout", PATIENCE_S]);
        match said.parse() {
            Ok(Answer::Status(status)) => *status,
            other => {
                let now = self.ask(node, &["status"]).answer;
                panic!("{other:?}\n{}\n{now}\n{}", said.talk, self.facility.nodes()[node].log())
            }
        }
    }

    /// The same as soon as it is there, or nothing if the supervisor ends before.
    pub(crate) fn alive(&mut self, node: usize) -> Option<Status> {
        loop {
            let said = self.ask(node, &["status", "--settled"]);
            if let Ok(Answer::Status(status)) = said.parse() {
                return Some(*status);
            }
            if self.facility.nodes_mut()[node].supervisor_ended(LOOK).is_ok() {
                return None;
            }
        }
    }

    pub(crate) fn tier(&self, node: usize, name: &str) -> Option<TierStatus> {
        self.settled(node).tiers.into_iter().find(|tier| tier.name.as_str() == name)
    }

    pub(crate) fn standing(&self, node: usize, name: &str) -> Standing {
        let status = self.settled(node);
        let tier = status.tiers.iter().find(|tier| tier.name.as_str() == name).unwrap();
        Standing { node: node_of(&status), lease: tier.lease, tier: tier.tier, epoch: tier.epoch }
    }

    /// The node's newest statement about a tier.
    pub(crate) fn statement(&self, node: usize, tier: &str) -> Statement {
        self.settled(node);
        self.statement_now(node, tier)
    }

    /// The same of a node that is not settled.
    pub(crate) fn statement_now(&self, node: usize, tier: &str) -> Statement {
        let call = Call::Receipts { about: tier.to_owned() };
        let (_number, lines) = self.facility.nodes()[node].call(&call, &[], SOON).unwrap();
        let line = lines.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty()).unwrap();
        serde_json::from_slice(Envelope::parse(line).unwrap().unverified_payload()).unwrap()
    }

    /// The same of a node that is not settled.
    pub(crate) fn standing_now(&self, node: usize, name: &str) -> Standing {
        let status = self.status_with(node, |_| true);
        let tier = status.tiers.iter().find(|tier| tier.name.as_str() == name).unwrap();
        Standing { node: node_of(&status), lease: tier.lease, tier: tier.tier, epoch: tier.epoch }
    }

    /// Takes the tenant's realm out of the kernel, as a loss of power does.
    pub(crate) fn take_realm_down(&self, node: usize) {
        let namespace = self.realm(node);
        let pins = self.facility.nodes()[node].pins().join(TENANT);
        let take = || {
            let mut links = os::link::Links::open().unwrap();
            for link in links.list().unwrap() {
                if !["br0", "lo", "uplink"].contains(&link.name.as_str()) {
                    datapath::Filter::remove(&pins, Some(&link.name)).unwrap();
                    links.delete(&link.name).unwrap();
                }
            }
        };
        self.facility.namespace(&format!("n{}", node + 1)).unwrap().run(take).unwrap();
        os::namespace::delete(&namespace).unwrap();
    }

    /// Leases a realm of the node to the tenant, with a boundary.
    pub(crate) fn lease(&self, node: usize, boundary: &str) -> (TierId, LeaseId) {
        let said = self.say_lease(node, boundary);
        match said.parse() {
            Ok(Answer::Accepted { tier, lease, .. }) => (tier.unwrap(), lease.unwrap()),
            other => panic!("{other:?} {}", said.talk),
        }
    }

    /// The same; gives whether it was acknowledged.
    pub(crate) fn try_lease(&self, node: usize, boundary: &str) -> bool {
        self.say_lease(node, boundary).exit == 0
    }

    fn say_lease(&self, node: usize, boundary: &str) -> Said {
        let object = Object::new(boundary).unwrap();
        let verb = Verb::Lease(self.lease_of(&object));
        let envelope = self.landlord.order(&self.standing(node, "landlord"), verb);
        self.facility.nodes()[node].submit(&envelope, &[&object]).unwrap()
    }

    pub(crate) fn lease_of(&self, boundary: &Object) -> Lease {
        Lease {
            name: TENANT.parse().unwrap(),
            contract: "L-9".to_owned().try_into().unwrap(),
            terms: Terms { not_before: Time::ZERO, until: Time::MAX },
            rights: Grant::ALL,
            quota: Quota { tiers: 4, keys: 64, objects: 64, records_per_hour: 1000, space_mib: 256 },
            keys: vec![tenure::ControllerKey { key: *self.tenant.key().public(), rights: Rights::ALL }],
            boundary: boundary.name(),
            consoles: self.tenants_consoles.clone(),
            directory: None,
        }
    }

    /// The tenant sets its own boundary.
    pub(crate) fn narrow(&self, node: usize, boundary: &str) -> Said {
        let object = Object::new(boundary).unwrap();
        let verb = Verb::Boundary(tenure::Boundary { tier: None, object: object.name() });
        let envelope = self.tenant.order(&self.standing(node, TENANT), verb);
        self.facility.nodes()[node].submit(&envelope, &[&object]).unwrap()
    }

    pub(crate) fn sever(&self, node: usize, tier: TierId) -> Said {
        self.say(node, Verb::Sever(Target { tier }))
    }

    /// The landlord orders something.
    pub(crate) fn say(&self, node: usize, verb: Verb) -> Said {
        let envelope = self.landlord.order(&self.standing(node, "landlord"), verb);
        self.facility.nodes()[node].submit(&envelope, &[]).unwrap()
    }

    /// The node's status as it is.
    pub(crate) fn now(&self, node: usize) -> Status {
        let said = self.ask(node, &["status", "--wait", "--timeout", PATIENCE_S]);
        match said.parse() {
            Ok(Answer::Status(status)) => *status,
            other => panic!("{other:?} {}", said.talk),
        }
    }

    /// The first status of which something is true.
    pub(crate) fn status_with(&self, node: usize, wanted: impl Fn(&Status) -> bool) -> Status {
        let began = std::time::Instant::now();
        loop {
            let said = self.ask(node, &["status"]);
            match said.parse() {
                Ok(Answer::Status(status)) if wanted(&status) => return *status,
                // A supervisor that was just started does not listen yet.
                Ok(_) | Err(_) if began.elapsed() < SOON => pause(),
                other => panic!("{other:?} {}", said.talk),
            }
        }
    }

    /// An engine in the node's realm.
    pub(crate) fn engine(&mut self, node: usize, name: &str) -> Host {
        let path = self.realm(node);
        self.facility.nodes_mut()[node].start_engine(name, &path).unwrap()
    }

    /// A web server in the node's realm.
    pub(crate) fn server(&mut self, node: usize) -> Host {
        let server = self.engine(node, "server");
        server.listen(Transport::Tcp, 80).unwrap();
        server
    }

    /// The name of the realm's network namespace.
    pub(crate) fn realm(&self, node: usize) -> PathBuf {
        self.facility.path_of(&format!("n{}-{TENANT}", node + 1))
    }
}

impl World {
    /// How many documents the node has signed about the tenant.
    pub(crate) fn signed(&self, node: usize) -> usize {
        let answer = self.ask(node, &["receipt", TENANT]).answer;
        // Several lines are no JSON.
        answer.as_str().map_or(1, |lines| lines.lines().count())
    }

    /// The processes of the node: the first argument and the machine's id of each.
    pub(crate) fn processes(&self, node: usize) -> Vec<(String, u32)> {
        self.facility.nodes()[node].processes().unwrap()
    }

    /// The machine's id of the node's custody, once it is there.
    pub(crate) fn custody(&self, node: usize) -> u32 {
        let began = std::time::Instant::now();
        loop {
            if let Some((_, id)) = self.processes(node).into_iter().find(|(name, _)| name == "custody") {
                return id;
            }
            assert!(began.elapsed() < SOON, "no custody");
            pause();
        }
    }

    /// The names of the secrets in custody's folder.
    pub(crate) fn secrets(&self, node: usize) -> Vec<String> {
        let folder = self.facility.nodes()[node].folder().join("state/custody");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter_map(|name| name.into_string().ok()).filter(|name| name.contains("secret")).collect()
    }
}

/// Waits until a time is past.
pub(crate) fn is_past(time: Time) {
    let left = Duration::from_millis(time.as_millis()).saturating_sub(os::clock::wall());
    os::poll::wait(&[], Some(left + LOOK)).unwrap();
}

/// Who is looked at gets the time of the machine meanwhile.
pub(crate) fn pause() {
    os::poll::wait(&[], Some(LOOK)).unwrap();
}

fn node_of(status: &Status) -> NodeId {
    status.node.unwrap()
}

/// A port of the node's realm.
pub(crate) fn at(node: usize, port: u16) -> SocketAddr {
    let last = u8::try_from(node).unwrap() + 11;
    SocketAddr::new(std::net::Ipv4Addr::new(10, 1, 0, last).into(), port)
}
