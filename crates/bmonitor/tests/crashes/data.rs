//! A node's life with data in it, and one crash: a tier gets a volume and an engine on it, is suspended, resumed,
//! renewed with its data kept, gets and gives up a second volume, and is severed, or erased by a renewal from above.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use id::{Digest, Name, TierId};
use keys::Envelope;
use lab::{Object, Target, Transport};
use node_protocol::call::{Answer, Call, Status};
use tenure::{Engine, EngineAction, NewVolume, Realm, RemoveVolume, Renew, SizeMib, Target as Below, Verb};

use crate::demand;
use crate::held;
use crate::point::{How, Point, Story, Victim};
use crate::subject::{LOOK, PATIENCE, SILENCE, Subject, TENANT, allow, at};

/// What parties order, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Lease,
    Make,
    Deploy,
    Suspend,
    Resume,
    Keep,
    More,
    Remove,
    /// By a severing, or by a renewal from above.
    End,
}

const ACTS: [Act; 9] = [
    Act::Lease,
    Act::Make,
    Act::Deploy,
    Act::Suspend,
    Act::Resume,
    Act::Keep,
    Act::More,
    Act::Remove,
    Act::End,
];

pub(crate) const STORY: Story = Story {
    acts: &["lease", "make", "deploy", "suspend", "resume", "keep", "more", "remove", "end"],
    last_for: |step| {
        let act = match step {
            "engine:ended" => Act::Suspend,
            "engine:asked" | "engine:launched" => Act::Resume,
            "volume:made" | "volume:attached" | "volume:opened" | "custody:key-given" | "custody:written"
            | "custody:kept" => Act::More,
            _ => Act::End,
        };
        act as usize
    },
    victims: &[
        Victim::Supervisor,
        Victim::Custody,
        Victim::Helpers,
        Victim::Shim,
        Victim::Unpacker,
        Victim::Supervisor,
        Victim::Helpers,
        Victim::Launcher,
        Victim::Couriers,
    ],
    unpacks: Act::Deploy as usize,
};

/// Where the engine listens, and nobody outside may reach it.
const NEVER: u16 = 81;
/// How long a connection is tried at most before it is looked who lives: longer each time, for a busy machine.
const LONGEST: Duration = Duration::from_secs(2);
const MARKER: &[u8] = b"what the tenant wrote before the crash";
const VOLUME: &str = "data";
const FURTHER: &str = "more";

/// What a life showed.
pub(crate) struct Found {
    orders: usize,
    runs: usize,
    probes: u64,
    crash: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, runs, probes, crash } = self;
        write!(
            f,
            "{crash}; {orders} orders kept, {runs} runs one after the other, {probes} probes, none passed"
        )
    }
}

struct Life {
    subject: Subject,
    image: Vec<u8>,
    tier: Option<TierId>,
    /// Whether the end is a severing.
    severs: bool,
    /// Runs of the engine that were seen on its volume.
    runs: usize,
}

/// Lives a life with the crash in it.
pub(crate) fn live(point: &Point) -> Found {
    let mut life = Life::begin(point);
    let mut after = 0;
    for (number, act) in ACTS.into_iter().enumerate() {
        // Two acts after the crash have shown that the node lives on: the rest is the end.
        if after >= 2 && act != Act::End {
            continue;
        }
        if let (How::Step { name, .. }, true) = (&point.how, number == point.act) {
            life.subject.arm(name);
        }
        let hit = match (&point.how, number == point.act) {
            (How::After(victim, span), true) => Some((*victim, *span)),
            (How::After(..) | How::Step { .. }, _) => None,
        };
        life.perform(act, hit);
        if life.subject.crash.is_some() {
            life.look(act);
            after += 1;
        }
    }
    life.end(point)
}

impl Life {
    fn begin(point: &Point) -> Self {
        let mut subject = Subject::new(point.random());
        let target = Target { transport: Transport::Tcp, to: at(NEVER) };
        subject.facility.internet.probe(&[target]).unwrap();
        subject.start(&[]);
        subject.settle();
        let severs = point.random().below(2) == 0;
        Self { subject, image: image(), tier: None, severs, runs: 0 }
    }

    /// One act: its order is acknowledged, by this supervisor or the next, the node has settled, and the engine runs
    /// or does not.
    fn perform(&mut self, act: Act, hit: Option<(Victim, Duration)>) {
        if act == Act::Deploy {
            self.push();
        }
        let order = self.order(act);
        self.subject.obey(STORY.acts[act as usize], order, hit);
        self.stand(act);
        if act == Act::Make {
            self.write();
        }
    }

    fn order(&mut self, act: Act) -> (Envelope, Option<Object>) {
        let status = self.subject.settle();
        let object = match act {
            Act::Lease => Some(allow(&[80])),
            Act::Deploy => Some(self.specification()),
            Act::Make | Act::Suspend | Act::Resume | Act::Keep | Act::More | Act::Remove | Act::End => None,
        };
        let tier = || tier_of(&status).unwrap();
        let name = object.as_ref().map(Object::name);
        let verb = match act {
            Act::Lease => self.subject.lease(name.unwrap()),
            Act::Make => make(VOLUME, 32),
            Act::Deploy => {
                let action = EngineAction::Deploy { specification: name.unwrap() };
                Verb::Engine(Engine { name: "web".parse().unwrap(), action })
            }
            Act::Suspend => Verb::Suspend(Below { tier: tier() }),
            Act::Resume => Verb::Resume(Below { tier: tier() }),
            Act::Keep => Verb::Renew(Renew { tier: None, keep: vec![tier()], nonce: None }),
            Act::More => make(FURTHER, 16),
            Act::Remove => Verb::RemoveVolume(RemoveVolume { name: FURTHER.parse().unwrap() }),
            Act::End if self.severs => Verb::Sever(Below { tier: tier() }),
            Act::End => Verb::Renew(Renew { tier: Some(tier()), keep: Vec::new(), nonce: None }),
        };
        let envelope = match act {
            Act::Lease | Act::Suspend | Act::Resume | Act::End => self.subject.landlord_orders(&status, verb),
            Act::Make | Act::Deploy | Act::Keep | Act::More | Act::Remove => {
                self.subject.tenant_orders(&status, verb)
            }
        };
        (envelope, object)
    }

    /// Two ports, of which one is nobody's to reach; and a word on the volume if another run is not over.
    fn specification(&self) -> Object {
        let script = format!(
            "echo run >> /data/runs; /bin/busybox httpd -p {NEVER} -h /data || echo twice >> /data/twice; \
             exec /bin/busybox httpd -f -p 80 -h /data"
        );
        let text = format!(
            "version = 1\nengine = \"web\"\nimage = \"{}\"\nvolume = \"{VOLUME}\"\n\
             command = [\"/bin/busybox\", \"sh\", \"-c\", \"{script}\"]\nstop_seconds = 1\n\
             [limits]\nmemory_mib = 64\nprocesses = 32\n",
            Digest::of(&self.image)
        );
        Object::new(&text).unwrap()
    }

    /// The engine's image is put on the volume: from the start again, whenever the supervisor has died.
    fn push(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let mut offset = 0;
        while offset < self.image.len() {
            assert!(Instant::now() < deadline, "the image is not taken\n{}", self.subject.log());
            let tier = tier_of(&self.subject.settle()).unwrap();
            let part = &self.image[offset..self.image.len().min(offset + 1024 * 1024)];
            let (volume, image) = (VOLUME.parse().unwrap(), Digest::of(&self.image));
            let call = Call::PutImage { tier, volume, image, offset: offset as u64 };
            offset = match self.subject.caller().call(&call, part, PATIENCE) {
                Ok((Answer::Image(state), _)) => usize::try_from(state.bytes).unwrap(),
                Ok(_) | Err(_) => 0,
            };
        }
    }

    /// Whether an engine of the realm is to run after an act.
    const fn engine_runs(&self, act: Act) -> bool {
        matches!(act, Act::Deploy | Act::Resume | Act::Keep | Act::More | Act::Remove)
    }

    /// Waits until the engine runs, once, or none does. The supervisor may die at that, too.
    fn stand(&mut self, act: Act) {
        let wanted = usize::from(self.deployed(act) && self.engine_runs(act));
        let (deadline, mut within) = (Instant::now() + PATIENCE, SILENCE);
        loop {
            self.subject.restart_if_dead();
            let shims = held::shims(&self.subject);
            assert!(shims <= 1, "{shims} shims\n{}", self.subject.log());
            let serves = || self.subject.facility.internet.connect(at(80), within).unwrap().is_ok();
            if shims == wanted && (wanted == 0 || serves()) {
                break;
            }
            assert!(Instant::now() < deadline, "{act:?}: {shims} shims\n{}", self.subject.log());
            os::poll::wait(&[], Some(LOOK)).unwrap();
            within = (within * 2).min(LONGEST);
        }
        let status = self.subject.settle();
        self.subject.note_the_step();
        self.tier = tier_of(&status).or(self.tier);
        self.read(act);
    }

    /// Acts are left out after a crash.
    fn deployed(&self, act: Act) -> bool {
        act >= Act::Deploy
    }

    /// The content of a volume, as the supervisor's own mount namespace shows it.
    fn content(&self, name: &str) -> PathBuf {
        let folder = held::volumes(&self.subject).join(self.tier.unwrap().to_string()).join(name);
        held::in_the_supervisor(&self.subject, &folder)
    }

    /// What the tenant wrote, and was told to be on its volume. A second name of the image stays behind as what
    /// was stolen.
    fn write(&self) {
        let path = self.content(VOLUME).join("written");
        fs::write(&path, MARKER).unwrap();
        File::open(path).unwrap().sync_all().unwrap();
        let image = held::volumes(&self.subject).join(self.tier.unwrap().to_string()).join("1.image");
        fs::create_dir(self.stolen()).unwrap();
        fs::hard_link(image, self.stolen().join("1.image")).unwrap();
    }

    fn stolen(&self) -> PathBuf {
        self.subject.facility.folder().join("stolen")
    }

    /// What was written is there whenever the volume is open, and no two runs of the engine were at once.
    fn read(&mut self, act: Act) {
        let open = matches!(act, Act::Make | Act::Deploy | Act::Resume | Act::Keep | Act::More | Act::Remove);
        if !open || act == Act::Make {
            return;
        }
        let content = self.content(VOLUME);
        let read = fs::read(content.join("written"));
        assert!(
            read.as_ref().is_ok_and(|read| read == MARKER),
            "{act:?}: what was written is {read:?}\n{}",
            self.subject.log()
        );
        let data = content.join("engines/web/data");
        assert!(!data.join("twice").exists(), "{act:?}: the engine ran twice\n{}", self.subject.log());
        let runs = fs::read_to_string(data.join("runs")).unwrap_or_default().lines().count();
        assert!(runs >= self.runs, "{act:?}: {runs} runs, {} before", self.runs);
        self.runs = runs;
    }

    /// Compares the kernel with the journal, and tries what passes.
    fn look(&mut self, act: Act) {
        let status = self.subject.settle();
        let runs = |realm: &Realm| realm.wanted.iter().filter(|engine| engine.runs).count();
        let demand = demand::check(&self.subject, &status, |realm| vec!["shim"; runs(realm)]);
        held::check(&self.subject, &demand.world);
        let wanted = demand.open.contains(&80) && demand.world.realms.iter().any(|realm| runs(realm) > 0);
        let within = if wanted { PATIENCE } else { SILENCE };
        let connected = self.subject.facility.internet.connect(at(80), within).unwrap();
        assert_eq!(connected.is_ok(), wanted, "{act:?}: {connected:?}\n{}", self.subject.log());
    }

    fn end(mut self, point: &Point) -> Found {
        let log = self.subject.log();
        let crash = self.subject.crash.take().unwrap_or_else(|| panic!("{point} was never reached\n{log}"));
        let probed = self.subject.facility.internet.probed().unwrap();
        let passed: u64 = probed.iter().map(|probed| probed.passed).sum();
        let probes = probed.iter().map(|probed| probed.sent).sum::<u64>();
        assert!(passed == 0 && probes > 0, "{probed:?}");
        held::is_erased(&self.subject, &self.stolen());
        Found { orders: self.subject.acknowledged.len(), runs: self.runs, probes, crash }
    }
}

fn tier_of(status: &Status) -> Option<TierId> {
    status.tiers.iter().find(|tier| tier.name.as_str() == TENANT).map(|tier| tier.tier)
}

fn make(name: &str, size_mib: u32) -> Verb {
    let name: Name = name.parse().unwrap();
    Verb::Volume(NewVolume { name, size_mib: SizeMib::try_from(size_mib).unwrap() })
}

/// A tar file with busybox.
fn image() -> Vec<u8> {
    let mut image = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let busybox = fs::read(Path::new("/bin/busybox")).unwrap();
    header.set_size(busybox.len() as u64);
    header.set_mode(0o755);
    image.append_data(&mut header, "bin/busybox", &busybox[..]).unwrap();
    image.into_inner().unwrap()
}
