//! Nonsense from within: what a courier says that is taken over, in every form and life after life; and what the other
//! processes do when what reaches their streams comes from no supervisor.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use id::Digest;
use lab::{Garbage, Object, Standing};
use node_protocol::call::{Answer, Call, code};
use node_protocol::courier::{CALLS_OPEN_MAX, Confinement, FromCourier, ToCourier};
use node_protocol::encode;
use node_protocol::frame::{ATTACHMENT_BYTES_MAX, JSON_BYTES_MAX};
use os::child::Child;
use os::descriptor;
use os::poll::{Wanted, wait};
use tenure::{Target, Verb};

use crate::console::Unopened;
use crate::couriers::{accepted, couriers_of, lease};
use crate::rights::on_the_machine;
use crate::takeover::{Attacker, FIRST, become_proper, confine, memory_of, programs, said, say};
use crate::world::{TENANT, World};

/// Counts the lives of the attacker, there.
const LIVES: &str = "lives";
/// Ends that the attacker does not bring about itself, and all that it says, take no longer.
const PATIENCE: Duration = Duration::from_secs(60);
const SEED: u64 = 20_261_129;

/// What the attacker does in one life, after it has asked something properly.
type Life = (&'static str, fn(&mut Attacker));

const LIVES_OF_IT: [Life; 12] = [
    ("garbage", garbage),
    ("a length over all bounds", |attacker| attacker.says_its_last(&[0xff; 8])),
    ("a length just over its bound", just_too_long),
    ("no JSON", |attacker| attacker.says_its_last(&framed(b"{\"call\":"))),
    ("nothing", |attacker| attacker.says_its_last(&[0; 8])),
    ("an unknown call", |attacker| {
        attacker.says_its_last(&framed(b"{\"call\":{\"number\":1,\"call\":\"fly\"}}"))
    }),
    ("a number that is none", |attacker| {
        attacker
            .says_its_last(&framed(b"{\"call\":{\"number\":-1,\"call\":{\"status\":{\"settled\":false}}}}"));
    }),
    ("the supervisor's own words", |attacker| attacker.says_its_last(&framed(b"{\"consoles\":[]}"))),
    ("numbers out of order", out_of_order),
    ("half a header", |attacker| attacker.waits_after(&[0; 4])),
    ("all but the last byte", all_but_the_last_byte),
    ("descriptors", descriptors),
];

/// Whatever a courier says and leaves unsaid, the supervisor goes on, the landlord's courier is answered all the time
/// on the one connection, nothing gets on record; and a severing ends it in the middle of a flood.
#[expect(clippy::print_stdout, reason = "the times and sizes are part of the evidence")]
pub(crate) fn of_a_courier() {
    let programs = programs();
    fs::write(programs.path().join(LIVES), "0").unwrap();
    let landlords = Unopened::new(7443);
    let mut world = World::of(programs.path().join("bmonitor"), &[landlords.named()]);
    world.tenants_consoles = vec![Unopened::new(7444).named()];
    let mut landlord = landlords.open(&world.facility);
    let supervisor = world.start(0, &[]);
    let first = world.facility.nodes()[0].first_process();
    let supervisors_id = on_the_machine(first, supervisor);
    landlord.enrol();
    let link = landlord.link();
    let descriptors_of_it = || fs::read_dir(format!("/proc/{supervisors_id}/fd")).unwrap().count();
    let (tier, _order) = lease(&world, &landlord, &link);
    let before = landlord.status_with(&link, |status| status.settled && status.tiers.len() == 2);
    let (open_before, lives) = (descriptors_of_it(), || lives_said(&world));

    // The landlord is served meanwhile.
    let (began, mut slowest, mut answers) = (Instant::now(), Duration::ZERO, 0);
    let root = before.tiers.iter().find(|tier| tier.name.as_str() == "landlord").unwrap().tier;
    while !said(&world).iter().any(|line| line == "floods") {
        let asked = Instant::now();
        let (answer, _) = landlord.call(&link, &Call::FreshNonce { tier: root }, &[]);
        assert!(matches!(answer, Answer::Nonce { .. }), "{answer:?}");
        (slowest, answers) = (slowest.max(asked.elapsed()), answers + 1);
        let log = || world.facility.nodes()[0].log();
        assert!(began.elapsed() < PATIENCE, "{:?}\n{}", said(&world), log());
    }
    let wanted: Vec<String> = LIVES_OF_IT.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(lives(), wanted);
    let said = said(&world);
    assert!(!said.iter().any(|line| line == "lives on"), "{said:?}");
    let answered = format!("answered {} out of order", CALLS_OPEN_MAX * 8);
    assert!(said.contains(&answered), "{said:?}");
    println!("{answers} answers to the landlord meanwhile, the slowest after {slowest:?}");

    // A severing reaches the tenant in the middle of the last life.
    let status = landlord.status_with(&link, |_| true);
    assert_eq!((status.record, status.digest), (before.record, before.digest));
    let order =
        world.landlord.order(&Standing::of(&status, "landlord").unwrap(), Verb::Sever(Target { tier }));
    let began = Instant::now();
    accepted(&landlord.order(&link, &order));
    println!("severed after {:?} while the courier floods", began.elapsed());
    let after = landlord.status_with(&link, |status| status.settled && status.tiers.len() == 1);
    assert!(!after.tiers.iter().any(|tier| tier.name.as_str() == TENANT));
    assert_eq!(couriers_of(first).len(), 1);
    assert_eq!(on_the_machine(first, supervisor), supervisors_id);
    assert!(landlord.nobody_came(), "the landlord's courier has dialled anew");
    // Less the tenant's courier and its realm; no descriptor that came along was kept.
    assert!(descriptors_of_it() <= open_before, "{} and {open_before} before", descriptors_of_it());
    let memory = memory_of(&world, supervisor);
    println!("the supervisor's memory was at most {memory} KiB");
    assert!(memory < 96 * 1024);
}

/// The lives that the attacker has begun.
fn lives_said(world: &World) -> Vec<String> {
    said(world).iter().filter_map(|line| line.strip_prefix("begins: ")).map(str::to_owned).collect()
}

/// The program in a courier's place. The landlord's courier is what it should be.
pub(crate) fn taken_over(confinement: &str) -> ExitCode {
    let programs = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let told: Confinement = serde_json::from_str(confinement).unwrap();
    if told.uid == FIRST {
        become_proper(confinement);
    }
    let life: usize = fs::read_to_string(programs.join(LIVES)).unwrap().parse().unwrap();
    fs::write(programs.join(LIVES), (life + 1).to_string()).unwrap();
    confine(&told);
    let mut attacker = Attacker::begin();
    let Answer::Status(_) = attacker.ask(Call::Status { settled: false }, b"") else { panic!("no status") };
    let Some((name, live)) = LIVES_OF_IT.get(life) else { return floods(&mut attacker) };
    say(&format!("begins: {name}"));
    live(&mut attacker);
    ExitCode::SUCCESS
}

/// Whether this program is to play the part, told by the folder that it lies in.
pub(crate) fn is_meant() -> bool {
    std::env::current_exe().is_ok_and(|own| own.with_file_name(LIVES).exists())
}

impl Attacker {
    /// Says what nobody may say, and is killed for it.
    fn says_its_last(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap_or_default();
        while self.hears() {}
        say("lives on");
    }

    /// Says it, and goes on when it has heard from the supervisor twice: that waits for nobody.
    fn waits_after(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
        let mut statuses = 0;
        while statuses < 2 {
            assert!(self.hears(), "the supervisor hung up");
            while let Some(frame) = self.decoder.frame().unwrap() {
                statuses += usize::from(matches!(frame.message().unwrap(), ToCourier::Status(_)));
            }
        }
    }
}

/// Bytes as a frame without attachment.
fn framed(json: &[u8]) -> Vec<u8> {
    let length = u32::try_from(json.len()).unwrap().to_be_bytes();
    [&length, &[0; 4][..], json].concat()
}

fn header(json: usize, attachment: usize) -> Vec<u8> {
    [json, attachment].map(|length| u32::try_from(length).unwrap().to_be_bytes()).concat()
}

fn garbage(attacker: &mut Attacker) {
    let mut garbage = Garbage::new(SEED);
    while attacker.stream.write_all(&garbage.row()).is_ok() {}
    attacker.says_its_last(b"");
}

fn just_too_long(attacker: &mut Attacker) {
    attacker.says_its_last(&header(JSON_BYTES_MAX, ATTACHMENT_BYTES_MAX + 1));
}

fn all_but_the_last_byte(attacker: &mut Attacker) {
    let mut bytes = header(JSON_BYTES_MAX, ATTACHMENT_BYTES_MAX);
    bytes.resize(bytes.len() + JSON_BYTES_MAX + ATTACHMENT_BYTES_MAX - 1, b'{');
    attacker.waits_after(&bytes);
}

/// More calls than may be open, with numbers that go down and each twice: each gets its answer.
fn out_of_order(attacker: &mut Attacker) {
    let numbers: Vec<u64> =
        (0..CALLS_OPEN_MAX as u64 * 4).rev().flat_map(|number| [number, number]).collect();
    let call = |number: &u64| encode(&status_call(*number), b"").unwrap();
    attacker.stream.write_all(&numbers.iter().flat_map(call).collect::<Vec<u8>>()).unwrap();
    let mut answered = Vec::new();
    while answered.len() < numbers.len() && attacker.hears() {
        while let Some(frame) = attacker.decoder.frame().unwrap() {
            if let ToCourier::Answer { number, .. } = frame.message().unwrap() {
                answered.push(number);
            }
        }
    }
    assert_eq!(answered, numbers);
    say(&format!("answered {} out of order", answered.len()));
}

fn status_call(number: u64) -> FromCourier {
    FromCourier::Call { number, call: Call::Status { settled: false } }
}

/// Nobody asked for descriptors.
fn descriptors(attacker: &mut Attacker) {
    let file = fs::File::open("/proc/self/exe").unwrap();
    for number in 0..200 {
        let bytes = encode(&status_call(number), b"").unwrap();
        let sent = descriptor::send(&attacker.stream, &bytes, Some(file.as_fd())).unwrap();
        assert_eq!(sent, bytes.len());
    }
    attacker.waits_after(b"");
}

/// Without end, objects whose bytes are not what they are called.
fn floods(attacker: &mut Attacker) -> ExitCode {
    say("floods");
    let bytes = vec![b'x'; 1024 * 1024];
    let name = Object::new("version = 1\n").map_or(Digest::of(b""), |object| object.name());
    loop {
        let Answer::Refused(refused) = attacker.ask(Call::PutObject { name }, &bytes) else {
            panic!("taken")
        };
        assert_ne!(refused.code, code::NOT_FOUND);
    }
}

/// What reaches the streams of the other processes comes from no supervisor: they end, having done nothing.
pub(crate) fn to_the_others() {
    const ROWS: u64 = 6;
    let program = env!("CARGO_BIN_EXE_bmonitor");
    let own = std::process::id().to_string();
    for (role, further) in
        [("helper", &[][..]), ("launcher", &[]), ("dhcp", &["--bridge", "lo"]), ("shim", &[])]
    {
        for seed in 1..=ROWS {
            let mut command = Command::new(program);
            command.arg(role).args(further).stderr(std::process::Stdio::null());
            if role != "shim" {
                command.args(["--parent", &own]);
            }
            let mut child = Child::start(command).unwrap();
            child.stream.set_nonblocking(false).unwrap();
            let row = Garbage::new(seed).row();
            // It may end before it has heard all of it.
            child.stream.write_all(&row).unwrap_or_default();
            child.stream.shutdown(Shutdown::Write).unwrap_or_default();
            let ended = wait(&[(child.ended(), Wanted::READ)], Some(PATIENCE)).unwrap()[0];
            assert!(ended, "{role} goes on after {row:?}");
            child.reap().unwrap().unwrap();
            let mut said = Vec::new();
            child.stream.read_to_end(&mut said).unwrap_or_default();
            let said = String::from_utf8(said).unwrap();
            let silent = said.is_empty() || role == "helper" && said.contains("the task is not understood");
            assert!(silent || role == "shim" && said.contains("nonsense"), "{role} says {said}");
        }
    }
}
