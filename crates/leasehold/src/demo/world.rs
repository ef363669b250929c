//! What the steps of the tour share: the facility, its parties, and what they do again and again.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::boundaries::{CLUSTER_A, CLUSTER_B};
use super::desk::Desk;
use super::env;
use super::mail::Post;
use super::prefix::Prefix;
use super::web;
use console_api::{Directory, DirectoryPush, Offer};
use keys::Envelope;
use lab::{Console, Facility, Failed, Guard, Host, Node, Object, Party, Plan, Said, Standing, Transport};
use node_protocol::call::Status;
use serde_json::json;
use tenure::{Boundary, Grant, Lease, Quota, Right, Rights, Terms, Verb};

/// The first tenant, its sub-tenant, and the tenant after it: names of tiers and of their realms.
pub(crate) const TENANT_A: &str = "tenant-a";
pub(crate) const TEAM: &str = "team";
pub(crate) const TENANT_B: &str = "tenant-b";
/// The root tier's name, and its console's.
pub(crate) const LANDLORD: &str = "landlord";
/// The tenants' consoles.
pub(crate) const CONSOLE_A: &str = "console-a";
pub(crate) const CONSOLE_B: &str = "console-b";
/// How many nodes there are: two clusters', and one to spare.
pub(crate) const NODES: u8 = 7;
/// The place of the one to spare.
pub(crate) const SPARE: usize = 6;
/// Who is told of incidents: the landlord's people, and the first tenant's.
pub(crate) const OPERATORS: &str = "operators@landlord.example";
pub(crate) const TEAM_MAIL: &str = "web@tenant-a.example";
/// Where every console listens for nodes.
pub(crate) const CHANNEL_PORT: u16 = 7443;
/// The router's address in the realms' network.
pub(crate) const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const QUOTA: Quota = Quota { tiers: 2, keys: 8, objects: 16, records_per_hour: 1000, space_mib: 256 };
/// The nodes that one tenant leases.
#[derive(Clone, Copy)]
pub(crate) struct Cluster {
    pub(crate) contract: &'static str,
    pub(crate) tenant: &'static str,
    pub(crate) console: &'static str,
    pub(crate) boundary: &'static str,
    first: usize,
}

pub(crate) const CLUSTERS: [Cluster; 2] = [
    Cluster { contract: "L-A", tenant: TENANT_A, console: CONSOLE_A, boundary: CLUSTER_A, first: 0 },
    Cluster { contract: "L-B", tenant: TENANT_B, console: CONSOLE_B, boundary: CLUSTER_B, first: 3 },
];

impl Cluster {
    /// Its nodes' places in the plan.
    pub(crate) fn places(&self) -> std::ops::Range<usize> {
        self.first..self.first + 3
    }

    pub(crate) fn node_names(&self) -> Vec<String> {
        self.places().map(|place| format!("n{}", place + 1)).collect()
    }
}

const TEAM_QUOTA: Quota = Quota { tiers: 0, keys: 2, objects: 4, records_per_hour: 100, space_mib: 256 };
/// How long a node may take to be as its journal demands.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long a node is left alone before it is asked again.
const LOOK: Duration = Duration::from_millis(20);
/// How long a packet that must not pass is waited for.
pub(crate) const SILENCE: Duration = Duration::from_millis(300);

/// The facility as far as it is built, and the parties.
pub(crate) struct World<'a> {
    pub(crate) guard: &'a Guard,
    pub(crate) prefix: &'a Prefix,
    facility: Option<Facility>,
    parties: Option<Parties>,
    /// Where mails are received.
    post: Option<Post>,
    /// What the first tenant's engine serves.
    pub(super) page: Option<web::Page>,
    /// A copy of a volume of its, from before it was severed.
    pub(super) stolen: Option<web::Stolen>,
    /// Engines in realms, by node and tier.
    pub(crate) engines: Vec<((usize, &'static str), Host)>,
    /// What the landlord offered, by tenant.
    pub(crate) offers: Vec<(&'static str, Offer)>,
    /// An order that was accepted once.
    pub(crate) old_order: Option<(Envelope, Object)>,
}

/// Who gives orders. Each has one key, which nobody else has.
pub(crate) struct Parties {
    pub(crate) landlord: Party,
    pub(crate) tenant_a: Party,
    pub(crate) tenant_b: Party,
    pub(crate) team: Party,
    pub(crate) stranger: Party,
}

impl<'a> World<'a> {
    pub(crate) const fn new(guard: &'a Guard, prefix: &'a Prefix) -> Self {
        Self {
            guard,
            prefix,
            facility: None,
            parties: None,
            post: None,
            page: None,
            stolen: None,
            engines: Vec::new(),
            offers: Vec::new(),
            old_order: None,
        }
    }

    /// Makes the parties and builds the facility. Nothing runs in it yet.
    pub(crate) fn build(&mut self) -> Result<(), Failed> {
        let new = Party::new;
        let parties =
            Parties { landlord: new()?, tenant_a: new()?, tenant_b: new()?, team: new()?, stranger: new()? };
        let mut plan =
            Plan::new(self.prefix.as_str(), NODES, &[]).with_consoles(&[LANDLORD, CONSOLE_A, CONSOLE_B]);
        plan.visible = true;
        plan.key_files = true;
        // Nobody is told an address: nodes and realms lease theirs from the landlord's console.
        (plan.dhcp, plan.networks) = (true, vec![ROUTER]);
        let password = os::random::bytes::<8>().map_err(|error| Failed::new("choose a password", error))?;
        plan.power = Some(format!("{:016x}", u64::from_ne_bytes(password)));
        plan.bmonitor = Some(beside("bmonitor")?);
        plan.leasehold = Some(beside("leasehold")?);
        let facility = built(plan, self.guard)?;
        self.post = Some(Post::open(&facility)?);
        self.facility = Some(facility);
        self.parties = Some(parties);
        Ok(())
    }

    pub(crate) fn post(&mut self) -> Result<&mut Post, Failed> {
        self.post.as_mut().ok_or_else(|| Failed::new("go on", "there is no mail server"))
    }

    pub(crate) fn facility(&self) -> Result<&Facility, Failed> {
        self.facility.as_ref().ok_or_else(|| Failed::new("go on", "there is no facility"))
    }

    /// Leaves what a second shell needs ([`env::run`]).
    pub(crate) fn leave_for_others(&self) -> Result<(), Failed> {
        env::leave(self.parties()?, self.facility()?, self.guard, self.prefix)
    }

    /// A party's console.
    pub(crate) fn console(&self, name: &str) -> Result<&Console, Failed> {
        let found = self.facility()?.consoles().iter().find(|console| console.name() == name);
        found.ok_or_else(|| Failed::new("go on", "there is no such console"))
    }

    /// The same, to be asked over its socket.
    pub(crate) fn desk(&self, console: &str) -> Result<Desk, Failed> {
        let environment = self.console(console)?.environment();
        let socket = environment.iter().find(|(variable, _)| variable == "LEASEHOLD_CONSOLE");
        Desk::at(&socket.ok_or_else(|| Failed::new("go on", "the console was not made"))?.1)
    }

    pub(crate) fn offer(&self, tenant: &str) -> Result<&Offer, Failed> {
        let found = self.offers.iter().find(|(to, _)| *to == tenant);
        found.map(|(_, offer)| offer).ok_or_else(|| Failed::new("go on", "there is no offer"))
    }

    /// A party enrols a second key on a node through its console. It lies in a drawer: some of the tour's
    /// orders are signed by hand.
    pub(crate) fn enrol_second_key(&self, place: usize, console: &str, party: &Party) -> Result<(), Failed> {
        let key = json!(party.controller(Rights::ALL));
        let name = self.node(place)?.name();
        let obeyed = self.desk(console)?.order(name, "enrol-key", key, &[])?;
        obeyed.map(drop).map_err(|no| Failed::new(format!("enrol a second key on {name}"), no.message))
    }

    pub(crate) fn consoles_mut(&mut self) -> Result<&mut [Console], Failed> {
        let facility = self.facility.as_mut();
        facility.map(Facility::consoles_mut).ok_or_else(|| Failed::new("go on", "there is no facility"))
    }

    /// Someone with the machines in hand makes the landlord their root, and tells them of its console.
    pub(crate) fn enrol_nodes(&mut self) -> Result<(), Failed> {
        let identity = self.console(LANDLORD)?.run(&["console", "identity"])?;
        let act = |why: &str| Failed::new("enrol the nodes", why);
        let text = identity.answer.to_string();
        let facility = self.facility.as_mut().ok_or_else(|| act("there is no facility"))?;
        (0..usize::from(NODES)).try_for_each(|place| facility.enrol(place, &text))
    }

    pub(crate) fn parties(&self) -> Result<&Parties, Failed> {
        self.parties.as_ref().ok_or_else(|| Failed::new("go on", "there are no parties"))
    }

    pub(crate) fn node(&self, place: usize) -> Result<&Node, Failed> {
        let nodes = self.facility()?.nodes();
        nodes.get(place).ok_or_else(|| Failed::new("go on", "there is no such node"))
    }

    pub(crate) fn node_mut(&mut self, place: usize) -> Result<&mut Node, Failed> {
        let nodes = self.facility.as_mut().map(Facility::nodes_mut).unwrap_or_default();
        nodes.get_mut(place).ok_or_else(|| Failed::new("go on", "there is no such node"))
    }

    /// How a node is, once nothing is pending.
    pub(crate) fn settled(&self, place: usize) -> Result<Status, Failed> {
        self.node(place)?.settled(PATIENCE)
    }

    /// Where the tier of that name stands on a node.
    pub(crate) fn standing(&self, place: usize, tier: &str) -> Result<Standing, Failed> {
        Standing::of(&self.settled(place)?, tier)
            .ok_or_else(|| Failed::new("go on", format!("there is no tier {tier:?}")))
    }

    /// A port in a tier's realm on a node, at the address that it has now.
    pub(crate) fn at(&self, place: usize, tier: &str, port: u16) -> Result<SocketAddr, Failed> {
        let status = self.settled(place)?;
        let realm = status.tiers.iter().find(|found| found.name.as_str() == tier);
        let realm = realm.and_then(|tier| tier.realm.as_ref());
        let address = realm.and_then(|realm| realm.addresses.first());
        let address = address.ok_or_else(|| Failed::new("go on", format!("{tier} has no address there")))?;
        Ok(SocketAddr::new(*address, port))
    }

    /// Waits until a tier's realm on a node has its address and is open: its lease came, and is what the
    /// directory says.
    pub(crate) fn realm_up(&self, place: usize, tier: &str) -> Result<Status, Failed> {
        self.node_becomes(place, &format!("realm {tier} come up"), |status| {
            let realm = status.tiers.iter().find(|found| found.name.as_str() == tier);
            realm.and_then(|tier| tier.realm.as_ref()).is_some_and(|realm| realm.open)
        })
    }

    /// Waits until a node is as wanted, and nothing is pending.
    pub(crate) fn node_becomes(
        &self,
        place: usize,
        what: &str,
        wanted: impl Fn(&Status) -> bool,
    ) -> Result<Status, Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.settled(place)?;
            if wanted(&status) {
                return Ok(status);
            }
            if Instant::now() > deadline {
                let warnings = status.warnings.iter().map(|warning| warning.message.as_str());
                let warnings = warnings.collect::<Vec<_>>().join("; ");
                return Err(Failed::new(format!("see {what} on {}", status.name), warnings));
            }
            os::poll::wait(&[], Some(LOOK)).map(drop).map_err(|error| Failed::new("wait", error))?;
        }
    }

    /// Waits until the directory is as wanted, and every node has it.
    pub(crate) fn directory_spread(&self, wanted: impl Fn(&str) -> bool) -> Result<Directory, Failed> {
        self.desk(LANDLORD)?.until("/v1/directory", |directory: &Directory| {
            let has = |push: &DirectoryPush| push.serial == Some(directory.serial) && push.problem.is_none();
            wanted(&directory.text)
                && directory.nodes.len() == usize::from(NODES)
                && directory.nodes.iter().all(has)
        })
    }

    /// Whether the outside reaches that port: in words, or the number of the connection.
    pub(crate) fn reach(&self, to: SocketAddr, within: Duration) -> Result<Result<usize, String>, Failed> {
        self.facility()?.internet.connect(to, within)
    }

    /// Starts an engine in a tier's realm.
    pub(crate) fn start_engine(&mut self, place: usize, tier: &'static str) -> Result<&Host, Failed> {
        let name = format!("{}-{tier}", self.node(place)?.name());
        let path = self.facility()?.path_of(&name);
        let engine = self.node_mut(place)?.start_engine(tier, &path)?;
        self.engines.retain(|(of, _)| *of != (place, tier));
        self.engines.push(((place, tier), engine));
        self.engine(place, tier)
    }

    /// Starts one in each realm of a cluster, with ports that boundaries are tried on.
    pub(crate) fn start_engines(&mut self, cluster: &Cluster) -> Result<(), Failed> {
        for place in cluster.places() {
            self.realm_up(place, cluster.tenant)?;
            let engine = self.start_engine(place, cluster.tenant)?;
            [22, 80, 5432, 8080].into_iter().try_for_each(|port| engine.listen(Transport::Tcp, port))?;
            engine.listen(Transport::Udp, 53)?;
        }
        Ok(())
    }

    pub(crate) fn engine(&self, place: usize, tier: &'static str) -> Result<&Host, Failed> {
        let found = self.engines.iter().find(|(of, _)| *of == (place, tier));
        found.map(|(_, engine)| engine).ok_or_else(|| Failed::new("go on", "there is no such engine"))
    }

    /// A grantor leases a node to a party: a new tier below its own.
    pub(crate) fn lease(
        &self,
        place: usize,
        from: (&Party, &str),
        to: (&Party, &str),
        boundary: &str,
    ) -> Result<Said, Failed> {
        let object = Object::new(boundary)?;
        let rights = Rights::ALL.without(Right::Power);
        let lease = Lease {
            name: to.1.parse().map_err(|error| Failed::new("name a tier", error))?,
            contract: format!("L-{}", to.1)
                .try_into()
                .map_err(|error: String| Failed::new("lease", error))?,
            terms: Terms::ALWAYS,
            rights: Grant { exercise: rights, grant: rights },
            quota: if to.1 == TEAM { TEAM_QUOTA } else { QUOTA },
            keys: vec![to.0.controller(rights)],
            boundary: object.name(),
            consoles: Vec::new(),
            directory: None,
        };
        let order = from.0.order(&self.standing(place, from.1)?, Verb::Lease(lease));
        self.node(place)?.submit(&order, &[&object])
    }

    /// A tier orders its own boundary.
    pub(crate) fn order_boundary(
        &self,
        place: usize,
        by: (&Party, &str),
        boundary: &str,
    ) -> Result<(Said, Envelope, Object), Failed> {
        let object = Object::new(boundary)?;
        let verb = Verb::Boundary(Boundary { tier: None, object: object.name() });
        let order = by.0.order(&self.standing(place, by.1)?, verb);
        Ok((self.node(place)?.submit(&order, &[&object])?, order, object))
    }

    /// What the nodes' supervisors said last, for a step that broke off.
    pub(crate) fn last_words(&self) -> Vec<String> {
        const LINES: usize = 5;
        let nodes = self.facility.as_ref().map(Facility::nodes).unwrap_or_default();
        let words = |node: &Node| -> Vec<String> {
            let log = node.log();
            let last: Vec<_> =
                log.lines().rev().take(LINES).map(|line| format!("{}: {line}", node.name())).collect();
            last.into_iter().rev().collect()
        };
        nodes.iter().flat_map(words).collect()
    }

    /// Commands for a second shell.
    pub(crate) fn ways_to_look_around(&self) -> Vec<String> {
        let mut ways = vec!["Everything keeps running until Ctrl-C. In another shell:".to_owned()];
        let own =
            |name| std::env::current_exe().unwrap_or_default().with_file_name(name).display().to_string();
        for node in self.facility.as_ref().map(Facility::nodes).unwrap_or_default() {
            ways.push(format!("  {} status --socket {}", own("bmonitor"), node.socket().display()));
        }
        let prefix = self.prefix;
        let which = if *prefix == Prefix::default() { String::new() } else { format!(" --prefix {prefix}") };
        let env = format!("  eval \"$({} demo env --as {TENANT_B}{which})\"", own("leasehold"));
        ways.push(env + "    (its key, its console, the nodes' sockets)");
        ways.push(format!("  {} console show    (then)", own("leasehold")));
        ways.push(format!("  ip netns exec {prefix}-n2-{TENANT_A} ip address"));
        ways.push(format!("  ip netns exec {prefix}-n1-{TENANT_B} ss -ltn"));
        if let Ok(to) = self.at(1, TENANT_A, 0) {
            let ping = format!("  ip netns exec {prefix}-internet ping {}", to.ip());
            ways.push(ping + "    (no answer: not in the boundary)");
        }
        ways
    }
}

/// The facility of a plan; whose names are taken hears of others.
pub(super) fn built(plan: Plan, guard: &Guard) -> Result<Facility, Failed> {
    let taken = Path::new(os::namespace::FOLDER).join(format!("{}-router", plan.prefix)).exists();
    let failed = |failed: Failed| {
        let hint = "(another demo? It is ended by Ctrl-C there; --prefix NAME runs this one beside it)";
        if taken { Failed::new(failed.told(), hint) } else { failed }
    };
    Facility::build(plan, guard).map_err(failed)
}

/// A program that was built together with this one.
pub(super) fn beside(name: &str) -> Result<PathBuf, Failed> {
    let act = || format!("find {name}");
    let own = std::env::current_exe().map_err(|error| Failed::new(act(), error))?;
    let path = own.with_file_name(name);
    let missing = || Failed::new(act(), format!("{} is not there: build it, too", path.display()));
    if path.exists() { Ok(path) } else { Err(missing()) }
}
