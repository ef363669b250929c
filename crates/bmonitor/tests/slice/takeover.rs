//! A courier that is taken over: a program of the attacker's with its uid, its descriptors and its network.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use id::{PublicKey, TierId};
use keys::{Envelope, PayloadType, Signature, SigningKey, pre_authentication_encoding, verifies};
use node_protocol::call::{Answer, Call};
use node_protocol::courier::{Begin, Confinement, FromCourier, ToCourier};
use node_protocol::signing::Transcript;
use node_protocol::{Decoder, encode};
use os::{capability, privilege};
use tempfile::TempDir;

use crate::console::Unopened;
use crate::world::{REALMS, TENANT, World};

/// What the attacker says: all that it got.
const SAYS: &str = "taken over: ";

/// The attacker in the courier's place reads nothing, kills nobody, gets no signature but its own tier's
/// handshakes; it hears its own tier's view; and while it floods the supervisor with calls whose answers it
/// never takes, a severing goes through at once.
#[expect(clippy::print_stdout, reason = "the times and sizes are part of the evidence")]
pub(crate) fn gains_nothing() {
    let programs = TempDir::new().unwrap();
    fs::copy(env!("CARGO_BIN_EXE_bmonitor"), programs.path().join("bmonitor")).unwrap();
    fs::copy("/proc/self/exe", programs.path().join("bmonitor-courier")).unwrap();
    let mut world = World::of(programs.path().join("bmonitor"), &[]);
    world.tenants_consoles = vec![Unopened::new(7444).named()];
    let folder = world.facility.nodes()[0].folder().to_owned();
    fs::write(programs.path().join("folder"), folder.to_str().unwrap()).unwrap();
    let supervisor = world.start(0, &[]);
    let (tier, _lease) = world.lease(0, REALMS);

    let began = Instant::now();
    let said = loop {
        let said = said(&world);
        if said.iter().any(|line| line == "floods") {
            break said;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{said:?}\n{}", world.facility.nodes()[0].log());
    };
    let wanted = [
        "handshake signed: true",
        "anything else signed: false",
        "custody after nonsense: ended",
        "files read: []",
        "socket: refused",
        "processes killed: []",
        "memory read: []",
        &format!("tiers seen: [\"{TENANT}\"]"),
        "own order: not-authenticated",
        "landlord's nonce: not-found",
        "landlord's documents: not-found",
        "settled status: not-yet",
        "floods",
    ];
    assert_eq!(said[..wanted.len()], wanted);

    let began = Instant::now();
    world.sever(0, tier);
    println!("severed after {:?} while the courier floods", began.elapsed());
    assert!(world.tier(0, TENANT).is_none());
    println!("settled after {:?}", began.elapsed());
    let memory = memory_of(&world, supervisor);
    println!("the supervisor's memory was at most {memory} KiB");
    assert!(memory < 96 * 1024);
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
    let confinement: Confinement = serde_json::from_str(confinement).unwrap();
    confine(&confinement);
    let mut attacker = Attacker::begin();
    attacker.asks_custody();
    looks_around(confinement.parent);
    attacker.asks_the_supervisor();
    attacker.floods()
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
                let key = SigningKey::from_seed(&[1; 32]).unwrap();
                return Self { stream, decoder, begin, custody, key };
            }
            let length = os::descriptor::receive(&stream, &mut part, &mut descriptors).unwrap();
            decoder.push(&part[..length]);
        }
    }

    /// Wants an order signed by the identity. What it gets is good for a handshake alone.
    fn asks_custody(&mut self) {
        let order = pre_authentication_encoding(PayloadType::Order.as_str(), b"{\"verb\":\"sever\"}");
        let hash: [u8; 32] = *id::Digest::of(&order).as_bytes();
        let transcript = Transcript::Sha256(hash);
        self.custody.write_all(&transcript.to_request()).unwrap();
        let mut signature = [0; 64];
        self.custody.read_exact(&mut signature).unwrap();
        let signature = Signature::from_bytes(signature);
        let identity: &PublicKey = &self.begin.identity;
        say(&format!("handshake signed: {}", verifies(identity, &transcript.message(), &signature)));
        let other = [order.as_slice(), &hash].iter().any(|message| verifies(identity, message, &signature));
        say(&format!("anything else signed: {other}"));
        self.custody.write_all(&order).unwrap_or_default();
        let end = self.custody.read(&mut [0; 64]);
        say(&format!("custody after nonsense: {}", if matches!(end, Ok(1..)) { "answers" } else { "ended" }));
    }

    fn asks_the_supervisor(&mut self) {
        let Answer::Status(status) = self.ask(Call::Status { settled: false }, b"") else { panic!() };
        let seen: Vec<String> = status.tiers.iter().map(|tier| tier.name.to_string()).collect();
        say(&format!("tiers seen: {seen:?}"));
        let root: TierId = status.tiers[0].parent.unwrap();
        let order = Envelope::sign(PayloadType::Order, b"{}".to_vec(), &self.key).to_json();
        for (what, call, attachment) in [
            ("own order", Call::SubmitOrder {}, order.as_bytes()),
            ("landlord's nonce", Call::FreshNonce { tier: root }, b""),
            ("landlord's documents", Call::Receipts { about: "landlord".to_owned() }, b""),
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

/// Tries every file of the node, its socket, and every process.
fn looks_around(supervisor: u32) {
    let own = std::env::current_exe().unwrap();
    let folder = PathBuf::from(fs::read_to_string(own.with_file_name("folder")).unwrap());
    let mut read = Vec::new();
    for place in ["state", "run", "bpf"] {
        read_all(&folder.join(place), &mut read);
    }
    say(&format!("files read: {read:?}"));
    let socket = UnixStream::connect(folder.join("run/bmonitor.sock"));
    say(&format!("socket: {}", if socket.is_err() { "refused" } else { "open" }));
    let ids = fs::read_dir("/proc").unwrap();
    let ids = ids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let others: Vec<u32> = ids.filter(|id| *id != std::process::id()).collect();
    assert!(others.contains(&supervisor));
    let killed = |id: &&u32| os::process::Process::open(**id).and_then(|process| process.kill()).is_ok();
    say(&format!("processes killed: {:?}", others.iter().filter(killed).collect::<Vec<_>>()));
    let secret = |id: &&u32| {
        ["mem", "environ", "maps"].iter().any(|file| fs::read(format!("/proc/{id}/{file}")).is_ok())
    };
    say(&format!("memory read: {:?}", others.iter().filter(secret).collect::<Vec<_>>()));
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
