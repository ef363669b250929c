//! `cargo xtask bench engine`: how long `true` takes in the process launcher from its start to its end, side by side with
//! bubblewrap, crun and runc (Debian's, which `scripts/bench` installs). Needs root.
//!
//! Each is started by the same wrapper, in a mount namespace of its own without cgroup v2: crun refuses a machine that has
//! both versions. Each confines `true` as far as it can: namespaces, a root that is read only, no capability, no
//! gain by exec; all but bubblewrap, which knows neither by itself, the launcher's own list of system calls, and limits
//! of memory and processes. That every one of them really ran it is checked.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its figures, and fails by panicking"
)]

use std::ffi::OsString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use engine::keeper::Exit;
use engine::run::Phase;
use engine::sandbox::ENGINE_CALLS;
use engine::shim::{Key, Launch, Lines, Report};
use engine::specification::Specification;
use id::Digest;
use lab::{Guard, Thing};
use os::poll::{Wanted, wait};
use serde_json::{Value, json};

const RUNS: usize = 31;
/// Those that are not counted: files are in memory by then.
const WARM: usize = 3;
const TRUE: [&str; 2] = ["/bin/busybox", "true"];
const PATIENCE: Duration = Duration::from_secs(20);
/// What the figure is measured against, in the order of its JSON.
const PEERS: [&str; 3] = ["bubblewrap", "crun", "runc"];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|first| first.to_str()) {
        Some("shim") => return shim(),
        Some("wrapped") => wrapped(&arguments[1..]),
        _ => {}
    }
    if let Some(ended) = lab::serve() {
        return ended;
    }
    for program in ["bwrap", "crun", "runc"] {
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).status();
        assert!(
            found.is_ok_and(|ended| ended.success()),
            "{program} is missing: `scripts/bench engine` installs it"
        );
    }
    if measure(&Bed::new()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Is the shim of one engine.
fn shim() -> ExitCode {
    let control = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    engine::shim::run(UnixStream::from(control), || Ok(())).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// Becomes the program, in a mount namespace without cgroup v2.
fn wrapped(words: &[OsString]) -> ! {
    os::mount::own_namespace().unwrap();
    // Nobody else shall lose cgroup v2.
    os::mount::private_everywhere().unwrap();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    for line in mounts.lines().filter(|line| line.contains(" - cgroup2 ")) {
        os::mount::unmount(Path::new(line.split(' ').nth(4).unwrap())).unwrap();
    }
    let failed = Command::new(&words[0]).args(&words[1..]).exec();
    panic!("{words:?}: {failed}")
}

fn through_the_wrapper(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("wrapped").args(words);
    command
}

/// Prints the figure; gives whether its bound is kept.
fn measure(bed: &Bed) -> bool {
    let mut times: [Vec<f64>; 4] = Default::default();
    // Interleaved, so that all meet the same machine.
    for run in 0..WARM + RUNS {
        let begun: [&dyn Fn(usize); 4] =
            [&|run| bed.engine(run), &|_| bed.bubblewrap(), &|run| bed.oci("crun", run), &|run| {
                bed.oci("runc", run)
            }];
        for (times, begin) in times.iter_mut().zip(begun) {
            let began = Instant::now();
            begin(run);
            if run >= WARM {
                times.push(began.elapsed().as_secs_f64() * 1000.0);
            }
        }
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    let median = |times: &[f64]| times[RUNS / 2];
    let spread = |times: &[f64]| [rounded(times[0]), rounded(times[RUNS - 1])];
    let peers = PEERS.into_iter().zip(&times[1..]);
    let against: serde_json::Map<String, Value> =
        peers.clone().map(|(peer, times)| (peer.to_owned(), json!(rounded(median(times))))).collect();
    let spreads: serde_json::Map<String, Value> =
        peers.map(|(peer, times)| (peer.to_owned(), json!(spread(times)))).collect();
    let own = median(&times[0]);
    // No slower than crun, and no slower than runc (issue 4).
    let bound = median(&times[2]).min(median(&times[3]));
    println!(
        "{}",
        json!({ "bench": "engine", "figure": "start_true_ms", "value": rounded(own), "unit": "ms", "against": against,
            "ratio": rounded(own / bound), "median_bound": rounded(bound), "runs": RUNS, "spread": spread(&times[0]),
            "spreads_against": spreads })
    );
    own <= bound
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// An image with busybox, a network namespace, and what each contender wants beside it.
struct Bed {
    folder: PathBuf,
    name: String,
    _guard: Guard,
}

impl Bed {
    fn new() -> Self {
        let guard = Guard::start().unwrap();
        let random: [u8; 4] = os::random::bytes().unwrap();
        let name = format!("be{:08x}", u32::from_ne_bytes(random));
        let folder = std::env::temp_dir().join(&name);
        guard.record(&Thing::Folder(folder.clone())).unwrap();
        guard.record(&Thing::ControlGroups(name.clone())).unwrap();
        fs::create_dir(&folder).unwrap();
        let names = folder.join("netns");
        fs::create_dir(&names).unwrap();
        guard.record(&Thing::Names { folder: names.clone(), prefix: "realm".to_owned() }).unwrap();
        let realm = os::namespace::Namespace::create(&names.join("realm")).unwrap();
        realm.run(|| os::link::Links::open().unwrap().set_up("lo").unwrap()).unwrap();
        let image = folder.join("image");
        for part in engine::image::WORLD.into_iter().chain(["bin"]) {
            fs::create_dir_all(image.join(part)).unwrap();
        }
        fs::copy("/bin/busybox", image.join("bin/busybox")).unwrap();
        let bed = Self { folder, name, _guard: guard };
        for peer in ["crun", "runc"] {
            let bundle = bed.folder.join(peer);
            fs::create_dir(&bundle).unwrap();
            fs::write(bundle.join("config.json"), bed.bundle(peer).to_string()).unwrap();
        }
        bed
    }

    /// The process launcher's way: a shim that makes the world, starts it, and tells its end.
    fn engine(&self, run: usize) {
        let name = format!("web-{run}");
        let text = format!(
            "version = 1\nengine = \"{name}\"\nimage = \"{}\"\nvolume = \"data\"\ncommand = {TRUE:?}\n\
             [limits]\nmemory_mib = 64\nprocesses = 32\n",
            Digest::of(b"image")
        );
        let folder = |what: &str| self.folder.join(what).join(&name);
        fs::create_dir_all(folder("run")).unwrap();
        fs::create_dir_all(folder("volume")).unwrap();
        let launch = Launch {
            key: Key { specification: Digest::of(text.as_bytes()), restarts: 0, reloads: 0 },
            specification: Specification::parse(text.as_bytes()).unwrap(),
            uid: 700_000_000,
            namespace: self.folder.join("netns/realm"),
            image: self.folder.join("image"),
            data: folder("volume").join("data"),
            logs: folder("volume").join("logs"),
            run: folder("run"),
            cgroup: vec![self.name.clone(), name.clone()],
        };
        let (here, there) = UnixStream::pair().unwrap();
        let own = std::env::current_exe().unwrap();
        let mut child = through_the_wrapper(&[own.to_str().unwrap(), "shim"])
            .stdin(Stdio::from(OwnedFd::from(there)))
            .spawn()
            .unwrap();
        let mut lines = Lines::new(here).unwrap();
        lines.tell(&launch);
        let (mut last, deadline): (Option<Report>, Instant) = (None, Instant::now() + PATIENCE);
        while last.as_ref().is_none_or(|report| report.phase != Phase::Ended) {
            lines.flush();
            wait(&[(lines.stream.as_fd(), Wanted::READ)], Some(Duration::from_secs(1))).unwrap();
            last = lines.take::<Report>().into_iter().last().or(last);
            let refused = last.as_ref().and_then(|report| report.refused.clone());
            assert!(refused.is_none() && Instant::now() < deadline, "{last:?}");
        }
        assert!(child.wait().unwrap().success());
        let last = last.unwrap();
        assert!(last.missing.is_empty(), "without all protections the figure is worth nothing: {last:?}");
        assert_eq!(last.ending.unwrap().exit, Some(Exit::Code(0)));
    }

    fn bubblewrap(&self) {
        let image = self.folder.join("image").display().to_string();
        let words = [
            "bwrap",
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            "--cap-drop",
            "ALL",
            "--ro-bind",
        ];
        let rest = [image.as_str(), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"];
        succeeds(through_the_wrapper(&[&words[..], &rest, &TRUE].concat()));
    }

    fn oci(&self, program: &str, run: usize) {
        let bundle = self.folder.join(program).display().to_string();
        let state = self.folder.join(format!("{program}-state")).display().to_string();
        let container = format!("{}-{program}-{run}", self.name);
        succeeds(through_the_wrapper(&[program, "--root", &state, "run", "--bundle", &bundle, &container]));
    }

    /// What crun and runc are told: the same confinement.
    fn bundle(&self, peer: &str) -> Value {
        let calls: Vec<&str> =
            ENGINE_CALLS.iter().map(|allowed| allowed.call).chain(["clone", "clone3"]).collect();
        let mapped = json!([{ "containerID": 0, "hostID": 700_000_000, "size": 65_536 }]);
        json!({
            "ociVersion": "1.0.2",
            "root": { "path": self.folder.join("image"), "readonly": true },
            "hostname": "web",
            "process": {
                "terminal": false, "user": { "uid": 1000, "gid": 1000 }, "args": TRUE, "env": ["PATH=/bin"], "cwd": "/",
                "capabilities": {}, "noNewPrivileges": true,
                "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 4096, "soft": 4096 }],
            },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"] },
                { "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "noexec"] },
            ],
            "linux": {
                "uidMappings": mapped, "gidMappings": mapped,
                "namespaces": [
                    { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }, { "type": "user" },
                    { "type": "network" },
                ],
                "cgroupsPath": format!("/{}/{peer}", self.name),
                "resources": { "memory": { "limit": 64 << 20 }, "pids": { "limit": 32 } },
                "seccomp": {
                    "defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"],
                    "syscalls": [{ "names": calls, "action": "SCMP_ACT_ALLOW" }],
                },
                "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
                "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger"],
            },
        })
    }
}

fn succeeds(mut command: Command) {
    let done = command.stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}
