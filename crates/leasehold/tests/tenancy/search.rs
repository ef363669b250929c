//! No private or secret key is anywhere but where it belongs: not on any wire of the facility, in no file, log,
//! answer or core of any process; nor 16 bytes of one.
//!
//! The node's secrets belong to custody, and lie in its store alone. A party's belong to its console: they lie in
//! its folder and its memory, and nowhere else.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use data_encoding::{BASE64, HEXLOWER};
use lab::{Recorded, Region, Search, Secrets, core_of, secrets_of_console, secrets_of_custody};

use crate::world::{LANDLORD, PARTIES, TENANT, World};

/// All secrets that there were so far.
#[derive(Default)]
struct Known {
    nodes: Secrets,
    parties: [Secrets; 2],
}

impl Known {
    /// Those that there are now, too.
    fn learn(&mut self, world: &World) {
        world.settled();
        let custody = world.facility.nodes()[0].folder().join("state/custody");
        self.nodes.extend(secrets_of_custody(&custody).unwrap());
        for party in [LANDLORD, TENANT] {
            self.parties[party] = secrets_of_console(&world.console_folder(party)).unwrap();
            assert!(self.parties[party].len() >= 3, "{:?}", self.parties[party].keys());
        }
    }

    /// What a place may not hold that is a party's, or nobody's.
    fn search(&self, place_of: Option<usize>) -> Search {
        let foreign = (0..2).filter(|party| Some(*party) != place_of);
        let parties = foreign.flat_map(|party| {
            self.parties[party]
                .iter()
                .map(move |(name, secret)| (format!("{} {name}", PARTIES[party]), secret))
        });
        let nodes = self.nodes.iter().map(|(name, secret)| (format!("node's {name}"), secret));
        let all: Vec<_> = parties.chain(nodes).collect();
        Search::new(all.iter().map(|(name, secret)| (name.as_str(), secret.as_slice())))
    }
}

/// What was found, and where.
#[derive(Default)]
struct Findings {
    found: Vec<String>,
    /// How many bytes were looked at.
    bytes: usize,
}

impl Findings {
    fn look(&mut self, search: &Search, bytes: &[u8], place: &str) {
        self.bytes += bytes.len();
        self.found.extend(search.find(bytes).into_iter().map(|found| format!("{}: {place}", found.secret)));
    }

    fn look_at_core(&mut self, search: &Search, process: u32, name: &str) {
        core_of(process, |Region { name: place, bytes }| {
            self.look(search, &bytes, &format!("memory of {name}, {place}"));
        })
        .unwrap();
    }

    fn look_at_files(&mut self, search: &Search, folder: &Path, but: &[&Path]) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() && !but.contains(&path.as_path()) {
                self.look_at_files(search, &path, but);
            } else if kind.is_file() {
                self.look(search, &fs::read(&path).unwrap(), &path.display().to_string());
            }
        }
    }
}

/// All files, logs, answers and memory of the facility.
fn everywhere(world: &World, known: &Known) -> Findings {
    let mut findings = Findings::default();
    let nobodys = known.search(None);
    let node = &world.facility.nodes()[0];
    // Names of namespaces and of what lies in the kernel are no files that hold anything.
    let (custody, pins) = (node.folder().join("state/custody"), node.pins());
    let names = world.facility.folder().join("netns");
    let consoles = [LANDLORD, TENANT].map(|party| world.console_folder(party));
    let but = [custody.as_path(), &pins, &names, &consoles[0], &consoles[1]];
    findings.look_at_files(&nobodys, world.facility.folder(), &but);
    findings.look(&nobodys, world.said.join("\n").as_bytes(), "what consoles have said");
    let processes = node.processes().unwrap();
    for role in ["supervisor", "custody"] {
        assert!(processes.iter().any(|(name, _)| name == role), "{processes:?}");
    }
    for (name, process) in processes.iter().filter(|(name, _)| name != "custody") {
        findings.look_at_core(&nobodys, *process, name);
    }
    for party in [LANDLORD, TENANT] {
        let foreign = known.search(Some(party));
        findings.look_at_files(&foreign, &consoles[party], &[]);
        let server = world.facility.consoles()[party].server().unwrap();
        findings.look_at_core(&foreign, server, PARTIES[party]);
    }
    findings
}

fn on_the_wire(recorded: &Recorded, known: &Known) -> Findings {
    let (mut findings, search) = (Findings::default(), known.search(None));
    for frame in recorded.frames() {
        findings.look(&search, frame, "a frame");
    }
    for stream in recorded.streams() {
        findings.look(&search, &stream.bytes, &format!("{} to {}", stream.from, stream.to));
    }
    findings
}

#[expect(clippy::print_stdout, reason = "how much was looked at is part of the evidence")]
pub(crate) fn in_no_socket_file_log_or_core() {
    let (mut world, mut known) = (World::new(), Known::default());
    let recording = world.record();
    let nothing = |world: &World, known: &mut Known, after: &str| {
        known.learn(world);
        let findings = everywhere(world, known);
        assert_eq!(findings.found, [""; 0], "after {after}");
        println!("after {after}: {} secrets of the node, {} bytes", known.nodes.len(), findings.bytes);
    };
    world.enrol();
    nothing(&world, &mut known, "the enrolment");
    let offer = world.grant("L-1");
    nothing(&world, &mut known, "the lease");
    world.take(offer);
    world.live();
    nothing(&world, &mut known, "the takeover");
    world.sever("L-1");
    nothing(&world, &mut known, "the severing");

    // The search finds what is there: a secret that was planted on a wire, in a file and in a process.
    let planted: [u8; 32] = os::random::bytes().unwrap();
    known.nodes.insert("planted".to_owned(), planted.to_vec());
    let node = world.facility.namespace("n1").unwrap();
    let router = world.facility.namespace("router").unwrap();
    let listener = router.run(|| TcpListener::bind("10.0.0.1:0")).unwrap().unwrap();
    let taker = listener.local_addr().unwrap();
    let mut wire = node.run(|| TcpStream::connect(taker)).unwrap().unwrap();
    wire.set_nodelay(true).unwrap();
    BASE64.encode(&planted).as_bytes().chunks(7).for_each(|part| wire.write_all(part).unwrap());
    let (mut taken, mut heard) = (listener.accept().unwrap().0, String::new());
    drop(wire);
    taken.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, BASE64.encode(&planted));
    let file = world.facility.consoles()[TENANT].folder().join("planted");
    fs::write(&file, HEXLOWER.encode(&planted)).unwrap();
    let found = everywhere(&world, &known).found;
    assert!(found.contains(&format!("node's planted: {}", file.display())), "{found:?}");
    // Nobody runs it as anything else: the kernel ends it with its input.
    let mut process = Command::new("cat");
    process.env("PLANTED", format!("{planted:?}")).stdin(std::process::Stdio::piped());
    let mut process = process.spawn().unwrap();
    let mut findings = Findings::default();
    findings.look_at_core(&known.search(None), process.id(), "cat");
    drop(process.stdin.take());
    process.wait().unwrap();
    assert!(findings.found.iter().any(|found| found.starts_with("node's planted: memory of cat")));

    let findings = on_the_wire(&recording.finish().unwrap(), &known);
    let wanted = format!("to {taker}");
    let on_the_wire = |found: &String| found.starts_with("node's planted: ") && found.ends_with(&wanted);
    assert!(findings.found.len() == 1 && findings.found.iter().all(on_the_wire), "{:?}", findings.found);
    println!("on the wire: {} bytes", findings.bytes);
}
