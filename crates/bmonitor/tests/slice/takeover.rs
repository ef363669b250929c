//! A courier that is taken over: a program of the attacker's with its uid, its descriptors and its network.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;
use channel::{Dialled, Dialler, Limits, Serve, Sign, SignFailed};
use id::{Name, PublicKey, TierId};
use keys::{Envelope, PayloadType, Signature, SigningKey, pre_authentication_encoding, verifies};
use node_protocol::call::{Answer, Call};
use node_protocol::courier::{Begin, Confinement, Console, FromCourier, ToCourier};
use node_protocol::signing::Transcript;
use node_protocol::{Decoder, encode};
use os::{capability, privilege};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::console::Unopened;
use crate::world::{REALMS, SOON, TENANT, World, pause};

/// What the attacker says: all that it got.
const SAYS: &str = "taken over: ";
/// Names the courier program that is not taken over, in the folder of the programs.
const PROPER: &str = "proper";
/// What the attacker is told, there.
const PREY: &str = "prey";
/// The uid of the first courier, which is the landlord's.
pub(crate) const FIRST: u32 = 65_220;

/// The attacker in the courier's place holds its streams and nothing else, reads nothing, kills nobody, gets no signature but its own tier's
/// handshakes; it hears its own tier's view; and while it floods the supervisor with calls whose answers it
/// never takes, a severing goes through at once.
#[expect(clippy::print_stdout, reason = "the times and sizes are part of the evidence")]
pub(crate) fn gains_nothing() {
    let programs = programs();
    let landlords = Unopened::new(7443);
    let console = landlords.named();
    let mut world = World::of(programs.path().join("bmonitor"), std::slice::from_ref(&console));
    world.tenants_consoles = vec![Unopened::new(7444).named()];
    let mut landlord = landlords.open(&world.facility);
    let supervisor = world.start(0, &[]);
    let (identity, _signed) = landlord.enrol();
    let link = landlord.link();
    let prey = Prey {
        folder: world.facility.nodes()[0].folder().to_owned(),
        realm: world.realm(0),
        identity,
        console: Console { key: console.key, addresses: vec![console.addresses[0].get()] },
        memory: addresses(&world),
    };
    fs::write(programs.path().join(PREY), serde_json::to_vec(&prey).unwrap()).unwrap();
    // So that the attacker is not sent away for the mere reason that nobody knows it.
    landlord.pins.open_window(4);
    let (tier, _lease) = world.lease(0, REALMS);

    let began = Instant::now();
    let said = loop {
        let said = said(&world);
        if said.iter().any(|line| line == "floods") {
            break said;
        }
        assert!(began.elapsed() < SOON, "{said:?}\n{}", world.facility.nodes()[0].log());
        pause();
    };
    let memory: Vec<String> =
        prey.memory.iter().map(|(name, _, _)| format!("memory of {name}: refused")).collect();
    let tiers = format!("tiers seen: [\"{TENANT}\"]");
    // Its stdin and stdout, and its own copy of them; its stream to custody; its stderr.
    let log = world.facility.nodes()[0].folder().join("supervisor.log").display().to_string();
    let holds = format!("holds: {:?}", [&*log, "custody", "supervisor", "supervisor", "supervisor"]);
    let wanted: Vec<&str> = [
        &*holds,
        "handshake signed as itself: true",
        "handshake signed as the landlord: false",
        "anything else signed: false",
        "the landlord's console by its own tier's signature: asks nothing",
        "the landlord's console by a key of its own: asks nothing",
        "the landlord's console as itself: dialled",
        "custody after nonsense: ended",
        "files read: []",
        "socket: refused",
        "frames: refused",
        "realm: refused",
        "processes killed: []",
        "processes looked into: []",
        "memory of a child of its own: read",
    ]
    .into_iter()
    .chain(memory.iter().map(String::as_str))
    .chain([
        &*tiers,
        "own order: not-authenticated",
        "landlord's nonce: not-found",
        "landlord's documents: not-found",
        "landlord's packets: not-found",
        "landlord's denials: not-found",
        "landlord's traffic: not-found",
        "landlord's image: not-found",
        "part of a landlord's image: not-found",
        "landlord's engine: not-found",
        "landlord's share: not-found",
        "settled status: not-yet",
        "floods",
    ])
    .collect();
    assert_eq!(said[..wanted.len()], wanted);
    // At the landlord's console it could show its own tier's identity, which is nobody's there, and no other.
    assert_eq!(Some(landlord.stranger().identity()), world.statement_now(0, TENANT).identity);
    assert!(landlord.nobody_came());
    let (answer, _) = landlord.call(&link, &Call::Status { settled: false }, &[]);
    assert!(matches!(answer, Answer::Status(_)), "{answer:?}");

    let began = Instant::now();
    world.sever(0, tier);
    println!("severed after {:?} while the courier floods", began.elapsed());
    assert!(world.tier(0, TENANT).is_none());
    println!("settled after {:?}", began.elapsed());
    let memory = memory_of(&world, supervisor);
    println!("the supervisor's memory was at most {memory} KiB");
    assert!(memory < 96 * 1024);
}

/// The node monitor's programs, with the attacker in the tenant's courier's place.
pub(crate) fn programs() -> TempDir {
    crate::console::courier_is_built();
    let programs = TempDir::new().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_bmonitor"));
    fs::copy(program, programs.path().join("bmonitor")).unwrap();
    fs::copy("/proc/self/exe", programs.path().join("bmonitor-courier")).unwrap();
    let proper = program.with_file_name("bmonitor-courier");
    fs::write(programs.path().join(PROPER), proper.to_str().unwrap()).unwrap();
    programs
}

/// What the attacker is told of the others. It could find out most of it; that is not to be what stops it.
#[derive(Debug, Serialize, Deserialize)]
struct Prey {
    /// The node's.
    folder: PathBuf,
    /// The name of its own tier's realm.
    realm: PathBuf,
    /// The landlord's.
    identity: PublicKey,
    /// The landlord's.
    console: Console,
    /// Of each process: what it is, its id in the node's process list, and where it has memory.
    memory: Vec<(String, u32, u64)>,
}

/// Where each process of the node has memory that can be read there: by root, as is seen here.
fn addresses(world: &World) -> Vec<(String, u32, u64)> {
    let mut found = Vec::new();
    for (name, id) in world.processes(0) {
        let name = if name == "--confinement" { "courier" } else { &*name };
        if ["supervisor", "custody", "launcher", "courier"].contains(&name) {
            let address = first_mapped(id).unwrap();
            memory_at(id, address).unwrap();
            let inside = crate::rights::status(id)["NSpid"].split_whitespace().last().unwrap().parse();
            found.push((name.to_owned(), inside.unwrap(), address));
        }
    }
    found.sort();
    assert_eq!(found.len(), 4, "{found:?}");
    found
}

/// Where the first memory of a process begins.
fn first_mapped(id: u32) -> io::Result<u64> {
    let maps = fs::read_to_string(format!("/proc/{id}/maps"))?;
    let address = maps.split('-').next().and_then(|address| u64::from_str_radix(address, 16).ok());
    address.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Reads there.
fn memory_at(id: u32, address: u64) -> io::Result<()> {
    fs::File::open(format!("/proc/{id}/mem"))?.read_exact_at(&mut [0; 16], address)
}

/// What the attacker has said so far.
pub(crate) fn said(world: &World) -> Vec<String> {
    let log = world.facility.nodes()[0].log();
    log.lines().filter_map(|line| line.strip_prefix(SAYS)).map(str::to_owned).collect()
}

/// The most that the supervisor had in memory, in KiB.
pub(crate) fn memory_of(world: &World, inside: u32) -> u64 {
    let id = crate::rights::on_the_machine(world.facility.nodes()[0].first_process(), inside);
    let most = &crate::rights::status(id)["VmHWM"];
    most.split_whitespace().next().unwrap().parse().unwrap()
}

/// The attacker's program. It has given up what a courier gives up, but for the system-call list: it may call
/// whatever its parent may.
pub(crate) fn taken_over(confinement: &str) -> ExitCode {
    let told: Confinement = serde_json::from_str(confinement).unwrap();
    if told.uid == FIRST {
        become_proper(confinement);
    }
    let prey = fs::read(std::env::current_exe().unwrap().with_file_name(PREY)).unwrap();
    let prey: Prey = serde_json::from_slice(&prey).unwrap();
    confine(&told);
    let mut attacker = Attacker::begin();
    attacker.looks_at_what_it_holds();
    attacker.asks_custody(&prey.identity);
    let _shown = attacker.dials(&prey);
    attacker.talks_nonsense_to_custody();
    looks_around(told.parent, &prey);
    looks_into_memory(&prey);
    attacker.asks_the_supervisor();
    attacker.floods()
}

/// The landlord's courier is what it should be.
pub(crate) fn become_proper(confinement: &str) -> ! {
    let own = std::env::current_exe().unwrap();
    let proper = fs::read_to_string(own.with_file_name(PROPER)).unwrap();
    let mut command = Command::new(proper);
    command.arg0("bmonitor-courier").env_clear().args(["--confinement", confinement]);
    panic!("{}", command.exec());
}

/// Gives up what a courier gives up.
pub(crate) fn confine(confinement: &Confinement) {
    capability::bound(&[]).unwrap();
    privilege::become_user(confinement.uid, confinement.uid).unwrap();
    capability::keep(&[]).unwrap();
}

pub(crate) struct Attacker {
    pub(crate) stream: UnixStream,
    pub(crate) decoder: Decoder,
    begin: Begin,
    custody: UnixStream,
    key: SigningKey,
}

impl Attacker {
    pub(crate) fn begin() -> Self {
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
        stream.set_nonblocking(false).unwrap();
        let (mut decoder, mut descriptors, mut part) = (Decoder::default(), Vec::new(), vec![0; 4096]);
        loop {
            if let Some(frame) = decoder.frame().unwrap() {
                let ToCourier::Begin(begin) = frame.message().unwrap() else { panic!("no beginning") };
                let custody = UnixStream::from(descriptors.pop().unwrap());
                custody.set_nonblocking(false).unwrap();
                let key = own_key();
                return Self { stream, decoder, begin, custody, key };
            }
            let length = os::descriptor::receive(&stream, &mut part, &mut descriptors).unwrap();
            decoder.push(&part[..length]);
        }
    }

    /// Every descriptor that it has: what it began with, and what it was handed.
    fn looks_at_what_it_holds(&self) {
        let leads_to = |descriptor: i32| fs::read_link(format!("/proc/self/fd/{descriptor}"));
        let supervisor = leads_to(self.stream.as_raw_fd()).unwrap();
        let custody = leads_to(self.custody.as_raw_fd()).unwrap();
        assert_ne!(supervisor, custody);
        let entries = fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
        let all: Vec<i32> =
            entries.map(|entry| entry.file_name().to_str().unwrap().parse().unwrap()).collect();
        // The folder itself is not open any more.
        let mut held: Vec<String> = all
            .into_iter()
            .filter_map(|descriptor| leads_to(descriptor).ok())
            .map(|to| match to {
                to if to == supervisor => "supervisor".to_owned(),
                to if to == custody => "custody".to_owned(),
                to => to.display().to_string(),
            })
            .collect();
        held.sort();
        say(&format!("holds: {held:?}"));
    }

    /// Wants an order signed by the identity, and a handshake by another's. What it gets is good for its own tier's
    /// handshake alone.
    fn asks_custody(&mut self, others: &PublicKey) {
        let hash: [u8; 32] = *id::Digest::of(&self.severing()).as_bytes();
        let transcript = Transcript::Sha256(hash);
        let signature = ask_for_signature(&self.custody, &transcript).unwrap();
        let (own, signature) = (&self.begin.identity, Signature::from_bytes(signature));
        say(&format!("handshake signed as itself: {}", verifies(own, &transcript.message(), &signature)));
        let other = verifies(others, &transcript.message(), &signature);
        say(&format!("handshake signed as the landlord: {other}"));
        let other = [self.severing().as_slice(), &hash].iter().any(|said| verifies(own, said, &signature));
        say(&format!("anything else signed: {other}"));
    }

    fn severing(&self) -> Vec<u8> {
        pre_authentication_encoding(PayloadType::Order.as_str(), b"{\"verb\":\"sever\"}")
    }

    fn talks_nonsense_to_custody(&mut self) {
        self.custody.write_all(&self.severing()).unwrap_or_default();
        let end = self.custody.read(&mut [0; 64]);
        say(&format!("custody after nonsense: {}", if matches!(end, Ok(1..)) { "answers" } else { "ended" }));
    }

    /// Dials the landlord's console by the node's network: as the landlord's courier, by whatever signs for it, and as
    /// what it is.
    fn dials(&self, prey: &Prey) -> (Option<Dialled>, Runtime) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let custody = || Signs::Custody(self.custody.try_clone().unwrap());
        for (by, signs) in
            [("its own tier's signature", custody()), ("a key of its own", Signs::Key(own_key()))]
        {
            let ears = Arc::new(Ears::default());
            let dialler = dialler(prey.identity, signs);
            runtime.block_on(async {
                if let Ok(dialled) = dialler.dial(&prey.console).await {
                    // The console hangs up.
                    dialled.serve(Arc::clone(&ears), &Limits::default()).await;
                }
            });
            let asks = if ears.0.load(Ordering::Relaxed) { "something" } else { "nothing" };
            say(&format!("the landlord's console by {by}: asks {asks}"));
        }
        let dialler = dialler(self.begin.identity, custody());
        let dialled = runtime.block_on(dialler.dial(&prey.console));
        say(&format!(
            "the landlord's console as itself: {}",
            if dialled.is_ok() { "dialled" } else { "not dialled" }
        ));
        // It stays connected: somebody looks at what it shows.
        (dialled.ok(), runtime)
    }

    fn asks_the_supervisor(&mut self) {
        let Answer::Status(status) = self.ask(Call::Status { settled: false }, b"") else { panic!() };
        let seen: Vec<String> = status.tiers.iter().map(|tier| tier.name.to_string()).collect();
        say(&format!("tiers seen: {seen:?}"));
        let root: TierId = status.tiers[0].parent.unwrap();
        let order = Envelope::sign(PayloadType::Order, b"{}".to_vec(), &self.key).to_json();
        let (name, image): (Name, _) = ("data".parse().unwrap(), id::Digest::of(b""));
        let (volume, engine, packet) = (name.clone(), name.clone(), serde_json::json!({}));
        for (what, call, attachment) in [
            ("own order", Call::SubmitOrder {}, order.as_bytes()),
            ("landlord's nonce", Call::FreshNonce { tier: root }, b""),
            ("landlord's documents", Call::Receipts { about: "landlord".to_owned() }, b""),
            ("landlord's packets", Call::Explain { tier: root, packet }, b""),
            ("landlord's denials", Call::Denials { tier: root }, b""),
            ("landlord's traffic", Call::Passed { tier: root }, b""),
            ("landlord's image", Call::Image { tier: root, volume: name, image }, b""),
            ("part of a landlord's image", Call::PutImage { tier: root, volume, image, offset: 0 }, b"part"),
            ("landlord's engine", Call::EngineOutput { tier: root, engine }, b""),
            ("landlord's share", Call::GiveShare {}, b"share"),
            ("settled status", Call::Status { settled: true }, b""),
        ] {
            let Answer::Refused(refused) = self.ask(call, attachment) else { panic!("{what} is answered") };
            say(&format!("{what}: {}", refused.code));
        }
    }

    pub(crate) fn ask(&mut self, call: Call, attachment: &[u8]) -> Answer {
        self.stream.write_all(&encode(&FromCourier::Call { number: 1, call }, attachment).unwrap()).unwrap();
        loop {
            while let Some(frame) = self.decoder.frame().unwrap() {
                if let ToCourier::Answer { answer, .. } = frame.message().unwrap() {
                    return answer;
                }
            }
            assert!(self.hears(), "the supervisor hung up");
        }
    }

    /// Takes what the supervisor says next; gives whether it is still there.
    pub(crate) fn hears(&mut self) -> bool {
        let mut part = vec![0; 64 * 1024];
        let length = self.stream.read(&mut part).unwrap_or(0);
        self.decoder.push(&part[..length]);
        length > 0
    }

    /// Asks without end for as much as there is, and takes nothing of it.
    fn floods(&mut self) -> ExitCode {
        say("floods");
        let call =
            encode(&FromCourier::Call { number: 1, call: Call::ReadJournal { from: 1 } }, b"").unwrap();
        while self.stream.write_all(&call).is_ok() {}
        ExitCode::FAILURE
    }
}

/// A key that nobody gave it.
fn own_key() -> SigningKey {
    SigningKey::from_seed(&[1; 32]).unwrap()
}

/// Whatever signs handshakes for the attacker, in whoever's name.
#[derive(Debug)]
enum Signs {
    Custody(UnixStream),
    Key(SigningKey),
}

#[derive(Debug)]
struct Pretender {
    identity: PublicKey,
    signs: Signs,
}

fn dialler(identity: PublicKey, signs: Signs) -> Dialler {
    Dialler::new(Arc::new(Pretender { identity, signs }), Limits::default())
}

impl Sign for Pretender {
    fn public(&self) -> PublicKey {
        self.identity
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignFailed> {
        match &self.signs {
            Signs::Key(key) => Ok(*key.sign(message).as_bytes()),
            Signs::Custody(custody) => {
                let transcript = Transcript::of_message(message).ok_or(SignFailed)?;
                ask_for_signature(custody, &transcript).map_err(|_refused| SignFailed)
            }
        }
    }
}

fn ask_for_signature(mut custody: &UnixStream, transcript: &Transcript) -> io::Result<[u8; 64]> {
    custody.write_all(&transcript.to_request())?;
    let mut signature = [0; 64];
    custody.read_exact(&mut signature)?;
    Ok(signature)
}

/// Whether a console has asked something.
#[derive(Debug, Default)]
struct Ears(AtomicBool);

impl Serve for Ears {
    async fn call(&self, _call: Call, _attachment: Vec<u8>) -> (Answer, Vec<u8>) {
        self.0.store(true, Ordering::Relaxed);
        (Answer::Handed {}, Vec::new())
    }

    fn statuses(&self) -> watch::Receiver<Option<Bytes>> {
        watch::channel(None).1
    }
}

/// Tries every file of the node, its socket, its wire, its realm, and every process.
fn looks_around(supervisor: u32, prey: &Prey) {
    let mut read = Vec::new();
    for place in ["state", "run", "bpf"] {
        read_all(&prey.folder.join(place), &mut read);
    }
    say(&format!("files read: {read:?}"));
    let tried =
        |what: &str, refused: bool| say(&format!("{what}: {}", if refused { "refused" } else { "open" }));
    tried("socket", UnixStream::connect(prey.folder.join("run/bmonitor.sock")).is_err());
    tried("frames", os::packet::Tap::open("br0", &[7443]).is_err());
    let realm = os::namespace::Namespace::open(&prey.realm);
    tried("realm", realm.and_then(|realm| realm.run(|| ())).is_err());
    let ids = fs::read_dir("/proc").unwrap();
    let ids = ids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let others: Vec<u32> = ids.filter(|id| *id != std::process::id()).collect();
    assert!(others.contains(&supervisor));
    let killed = |id: &&u32| os::process::Process::open(**id).and_then(|process| process.kill()).is_ok();
    say(&format!("processes killed: {:?}", others.iter().filter(killed).collect::<Vec<_>>()));
    let open = |id: &&u32| {
        let of = |file: &str| format!("/proc/{id}/{file}");
        ["environ", "maps"].iter().any(|file| fs::read(of(file)).is_ok()) || fs::read_dir(of("fd")).is_ok()
    };
    say(&format!("processes looked into: {:?}", others.iter().filter(open).collect::<Vec<_>>()));
}

/// What reads the memory of a child that it has made opens that of no other process.
fn looks_into_memory(prey: &Prey) {
    // One that can live with the list of system calls that it inherits. Its memory is made anew while it begins: it has
    // begun once it answers.
    let mut command = Command::new("/proc/self/exe");
    let mut child = command.arg("wait").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let read = first_mapped(child.id()).and_then(|address| memory_at(child.id(), address));
    drop(child.stdin.take());
    child.wait().unwrap();
    say(&format!("memory of a child of its own: {}", if read.is_ok() { "read" } else { "not read" }));
    for (name, id, address) in &prey.memory {
        let opened = fs::File::open(format!("/proc/{id}/mem"));
        let refused = opened.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
            && memory_at(*id, *address).is_err();
        say(&format!("memory of {name}: {}", if refused { "refused" } else { "opened" }));
    }
}

/// A child of the attacker's: says that it lives, and lives as long as the attacker wants.
pub(crate) fn waits() -> ExitCode {
    io::stdout().write_all(b"!").and_then(|()| io::stdout().flush()).unwrap();
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
    ExitCode::SUCCESS
}

fn read_all(path: &Path, read: &mut Vec<PathBuf>) {
    if fs::File::open(path).is_ok_and(|mut file| file.read(&mut [0; 1]).is_ok()) {
        read.push(path.to_owned());
    }
    for entry in fs::read_dir(path).into_iter().flatten().filter_map(Result::ok) {
        read_all(&entry.path(), read);
    }
}

#[expect(clippy::print_stderr, reason = "it is heard by the supervisor's log")]
pub(crate) fn say(line: &str) {
    eprintln!("{SAYS}{line}");
}
