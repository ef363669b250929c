//! Garbage on every socket of a console: whoever sends it, the console goes on. Needs root.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lab::{Door, Facility, Garbage, Guard, Plan};

const SOON: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    lab::trial::main(&[("garbage_on_every_socket_of_a_console_harms_nothing", console)])
}

fn console() {
    let random: [u8; 3] = os::random::bytes().unwrap();
    let prefix = format!("lg{:02x}{:02x}{:02x}", random[0], random[1], random[2]);
    let mut plan = Plan::new(prefix, 0, &[]).with_consoles(&["landlord"]);
    plan.leasehold = Some(PathBuf::from(env!("CARGO_BIN_EXE_leasehold")));
    let guard = Guard::start().unwrap();
    let mut facility = Facility::build(plan, &guard).unwrap();
    let console = &mut facility.consoles_mut()[0];
    let channel = SocketAddr::new(console.address().into(), 7443);
    let folder = console.folder().join("console");
    console.set("LEASEHOLD_CONSOLE", format!("unix:{}/console.sock", folder.display()));
    let (folder, listen) = (folder.display().to_string(), channel.to_string());
    let api = "127.0.0.1:7070";
    let made = console
        .run(&["console", "init", &folder, "--name", "landlord", "--listen", &listen, "--api", api])
        .unwrap();
    made.accepted();
    let settings = format!("{folder}/console.toml");
    let dhcp = "\n[dhcp]\ninterface = \"eth0\"\nserver = \"10.0.0.2\"\n\
                nodes = { addresses = \"10.0.0.100-10.0.0.199\", prefix = 16 }\n";
    fs::write(&settings, fs::read_to_string(&settings).unwrap() + dhcp).unwrap();
    console.start(&["console", "run", &folder]).unwrap();
    console.answers(&["console", "show"], SOON).unwrap();
    let running = facility.running("landlord").unwrap();
    let doors = facility.throw_garbage("landlord", &mut Garbage::new(20_261_123), 100).unwrap();
    let wanted = [
        Door::Tcp(api.parse().unwrap()),
        Door::Tcp(channel),
        Door::Unix(PathBuf::from(format!("{folder}/console.sock"))),
    ];
    assert!(wanted.iter().all(|door| doors.contains(door)), "{doors:?}");
    facility.broadcast_garbage((68, 67), &mut Garbage::new(20_261_125), 200).unwrap();
    facility.consoles_mut()[0].answers(&["console", "show"], SOON).unwrap();
    let log = facility.consoles()[0].log();
    assert!(!log.contains("DHCP is served no more") && !log.contains("panicked"), "{log}");
    // The commands have ended by then; the server is the same.
    let server = facility.consoles()[0].server().unwrap();
    assert!(running.iter().any(|(id, _)| *id == server));
    assert!(facility.running("landlord").unwrap().iter().any(|(id, _)| *id == server));
}
