//! What a node remembers, damaged in every way: torn is cut, broken or foreign closes every realm and halts.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use keys::{Envelope, PayloadType, SigningKey};
use node_protocol::call::{Answer, Call, Status, TierStatus};
use tenure::{Renew, Target, Verb};

use crate::world::{REALMS, SHORT, SOON, TENANT, WEB, World, at};

/// A world with an open connection into the first node's realm, whose supervisor is dead.
struct Dead {
    world: World,
    client: lab::Host,
    _server: lab::Host,
    connection: usize,
}

impl Dead {
    fn new() -> Self {
        Self::of(World::new())
    }

    fn of(mut world: World) -> Self {
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
    // Nor is it enrolled anew because somebody put the mark of a first start there.
    fs::write(state.join("enrolling"), b"").unwrap();
    dead.halts("the journal is gone, but the node's key is there");
    fs::remove_file(state.join("enrolling")).unwrap();
    fs::remove_dir_all(state.join("journal")).unwrap();
    fs::rename(state.join("lost"), state.join("journal")).unwrap();
    fs::remove_file(state.join("custody/node.key")).unwrap();
    dead.halts("the node's key is gone, but the journal is there");
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

fn warns(status: &Status, code: &str) -> bool {
    status.warnings.iter().any(|warning| warning.code == code)
}

/// A store that is locked by a key on another medium opens with that key alone: without it every realm is
/// closed.
pub(crate) fn a_key_file_locks_the_store() {
    let medium = tempfile::tempdir_in("/dev/shm").unwrap();
    let [key, away] = ["key", "away"].map(|name| medium.path().join(name));
    let mut world = World::unstarted();
    configure_key_file(&world, &key);
    for node in 0..2 {
        world.start(node, &[]);
    }
    let status = world.settled(0);
    assert!(!warns(&status, "stolen-disk-unprotected"), "{:?}", status.warnings);
    assert!(warns(&world.settled(1), "stolen-disk-unprotected"));
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let mut dead = Dead::of(world);
    fs::rename(&key, &away).unwrap();
    dead.halts("the store is locked by a key file, and there is none");
    fs::write(&key, [&b"leasehold key file 1\n"[..], &[7; 32]].concat()).unwrap();
    dead.halts("the key file is another one");
    fs::rename(&away, &key).unwrap();
    dead.world.start(0, &[]);
    dead.world.settled(0);
    dead.client.connect(at(0, 80), SOON).unwrap().unwrap();
}

fn configure_key_file(world: &World, key: &Path) {
    let settings = world.facility.nodes()[0].configuration().join("bmonitor.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("{text}\n[custody]\nkey_file = \"{}\"\n", key.display())).unwrap();
}

/// A key file beside the store protects nothing, and a medium that is not there makes no store without it.
pub(crate) fn a_key_file_must_be_on_another_medium() {
    let mut world = World::unstarted();
    let beside = world.facility.nodes()[0].folder().join("key");
    for (key, said) in [
        (beside.as_path(), "it is on the medium that it is to protect"),
        (Path::new("/nowhere/key"), "No such file"),
    ] {
        configure_key_file(&world, key);
        let output = run_supervisor(&world.facility.nodes()[0].configuration());
        assert!(output.0 == Some(1) && output.1.contains(said), "{output:?}");
        assert!(world.secrets(0).is_empty());
        let settings = world.facility.nodes()[0].configuration().join("bmonitor.toml");
        let text = fs::read_to_string(&settings).unwrap();
        fs::write(&settings, text.split("\n[custody]").next().unwrap()).unwrap();
    }
    world.start(0, &[]);
    world.settled(0);
}

/// A store that is locked by a share opens nothing before it has that; what closes goes on meanwhile.
pub(crate) fn a_share_opens_the_store_at_each_start() {
    let mut world = World::unstarted();
    world.start(0, &[]);
    world.settled(0);
    let sealing = world.statement(0, "landlord").sealing.unwrap();
    let node = world.settled(0).node.unwrap();
    let give_by = |world: &World, key: &SigningKey, as_type: PayloadType, share: [u8; 32]| {
        let sealed = keys::seal_share(&share, node, &sealing).unwrap();
        let signed = Envelope::sign(as_type, sealed, key).to_json();
        let caller = world.facility.nodes()[0].caller();
        caller.call(&Call::GiveShare {}, signed.as_bytes(), SOON).unwrap().0
    };
    let give = |world: &World, share| give_by(world, world.landlord.key(), PayloadType::Share, share);
    // Whoever can call has the node's sealing key, and locks nothing with it.
    let (tenant, landlord) = (world.tenant.key(), world.landlord.key());
    for answer in [
        give_by(&world, tenant, PayloadType::Share, [41; 32]),
        give_by(&world, landlord, PayloadType::Order, [41; 32]),
    ] {
        assert!(
            matches!(&answer, Answer::Refused(refused) if refused.code == "not-authenticated"),
            "{answer:?}"
        );
    }
    assert!(warns(&world.settled(0), "stolen-disk-unprotected"));
    assert_eq!(give(&world, [42; 32]), Answer::Handed {});
    world.status_with(0, |status| !warns(status, "stolen-disk-unprotected"));
    let (tier, _lease) = world.lease(0, REALMS);
    world.settled(0);
    // Without the root's keys no share could be opened any more.
    let said = world.say(0, Verb::Renew(Renew { tier: None, keep: Vec::new(), nonce: None }));
    assert_eq!(said.exit, 1, "{}", said.talk);
    assert!(said.talk.contains("cannot be renewed yet"), "{}", said.talk);
    // Custody that has to be started again needs the share again, and signs the newest head then.
    end_custody(&world);
    world.status_with(0, |status| warns(status, "waits-for-share"));
    give(&world, [42; 32]);
    assert!(!warns(&world.settled(0), "head"));
    world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    // As after the power came back: the kernel has no realm.
    world.take_realm_down(0);
    world.start(0, &[]);
    let status = world.status_with(0, |status| warns(status, "waits-for-share"));
    assert!(!status.settled && !status.tiers.iter().any(is_open), "{status:?}");
    give(&world, [43; 32]);
    world.status_with(0, |status| warns(status, "share") && warns(status, "waits-for-share"));
    assert!(!world.realm(0).exists());
    give(&world, [42; 32]);
    let status = world.settled(0);
    assert!(status.tiers.iter().any(is_open), "{status:?}");
    let signed = world.signed(0);
    world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    world.start(0, &[]);
    // A severing waits for no share but with its receipt.
    let landlord = world.standing_now(0, "landlord");
    let envelope = world.landlord.order(&landlord, Verb::Sever(Target { tier }));
    world.facility.nodes()[0].submit(&envelope, &[]).unwrap().accepted();
    world.status_with(0, |_| world.secrets(0).len() == 1 && !world.realm(0).exists());
    assert_eq!(world.signed(0), signed);
    give(&world, [42; 32]);
    world.settled(0);
    assert_eq!(world.signed(0), signed + 1);
}

fn end_custody(world: &World) {
    let ended = Command::new("kill").args(["-KILL", &world.custody(0).to_string()]).status().unwrap();
    assert!(ended.success());
}

fn is_open(tier: &TierStatus) -> bool {
    tier.realm.as_ref().is_some_and(|realm| realm.open)
}

/// The tenant's tier is renewed, and nothing is pending any more.
fn renew(world: &World) {
    let tier = world.tier(0, TENANT).unwrap().tier;
    let said = world.say(0, Verb::Renew(Renew { tier: Some(tier), keep: Vec::new(), nonce: None }));
    said.accepted();
    world.settled(0);
}

/// A journal of before a renewal, put back whole and sound, is refused: custody keeps the head behind which an
/// epoch changed.
pub(crate) fn an_older_journal_is_refused() {
    let mut dead = Dead::new();
    let state = dead.world.facility.nodes()[0].folder().join("state");
    let (journal, saved) = (state.join("journal"), state.join("saved"));
    copy(&journal, &saved);
    dead.world.start(0, &[]);
    renew(&dead.world);
    dead.world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    let newer = state.join("newer");
    fs::rename(&journal, &newer).unwrap();
    fs::rename(&saved, &journal).unwrap();
    dead.halts("the journal is older than custody knows");
    fs::remove_dir_all(&journal).unwrap();
    fs::rename(&newer, &journal).unwrap();
    dead.world.start(0, &[]);
    dead.world.settled(0);
}

/// So is another journal that goes on from the same beginning.
pub(crate) fn a_forked_journal_is_refused() {
    let mut dead = Dead::new();
    let folder = dead.world.facility.nodes()[0].folder().to_owned();
    let (state, saved) = (folder.join("state"), folder.join("saved"));
    copy(&state, &saved);
    dead.world.start(0, &[]);
    renew(&dead.world);
    dead.world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    let kept = fs::read(state.join("custody/journal.head")).unwrap();
    fs::remove_dir_all(&state).unwrap();
    fs::rename(&saved, &state).unwrap();
    dead.world.start(0, &[]);
    renew(&dead.world);
    dead.world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    let own = fs::read(state.join("custody/journal.head")).unwrap();
    fs::write(state.join("custody/journal.head"), kept).unwrap();
    dead.halts("the journal is not the one that custody knows");
    fs::write(state.join("custody/journal.head"), own).unwrap();
    dead.world.start(0, &[]);
    dead.world.settled(0);
}

/// An export of a settled node carries a head of the node's for its newest epoch.
pub(crate) fn an_export_carries_a_signed_head() {
    let mut world = World::unstarted();
    world.start(0, &[]);
    world.settled(0);
    world.lease(0, REALMS);
    let status = world.settled(0);
    let vouched = loop {
        let export = world.ask(0, &["journal", "export"]).answer;
        let summary = journal::verify(export.as_str().unwrap().as_bytes(), None).unwrap();
        if let Some(head) = summary.head.filter(|head| head.record == status.record) {
            break head;
        }
    };
    assert_eq!(Some(vouched.node), status.node);
}

/// A second supervisor ends at once and touches nothing.
pub(crate) fn a_second_supervisor_is_refused() {
    let mut dead = Dead::new();
    // What a supervisor was starting when it died holds its folders for a moment still: that is no other supervisor.
    let state = dead.world.facility.nodes()[0].folder().join("state");
    let held = ["journal", "objects"].map(|folder| fs::File::open(state.join(folder).join("lock")).unwrap());
    held.iter().for_each(|lock| lock.lock().unwrap());
    dead.world.start(0, &[]);
    os::poll::wait(&[], Some(SHORT)).unwrap();
    drop(held);
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
    world.narrow(0, WEB).accepted();
    world.settled(0);
    let _server = world.server(0);
    let client = world.engine(1, "client");
    let refused = |within| client.connect(at(0, 81), within).unwrap().unwrap_err();
    assert_eq!(refused(SHORT), "no answer");
    world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    let nowhere = world.facility.nodes()[0].pins().join("nowhere");
    let take_off = || {
        let links = os::link::Links::open().unwrap().list().unwrap();
        let link = links.iter().find(|link| !["br0", "lo", "uplink"].contains(&link.name.as_str())).unwrap();
        datapath::Filter::remove(&nowhere, Some(&link.name)).unwrap();
    };
    world.facility.namespace("n1").unwrap().run(take_off).unwrap();
    assert_ne!(refused(SOON), "no answer", "the filter is not off");
    world.start(0, &[]);
    world.settled(0);
    assert_eq!(refused(SHORT), "no answer");
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

/// Secrets lie in memory that even the kernel maps nowhere else, or the status says that they do not.
#[expect(clippy::print_stdout, reason = "the guest with Debian's kernel looks which it is")]
pub(crate) fn secrets_are_where_the_status_says() {
    let mut world = World::unstarted();
    world.start(0, &[]);
    let status = world.settled(0);
    let told = status.warnings.iter().any(|warning| warning.code == "secrets-in-ordinary-memory");
    let hiding = os::secret::Secret::<32>::new().unwrap().hiding();
    assert_eq!(told, hiding == os::secret::Hiding::FromSwapAndDumps);
    let folder = world.facility.nodes()[0].folder().join("state/custody").display().to_string();
    let of_custody = |process: &String| {
        let words = fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
        words.split('\0').any(|word| word == "custody") && words.contains(&folder)
    };
    let processes = fs::read_dir("/proc").unwrap();
    let mut processes = processes.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let custody = processes.find(of_custody).unwrap();
    let maps = fs::read_to_string(format!("/proc/{custody}/maps")).unwrap();
    assert_eq!(maps.contains("secretmem"), !told, "{maps}");
    println!("custody's secrets lie {}", if told { "in ordinary memory" } else { "in memory of their own" });
}

/// Whoever has a console may send boundaries, with no right at all: what is learned of them has a bound, and the
/// longest take no severing's time.
#[expect(clippy::print_stdout, reason = "the sizes and times are part of the evidence")]
pub(crate) fn boundaries_that_nobody_ordered_have_a_bound() {
    let mut world = World::unstarted();
    let supervisor = world.start(0, &[]);
    let (tier, _lease) = world.lease(0, REALMS);
    world.settled(0);
    let caller = world.facility.nodes()[0].caller();
    let put = |salt: u8, text: &str| {
        let object = journal::Object::new([salt; journal::SALT_BYTES], text.as_bytes()).unwrap();
        caller.call(&Call::PutObject { name: object.name() }, object.as_bytes(), SOON).unwrap().0
    };
    // None beside another, so that each stays a range of its own.
    let addresses: Vec<String> =
        (0..31_000_u32).map(|number| format!("\"{}\"", Ipv4Addr::from(0x0b00_0000 + 2 * number))).collect();
    let many = format!("version = 1\n[[allow]]\nremote = [{}]\n", addresses.join(","));
    let rules = format!("version = 1\n{}", "[[allow]]\n".repeat(11_000));
    for salt in 0..12 {
        for (salt, text) in [(salt, &many), (salt + 100, &rules)] {
            let answer = put(salt, text);
            assert!(matches!(answer, Answer::Stored { .. }), "{answer:?}");
        }
    }
    for text in
        [format!("{many}{}", "#".repeat(3 << 20)), format!("version = 1\n{}", "[[allow]]\n".repeat(32_000))]
    {
        let answer = put(200, &text);
        assert!(
            matches!(&answer, Answer::Refused(refused) if refused.code == "malformed-object"),
            "{answer:?}"
        );
    }
    let memory = crate::takeover::memory_of(&world, supervisor);
    println!("the supervisor's memory was at most {memory} KiB");
    assert!(memory < 256 * 1024);
    world.sever(0, tier);
}
