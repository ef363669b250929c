//! Engines with volumes that go away and come back by what the journal says alone: no console is connected here.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use id::{Digest, TierId, Time};
use lab::Object;
use node_protocol::call::{Answer, Call, VolumeStatus};
use os::process::Process;
use tenure::{Engine, EngineAction, NewTerms, NewVolume, SizeMib, Terms, Verb};

use crate::terms::is_not_in_term;
use crate::world::{REALMS, TENANT, World, at, is_past};

const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a connection that nobody answers takes to be tried again.
const A_TRY: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);
/// Time enough for an order to be obeyed before it is over.
const TERM: Duration = Duration::from_secs(3);

/// A tenant whose engine says on its own page how often it was started: the page is on its volume.
struct Serving {
    world: World,
    tiers: Vec<TierId>,
}

impl Serving {
    fn begin(nodes: usize) -> Self {
        let mut serving = Self { world: World::new(), tiers: Vec::new() };
        let image = image();
        for node in 0..nodes {
            let (tier, _lease) = serving.world.lease(node, REALMS);
            serving.tiers.push(tier);
            let size_mib = SizeMib::try_from(32).unwrap();
            serving.orders(node, Verb::Volume(NewVolume { name: "data".parse().unwrap(), size_mib }), &[]);
            serving.world.settled(node);
            serving.push(node, tier, &image);
            let object = specification(&image);
            let action = EngineAction::Deploy { specification: object.name() };
            serving.orders(node, Verb::Engine(Engine { name: "web".parse().unwrap(), action }), &[&object]);
            assert_eq!(serving.runs(node), 1);
        }
        serving
    }

    fn orders(&self, node: usize, verb: Verb, objects: &[&Object]) {
        let envelope = self.world.tenant.order(&self.world.standing(node, TENANT), verb);
        let said = self.world.facility.nodes()[node].submit(&envelope, objects).unwrap();
        said.accepted();
    }

    fn push(&self, node: usize, tier: TierId, image: &[u8]) {
        let mut offset = 0;
        while offset < image.len() {
            let part = &image[offset..image.len().min(offset + 1024 * 1024)];
            let (volume, digest) = ("data".parse().unwrap(), Digest::of(image));
            let call = Call::PutImage { tier, volume, image: digest, offset: offset as u64 };
            let answer = self.world.facility.nodes()[node].call(&call, part, PATIENCE).unwrap().0;
            let Answer::Image(state) = answer else { panic!("{answer:?}") };
            offset = usize::try_from(state.bytes).unwrap();
        }
    }

    /// The lease of a node ends at that time.
    fn until(&self, node: usize, until: Time) {
        let terms = Some(Terms { not_before: Time::ZERO, until });
        let tier = self.tiers[node];
        let change = NewTerms { tier, contract: None, terms, rights: None, quota: None };
        self.world.say(node, Verb::Terms(change)).accepted();
    }

    fn page(&self, node: usize, within: Duration) -> io::Result<String> {
        self.world.facility.namespace("router").unwrap().run(|| page(node, within)).unwrap()
    }

    /// How often the engine was started, as its page says once it is served.
    fn runs(&self, node: usize) -> usize {
        self.soon(node, "no page", || self.page(node, A_TRY).ok()).lines().count()
    }

    fn is_served_no_more(&self, node: usize) {
        self.soon(node, "the page is served", || self.page(node, A_TRY).err());
    }

    fn soon<T>(&self, node: usize, what: &str, found: impl Fn() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = found() {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}\n{}", self.world.facility.nodes()[node].log());
            os::poll::wait(&[], Some(LOOK)).unwrap();
        }
    }

    fn processes(&self, node: usize, role: &str) -> Vec<u32> {
        let all = self.world.processes(node).into_iter();
        all.filter(|(name, _)| name == role).map(|(_, id)| id).collect()
    }

    fn kill(&self, node: usize, role: &str) {
        let ids = self.processes(node, role);
        assert_eq!(ids.len(), 1, "{role}: {ids:?}");
        Process::open(ids[0]).unwrap().kill().unwrap();
    }

    fn volume(&self, node: usize) -> VolumeStatus {
        self.world.tier(node, TENANT).unwrap().volumes.remove(0)
    }

    /// No engine runs on the node, its volume is closed, and nothing of it is lost.
    fn rests(&self, node: usize) {
        self.soon(node, "it does not listen", || {
            self.world.facility.nodes()[node].settled(PATIENCE).ok().map(drop)
        });
        self.soon(node, "its volume is open", || {
            (self.volume(node).state.as_deref() == Some("closed")).then_some(())
        });
        self.soon(node, "an engine runs", || self.processes(node, "shim").is_empty().then_some(()));
        let folder = self.world.facility.nodes()[node].folder();
        assert!(folder.join(format!("volumes/{}/1.image", self.tiers[node])).exists());
        let kept = fs::read_dir(folder.join("state/custody")).unwrap();
        let names = kept.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        assert_eq!(names.filter(|name| name.ends_with(".volume")).count(), 1);
    }
}

/// A lease that ends suspends, whether a supervisor lives then or not: its engine ends, its volume is closed. A longer
/// one brings both back.
pub(crate) fn lapsed_and_prolonged() {
    let serving = &mut Serving::begin(1);
    for dead in [false, true] {
        let before = serving.runs(0);
        let until = serving.world.settled(0).at.plus(TERM);
        serving.until(0, until);
        if dead {
            serving.world.settled(0);
            serving.world.facility.nodes_mut()[0].kill_supervisor().unwrap();
        }
        is_past(until);
        serving.is_served_no_more(0);
        if dead {
            serving.world.start(0, &[]);
        }
        serving.world.status_with(0, is_not_in_term);
        serving.rests(0);
        serving.until(0, Time::MAX);
        assert_eq!(serving.runs(0), before + 1);
        assert_eq!(serving.volume(0).state.as_deref(), Some("open"));
    }
}

/// One of two nodes is given back; on the other the same engine serves every page meanwhile.
pub(crate) fn one_is_given_back() {
    let serving = &Serving::begin(2);
    let over = AtomicBool::new(false);
    let pages = thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut pages = 0;
            while !over.load(Ordering::Relaxed) {
                assert_eq!(serving.page(1, PATIENCE).unwrap(), "run\n");
                pages += 1;
            }
            pages
        });
        serving.world.sever(0, serving.tiers[0]).accepted();
        assert!(serving.world.tier(0, TENANT).is_none());
        over.store(true, Ordering::Relaxed);
        client.join().unwrap()
    });
    assert!(pages > 0 && serving.page(0, A_TRY).is_err());
    assert!(serving.processes(0, "shim").is_empty());
    assert!(
        !serving.world.facility.nodes()[0]
            .folder()
            .join(format!("volumes/{}/1.image", serving.tiers[0]))
            .exists()
    );
    assert_eq!((serving.runs(1), serving.volume(1).state.as_deref()), (1, Some("open")));
}

/// A node loses its power: engine and volume come back by what is on its disk. Control groups that the dead node left
/// are swept.
pub(crate) fn power_is_cut() {
    let serving = &mut Serving::begin(1);
    let own = format!("{}-n1", serving.world.facility.plan().prefix);
    let groups: Vec<PathBuf> = groups(&own).collect();
    assert!(!groups.is_empty());
    let left: Vec<PathBuf> = groups.iter().map(|group| group.join("of-a-run-that-is-over")).collect();
    left.iter().for_each(|left| fs::create_dir(left).unwrap());
    serving.world.facility.power_off(0).unwrap();
    assert!(serving.page(0, A_TRY).is_err());
    serving.world.facility.power_on(0).unwrap();
    serving.world.start(0, &[]);
    assert_eq!(serving.runs(0), 2);
    assert_eq!(serving.volume(0).state.as_deref(), Some("open"));
    assert!(left.iter().all(|left| !left.exists()));
}

/// A run that is just ending when a supervisor starts is seen by nobody's eyes but the kernel's: its shim listens no more,
/// and holds the lock of its folder still. What it leaves is removed, not before it has ended, and not never.
pub(crate) fn who_ends_late_is_swept() {
    let mut world = World::unstarted();
    let home = home_of_groups(&world.facility.plan().prefix);
    world.start(0, &[]);
    world.settled(0);
    world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    let run = world.facility.nodes()[0].folder().join("run/e/of-a-shim-that-is-ending");
    fs::create_dir_all(&run).unwrap();
    let lock = File::create(run.join("lock")).unwrap();
    lock.lock().unwrap();
    let [late, over] = ["of-a-shim-that-is-ending", "of-a-run-that-is-over"].map(|name| home.join(name));
    fs::create_dir_all(&late).unwrap();
    fs::create_dir_all(&over).unwrap();
    world.start(0, &[]);
    world.settled(0);
    becomes("a group of a run that is over is left", || !over.exists());
    assert!(late.exists(), "a group was removed before its run had ended");
    drop(lock);
    becomes("a group of a run that ended late is left", || !late.exists());
}

/// Where the control groups of the first node's engines are: of one hierarchy, where there are several.
pub(crate) fn home_of_groups(prefix: &str) -> PathBuf {
    let of_processes = Path::new("/sys/fs/cgroup/pids");
    let hierarchy = if of_processes.is_dir() { of_processes } else { Path::new("/sys/fs/cgroup") };
    hierarchy.join(format!("{prefix}-n1"))
}

fn becomes(what: &str, wanted: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !wanted() {
        assert!(Instant::now() < deadline, "{what}");
        os::poll::wait(&[], Some(LOOK)).unwrap();
    }
}

/// Nobody can start another launcher: what runs goes on, the status says that nothing new is started, and a supervisor
/// that is started anew starts it.
pub(crate) fn the_launcher_ends() {
    let serving = &mut Serving::begin(1);
    let named = |status: &node_protocol::call::Status| {
        status.warnings.iter().any(|warning| warning.code == "no-launcher")
    };
    assert!(!named(&serving.world.settled(0)));
    serving.kill(0, "launcher");
    serving.world.status_with(0, named);
    assert_eq!(serving.runs(0), 1);
    serving.kill(0, "shim");
    serving.soon(0, "the shim lives", || serving.processes(0, "shim").is_empty().then_some(()));
    serving.is_served_no_more(0);
    assert!(named(&serving.world.settled(0)) && serving.processes(0, "shim").is_empty());
    serving.world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    serving.world.start(0, &[]);
    assert_eq!(serving.runs(0), 2);
    assert!(!named(&serving.world.settled(0)));
}

/// The node's control groups, one a hierarchy that has them.
fn groups(own: &str) -> impl Iterator<Item = PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    // Several names may be of one hierarchy.
    let hierarchies: BTreeSet<PathBuf> =
        below.filter_map(|path| fs::canonicalize(path).ok()).chain([root.to_owned()]).collect();
    hierarchies.into_iter().map(move |hierarchy| hierarchy.join(own)).filter(|group| group.is_dir())
}

fn page(node: usize, within: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&at(node, 80), within)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /runs HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, page)) if head.contains(" 200 ") => Ok(page.to_owned()),
        Some(_) | None => Err(io::Error::other(answer)),
    }
}

fn specification(image: &[u8]) -> Object {
    let script = "echo run >> /data/runs; exec /bin/busybox httpd -f -p 80 -h /data";
    let text = format!(
        "version = 1\nengine = \"web\"\nimage = \"{}\"\nvolume = \"data\"\n\
         command = [\"/bin/busybox\", \"sh\", \"-c\", \"{script}\"]\nstop_seconds = 1\n\
         [limits]\nmemory_mib = 64\nprocesses = 32\n",
        Digest::of(image)
    );
    Object::new(&text).unwrap()
}

/// A tar file with busybox.
fn image() -> Vec<u8> {
    let mut image = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    let busybox = fs::read("/bin/busybox").unwrap();
    header.set_size(busybox.len() as u64);
    header.set_mode(0o755);
    image.append_data(&mut header, "bin/busybox", &busybox[..]).unwrap();
    image.into_inner().unwrap()
}
