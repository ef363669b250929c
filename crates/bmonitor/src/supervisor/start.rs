//! The start: configuration, lock, enrolment or replay, what is there in the kernel, the socket. Whatever
//! is wrong with the node's memory closes every realm and halts.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use datapath::{Filter, Program, Settings};
use id::{Digest, Name, NodeId, Time};
use journal::{Body, Folder, Journal, Objects, Opened, Record};
use keys::PublicKey;
use node_protocol::call::Warning;
use os::signal::Signals;
use tenure::{Fresh, Input, Tenure, apply_all};
use thiserror::Error;

use super::Supervisor;
use super::addresses::{self, Addresses};
use super::connections::Connections;
use super::couriers::Couriers;
use super::custodian::{self, Custodian};
use super::documents::{Documents, put};
use super::engines::{self, Engines, Images};
use super::heads::{self, Heads};
use super::jobs::Jobs;
use super::objects::{self, Unsealed};
use super::passed::Flows;
use super::services::{Service, Services};
use super::volumes;
use crate::config::{self, Config, Problems};
use crate::custody::{self, StoreState};
use crate::enrolment::{self, Enrolment, NoEnrolment};
use crate::entry::{Entry, Snapshot};
use crate::node::{Node, Submitted};
use crate::reconcile::Observed;
use crate::rights::{self, Begin, CUSTODY_UID, NotEnforced, Role};
use crate::sets::Question;
use crate::step::{Step, Steps};
use crate::study::Study;

/// Why the node does not start.
#[derive(Debug, Error)]
pub(crate) enum Halt {
    #[error("cannot give up rights")]
    Rights(#[from] NotEnforced),
    #[error("cannot {act} {path}")]
    File { act: &'static str, path: String, source: io::Error },
    #[error("{path} has more than {max} bytes")]
    TooLong { path: String, max: u64 },
    #[error("{0}")]
    Config(#[from] Problems),
    #[error("another supervisor runs on {0}")]
    Second(String),
    #[error("the node is not enrolled, and there is no {0}")]
    NoEnrolment(String),
    #[error(transparent)]
    BadEnrolment(#[from] NoEnrolment),
    #[error("the journal is gone, but the node's key is there")]
    JournalGone,
    #[error("the node's key is gone, but the journal is there")]
    KeyGone,
    #[error("the journal is of another node: {journal}, this one is {node}")]
    ForeignJournal { journal: String, node: NodeId },
    #[error("the journal cannot be used")]
    Journal(#[from] journal::Error),
    #[error("record {number} of the journal is not understood")]
    Record { number: u64, source: serde_json::Error },
    #[error("the enrolment was refused: {0}")]
    Refused(String),
    #[error("the journal is older than custody knows: record {0} is missing")]
    OlderJournal(u64),
    #[error("the journal is not the one that custody knows: record {0} is another one")]
    ForkedJournal(u64),
    #[error("custody failed: {0}")]
    Custody(String),
    #[error("custody's store does not open: {0}")]
    Shut(String),
    #[error("cannot use the key file {path}")]
    KeyFile { path: String, source: io::Error },
    #[error("the objects cannot be opened")]
    Objects(#[from] journal::ObjectError),
    #[error("cannot look at the realms: {0}")]
    Realms(String),
}

impl Halt {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::JournalGone
            | Self::KeyGone
            | Self::ForeignJournal { .. }
            | Self::OlderJournal(_)
            | Self::ForkedJournal(_)
            | Self::Journal(_)
            | Self::Record { .. } => Some(
                "every realm is closed; put the node's own state back, or wipe all of it and enrol the node anew",
            ),
            Self::Shut(_) | Self::KeyFile { .. } => Some(
                "every realm is closed; `[custody] key_file` in bmonitor.toml names a file on another medium: put in \
                 the one that was there at the first start",
            ),
            Self::NoEnrolment(_) => Some("the root's public keys belong there before the first start"),
            Self::Second(_) => Some("one supervisor a state folder"),
            Self::Rights(_) => {
                Some("bmonitor supervisor runs as root; `bmonitor rights` shows what it needs")
            }
            Self::Config(_)
            | Self::File { .. }
            | Self::TooLong { .. }
            | Self::BadEnrolment(_)
            | Self::Refused(_)
            | Self::Custody(_)
            | Self::Objects(_)
            | Self::Realms(_) => None,
        }
    }

    /// Whether it is the settings that are wrong, not the node.
    pub(crate) const fn is_usage(&self) -> bool {
        matches!(self, Self::Config(_) | Self::BadEnrolment(_) | Self::NoEnrolment(_) | Self::TooLong { .. })
    }
}

/// Present from before the node's key is made until its enrolment is on record: a first start that was
/// broken off goes on, and only that.
const ENROLLING: &str = "enrolling";
/// The node's public key.
const NODE_KEY: &str = "node.pub";

/// Starts the node whose configuration is in `folder`.
pub(crate) fn start(folder: &Path, steps: Steps) -> Result<Supervisor, Halt> {
    let config = read_config(folder)?;
    // By where this program lies: the kernel tells that as it is seen in the mount namespace of the start, which
    // is another place for a node whose root is not the machine's.
    let couriers = Couriers::open();
    if let Some(folder) = &config.volumes {
        volumes::withdraw(folder).map_err(because("withdraw with", &folder.display().to_string()))?;
    }
    // In the mount namespace that is the supervisor's from now on, and without its list of system calls.
    let launcher = engines::start_launcher().map_err(because("start", "the launcher"))?;
    rights::enforce(Begin { role: Role::Supervisor, parent: None })?;
    let signals = Signals::open().map_err(because("open", "its signals"))?;
    make_folders(&config)?;
    let (mut services, mut custodian) = (Services::default(), Custodian::default());
    services.adopt(Service::Launcher, launcher);
    let remembered = remember(folder, &config, &steps, &mut services, &mut custodian);
    let Remembered { mut node, node_key, mut warned, store } = match remembered {
        Ok(remembered) => remembered,
        // Another supervisor is at work: its realms are not ours to close.
        Err(halt @ Halt::Second(_)) => return Err(halt),
        Err(halt) => {
            close_every_realm(&config);
            return Err(halt);
        }
    };
    steps.reach(Step::StartReplayed);
    let documents = Documents::new(config.state("receipts"));
    let signed = documents.signed().map_err(because("read", "the receipts"))?;
    let secrets =
        custody::secrets(&config.state("custody")).map_err(|error| Halt::Realms(error.to_string()))?;
    let addresses = remembered_addresses(&config, &mut node);
    let listener = listen(&config)?;
    let study =
        Study::start("study", Question::answer).map_err(because("start", "what works out boundaries"))?;
    let flows = Flows::start().map_err(because("start", "what walks flow tables"))?;
    warned.extend(couriers.warning());
    warned.truncate(super::WARNINGS_MAX);
    let mut supervisor = Supervisor {
        connections: Connections::new(listener, config.orderers.clone()),
        observed: Observed { secrets, signed, courier_program: couriers.can_run(), ..Observed::default() },
        couriers,
        engines: Engines::default(),
        images: Images::default(),
        steps,
        signals,
        node,
        node_key,
        filters: BTreeMap::new(),
        generations: BTreeMap::new(),
        identities: BTreeMap::new(),
        sealing_keys: BTreeMap::new(),
        documents,
        jobs: Jobs::default(),
        services,
        custodian,
        addresses,
        store,
        heads: Heads::default(),
        unsealed: Unsealed::default(),
        study,
        flows,
        opening: None,
        foreign: None,
        refusals: super::denials::Refusals::default(),
        warned,
        forged: 0,
        opened: Vec::new(),
        settled: false,
        swept_at: 0,
        lapse_not_before: Duration::ZERO,
        config,
    };
    let custody = supervisor.config.state("custody");
    supervisor.observed.look_at_custody(&custody).map_err(|error| Halt::Realms(error.to_string()))?;
    if let Some(folder) = &supervisor.config.volumes {
        let traces = volumes::traces(folder).map_err(because("look at", &folder.display().to_string()))?;
        supervisor.observed.volumes.extend(traces);
        supervisor.observed.medium = true;
    }
    for name in traces(&supervisor.config) {
        supervisor.look_at(&name).map_err(Halt::Realms)?;
    }
    supervisor.find_engines().map_err(because("look into", "the engines' run folders"))?;
    supervisor.steps.reach(Step::StartListening);
    Ok(supervisor)
}

fn read_config(folder: &Path) -> Result<Config, Halt> {
    let path = folder.join(config::FILE);
    let bytes = read_limited(&path, config::BYTES_MAX)?;
    let text = String::from_utf8(bytes).map_err(|_no_text| Halt::File {
        act: "read",
        path: path.display().to_string(),
        source: io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"),
    })?;
    Ok(Config::parse(&path, &text)?)
}

/// What was leased before, where addresses come by DHCP. What cannot be read, or written down, is leased anew.
fn remembered_addresses(config: &Config, node: &mut Node) -> Addresses {
    if !config.dhcp {
        return Addresses::default();
    }
    let bytes = read_limited(&config.state(addresses::FILE), addresses::BYTES_MAX).unwrap_or_default();
    let mut addresses = Addresses::remembered(&bytes, node.now());
    if addresses.since_the_boot(&config.state, &config.run).is_err() {
        return Addresses::default();
    }
    node.set_own_address(addresses.own().map(Into::into));
    addresses
}

fn make_folders(config: &Config) -> Result<(), Halt> {
    // Who may speak to the socket must be able to walk to it.
    let run_mode = if config.orderers.is_empty() { 0o700 } else { 0o711 };
    let folders = [
        (config.state.clone(), 0o700),
        (config.state("receipts"), 0o700),
        (config.state("custody"), 0o700),
        (config.run.clone(), run_mode),
    ];
    for (path, mode) in &folders {
        make_folder(path, *mode).map_err(because("make", &path.display().to_string()))?;
    }
    let custody = config.state("custody");
    chown(&custody, Some(CUSTODY_UID), Some(CUSTODY_UID))
        .map_err(because("give away", &custody.display().to_string()))
}

/// A folder of ours with that mode. One that is custody's already keeps its own.
fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let ours = fs::metadata(path)?.uid() != CUSTODY_UID;
    if ours { fs::set_permissions(path, Permissions::from_mode(mode)) } else { Ok(()) }
}

/// The node's memory.
struct Remembered {
    node: Node,
    node_key: PublicKey,
    warned: Vec<Warning>,
    store: StoreState,
}

/// How long a folder may be held after its supervisor's death: what that was just starting has its descriptors until it
/// executes its program.
const HELD_AT_MOST: Duration = Duration::from_secs(5);
/// How often it is tried meanwhile.
const TRY_AGAIN: Duration = Duration::from_millis(10);

fn held_folder(path: &Path) -> io::Result<Folder> {
    let give_up = os::clock::boot() + HELD_AT_MOST;
    loop {
        match Folder::writable(path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && os::clock::boot() < give_up => {
                os::poll::wait(&[], Some(TRY_AGAIN)).map(drop)?;
            }
            opened => return opened,
        }
    }
}

/// Opens the node's memory, or makes it at the first start. Custody runs then, and its store is open.
fn remember(
    folder: &Path,
    config: &Config,
    steps: &Steps,
    services: &mut Services,
    custodian: &mut Custodian,
) -> Result<Remembered, Halt> {
    let journal_path = config.state("journal");
    let disk = held_folder(&journal_path).map_err(|error| {
        if error.kind() == io::ErrorKind::WouldBlock {
            Halt::Second(config.state.display().to_string())
        } else {
            because("open", &journal_path.display().to_string())(error)
        }
    })?;
    steps.reach(Step::StartLocked);
    let custody = config.state("custody");
    let has_key = custody::has_node_key(&custody).map_err(because("look into", "custody's folder"))?;
    let has_journal = has_segments(&journal_path)?;
    let begun = config.state(ENROLLING).exists();
    match (has_journal, has_key) {
        (false, true) if !begun => return Err(Halt::JournalGone),
        (true, false) => return Err(Halt::KeyGone),
        (true, true) => {
            let store = custodian::open_and_wait(services, custodian, config, steps)?;
            let (mut node, node_key, warned) = replay(config, disk, services, custodian, &store)?;
            heads::is_own(&node, store.kept.as_ref())?;
            if begun {
                finish_enrolment(folder, config, &mut node, &node_key, steps)?;
            }
            return Ok(Remembered { node, node_key, warned, store });
        }
        (false, true | false) => {}
    }
    // Read before anything is made: one that is wrong leaves nothing behind.
    read_enrolment(folder)?;
    put(&config.state, ENROLLING, b"").map_err(because("write", "the state folder"))?;
    let store = custodian::open_and_wait(services, custodian, config, steps)?;
    // Whatever the mark says, the first start was over: custody has seen a journal, or was given a share.
    if store.kept.is_some() || !store.open {
        return Err(Halt::JournalGone);
    }
    let node_key = custodian::node_key_and_wait(services, custodian).map_err(Halt::Custody)?;
    put(&config.state, NODE_KEY, node_key.to_string().as_bytes())
        .map_err(because("write", "the node's public key"))?;
    steps.reach(Step::EnrolKey);
    drop(Journal::create(disk, wall(), &Snapshot { tenure: Tenure::unenrolled() })?);
    let disk = Folder::writable(&journal_path).map_err(because("open", "the journal"))?;
    let (mut node, node_key, warned) = replay(config, disk, services, custodian, &store)?;
    finish_enrolment(folder, config, &mut node, &node_key, steps)?;
    Ok(Remembered { node, node_key, warned, store })
}

/// Records the enrolment, unless a start that was broken off had done so, and takes the mark away.
fn finish_enrolment(
    folder: &Path,
    config: &Config,
    node: &mut Node,
    key: &PublicKey,
    steps: &Steps,
) -> Result<(), Halt> {
    if node.tenure.node().is_none() {
        enrol(node, key, read_enrolment(folder)?, steps)?;
    }
    steps.reach(Step::EnrolRecorded);
    fs::remove_file(config.state(ENROLLING)).map_err(because("remove", "the mark of an enrolment"))?;
    File::open(&config.state)
        .and_then(|folder| folder.sync_all())
        .map_err(because("sync", "the state folder"))
}

fn read_enrolment(folder: &Path) -> Result<Enrolment, Halt> {
    let path = folder.join(enrolment::FILE);
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Err(Halt::NoEnrolment(path.display().to_string())),
        Err(error) => return Err(because("look at", &path.display().to_string())(error)),
    }
    Ok(Enrolment::parse(&path, &read_limited(&path, enrolment::BYTES_MAX)?)?)
}

fn enrol(node: &mut Node, node_key: &PublicKey, enrolment: Enrolment, steps: &Steps) -> Result<(), Halt> {
    let fresh = os::random::bytes().map_err(because("draw", "random bytes"))?;
    let at = node.now();
    let input = tenure::Enrolment {
        node: NodeId(node_key.id()),
        document: enrolment.document,
        name: enrolment.name,
        controllers: enrolment.controllers,
        consoles: enrolment.consoles,
        directory: enrolment.directory,
        fresh: Fresh::from_bytes(fresh),
        at,
    };
    match node.submit(Input::Enrolment(input), steps)? {
        Submitted::Accepted { .. } => Ok(()),
        Submitted::Refused(refusal) => Err(Halt::Refused(refusal.to_string())),
    }
}

/// What was recorded, applied; never decided again.
fn replay(
    config: &Config,
    disk: Folder,
    services: &mut Services,
    custodian: &mut Custodian,
    store: &StoreState,
) -> Result<(Node, PublicKey, Vec<Warning>), Halt> {
    let Opened { journal, snapshot, entries, torn } = Journal::open(disk)?;
    let mut tenure = read_snapshot(&snapshot)?;
    for record in &entries {
        apply_record(&mut tenure, record)?;
    }
    let node_key = read_node_key(config)?;
    let node = NodeId(node_key.id());
    if let Some(other) = tenure.node().filter(|other| *other != node) {
        return Err(Halt::ForeignJournal { journal: other.to_string(), node });
    }
    let objects_path = config.state("objects");
    let objects = held_folder(&objects_path).map_err(because("open", "the objects"))?;
    let (objects, boot) = (Objects::open(objects)?, os::clock::boot());
    let open = |name, form: &[u8]| objects::open_and_wait(services, custodian, name, form);
    let (node, missing) = Node::new(journal, objects, tenure, config.management.clone(), boot, open);
    if store.open && !services.listens(&Service::Custody) {
        return Err(Halt::Custody(format!("it died over the objects: {}", services.failures().join("; "))));
    }
    // A store that waits for its share opens them later.
    let mut warned: Vec<Warning> = missing.iter().filter(|_| store.open).map(object_gone).collect();
    warned.extend(torn.map(|torn| Warning {
        code: "torn-tail".to_owned(),
        message: format!("a crash left {} bytes of a record that nobody was told of: cut off", torn.bytes),
    }));
    Ok((node, node_key, warned))
}

fn object_gone((name, why): &(Digest, String)) -> Warning {
    let message = format!("the object {name} admits nothing: {why}");
    Warning { code: "object-gone".to_owned(), message }
}

fn read_snapshot(record: &Record) -> Result<Tenure, Halt> {
    let (Body::Snapshot(json) | Body::Entry(json)) = &record.body;
    let snapshot: Snapshot =
        serde_json::from_str(json.get()).map_err(|source| Halt::Record { number: record.number, source })?;
    Ok(snapshot.tenure)
}

fn apply_record(tenure: &mut Tenure, record: &Record) -> Result<(), Halt> {
    let (Body::Snapshot(json) | Body::Entry(json)) = &record.body;
    let entry: Entry =
        serde_json::from_str(json.get()).map_err(|source| Halt::Record { number: record.number, source })?;
    match entry {
        Entry::Decided { changes, .. } => apply_all(tenure, &changes),
        Entry::Refused { .. } | Entry::NoOrder { .. } | Entry::Forgotten { .. } => {}
    }
    Ok(())
}

fn read_node_key(config: &Config) -> Result<PublicKey, Halt> {
    let path = config.state(NODE_KEY);
    let bytes = read_limited(&path, 256)?;
    str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()).ok_or(Halt::KeyGone)
}

fn has_segments(journal: &Path) -> Result<bool, Halt> {
    let names = fs::read_dir(journal).map_err(because("list", &journal.display().to_string()))?;
    Ok(names.filter_map(Result::ok).any(|entry| entry.file_name().to_string_lossy().ends_with(".journal")))
}

fn listen(config: &Config) -> Result<UnixListener, Halt> {
    let path = config.socket();
    let text = path.display().to_string();
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(because("remove", &text)(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&path).map_err(because("listen at", &text))?;
    listener.set_nonblocking(true).map_err(because("listen at", &text))?;
    let mode = if config.orderers.is_empty() { 0o600 } else { 0o666 };
    fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(because("set the mode of", &text))?;
    Ok(listener)
}

/// The realms of which there may be a trace: those that are configured, and those that have pins.
fn traces(config: &Config) -> Vec<Name> {
    let mut names: Vec<Name> = config.realms.iter().map(|realm| realm.tier.clone()).collect();
    let pinned = fs::read_dir(&config.pins).into_iter().flatten().filter_map(Result::ok);
    names.extend(pinned.filter_map(|entry| entry.file_name().to_str()?.parse().ok()));
    names.sort();
    names.dedup();
    names
}

/// What the node's memory does not vouch for is closed.
fn close_every_realm(config: &Config) {
    for name in traces(config) {
        let pins: PathBuf = config.pins(&name);
        let filter = Filter::open(&pins, &Program::embedded(), &Settings::default());
        let cut = filter.ok().flatten().map(|mut filter| filter.cut());
        if !matches!(cut, Some(Ok(()))) {
            let deleted =
                os::link::Links::open().and_then(|mut links| links.delete(&config::host_link(&name)));
            // The halt itself is what is reported.
            drop(deleted);
        }
    }
}

fn wall() -> Time {
    Time::ZERO.plus(os::clock::wall())
}

fn read_limited(path: &Path, max: u64) -> Result<Vec<u8>, Halt> {
    let name = || path.display().to_string();
    let file = File::open(path).map_err(because("open", &name()))?;
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(because("read", &name()))?;
    if bytes.len() as u64 > max { Err(Halt::TooLong { path: name(), max }) } else { Ok(bytes) }
}

fn because(act: &'static str, path: &str) -> impl FnOnce(io::Error) -> Halt {
    move |source| Halt::File { act, path: path.to_owned(), source }
}
