//! A landlord's and a tenant's console and one node, each with its own processes and links.

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use console_api::{
    Client, Confirm, Enrolment, Grant, Granted, Identity, LeasePlan, NewOrder, Node, NodeState, Offer,
    OpenWindow, Order, OrderState, Page, Sever, Severed, Take, Taken, TierState,
};
use data_encoding::BASE64;
use lab::{Facility, Guard, Object, Plan, Recording};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tenure::{Quota, Rights, Terms};
use tokio::runtime::Runtime;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const LOOK: Duration = Duration::from_millis(10);
pub(crate) const LANDLORD: usize = 0;
pub(crate) const TENANT: usize = 1;
pub(crate) const PARTIES: [&str; 2] = ["landlord", "tenant"];
/// Where a console listens for nodes.
pub(crate) const CHANNEL_PORT: u16 = 7443;
const CLOSED: &str = "version = 1\n";
/// What makes a console the facility's DHCP server.
const DHCP: &str = "\n[dhcp]\ninterface = \"eth0\"\nserver = \"10.0.0.2\"\nlease_s = 600\n\
     nodes = { addresses = \"10.0.0.100-10.0.0.199\", prefix = 16 }\n\
     realms = { prefix = 16, router = \"10.1.0.1\" }\n";
/// An engine that serves what it finds; of which image, is written in.
const ENGINE: &str = "version = 1\nengine = \"web\"\nvolume = \"data\"\nports = [80]\nstop_seconds = 1\n\
     command = [\"/bin/busybox\", \"httpd\", \"-f\", \"-p\", \"80\"]\n[limits]\nmemory_mib = 32\nprocesses = 8\n";
const WEB: &str = "version = 1\n[[allow]]\ndirection = \"in\"\nprotocol = \"tcp\"\nremote = [\"10.1.0.0/16\"]\n\
                   local_port = [80]\n";

pub(crate) struct World {
    pub(crate) facility: Facility,
    pub(crate) runtime: Runtime,
    /// What the tenant says of itself.
    tenant: Option<Identity>,
    /// All that programs and doors of consoles have said.
    pub(crate) said: Vec<String>,
    _guard: Guard,
}

/// The programs of the other packages: `cargo test -p leasehold` alone does not build them.
fn bmonitor() -> PathBuf {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--offline"]);
    command.args(["--package", "leasehold", "--package", "bmonitor", "--package", "courier"]);
    assert!(command.status().unwrap().success());
    PathBuf::from(env!("CARGO_BIN_EXE_leasehold")).with_file_name("bmonitor")
}

impl World {
    /// Two consoles that run, and a node that has power.
    pub(crate) fn new() -> Self {
        Self::built(false)
    }

    /// The same, where node and realm lease their addresses from the landlord's console.
    pub(crate) fn leasing() -> Self {
        Self::built(true)
    }

    fn built(leasing: bool) -> Self {
        let random: [u8; 3] = os::random::bytes().unwrap();
        let prefix = format!("lt{:02x}{:02x}{:02x}", random[0], random[1], random[2]);
        let tiers: &[&str] = if leasing { &[] } else { &["tenant"] };
        let mut plan = Plan::new(prefix, 1, tiers).with_consoles(&PARTIES);
        if leasing {
            (plan.dhcp, plan.networks) = (true, vec![Ipv4Addr::new(10, 1, 0, 1)]);
        }
        plan.leasehold = Some(PathBuf::from(env!("CARGO_BIN_EXE_leasehold")));
        plan.bmonitor = Some(bmonitor());
        let guard = Guard::start().unwrap();
        let mut facility = Facility::build(plan, &guard).unwrap();
        let mut said = Vec::new();
        for (console, name) in facility.consoles_mut().iter_mut().zip(PARTIES) {
            let folder = console.folder().join("console").display().to_string();
            let listen = format!("{}:{CHANNEL_PORT}", console.address());
            console.set("LEASEHOLD_CONSOLE", format!("unix:{folder}/console.sock"));
            let mut init = vec!["console", "init", &folder, "--name", name, "--listen", &listen];
            let serves = leasing && name == PARTIES[LANDLORD];
            init.extend(serves.then_some(["--realms", "10.1.0.10-10.1.0.200"]).into_iter().flatten());
            let made = console.run(&init).unwrap();
            made.accepted();
            if serves {
                let mut settings =
                    File::options().append(true).open(format!("{folder}/console.toml")).unwrap();
                settings.write_all(DHCP.as_bytes()).unwrap();
            }
            console.start(&["console", "run", &folder]).unwrap();
            let shown = console.answers(&["console", "show"], PATIENCE).unwrap();
            said.extend([made.talk, shown.talk, shown.answer.to_string()]);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let mut world = Self { facility, runtime: runtime.unwrap(), tenant: None, said, _guard: guard };
        let identity: Identity = world.get(LANDLORD, "/v1/console/identity");
        world.facility.enrol(0, &json!(identity).to_string()).unwrap();
        world.tenant = Some(world.get(TENANT, "/v1/console/identity"));
        world
    }

    /// Hears all that passes any link of the facility.
    pub(crate) fn record(&self) -> Recording {
        self.facility.record(&["router", "internet", "n1", "landlord", "tenant"]).unwrap()
    }

    pub(crate) fn console_folder(&self, party: usize) -> PathBuf {
        self.facility.consoles()[party].folder().join("console")
    }

    /// Where a console listens for nodes.
    pub(crate) fn channel(&self, party: usize) -> SocketAddrV4 {
        let address: Ipv4Addr = self.facility.consoles()[party].address();
        SocketAddrV4::new(address, CHANNEL_PORT)
    }

    pub(crate) fn client(&self, party: usize) -> Client {
        let socket = self.console_folder(party).join("console.sock");
        Client::new(console_api::Address::Unix(socket), None, PATIENCE)
    }

    pub(crate) fn get<A: DeserializeOwned + Serialize>(&mut self, party: usize, path: &str) -> A {
        let client = self.client(party);
        let answer: A = self.runtime.block_on(client.get(path)).unwrap();
        self.said.push(json!(answer).to_string());
        answer
    }

    pub(crate) fn post<A: DeserializeOwned + Serialize>(
        &mut self,
        party: usize,
        path: &str,
        body: &impl Serialize,
    ) -> A {
        let client = self.client(party);
        let answer: A = self.runtime.block_on(client.post(path, body)).unwrap();
        self.said.push(json!(answer).to_string());
        answer
    }

    pub(crate) fn until<A: DeserializeOwned + Serialize>(
        &mut self,
        party: usize,
        path: &str,
        is_so: impl Fn(&A) -> bool,
    ) -> A {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer: A = self.get(party, path);
            if is_so(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{path} stays {}", json!(answer));
            os::poll::wait(&[], Some(LOOK)).unwrap();
        }
    }

    /// Starts a console that was killed, and waits until its node has dialled it.
    pub(crate) fn runs_again(&mut self, party: usize) {
        self.starts_again(party);
        let _: Value = self.until(party, "/v1/nodes", connected);
    }

    /// Starts a console that was killed.
    pub(crate) fn starts_again(&mut self, party: usize) {
        let folder = self.console_folder(party).display().to_string();
        let console = &mut self.facility.consoles_mut()[party];
        console.start(&["console", "run", &folder]).unwrap();
        console.answers(&["console", "show"], PATIENCE).unwrap();
    }

    pub(crate) fn settled(&self) -> node_protocol::call::Status {
        self.facility.nodes()[0].settled(PATIENCE).unwrap()
    }

    /// The node starts, dials the landlord's console, and is compared with its own screen.
    pub(crate) fn enrol(&mut self) {
        self.facility.nodes_mut()[0].start_supervisor(&[], false).unwrap();
        let node = self.settled().node.unwrap();
        let _: Enrolment = self.post(LANDLORD, "/v1/enrolment", &OpenWindow { minutes: 5 });
        let there = |window: &Enrolment| window.strangers.iter().any(|stranger| stranger.node == node);
        let _: Enrolment = self.until(LANDLORD, "/v1/enrolment", there);
        let confirm = Confirm { node, name: "n1".to_owned() };
        let _: Node = self.post(LANDLORD, "/v1/enrolment/confirm", &confirm);
        let up = |nodes: &Page<Node>| nodes.items.iter().any(|node| node.state == NodeState::Up);
        let _: Page<Node> = self.until(LANDLORD, "/v1/nodes", up);
    }

    pub(crate) fn grant(&mut self, contract: &str) -> Offer {
        self.grant_within(contract, WEB)
    }

    /// The same with another boundary.
    pub(crate) fn grant_within(&mut self, contract: &str, boundary: &str) -> Offer {
        let wanted = self.wanted(contract, boundary);
        let granted: Granted = self.post(LANDLORD, "/v1/leases", &wanted);
        assert!(granted.failed.is_empty(), "{}", json!(granted));
        granted.offer
    }

    fn wanted(&self, contract: &str, boundary: &str) -> Grant {
        let to = self.tenant.clone().unwrap();
        Grant {
            contract: contract.to_owned(),
            to,
            name: Some("tenant".to_owned()),
            nodes: vec!["n1".to_owned()],
            terms: Terms::ALWAYS,
            exercise: Rights::ALL,
            grant: Rights::ALL,
            quota: Quota { tiers: 4, keys: 16, objects: 64, records_per_hour: 1000, space_mib: 64 },
            boundary: boundary.to_owned(),
        }
    }

    /// What is asked for a lease.
    pub(crate) fn wanted_lease(&self, contract: &str) -> Grant {
        self.wanted(contract, WEB)
    }

    /// The tenant takes the node over, which makes new keys for it.
    pub(crate) fn take(&mut self, offer: Offer) {
        let node_keys = offer.leases.iter().map(|lease| lease.node.to_string()).collect();
        let taken: Taken = self.post(TENANT, "/v1/leases/take", &Take { offer, node_keys });
        assert!(taken.leases[0].accepted, "{}", json!(taken));
        let held = |nodes: &Page<Node>| {
            let mut tiers = nodes.items.iter().flat_map(|node| &node.tiers);
            tiers.any(|tier| tier.state == TierState::Held && tier.connected)
        };
        let _: Page<Node> = self.until(TENANT, "/v1/nodes", held);
    }

    /// The tenant orders a few things.
    pub(crate) fn live(&mut self) {
        for text in [CLOSED, WEB] {
            let object = Object::new(text).unwrap();
            let order = NewOrder {
                node: "n1".to_owned(),
                tier: None,
                verb: "boundary".to_owned(),
                args: json!({ "object": object.name() }),
                objects: vec![BASE64.encode(object.as_bytes())],
            };
            let done: Order = self.post(TENANT, "/v1/orders", &order);
            assert_eq!(done.state, OrderState::Accepted, "{}", json!(done));
        }
        let _: Order = self.post(TENANT, "/v1/orders", &another_key());
        self.settled();
    }

    /// The tenant has an engine serve from a volume.
    pub(crate) fn serve(&mut self) {
        let mut image = tar::Builder::new(Vec::new());
        let busybox = std::fs::read("/bin/busybox").unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(busybox.len() as u64);
        header.set_mode(0o755);
        image.append_data(&mut header, "bin/busybox", busybox.as_slice()).unwrap();
        let folder = self.facility.consoles()[TENANT].folder();
        std::fs::write(folder.join("web.tar"), image.into_inner().unwrap()).unwrap();
        std::fs::write(folder.join("web.toml"), ENGINE).unwrap();
        self.says(&["volume", "make", "data", "--size-mib", "16", "--node", "n1"], |_| true);
        self.says(&["engine", "deploy", "web.toml", "--image", "web.tar", "--node", "n1"], |_| true);
        self.says(&["engine", "show", "web"], |shown| shown[0]["status"]["state"] == "running");
    }

    /// The tenant runs a command until it does what was asked: the console reads a node's journal as it grows.
    fn says(&mut self, arguments: &[&str], is_so: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.facility.consoles()[TENANT].run(arguments).unwrap();
            let done = said.exit == 0 && is_so(&said.answer);
            assert!(done || Instant::now() < deadline, "{arguments:?}: {} {}", said.talk, said.answer);
            self.said.extend([said.talk, said.answer.to_string()]);
            if done {
                return;
            }
            os::poll::wait(&[], Some(LOOK)).unwrap();
        }
    }

    pub(crate) fn sever(&mut self, contract: &str) {
        let mut sever = Sever { what: contract.to_owned(), nodes: Vec::new(), if_match: None };
        let plan: LeasePlan = self.post(LANDLORD, "/v1/leases/sever/plan", &sever);
        sever.if_match = Some(plan.plan);
        let severed: Severed = self.post(LANDLORD, "/v1/leases/sever", &sever);
        assert!(severed.leases.iter().all(|lease| lease.problem.is_none()), "{}", json!(severed));
        self.until(TENANT, "/v1/nodes", |nodes: &Value| !connected(nodes));
        assert_eq!(self.settled().tiers.len(), 1);
    }
}

/// The console's only tier on the node is to have one controller key more.
pub(crate) fn another_key() -> NewOrder {
    NewOrder {
        node: "n1".to_owned(),
        tier: None,
        verb: "enrol-key".to_owned(),
        args: json!(lab::Party::new().unwrap().controller(Rights::ALL)),
        objects: Vec::new(),
    }
}

/// Whether any tier of any node is connected to the console that said this.
pub(crate) fn connected(nodes: &Value) -> bool {
    nodes.to_string().contains("\"connected\":true")
}
