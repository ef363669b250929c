//! What a node remembers, damaged in every way: torn is cut, broken or foreign closes every realm and halts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{REALMS, SHORT, SOON, WEB, World, at};

/// A world with an open connection into the first node's realm, whose supervisor is dead.
struct Dead {
    world: World,
    client: lab::Host,
    _server: lab::Host,
    connection: usize,
}

impl Dead {
    fn new() -> Self {
        let mut world = World::new();
        world.lease(0, REALMS);
        world.lease(1, REALMS);
        world.settled(0);
        world.settled(1);
        let server = world.server(0);
        let client = world.engine(1, "client");
        let connection = client.connect(at(0, 80), SOON).unwrap().unwrap();
        world.facility.nodes_mut()[0].kill_supervisor().unwrap();
        Self { world, client, _server: server, connection }
    }

    fn journal(&self) -> PathBuf {
        let folder = self.world.facility.nodes()[0].folder().join("state/journal");
        let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| path.extension().is_some_and(|extension| extension == "journal")).unwrap()
    }

    /// The next supervisor says this and ends, and nothing passes any more.
    fn halts(&mut self, why: &str) {
        self.world.start(0, &[]);
        assert!(self.world.alive(0).is_none());
        let log = self.world.facility.nodes()[0].log();
        assert!(log.contains(why), "{log}");
        self.client.exchange(self.connection, SHORT).unwrap().unwrap_err();
        self.client.connect(at(0, 80), SHORT).unwrap().unwrap_err();
    }
}

pub(crate) fn a_torn_tail_is_cut() {
    let mut dead = Dead::new();
    let path = dead.journal();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [whole.as_slice(), b"0123abcd {\"number\":"].concat()).unwrap();
    dead.world.start(0, &[]);
    let status = dead.world.settled(0);
    assert!(status.warnings.iter().any(|warning| warning.code == "torn-tail"), "{:?}", status.warnings);
    assert_eq!(fs::read(&path).unwrap(), whole);
    dead.client.exchange(dead.connection, SOON).unwrap().unwrap();
}

pub(crate) fn a_broken_record_closes_and_halts() {
    let mut dead = Dead::new();
    let path = dead.journal();
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    dead.halts("the journal is broken");
}

pub(crate) fn a_foreign_journal_closes_and_halts() {
    let mut dead = Dead::new();
    let [this, other] = [0, 1].map(|node: usize| dead.world.facility.nodes()[node].folder().join("state"));
    fs::remove_dir_all(this.join("journal")).unwrap();
    copy(&other.join("journal"), &this.join("journal"));
    dead.halts("the journal is of another node");
}

pub(crate) fn a_lost_journal_or_key_closes_and_halts() {
    let mut dead = Dead::new();
    let state = dead.world.facility.nodes()[0].folder().join("state");
    fs::rename(state.join("journal"), state.join("lost")).unwrap();
    dead.halts("the journal is gone, but the node's key is there");
    fs::remove_dir_all(state.join("journal")).unwrap();
    fs::rename(state.join("lost"), state.join("journal")).unwrap();
    fs::remove_file(state.join("custody/node.key")).unwrap();
    dead.halts("the node's key is gone, but the journal is there");
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// A second supervisor ends at once and touches nothing.
pub(crate) fn a_second_supervisor_is_refused() {
    let mut dead = Dead::new();
    dead.world.start(0, &[]);
    dead.world.settled(0);
    let path = dead.world.facility.nodes()[0].configuration();
    // In the first one's network, where it could do harm.
    let (exit, talk) = dead.world.facility.namespace("n1").unwrap().run(|| run_supervisor(&path)).unwrap();
    assert_eq!(exit, Some(1), "{talk}");
    assert!(talk.contains("another supervisor runs on"), "{talk}");
    dead.client.exchange(dead.connection, SOON).unwrap().unwrap();
    dead.world.settled(0);
}

/// A filter that was taken off its link while no supervisor lived is missed by the next one, which makes
/// the realm anew.
pub(crate) fn a_filter_that_was_taken_off_is_put_back() {
    let mut world = World::new();
    world.lease(0, REALMS);
    world.lease(1, REALMS);
    world.settled(1);
    assert_eq!(world.narrow(0, WEB).exit, 0);
    world.settled(0);
    let _server = world.server(0);
    let client = world.engine(1, "client");
    let closed = |client: &lab::Host| client.connect(at(0, 81), SHORT).unwrap().unwrap_err() == "no answer";
    assert!(closed(&client));
    world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    let nowhere = world.facility.nodes()[0].pins().join("nowhere");
    let take_off = || {
        let links = os::link::Links::open().unwrap().list().unwrap();
        let link = links.iter().find(|link| !["br0", "lo", "uplink"].contains(&link.name.as_str())).unwrap();
        datapath::Filter::remove(&nowhere, Some(&link.name)).unwrap();
    };
    world.facility.namespace("n1").unwrap().run(take_off).unwrap();
    assert!(!closed(&client), "the filter is not off");
    world.start(0, &[]);
    world.settled(0);
    assert!(closed(&client));
    client.connect(at(0, 80), SOON).unwrap().unwrap();
}

/// Settings and enrolments that are wrong end the first start with usage, and leave nothing that a right
/// one stumbles over.
pub(crate) fn bad_settings_and_enrolments() {
    let mut world = World::unstarted();
    let folder = world.facility.nodes()[0].configuration();
    let cases = [
        ("bmonitor.toml", "version = 1\nname = \"x y\"\n", "bmonitor.toml:2: `name`"),
        ("bmonitor.toml", "\u{0}", "bmonitor.toml:1:"),
        ("enrolment.json", "{\"version\":1}", "is no enrolment"),
        ("enrolment.json", "[[[[", "is no enrolment"),
    ];
    for (file, text, said) in cases {
        let path = folder.join(file);
        let good = fs::read(&path).unwrap();
        fs::write(&path, text).unwrap();
        let output = run_supervisor(&folder);
        assert!(output.1.contains(said), "{file}: {}", output.1);
        assert_eq!(output.0, Some(2), "{file}: {}", output.1);
        fs::write(&path, vec![b'#'; 100_000]).unwrap();
        assert_eq!(run_supervisor(&folder).0, Some(2), "{file} of 100,000 bytes");
        fs::write(&path, good).unwrap();
    }
    world.start(0, &[]);
    world.settled(0);
}

fn run_supervisor(folder: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bmonitor"));
    let output = command.arg("supervisor").arg("--config").arg(folder).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}
