//! The rights table against the kernel: what each live process has, and what is denied.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::Shutdown;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, Stdio};

use os::child::Child;
use os::poll::{Wanted, wait};
use serde_json::Value;

use crate::world::World;

const PROGRAM: &str = env!("CARGO_BIN_EXE_bmonitor");

fn table() -> Vec<Value> {
    let listed = Command::new(PROGRAM).args(["rights", "-o", "json"]).output().unwrap();
    serde_json::from_slice(&listed.stdout).unwrap()
}

fn row(process: &str) -> Value {
    table().into_iter().find(|row| row["process"] == process).unwrap()
}

pub(crate) fn status(id: u32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let field =
        |line: &str| line.split_once(':').map(|(key, value)| (key.to_owned(), value.trim().to_owned()));
    text.lines().filter_map(field).collect()
}

pub(crate) fn compare(id: u32, process: &str) {
    let (row, status) = (row(process), status(id));
    let uid = row["uid"].to_string();
    assert_eq!(status["Uid"].split_whitespace().collect::<Vec<_>>(), [uid.as_str(); 4], "{process}");
    assert_eq!(status["Gid"].split_whitespace().collect::<Vec<_>>(), [uid.as_str(); 4], "{process}");
    assert_eq!(status["Groups"], "", "{process}");
    let mask = row["capability_mask"].as_str().unwrap();
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(status[set], mask, "{set} of {process}");
    }
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(status[set], "0".repeat(16), "{set} of {process}");
    }
    assert_eq!((status["NoNewPrivs"].as_str(), status["Seccomp"].as_str()), ("1", "2"), "{process}");
}

/// uid, groups, capabilities, no_new_privs and seccomp of each kind of process while it lives; of couriers and shims
/// beside this one (`couriers::takes_orders`, `engines::serves_and_comes_back`).
pub(crate) fn of_live_processes() {
    let mut world = World::unstarted();
    let inside = world.start(0, &[]);
    world.settled(0);
    compare(on_the_machine(world.facility.nodes()[0].first_process(), inside), "supervisor");
    compare(the_one(&world, "launcher"), "launcher");
    an_unpacker();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    for (process, further) in
        [("helper", &[][..]), ("custody", &["--folder", folder]), ("dhcp", &["--bridge", "lo"])]
    {
        let mut command = Command::new(PROGRAM);
        command.arg(process).args(["--parent", &std::process::id().to_string()]);
        command.args(further);
        let mut child = Child::start(command).unwrap();
        // Everything is enforced before the first byte is asked for.
        waits_for_input(child.id());
        compare(child.id(), process);
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        let network = fs::read_link(format!("/proc/{}/ns/net", child.id())).unwrap();
        assert_eq!(network == own, row(process)["network"] == "node", "{process}");
        child.stream.shutdown(Shutdown::Write).unwrap();
        wait(&[(child.ended(), Wanted::READ)], None).unwrap();
        child.reap().unwrap().unwrap();
    }
}

/// The machine's id of the node's only process of a role.
pub(crate) fn the_one(world: &World, process: &str) -> u32 {
    let found: Vec<_> = world.processes(0).into_iter().filter(|(name, _)| name == process).collect();
    assert_eq!(found.len(), 1, "{process}: {found:?}");
    found[0].1
}

/// An unpacker whose image is a pipe: it has given up everything before it reads from it.
fn an_unpacker() {
    let folder = tempfile::tempdir().unwrap();
    let (blob, images) = (folder.path().join("blob"), folder.path().join("images"));
    fs::create_dir(&images).unwrap();
    assert!(Command::new("mkfifo").arg(&blob).status().unwrap().success());
    let digest = id::Digest::of(b"").to_string();
    let mut command = Command::new(PROGRAM);
    command.args(["unpacker", "--parent", &std::process::id().to_string(), "--image", &digest]);
    command.args(["--folder", "image.1", "--blob"]).arg(&blob).arg("--images").arg(&images);
    let mut child = Child::start(command).unwrap();
    let says = fs::File::options().write(true).open(&blob).unwrap();
    // The list of calls is the last of what is enforced.
    let began = std::time::Instant::now();
    while status(child.id())["Seccomp"] != "2" {
        assert!(began.elapsed() < crate::world::SOON, "it narrows nothing");
        std::thread::yield_now();
    }
    compare(child.id(), "unpacker");
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    assert_ne!(fs::read_link(format!("/proc/{}/ns/net", child.id())).unwrap(), own);
    drop(says);
    wait(&[(child.ended(), Wanted::READ)], None).unwrap();
    assert!(child.reap().unwrap().unwrap().success());
}

/// The machine's id of a process that is called `inside` in the pid namespace of `first`.
pub(crate) fn on_the_machine(first: u32, inside: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap();
    let called = |id: &u32| status(*id)["NSpid"].split_whitespace().last() == Some(&inside.to_string());
    children.split_whitespace().map(|id| id.parse().unwrap()).find(called).unwrap()
}

/// Waits until the process is blocked in a read of its stdin, or polls it: the kernel shows the call that it
/// is in.
fn waits_for_input(id: u32) {
    let path = format!("/proc/{id}/syscall");
    let waits = |call: &str| call.starts_with("0 0x0 ") || call.starts_with("7 ") || call.starts_with("271 ");
    while !waits(&fs::read_to_string(&path).unwrap_or_default()) {
        std::thread::yield_now();
    }
}

/// What reaches into another process: its memory, its descriptors, its calls.
const REACHING: [&str; 7] = [
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "pidfd_getfd",
    "kcmp",
    "perf_event_open",
];

/// No list has a call that reaches into another process. Each list kills what calls something that is not on it; that which engines inherit refuses it.
pub(crate) fn other_calls_are_denied() {
    for row in table() {
        let calls = row["system_calls"].as_array().unwrap();
        assert!(!calls.is_empty(), "{row}");
        assert!(!calls.iter().any(|call| REACHING.contains(&call["name"].as_str().unwrap())), "{row}");
    }
    for row in table().into_iter().filter(|row| row["others"] == "refused") {
        let process = row["process"].as_str().unwrap();
        let output = Command::new("/proc/self/exe").args(["probe-refused", process]).output().unwrap();
        assert!(output.status.success(), "{process}: {output:?}");
    }
    for row in table().into_iter().filter(|row| row["others"] == "killed") {
        let process = row["process"].as_str().unwrap();
        let mut child = Command::new("/proc/self/exe")
            .args(["probe", process])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "narrowed\n", "{process}");
        assert_eq!(child.wait().unwrap().signal(), Some(31), "{process} is not killed by SIGSYS");
    }
}

/// Narrows this process to a role's list and calls what it may not: a socket of the internet to listen on,
/// or, where couriers need such sockets of a parent, a second name for a file.
#[expect(clippy::print_stdout, reason = "the test reads it")]
pub(crate) fn probe(process: &str) -> ExitCode {
    let row = row(process);
    let calls = row["system_calls"].as_array().unwrap();
    let allowed: Vec<_> = calls.iter().map(allowed).collect();
    os::privilege::gain_nothing_by_exec().unwrap();
    os::seccomp::enforce(&allowed).unwrap();
    // Who takes from a channel of the standard library while another thread is amid a change of it yields.
    std::thread::yield_now();
    println!("narrowed");
    if process == "supervisor" {
        println!("{:?}", fs::hard_link("/proc/self/exe", "/tmp/never"));
    }
    println!("{:?}", std::net::UdpSocket::bind(("127.0.0.1", 0)));
    ExitCode::FAILURE
}

/// Narrows this process to a role's list, which refuses, and tries what root could do without it.
pub(crate) fn probe_refused(process: &str) -> ExitCode {
    let row = row(process);
    let allowed: Vec<_> = row["system_calls"].as_array().unwrap().iter().map(allowed).collect();
    let list =
        os::seccomp::Refusing { allowed: &allowed, without_bits: &[], without_second: &[], unknown: &[] };
    std::os::unix::fs::chroot("/").unwrap();
    os::privilege::gain_nothing_by_exec().unwrap();
    os::seccomp::refuse_others(&list).unwrap();
    let denied = std::io::ErrorKind::PermissionDenied;
    assert_eq!(std::os::unix::fs::chroot("/").unwrap_err().kind(), denied);
    assert!(os::link::Links::open().is_err(), "netlink");
    assert!(os::packet::Tap::open("lo", &[68]).is_err(), "packets");
    // Memory that no debugger sees is no engine's.
    let secret = os::secret::Secret::<32>::new();
    assert!(secret.is_ok_and(|secret| secret.hiding() != os::secret::Hiding::FromTheKernel));
    ExitCode::SUCCESS
}

fn allowed(call: &Value) -> os::seccomp::Allowed {
    let name = call["name"].as_str().unwrap().to_owned().leak();
    let first = call["first_argument"].as_array().unwrap().iter();
    let first: Vec<u32> = first.map(|value| u32::try_from(value.as_u64().unwrap()).unwrap()).collect();
    os::seccomp::Allowed { call: name, first: first.leak() }
}
