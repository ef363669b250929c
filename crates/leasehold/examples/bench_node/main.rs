//! `cargo xtask bench node`: what a node alone takes up, with a realm, two couriers, each connected to its
//! tier's console, and addresses by DHCP. Needs root; the programs are expected in the folder above this example's own.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use lab::{Console, Facility, Failed, Guard, Plan};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
/// How long the node is left alone while its time on the processors is measured.
const IDLE: Duration = Duration::from_secs(10);
const BOUNDARY: &str = "version = 1\n[[allow]]\nremote = [\"10.1.0.0/16\"]\n";
const COURIERS: usize = 2;
/// Every process that a node at rest has, beside its couriers.
const ROLES: [&str; 4] = ["custody", "dhcp", "launcher", "supervisor"];
/// What makes the landlord's console the facility's DHCP server.
const DHCP: &str = "\n[dhcp]\ninterface = \"eth0\"\nserver = \"10.0.0.2\"\nlease_s = 600\n\
     nodes = { addresses = \"10.0.0.100-10.0.0.199\", prefix = 16 }\n\
     realms = { prefix = 16, router = \"10.1.0.1\" }\n";
const REALMS: [&str; 2] = ["--realms", "10.1.0.10-10.1.0.200"];

fn main() -> ExitCode {
    if let Some(ended) = lab::serve() {
        return ended;
    }
    match figures() {
        Ok(figures) => {
            figures.iter().for_each(|figure| println!("{figure}"));
            ExitCode::SUCCESS
        }
        Err(failed) => {
            println!("error: {}", failed.told());
            ExitCode::FAILURE
        }
    }
}

fn figures() -> Result<Vec<Value>, Failed> {
    let guard = Guard::start()?;
    let facility = leased(&guard)?;
    let before = Usage::of(&facility)?;
    os::poll::wait(&[], Some(IDLE)).map_err(|error| Failed::new("wait", error))?;
    let after = Usage::of(&facility)?;
    if after.couriers != COURIERS || !ROLES.iter().all(|role| after.names.iter().any(|name| name == role)) {
        let found = format!("these run: {:?}", after.names);
        return Err(Failed::new("measure a node with two couriers and all its other processes", found));
    }
    let percent = after.busy.saturating_sub(before.busy).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let figure = |name: &str, value: f64, unit: &str| {
        let value = (value * 100.0).round() / 100.0;
        json!({ "bench": "node", "figure": name, "value": value, "unit": unit, "runs": 1, "processes": after.names })
    };
    let whole =
        [figure("idle_pss_mib", after.pss_kib / 1024.0, "MiB"), figure("idle_cpu_percent", percent, "%")];
    let each = after.each.iter().map(|(name, pss_kib)| {
        json!({ "bench": "node", "figure": format!("pss_kib_{}", name.trim_start_matches("bmonitor-")), "value": pss_kib, "unit": "KiB", "runs": 1 })
    });
    Ok(whole.into_iter().chain(each).collect())
}

/// What all processes of the node monitor take up together.
struct Usage {
    names: Vec<String>,
    couriers: usize,
    pss_kib: f64,
    /// Of each process, its name with it.
    each: Vec<(String, f64)>,
    busy: Duration,
}

impl Usage {
    fn of(facility: &Facility) -> Result<Self, Failed> {
        let mut usage =
            Self { names: Vec::new(), couriers: 0, pss_kib: 0.0, each: Vec::new(), busy: Duration::ZERO };
        // The first process is the lab's; the monitor is what came from it.
        for process in below(facility.nodes()[0].first_process()) {
            let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
            let words = read("cmdline");
            let mut words = words.split('\0').map(|word| word.rsplit('/').next().unwrap_or(word));
            let name = match (words.next(), words.next()) {
                (Some("bmonitor" | "exe"), Some(role)) => role.to_owned(),
                (name, _) => name.unwrap_or_default().to_owned(),
            };
            usage.couriers += usize::from(name == "bmonitor-courier");
            let pss = read("smaps_rollup");
            let pss = pss
                .lines()
                .find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next()?.parse().ok());
            let pss: f64 = pss.unwrap_or(0.0);
            usage.pss_kib += pss;
            usage.each.push((name.clone(), pss));
            usage.names.push(name);
            usage.busy += busy(&read("stat"));
        }
        usage.names.sort();
        usage.each.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(usage)
    }
}

/// Time on the processors, by proc_pid_stat(5): fields 14 and 15, in hundredths of a second.
fn busy(stat: &str) -> Duration {
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// All processes that came from this one.
fn below(process: u32) -> BTreeSet<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    let children: Vec<u32> = children.split_whitespace().filter_map(|id| id.parse().ok()).collect();
    children.iter().copied().chain(children.iter().flat_map(|&child| below(child))).collect()
}

/// A node that a tenant has taken over from its landlord, both by their consoles.
fn leased(guard: &Guard) -> Result<Facility, Failed> {
    let random: [u8; 3] = os::random::bytes().map_err(|error| Failed::new("choose a name", error))?;
    let prefix = format!("bn{:02x}{:02x}{:02x}", random[0], random[1], random[2]);
    let mut plan = Plan::new(prefix, 1, &[]).with_consoles(&["landlord", "tenant-a"]);
    (plan.dhcp, plan.networks) = (true, vec![Ipv4Addr::new(10, 1, 0, 1)]);
    plan.bmonitor = Some(program("bmonitor")?);
    plan.leasehold = Some(program("leasehold")?);
    let mut facility = Facility::build(plan, guard)?;
    let [landlord, tenant] = facility.consoles_mut() else {
        return Err(Failed::new("go on", "there are not two consoles"));
    };
    start(landlord, &REALMS, DHCP)?;
    start(tenant, &[], "")?;
    let identity = said(&facility.consoles()[0], &["console", "identity"])?;
    facility.enrol(0, &identity.to_string())?;
    facility.nodes_mut()[0].start_supervisor(&[], false)?;
    let node = facility.nodes()[0].settled(PATIENCE)?.node;
    let node = node.ok_or_else(|| Failed::new("go on", "the node has no key"))?.to_string();
    let [landlord, tenant] = facility.consoles() else {
        return Err(Failed::new("go on", "there are not two consoles"));
    };
    said(landlord, &["node", "enrol"])?;
    until(landlord, &["node", "confirm", &node, "--name", "n1"], |_| true)?;
    let up = |node: &Value| node["state"] == "up" && !node["record"].is_null();
    until(landlord, &["node", "show", "n1"], up)?;
    let identity = landlord.write("tenant.json", &said(tenant, &["console", "identity"])?.to_string())?;
    let boundary = landlord.write("boundary.toml", BOUNDARY)?;
    let offer = tenant.folder().join("offer.json");
    let [identity, boundary, offer] = [identity, boundary, offer].map(|path| path.display().to_string());
    let grant = ["lease", "grant", "L-1", "--to", &identity, "--node", "n1", "--boundary", &boundary];
    said(landlord, &[&grant[..], &["--until", "2100-01-01T00:00:00Z", "--out", &offer]].concat())?;
    said(tenant, &["lease", "take", &offer, "--node-key", &node])?;
    let held = |node: &Value| {
        node["state"] == "up" && node["tiers"][0]["state"] == "held" && node["tiers"][0]["connected"] == true
    };
    until(tenant, &["node", "show", "n1"], held)?;
    // The realm has its address, too.
    let open = |node: &Value| node["tiers"][0]["status"]["tiers"][0]["realm"]["open"] == true;
    until(tenant, &["node", "show", "n1"], open)?;
    facility.nodes()[0].settled(PATIENCE)?;
    Ok(facility)
}

fn start(console: &mut Console, further: &[&str], settings: &str) -> Result<(), Failed> {
    let folder = console.folder().join("console").display().to_string();
    let (name, listen) = (console.name().to_owned(), format!("{}:7443", console.address()));
    console.set("LEASEHOLD_CONSOLE", format!("unix:{folder}/console.sock"));
    said(console, &[&["console", "init", &folder, "--name", &name, "--listen", &listen], further].concat())?;
    let file = File::options().append(true).open(console.folder().join("console/console.toml"));
    let written = file.and_then(|mut file| file.write_all(settings.as_bytes()));
    written.map_err(|error| Failed::new("write a console's settings", error))?;
    console.start(&["console", "run", &folder])?;
    console.answers(&["console", "show"], PATIENCE).map(drop)
}

fn said(console: &Console, arguments: &[&str]) -> Result<Value, Failed> {
    let said = console.run(arguments)?;
    if said.exit == 0 { Ok(said.answer) } else { Err(Failed::new(arguments.join(" "), said.talk)) }
}

/// Asks until it is done, and as wanted.
fn until(console: &Console, arguments: &[&str], wanted: impl Fn(&Value) -> bool) -> Result<Value, Failed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = said(console, arguments);
        match answer {
            Ok(answer) if wanted(&answer) => return Ok(answer),
            Err(failed) if Instant::now() > deadline => return Err(failed),
            Ok(answer) if Instant::now() > deadline => {
                return Err(Failed::new(arguments.join(" "), answer.to_string()));
            }
            Ok(_) | Err(_) => {
                os::poll::wait(&[], Some(LOOK)).map(drop).map_err(|error| Failed::new("wait", error))?
            }
        }
    }
}

/// A program that was built with this example.
fn program(name: &str) -> Result<PathBuf, Failed> {
    let act = || format!("find {name}");
    let own = std::env::current_exe().map_err(|error| Failed::new(act(), error))?;
    let path = own.parent().and_then(|folder| folder.parent()).map(|folder| folder.join(name));
    path.filter(|path| path.exists()).ok_or_else(|| Failed::new(act(), "it is not built"))
}
