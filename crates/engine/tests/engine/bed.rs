//! What engines of a test run in: an image with busybox and this program, a volume that is a plain folder, a
//! network namespace, control groups of its own.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use engine::run::Phase;
use engine::shim::{self, Key, Launch, Lines, Report};
use engine::specification::Specification;
use id::Digest;
use lab::{Guard, Thing};
use os::poll::{Wanted, wait};

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Bed {
    pub(crate) folder: PathBuf,
    namespace: PathBuf,
    pub(crate) cgroup: String,
    _guard: Guard,
}

pub(crate) struct Engine {
    pub(crate) child: Child,
    pub(crate) lines: Lines,
    pub(crate) run: PathBuf,
    pub(crate) logs: PathBuf,
    pub(crate) cgroup: String,
    pub(crate) last: Option<Report>,
}

impl Bed {
    pub(crate) fn new() -> Self {
        let guard = Guard::start().unwrap();
        let random: [u8; 4] = os::random::bytes().unwrap();
        let name = format!("en{:08x}", u32::from_ne_bytes(random));
        let folder = std::env::temp_dir().join(&name);
        guard.record(&Thing::Folder(folder.clone())).unwrap();
        guard.record(&Thing::ControlGroups(name.clone())).unwrap();
        fs::create_dir(&folder).unwrap();
        let names = folder.join("netns");
        fs::create_dir(&names).unwrap();
        guard.record(&Thing::Names { folder: names.clone(), prefix: "realm".to_owned() }).unwrap();
        let namespace = names.join("realm");
        let made = os::namespace::Namespace::create(&namespace).unwrap();
        made.run(|| os::link::Links::open().unwrap().set_up("lo").unwrap()).unwrap();
        let bed = Self { folder, namespace, cgroup: name, _guard: guard };
        bed.make_image();
        bed
    }

    fn make_image(&self) {
        let image = self.folder.join("image");
        for name in engine::image::WORLD.into_iter().chain(["bin", "lib64", "lib"]) {
            fs::create_dir_all(image.join(name)).unwrap();
        }
        fs::copy("/bin/busybox", image.join("bin/busybox")).unwrap();
        let own = std::env::current_exe().unwrap();
        fs::copy(&own, image.join("bin/hostile")).unwrap();
        // What ldd(1) does, which not every machine has: the loader lists the libraries, and starts nothing.
        let needed = Command::new(&own).env("LD_TRACE_LOADED_OBJECTS", "1").output().unwrap();
        for word in String::from_utf8(needed.stdout).unwrap().split_whitespace() {
            if word.starts_with('/') {
                let to = image.join(word.trim_start_matches('/'));
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(word, to).unwrap();
            }
        }
    }

    /// What an engine of that name is launched with; `more` are further lines of its specification.
    pub(crate) fn launch(&self, name: &str, command: &[&str], more: &str) -> Launch {
        let text = format!(
            "version = 1\nengine = \"{name}\"\nimage = \"{}\"\nvolume = \"data\"\ncommand = {command:?}\n\
             stop_seconds = 1\n{more}\n{}",
            Digest::of(b"image"),
            if more.contains("[limits]") { "" } else { "[limits]\nmemory_mib = 64\nprocesses = 16\n" }
        );
        let volume = self.folder.join("volume");
        let run = self.folder.join("run").join(name);
        fs::create_dir_all(&run).unwrap();
        fs::create_dir_all(volume.join(name)).unwrap();
        let random: [u8; 4] = os::random::bytes().unwrap();
        Launch {
            key: Key { specification: Digest::of(text.as_bytes()), restarts: 0, reloads: 0 },
            specification: Specification::parse(text.as_bytes()).unwrap(),
            uid: 700_000_000 + u32::from_ne_bytes(random) % 1_000_000,
            namespace: self.namespace.clone(),
            image: self.folder.join("image"),
            data: volume.join(name).join("data"),
            logs: volume.join(name).join("logs"),
            run,
            cgroup: vec![self.cgroup.clone(), name.to_owned()],
        }
    }

    pub(crate) fn start(&self, launch: &Launch) -> Engine {
        let (here, there) = UnixStream::pair().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .arg("shim")
            .stdin(Stdio::from(OwnedFd::from(there)))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = Lines::new(here).unwrap();
        lines.tell(launch);
        let (run, logs, cgroup) = (launch.run.clone(), launch.logs.clone(), launch.cgroup.join("/"));
        Engine { child, lines, run, logs, cgroup, last: None }
    }

    /// Starts an engine and gives its last report.
    pub(crate) fn to_the_end(&self, name: &str, command: &[&str], more: &str) -> (Report, String) {
        let mut engine = self.start(&self.launch(name, command, more));
        let report = engine.ended();
        (report, engine.output())
    }
}

impl Engine {
    /// The first report of which something is true.
    pub(crate) fn report(&mut self, wanted: impl Fn(&Report) -> bool) -> Report {
        let began = Instant::now();
        loop {
            for report in self.lines.take::<Report>() {
                self.last = Some(report);
            }
            if let Some(report) = self.last.clone().filter(&wanted) {
                return report;
            }
            assert!(!self.lines.is_over() && began.elapsed() < PATIENCE, "{:?}", self.last);
            self.lines.flush();
            wait(&[(self.lines.stream.as_fd(), Wanted::READ)], Some(Duration::from_secs(1))).unwrap();
        }
    }

    pub(crate) fn running(&mut self) -> Report {
        self.report(|report| {
            assert_eq!(report.refused, None);
            report.phase == Phase::Running
        })
    }

    /// The last report; the shim is reaped, and nothing of the run is left.
    pub(crate) fn ended(&mut self) -> Report {
        let report = self.report(|report| {
            assert_eq!(report.refused, None);
            report.phase == Phase::Ended
        });
        assert!(self.child.wait().unwrap().success());
        assert!(!shim::is_locked(&self.run).unwrap() && !self.run.join(shim::SOCKET).exists());
        assert_eq!(shim::ended(&self.run), Some(report.clone()));
        assert!(self.groups().is_empty(), "control groups are left");
        report
    }

    /// The control groups that are there.
    pub(crate) fn groups(&self) -> Vec<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let lines = mounts.lines().filter(|line| line.contains(" - cgroup"));
        let groups = lines.map(|line| Path::new(line.split(' ').nth(4).unwrap()).join(&self.cgroup));
        groups.filter(|group| group.exists()).collect()
    }

    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.logs.join("output")).unwrap()).into_owned()
    }
}
