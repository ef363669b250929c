//! What these trials have in common: parties with consoles and a mail server, nodes that are enrolled and leased,
//! engines that serve a page.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant, SystemTime};

use id::Time;
use lab::{Console, Facility, Guard, Plan};
use serde_json::Value;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
/// Longer than a connection that nobody answers takes to be tried again.
const A_TRY: Duration = Duration::from_secs(2);
const BOUNDARY: &str = "version = 1\n[[allow]]\nname = \"web\"\ndirection = \"in\"\nprotocol = \"tcp\"\n\
    remote = [\"203.0.113.0/24\"]\nlocal_port = [80]\n";

/// A facility of so many nodes with a landlord and a tenant, whose nodes and realms lease their addresses.
pub(crate) fn facility(nodes: u8, guard: &Guard) -> Facility {
    let random: [u8; 3] = os::random::bytes().unwrap();
    let prefix = format!("ln{:02x}{:02x}{:02x}", random[0], random[1], random[2]);
    let mut plan = Plan::new(prefix, nodes, &[]).with_consoles(&["landlord", "console-a"]);
    let program = PathBuf::from(env!("CARGO_BIN_EXE_leasehold"));
    plan.bmonitor = Some(program.with_file_name("bmonitor"));
    plan.leasehold = Some(program);
    (plan.dhcp, plan.networks) = (true, vec!["10.1.0.1".parse().unwrap()]);
    Facility::build(plan, guard).unwrap()
}

/// What makes a console the facility's DHCP server.
pub(crate) const DHCP: &str = "\n[dhcp]\ninterface = \"eth0\"\nserver = \"10.0.0.2\"\nlease_s = 600\n\
     nodes = { addresses = \"10.0.0.100-10.0.0.199\", prefix = 16 }\n\
     realms = { prefix = 16, router = \"10.1.0.1\" }\n";

/// A mail server in a party's own place: a line of JSON for each mail.
pub(crate) struct Mail {
    child: Child,
    pub(crate) mails: Receiver<Value>,
    port: u64,
}

impl Mail {
    pub(crate) fn start(namespace: &Path) -> Self {
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

impl Mail {
    /// The settings by which a console tells everything to this server.
    pub(crate) fn receiver(&self) -> String {
        format!(
            "\n[[receiver]]\nname = \"ops\"\n[receiver.mail]\nserver = \"127.0.0.1\"\nport = {}\n\
             security = \"none\"\nfrom = \"leasehold@acme.example\"\nto = [\"kim@acme.example\"]\n",
            self.port
        )
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

pub(crate) fn ran(console: &Console, arguments: &[&str]) -> Value {
    let said = console.run(arguments).unwrap();
    assert_eq!(said.exit, 0, "{arguments:?}: {}", said.talk);
    said.answer
}

/// Asks until it is so.
pub(crate) fn until(console: &Console, arguments: &[&str], is_so: impl Fn(&Value) -> bool) -> Value {
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

pub(crate) fn items(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["items"].as_array().into_iter().flatten()
}

/// Makes a party's console, with what is added to its settings, and starts it.
pub(crate) fn start(console: &mut Console, party: &str, further: &[&str], settings: &str) {
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

pub(crate) fn now() -> Time {
    Time::ZERO.plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap())
}

pub(crate) fn seconds(from: Time, to: Time) -> f64 {
    Duration::from_millis(to.as_millis().saturating_sub(from.as_millis())).as_secs_f64()
}

/// Starts the nodes, and confirms each by what stands on its own screen.
pub(crate) fn enrol(facility: &mut Facility) -> Vec<String> {
    let identity = ran(&facility.consoles()[0], &["console", "identity"]).to_string();
    for place in 0..facility.nodes().len() {
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
        items(nodes).filter(|node| node["state"] == "up" && node["record"].is_u64()).count() == screens.len()
    });
    screens
}

/// Leases the first node to the tenant, who takes it over.
pub(crate) fn lease(landlord: &Console, tenant: &Console, screen: &str) {
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

/// Makes the volume of the engines here on the first node, once that has dialled anew, with the identity that it made
/// when it was taken over.
pub(crate) fn make_volume(tenant: &Console) {
    until(tenant, &["volume", "make", "data", "--size-mib", "64", "--node", "n1"], |_| true);
}

/// What an engine is made of: busybox, perl, and a page in a folder that no other trial has.
pub(crate) fn image(facility: &Facility, page: &[u8]) -> Vec<u8> {
    let mut image = tar::Builder::new(Vec::new());
    let mut add = |path: &str, content: &[u8], mode: u32| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        image.append_data(&mut header, path, content).unwrap();
    };
    add(&format!("{}/page", facility.plan().prefix), page, 0o644);
    for program in ["bin/busybox", "usr/bin/perl"] {
        add(program, &std::fs::read(Path::new("/").join(program)).unwrap(), 0o755);
    }
    let needed = Command::new("ldd").arg("/usr/bin/perl").output().unwrap();
    for word in String::from_utf8(needed.stdout).unwrap().split_whitespace() {
        if let Some(path) = word.strip_prefix('/') {
            add(path, &std::fs::read(word).unwrap(), 0o755);
        }
    }
    image.into_inner().unwrap()
}

/// A page of one megabyte.
pub(crate) fn page() -> Vec<u8> {
    (0..1_000_000_u32).map(|number| u8::try_from(number * 7 % 251).unwrap()).collect()
}

/// The specification of a web server; the image's digest is left to be written in.
pub(crate) fn web(facility: &Facility) -> String {
    let prefix = &facility.plan().prefix;
    format!(
        "version = 1\nengine = \"web\"\nvolume = \"data\"\nports = [80]\nstop_seconds = 1\n\
         command = [\"/bin/busybox\", \"sh\", \"-c\", \"echo {prefix} serves; \
         exec /bin/busybox httpd -f -p 80 -h /{prefix}\"]\n[limits]\nmemory_mib = 64\nprocesses = 32\n"
    )
}

/// Where an engine of the tenant's serves on a node, once it is ready there.
pub(crate) fn served_at(tenant: &Console, engine: &str, node: &str) -> IpAddr {
    let is_it = |one: &Value| {
        one["name"] == engine
            && one["node_name"] == node
            && one["status"]["state"] == "running"
            && one["addresses"].get(0).is_some()
    };
    let engines = until(tenant, &["engine", "list"], |engines| items(engines).any(is_it));
    let found = items(&engines).find(|one| is_it(one)).unwrap();
    found["addresses"][0].as_str().unwrap().parse().unwrap()
}

/// The page, as a client on the internet gets it from there: through the filters.
pub(crate) fn fetched(facility: &Facility, from: IpAddr) -> Vec<u8> {
    let internet = facility.namespace("internet").unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match internet.run(|| fetch((from, 80).into())).unwrap() {
            Ok(page) => return page,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        os::poll::wait(&[], Some(LOOK)).unwrap();
    }
}

pub(crate) fn fetch(from: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&from, A_TRY)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /page HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n");
    head.map(|head| answer.split_off(head + 4)).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}
