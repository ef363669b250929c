//! A night: a node dies with its power, its landlord's console notices, tells people by a real mail server, and has a
//! spare take its place, which the tenant's console takes over by itself. All processes are real. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant, SystemTime};

use id::Time;
use lab::{Console, Facility, Guard, Plan};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
const BOUNDARY: &str = "version = 1\n[[allow]]\nname = \"web\"\ndirection = \"in\"\nprotocol = \"tcp\"\n\
    remote = [\"203.0.113.0/24\"]\nlocal_port = [80]\n";

fn main() -> ExitCode {
    lab::trial::main(&[("a_node_dies_at_night_and_a_spare_takes_its_place", night)])
}

/// A mail server in a party's own place: a line of JSON for each mail.
struct Mail {
    child: Child,
    mails: Receiver<Value>,
    port: u64,
}

impl Mail {
    fn start(namespace: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../notify/tests/servers/smtp.py");
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", namespace.display()))
            .arg("/usr/bin/python3")
            .arg(script)
            .arg("plain");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (say, mails) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if say.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        let first: Value = mails.recv_timeout(PATIENCE).unwrap();
        Self { child, mails, port: first["port"].as_u64().unwrap() }
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn ran(console: &Console, arguments: &[&str]) -> Value {
    let said = console.run(arguments).unwrap();
    assert_eq!(said.exit, 0, "{arguments:?}: {}", said.talk);
    said.answer
}

/// Asks until it is so.
fn until(console: &Console, arguments: &[&str], is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = console.run(arguments).unwrap();
        if said.exit == 0 && is_so(&said.answer) {
            return said.answer;
        }
        assert!(Instant::now() < deadline, "{arguments:?}: {} {}\n{}", said.answer, said.talk, console.log());
        os::poll::wait(&[], Some(LOOK)).unwrap();
    }
}

fn items(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["items"].as_array().into_iter().flatten()
}

/// Makes a party's console, with what is added to its settings, and starts it.
fn start(console: &mut Console, party: &str, further: &[&str], settings: &str) {
    let folder = console.folder().join("console").display().to_string();
    console.set("LEASEHOLD_CONSOLE", format!("unix:{folder}/console.sock"));
    let listen = format!("{}:7443", console.address());
    let mut init = vec!["console", "init", &folder, "--name", party, "--listen", &listen];
    init.extend(further);
    ran(console, &init);
    let path = console.folder().join("console/console.toml");
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(settings.as_bytes()).unwrap();
    console.start(&["console", "run", &folder]).unwrap();
    console.answers(&["console", "show"], PATIENCE).unwrap();
}

fn now() -> Time {
    Time::ZERO.plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

fn seconds(from: Time, to: Time) -> f64 {
    Duration::from_millis(to.as_millis().saturating_sub(from.as_millis())).as_secs_f64()
}

fn night() {
    let random: [u8; 3] = os::random::bytes().unwrap();
    let prefix = format!("ln{:02x}{:02x}{:02x}", random[0], random[1], random[2]);
    let mut plan = Plan::new(prefix, 3, &[]).with_consoles(&["landlord", "console-a"]);
    let program = PathBuf::from(env!("CARGO_BIN_EXE_leasehold"));
    plan.bmonitor = Some(program.with_file_name("bmonitor"));
    plan.leasehold = Some(program);
    (plan.dhcp, plan.networks) = (true, vec!["10.1.0.1".parse().unwrap()]);
    let guard = Guard::start().unwrap();
    let mut facility = Facility::build(plan, &guard).unwrap();
    let mail = Mail::start(&facility.path_of("landlord"));
    let settings = format!(
        "\n[dhcp]\ninterface = \"eth0\"\nserver = \"10.0.0.2\"\nlease_s = 600\n\
         nodes = {{ addresses = \"10.0.0.100-10.0.0.199\", prefix = 16 }}\n\
         realms = {{ prefix = 16, router = \"10.1.0.1\" }}\n\
         [[receiver]]\nname = \"ops\"\n[receiver.mail]\nserver = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\n\
         from = \"leasehold@acme.example\"\nto = [\"kim@acme.example\"]\n",
        mail.port
    );
    let [landlord, tenant] = facility.consoles_mut() else { panic!("two consoles are planned") };
    start(landlord, "landlord", &["--realms", "10.1.0.10-10.1.0.200"], &settings);
    start(tenant, "tenant-a", &[], "");

    let screens = enrol(&mut facility);
    let [landlord, tenant] = facility.consoles() else { panic!("two consoles are planned") };
    lease(landlord, tenant, &screens[0]);
    ran(landlord, &["spare", "add", "n3"]);
    ran(tenant, &["lease", "standby", "L-9", "--node-key", &screens[2], "--name", "n3"]);
    until(landlord, &["spare", "list"], |spares| items(spares).all(|spare| spare["state"] == "ready"));
    assert!(items(&ran(landlord, &["incident", "list"])).next().is_none());

    facility.power_off(0).unwrap();
    let died = now();
    let [landlord, tenant] = facility.consoles() else { panic!("two consoles are planned") };
    let dead =
        |answer: &Value| items(answer).any(|one| one["cause"] == "node-dead" && one["about"] == "node n1");
    let incidents = until(landlord, &["incident", "list"], dead);
    let incident = items(&incidents).find(|one| one["cause"] == "node-dead").unwrap();
    let known: Time = incident["opened"].as_str().unwrap().parse().unwrap();
    let received = mail.mails.recv_timeout(PATIENCE).unwrap();
    let subject = received["headers"]["subject"].as_str().unwrap();
    assert!(subject.starts_with("[CRITICAL] INC-1 node n1: node-dead"), "{received}");

    // The spare has a realm that is open, at an address that the directory says, and the tenant holds it.
    until(tenant, &["node", "show", "n3"], |node| {
        node["state"] == "up" && node["tiers"].as_array().unwrap().iter().any(|tier| tier["state"] == "held")
    });
    until(landlord, &["node", "show", "n3"], |node| {
        let tiers = node["tiers"][0]["status"]["tiers"].as_array().cloned().unwrap_or_default();
        tiers.iter().any(|tier| tier["name"] == "tenant-a" && tier["realm"]["open"] == true)
    });
    let served = now();
    let incident =
        until(landlord, &["incident", "show", "1"], |incident| incident["state"] == "needs-person");
    let tried = incident["timeline"].to_string();
    assert!(tried.contains("spare n3 takes the place of n1"), "{tried}");
    // Nobody could switch it off: its address stays with it.
    assert!(tried.contains("with a new address"), "{tried}");
    let told = format!(
        "dead_known_s {:.2}, dead_to_open_spare_s {:.2}\n",
        seconds(died, known),
        seconds(died, served)
    );
    std::io::stderr().write_all(told.as_bytes()).unwrap();
    assert!(seconds(died, known) < 15.0 && seconds(died, served) < 45.0, "{told}");

    // It comes back, and the incident goes by itself once it stays.
    facility.power_on(0).unwrap();
    facility.nodes_mut()[0].start_supervisor(&[], true).unwrap();
    let [landlord, _] = facility.consoles() else { panic!("two consoles are planned") };
    let over = |incident: &Value| incident["state"] == "settling" || incident["state"] == "resolved";
    until(landlord, &["incident", "show", "1"], over);
}

/// Starts the nodes, and confirms each by what stands on its own screen.
fn enrol(facility: &mut Facility) -> Vec<String> {
    let identity = ran(&facility.consoles()[0], &["console", "identity"]).to_string();
    for place in 0..3 {
        facility.enrol(place, &identity).unwrap();
        facility.nodes_mut()[place].start_supervisor(&[], true).unwrap();
    }
    let landlord = &facility.consoles()[0];
    ran(landlord, &["node", "enrol"]);
    let mut screens = Vec::new();
    for node in facility.nodes() {
        let screen = node.settled(PATIENCE).unwrap().node.unwrap().to_string();
        until(landlord, &["node", "strangers"], |window| {
            window["strangers"].as_array().unwrap().iter().any(|stranger| stranger["node"] == screen.as_str())
        });
        ran(landlord, &["node", "confirm", &screen, "--name", node.name()]);
        screens.push(screen);
    }
    until(landlord, &["node", "list"], |nodes| {
        items(nodes).filter(|node| node["state"] == "up" && node["record"].is_u64()).count() == 3
    });
    screens
}

/// Leases the first node to the tenant, who takes it over.
fn lease(landlord: &Console, tenant: &Console, screen: &str) {
    landlord.write("tenant-a.json", &ran(tenant, &["console", "identity"]).to_string()).unwrap();
    landlord.write("cluster.toml", BOUNDARY).unwrap();
    let mut grant = vec!["lease", "grant", "L-9", "--to", "tenant-a.json", "--node", "n1", "--boundary"];
    grant.extend(["cluster.toml", "--until", "2090-01-01T00:00:00Z", "--out", "offer.json"]);
    ran(landlord, &grant);
    let offer = std::fs::read_to_string(landlord.folder().join("offer.json")).unwrap();
    tenant.write("offer.json", &offer).unwrap();
    ran(tenant, &["lease", "take", "offer.json", "--node-key", screen]);
    until(tenant, &["node", "show", "n1"], |node| node["tiers"][0]["state"] == "held");
}
