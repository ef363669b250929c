//! Facilities without BMonitor: what is made works, what ends goes, whatever the end. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use lab::{Facility, Guard, Plan, Target, Transport};

const SOON: Duration = Duration::from_secs(5);
/// On a machine however busy.
const PATIENCE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    // A facility that never ends by itself, for the test that kills it.
    if let [_, word, prefix] = std::env::args().collect::<Vec<_>>().as_slice()
        && word == "hold"
    {
        hold(prefix);
    }
    lab::trial::main(&[
        ("nodes_and_the_outside_reach_each_other", nodes_and_the_outside_reach_each_other),
        ("a_console_works_in_its_place", a_console_works_in_its_place),
        ("a_node_without_power_is_gone_and_comes_back", a_node_without_power_is_gone_and_comes_back),
        ("the_power_port_turns_nodes_off_and_on", the_power_port_turns_nodes_off_and_on),
        ("two_facilities_do_not_meet", two_facilities_do_not_meet),
        (
            "the_first_to_end_leaves_the_folder_of_names_to_the_last",
            the_first_to_end_leaves_the_folder_of_names_to_the_last,
        ),
        ("a_panic_leaves_nothing", a_panic_leaves_nothing),
        ("a_kill_leaves_nothing", a_kill_leaves_nothing),
    ])
}

fn plan() -> Plan {
    plan_called(&prefix())
}

/// Of this run alone: another copy of the tests may run beside it.
fn prefix() -> String {
    let random: [u8; 3] = os::random::bytes().unwrap();
    format!("lh{:02x}{:02x}{:02x}", random[0], random[1], random[2])
}

fn plan_called(prefix: &str) -> Plan {
    let mut plan = Plan::new(prefix, 2, &["tenant-a"]).with_consoles(&["landlord"]);
    // A shell does for what a console's program does.
    plan.leasehold = Some(PathBuf::from("/bin/bash"));
    plan
}

fn nodes_and_the_outside_reach_each_other() {
    let guard = Guard::start().unwrap();
    let mut facility = Facility::build(plan(), &guard).unwrap();
    let path = facility.path_of("n1");
    let engine = facility.nodes_mut()[0].start_engine("echo", &path).unwrap();
    engine.listen(Transport::Tcp, 80).unwrap();
    engine.listen(Transport::Udp, 53).unwrap();
    let at = |port| SocketAddr::new(Plan::management(0).into(), port);
    // The node has no route out of its network: the router answers for nobody else.
    let node = facility.path_of("n2");
    let client = facility.nodes_mut()[1].start_engine("client", &node).unwrap();
    let connection = client.connect(at(80), SOON).unwrap().unwrap();
    client.exchange(connection, SOON).unwrap().unwrap();
    client.datagram(at(53), SOON).unwrap().unwrap();
    assert_eq!(client.connect(at(81), SOON).unwrap().unwrap_err(), "Connection refused (os error 111)");
    assert_eq!(facility.internet.connect(at(80), SHORT).unwrap().unwrap_err(), "no answer");
    client.stream(connection).unwrap();
    // The stream's answers say nothing of the prober's thread: it is given time until it was answered, too.
    let deadline = Instant::now() + PATIENCE;
    loop {
        client.probe(&[Target { transport: Transport::Udp, to: at(53) }]).unwrap();
        let before = client.streamed(connection).unwrap().answers;
        while client.streamed(connection).unwrap().answers < before + 10 {}
        let probed = client.probed().unwrap();
        if probed[0].passed > 0 {
            break;
        }
        assert!(Instant::now() < deadline, "{probed:?}");
    }
    let datagrams = |engine: &lab::Host| engine.heard().unwrap()[1];
    let before = datagrams(&engine);
    client.send(&[at(53)], Duration::from_micros(100)).unwrap();
    while datagrams(&engine).count < before.count + 10 {}
    assert!(datagrams(&engine).last_ns > before.last_ns);
}

fn a_console_works_in_its_place() {
    let guard = Guard::start().unwrap();
    let mut facility = Facility::build(plan(), &guard).unwrap();
    let path = facility.path_of("n1");
    let engine = facility.nodes_mut()[0].start_engine("echo", &path).unwrap();
    engine.listen(Transport::Tcp, 80).unwrap();
    let console = &mut facility.consoles_mut()[0];
    console.set("PARTY", "the landlord");
    let reached = console.run(&["-c", "exec 3<>/dev/tcp/10.0.0.11/80 && echo \"\\\"$PARTY\\\"\""]).unwrap();
    assert_eq!((reached.exit, reached.answer.as_str()), (0, Some("the landlord")), "{reached:?}");
    assert_eq!(console.address().to_string(), "10.0.0.2");
    console.start(&["-c", "echo here; touch up; sleep 1000"]).unwrap();
    console.start(&[]).unwrap_err();
    console.answers(&["-c", "test -e up"], SOON).unwrap();
    assert_eq!(console.log(), "here\n");
    console.kill().unwrap();
    console.start(&["-c", "exit 3"]).unwrap();
    let failed = console.answers(&["-c", "test -e never"], SOON).unwrap_err();
    assert!(failed.told().contains("exit status: 3"), "{}", failed.told());
}

fn a_node_without_power_is_gone_and_comes_back() {
    let guard = Guard::start().unwrap();
    let mut facility = Facility::build(plan(), &guard).unwrap();
    fs::write(facility.nodes()[0].folder().join("state/kept"), "x").unwrap();
    let path = facility.path_of("n1");
    let engine = facility.nodes_mut()[0].start_engine("echo", &path).unwrap();
    facility.power_off(0).unwrap();
    assert!(!path.exists());
    assert!(engine.heard().is_err());
    facility.power_on(0).unwrap();
    assert!(path.exists());
    assert!(facility.nodes()[0].folder().join("state/kept").exists());
}

/// At the simulated BMC, from a console: a machine that comes up starts what ran, with its disk and nothing else.
fn the_power_port_turns_nodes_off_and_on() {
    let guard = Guard::start().unwrap();
    let mut plan = plan();
    plan.power = Some("secret".to_owned());
    // It says that it was started, and ends.
    plan.bmonitor = Some(PathBuf::from("/bin/echo"));
    let mut facility = Facility::build(plan, &guard).unwrap();
    facility.nodes_mut()[0].start_supervisor(&["first"], false).unwrap();
    facility.nodes_mut()[0].supervisor_ended(SOON).unwrap();
    let (path, folder) = (facility.path_of("n1"), facility.nodes()[0].folder().to_owned());
    let engine = facility.nodes_mut()[0].start_engine("echo", &path).unwrap();
    let port = facility.power_port().unwrap();
    assert_eq!(
        (port.url().as_str(), port.user(), port.password()),
        ("http://10.0.0.1:8000", "lab", "secret")
    );
    let ask = |method: &str, path: &str, user: &str, body: &str| -> String {
        let user = data_encoding::BASE64.encode(user.as_bytes());
        let length = body.len();
        let request = format!(
            "{method} /redfish/v1{path} HTTP/1.1\r\nHost: bmc\r\nAuthorization: Basic {user}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let script = "exec 3<>/dev/tcp/10.0.0.1/8000 && printf %s \"$0\" >&3 && cat <&3";
        let said = facility.consoles()[0].run(&["-c", script, &request]).unwrap();
        said.answer.as_str().unwrap().to_owned()
    };
    let reset = |node: &str, kind: &str| {
        let path = format!("/Systems/{node}/Actions/ComputerSystem.Reset");
        ask("POST", &path, "lab:secret", &format!("{{\"ResetType\":\"{kind}\"}}"))
    };
    assert!(ask("GET", "/", "", "").contains("Simulated BMC"));
    assert!(ask("GET", "/Systems", "lab:wrong", "").starts_with("HTTP/1.1 401 "));
    assert!(ask("GET", "/Systems", "lab:secret", "").contains("\"/redfish/v1/Systems/n2\""));
    assert!(ask("GET", "/Systems/n3", "lab:secret", "").starts_with("HTTP/1.1 404 "));
    assert!(ask("DELETE", "/Systems/n1", "lab:secret", "").starts_with("HTTP/1.1 405 "));
    assert!(reset("n1", "Nmi").starts_with("HTTP/1.1 400 "));
    let is = |state: &str| {
        let said = ask("GET", "/Systems/n1", "lab:secret", "");
        said.contains(&format!("\"PowerState\":\"{state}\"")) && said.contains("simulated")
    };
    assert!(is("On") && facility.nodes()[0].is_on());
    for _ in 0..2 {
        assert!(reset("n1", "ForceOff").starts_with("HTTP/1.1 204 "));
        assert!(is("Off") && !facility.nodes()[0].is_on() && facility.nodes()[1].is_on());
    }
    assert!(engine.heard().is_err() && !path.exists());
    // Nobody holds a copy of what was mounted for it.
    let other = facility.nodes()[1].first_process();
    let mounts = fs::read_to_string(format!("/proc/{other}/mountinfo")).unwrap();
    assert!(!mounts.contains(&folder.display().to_string()), "{mounts}");
    assert!(!folder.join("run").exists() && folder.join("state").exists());
    assert!(reset("n1", "On").starts_with("HTTP/1.1 204 ") && is("On"));
    assert!(reset("n1", "ForceRestart").starts_with("HTTP/1.1 204 ") && is("On"));
    assert!(path.exists() && folder.join("run").exists());
    let log = facility.nodes()[0].log();
    let started = log.lines().filter(|line| line.starts_with("supervisor "));
    let started: Vec<bool> = started.map(|line| line.ends_with("first")).collect();
    assert_eq!(started, [true, false, false], "{log}");
}

fn two_facilities_do_not_meet() {
    let guard = Guard::start().unwrap();
    let first = Facility::build(plan(), &guard).unwrap();
    let second = Facility::build(plan(), &guard).unwrap();
    assert!(first.namespace("n1").is_ok() && second.namespace("n1").is_ok());
}

/// The folder where people see the names is of all that run: the last to end takes it away.
fn the_first_to_end_leaves_the_folder_of_names_to_the_last() {
    let visible = || Plan { visible: true, ..plan() };
    let (first, last) = (Guard::start().unwrap(), Guard::start().unwrap());
    let one = Facility::build(visible(), &first).unwrap();
    let other = Facility::build(visible(), &last).unwrap();
    drop(one);
    first.finish().unwrap();
    assert!(other.namespace("n1").is_ok());
    drop(other);
    last.finish().unwrap();
    // Others may run beside this test, and end just now.
    let deadline = Instant::now() + Duration::from_secs(60);
    while Path::new("/run/netns.made-by-lab").exists()
        && fs::read_dir(os::namespace::FOLDER).map_or(0, Iterator::count) == 0
    {
        assert!(Instant::now() < deadline, "the folder of names was left behind");
        os::poll::wait(&[], Some(SHORT)).unwrap();
    }
}

fn a_panic_leaves_nothing() {
    let prefix = prefix();
    let ended = std::panic::catch_unwind(|| {
        let guard = Guard::start().unwrap();
        let _facility = Facility::build(plan_called(&prefix), &guard).unwrap();
        assert_ne!(traces(&prefix), BTreeSet::new());
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert_eq!(ended.unwrap_err().downcast_ref(), Some(&"on purpose"));
    assert_eq!(traces(&prefix), BTreeSet::new());
}

fn a_kill_leaves_nothing() {
    let prefix = prefix();
    let mut command = Command::new("/proc/self/exe");
    let mut held = command.args(["hold", &prefix]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = held.stdout.take().unwrap();
    let mut byte = [0];
    std::io::Read::read_exact(&mut out, &mut byte).unwrap();
    assert_ne!(traces(&prefix), BTreeSet::new());
    held.kill().unwrap();
    held.wait().unwrap();
    // The nodes and the guard hold the pipe, too: its end is theirs.
    std::io::Read::read_to_end(&mut out, &mut Vec::new()).unwrap();
    assert_eq!(traces(&prefix), BTreeSet::new());
}

fn hold(prefix: &str) {
    let guard = Guard::start().unwrap();
    let mut facility = Facility::build(plan_called(prefix), &guard).unwrap();
    facility.consoles_mut()[0].start(&["-c", "sleep 1000"]).unwrap();
    std::io::Write::write_all(&mut std::io::stdout(), b"\n").unwrap();
    loop {
        std::thread::park();
    }
}

/// Folders and mounts that a facility called so might have left.
fn traces(prefix: &str) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(std::env::temp_dir()).unwrap().map(|entry| entry.unwrap().path());
    let all = entries.chain(os::mount::targets().unwrap());
    all.filter(|path| path.to_string_lossy().contains(prefix)).collect()
}
