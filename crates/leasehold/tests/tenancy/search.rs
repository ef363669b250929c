//! No private or secret key is anywhere but where it belongs: not on any wire of the facility, in no file, log,
//! answer or core of any process; nor 16 bytes of one.
//!
//! The node's secrets belong to custody, and lie in its store alone. A party's belong to its console: each key lies in
//! one file of its folder, which has the key's name, and in the console's memory, which leaves no core; its token lies in
//! its file alone. So its database, its log, its objects, images and mirrors are searched for its own, too. A share that
//! locks a node lies in the database of the root's console as it is, and nowhere else (decision 17).
//!
//! The world has all that there is: the node and its realm lease their addresses, and in the realm an engine serves from
//! an encrypted volume.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::{BASE64, HEXLOWER};
use lab::{
    Recorded, Region, Search, Secrets, core_of, secrets_of_console, secrets_of_custody,
    secrets_of_locked_custody,
};
use serde_json::{Value, json};

use crate::world::{LANDLORD, PARTIES, TENANT, World};

/// Beside the parties'.
const NODE: usize = 2;
/// What a node's store is locked by.
const SHARE: &str = "the lock";
/// A console's database, which may hold the share.
const DATABASE: [&str; 2] = ["console.sqlite", "console.sqlite-wal"];

/// All secrets that there were so far.
#[derive(Default)]
struct Known {
    nodes: Secrets,
    parties: [Secrets; 2],
    share: Option<[u8; 32]>,
}

impl Known {
    /// Those that there are now, too.
    fn learn(&mut self, world: &World) {
        world.settled();
        let custody = world.facility.nodes()[0].folder().join("state/custody");
        let secrets = match &self.share {
            Some(share) => secrets_of_locked_custody(&custody, share),
            None => secrets_of_custody(&custody),
        };
        self.nodes.extend(secrets.unwrap());
        for party in [LANDLORD, TENANT] {
            self.parties[party] = secrets_of_console(&world.console_folder(party)).unwrap();
            assert!(self.parties[party].len() >= 3, "{:?}", self.parties[party].keys());
        }
    }

    /// The landlord's console locks the node. Its share is what stands in the database behind the node's name and opens
    /// custody's store.
    fn lock(&mut self, world: &mut World) {
        let locked: Value = world.post(LANDLORD, "/v1/nodes/n1/lock", &json!({}));
        assert_eq!(locked["lock"], "share", "{locked}");
        let custody = world.facility.nodes()[0].folder().join("state/custody");
        let name = format!("share/{}", world.settled().node.unwrap());
        let opens = |share: &[u8; 32]| secrets_of_locked_custody(&custody, share).is_ok();
        let of_file = |file: &str| {
            let content = fs::read(world.console_folder(LANDLORD).join(file)).unwrap_or_default();
            let names = content.windows(name.len()).enumerate().filter(|(_, text)| *text == name.as_bytes());
            let behind = names.map(|(at, _)| content[at + name.len()..].iter().copied().take(64).collect());
            let shares =
                behind.flat_map(|row: Vec<u8>| row.array_windows::<32>().copied().collect::<Vec<_>>());
            shares.into_iter().find(opens)
        };
        self.share = DATABASE.into_iter().find_map(of_file);
        assert!(self.share.is_some(), "the console does not have it");
    }

    /// What a place may not hold: nothing that belongs to the node or the parties but what may be there.
    fn search(&self, may_be: impl Fn(usize, &str) -> bool) -> Search {
        let may_be = &may_be;
        let parties = (0..2).flat_map(|party| {
            let others = self.parties[party].iter().filter(move |(name, _)| !may_be(party, name));
            others.map(move |(name, secret)| (format!("{} {name}", PARTIES[party]), secret))
        });
        let nodes = self.nodes.iter().filter(|(name, _)| !may_be(NODE, name));
        let nodes = nodes.map(|(name, secret)| (format!("node's {name}"), secret));
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
        let looked = core_of(process, |Region { name: place, bytes }| {
            self.look(search, &bytes, &format!("memory of {name}, {place}"));
        });
        // One that has ended meanwhile has no memory.
        assert!(looked.is_ok() || !lives(process), "{name}: {looked:?}");
    }

    /// What anybody may read of a process that may see it.
    fn look_at_words(&mut self, search: &Search, process: u32, name: &str) {
        for file in ["cmdline", "environ"] {
            let words = fs::read(format!("/proc/{process}/{file}"));
            assert!(words.is_ok() || !lives(process), "{name}: {words:?}");
            self.look(search, &words.unwrap_or_default(), &format!("{file} of {name}"));
        }
    }

    fn look_at_files(&mut self, search: &Search, folder: &Path, but: &[&Path]) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // What went meanwhile is nowhere.
            let Ok(kind) = fs::symlink_metadata(&path).map(|file| file.file_type()) else { continue };
            if but.contains(&path.as_path()) {
                continue;
            } else if kind.is_dir() {
                self.look_at_files(search, &path, but);
            } else if kind.is_file() {
                let content = fs::read(&path);
                assert!(content.is_ok() || !path.exists(), "{}: {content:?}", path.display());
                self.look(search, &content.unwrap_or_default(), &path.display().to_string());
            }
        }
    }
}

/// Whether a process is there that has not ended.
fn lives(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
}

/// All processes that came from this one, with their command lines.
fn below(process: u32) -> Vec<(u32, String)> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    let each = children.split_whitespace().filter_map(|id| id.parse().ok());
    let and_below = |child: u32| {
        let words = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        [vec![(child, words)], below(child)].concat()
    };
    each.flat_map(and_below).collect()
}

/// All files, logs, answers and memory of the facility.
fn everywhere(world: &World, known: &Known) -> Findings {
    let mut findings = Findings::default();
    let nobodys = known.search(|_, _| false);
    let node = &world.facility.nodes()[0];
    // Names of namespaces and of what lies in the kernel are no files that hold anything.
    let (custody, pins) = (node.folder().join("state/custody"), node.pins());
    let names = world.facility.folder().join("netns");
    let of_party = |party: usize| {
        let folder = world.console_folder(party);
        known.parties[party].keys().map(move |name| (party, folder.join(name), name.as_str()))
    };
    let keys: Vec<_> = (0..2).flat_map(of_party).collect();
    let database = DATABASE.map(|file| world.console_folder(LANDLORD).join(file));
    let but = [&custody, &pins, &names].into_iter().chain(&database);
    let but = but.chain(keys.iter().map(|(_, path, _)| path));
    let but: Vec<&Path> = but.map(PathBuf::as_path).collect();
    findings.look_at_files(&nobodys, world.facility.folder(), &but);
    for (party, path, name) in &keys {
        let its_own = known.search(|of, secret| of == *party && secret == *name);
        let content = fs::read(path).unwrap();
        findings.look(&its_own, &content, &path.display().to_string());
        // Nothing else may be there, and this is.
        assert!(!nobodys.find(&content).is_empty(), "{}", path.display());
    }
    let share_alone = known.search(|of, secret| of == NODE && secret == SHARE);
    let mut has_share = false;
    for path in &database {
        let content = fs::read(path).unwrap_or_default();
        findings.look(&share_alone, &content, &path.display().to_string());
        has_share |= !nobodys.find(&content).is_empty();
    }
    assert_eq!(has_share, known.share.is_some());
    findings.look(&nobodys, world.said.join("\n").as_bytes(), "what consoles have said");

    let processes = below(node.first_process());
    for role in ["bmonitor supervisor", "custody", "dhcp", "launcher", "bmonitor-courier"] {
        assert!(processes.iter().any(|(_, words)| words.contains(role)), "{role}: {processes:?}");
    }
    for (process, name) in &processes {
        findings.look_at_words(&nobodys, *process, name);
        if !name.contains(" custody ") {
            findings.look_at_core(&nobodys, *process, name);
        }
        // The content of volumes shows where the node's own processes see it.
        if name.contains(" supervisor ") {
            let folder = node.folder().join("volumes");
            let seen = Path::new(&format!("/proc/{process}/root")).join(folder.strip_prefix("/").unwrap());
            findings.look_at_files(&nobodys, &seen, &[]);
        }
    }
    for party in [LANDLORD, TENANT] {
        let server = world.facility.consoles()[party].server().unwrap();
        findings.look_at_words(&nobodys, server, PARTIES[party]);
        // What a console has in its database passes through its memory.
        let its_own = |of, secret: &str| {
            let share = (of, party) == (NODE, LANDLORD) && secret == SHARE;
            share || (of == party && !secret.ends_with(".token"))
        };
        let keys_alone = known.search(its_own);
        findings.look_at_core(&keys_alone, server, PARTIES[party]);
        let limits = fs::read_to_string(format!("/proc/{server}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    }
    findings
}

fn on_the_wire(recorded: &Recorded, known: &Known) -> Findings {
    let (mut findings, search) = (Findings::default(), known.search(|_, _| false));
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
    let (mut world, mut known) = (World::leasing(), Known::default());
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
    known.lock(&mut world);
    nothing(&world, &mut known, "the lock");
    world.serve();
    nothing(&world, &mut known, "the engine's start");
    let serves = |(_, words): &(u32, String)| words.contains("busybox httpd");
    let first = world.facility.nodes()[0].first_process();
    assert!(below(first).iter().any(serves), "{:?}", below(first));
    assert!(known.nodes.keys().any(|name| name.ends_with(".volume data key")), "{:?}", known.nodes.keys());
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
    let own = known.parties[TENANT]["controller.key"].clone();
    let log = world.facility.consoles()[TENANT].folder().join("planted.log");
    fs::write(&log, BASE64.encode(&own)).unwrap();
    let file = world.facility.consoles()[TENANT].folder().join("planted");
    fs::write(&file, HEXLOWER.encode(&planted)).unwrap();
    let share = world.facility.consoles()[LANDLORD].folder().join("planted share");
    fs::write(&share, BASE64.encode(&known.share.unwrap())).unwrap();
    let found = everywhere(&world, &known).found;
    assert!(found.contains(&format!("node's {SHARE}: {}", share.display())), "{found:?}");
    assert!(found.contains(&format!("node's planted: {}", file.display())), "{found:?}");
    assert!(found.contains(&format!("tenant controller.key: {}", log.display())), "{found:?}");
    // Nobody runs it as anything else: the kernel ends it with its input.
    let mut process = Command::new("cat");
    process.env("PLANTED", format!("{planted:?}")).stdin(std::process::Stdio::piped());
    let mut process = process.spawn().unwrap();
    let mut findings = Findings::default();
    findings.look_at_core(&known.search(|_, _| false), process.id(), "cat");
    drop(process.stdin.take());
    process.wait().unwrap();
    assert!(findings.found.iter().any(|found| found.starts_with("node's planted: memory of cat")));

    let findings = on_the_wire(&recording.finish().unwrap(), &known);
    let wanted = format!("to {taker}");
    let on_the_wire = |found: &String| found.starts_with("node's planted: ") && found.ends_with(&wanted);
    assert!(findings.found.len() == 1 && findings.found.iter().all(on_the_wire), "{:?}", findings.found);
    println!("on the wire: {} bytes", findings.bytes);
}
