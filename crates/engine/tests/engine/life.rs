//! Runs from their start to their end.

use engine::keeper::{Ending, Exit};
use engine::run::Phase;
use engine::shim::{self, Command};

use super::bed::{Bed, PATIENCE};

const SHELL: [&str; 3] = ["/bin/busybox", "sh", "-c"];
const NONE: Ending = Ending { exit: None, out_of_memory: false, hung: false, asked: false };

fn shell(script: &str) -> Vec<&str> {
    SHELL.into_iter().chain([script]).collect()
}

pub(crate) fn runs_and_ends() {
    let bed = Bed::new();
    let (report, output) = bed.to_the_end("web", &shell("echo to out; echo to err >&2; exit 3"), "");
    assert_eq!(report.ending, Some(Ending { exit: Some(Exit::Code(3)), ..NONE }));
    assert_eq!(output, "to out\nto err\n");
    let (report, output) = bed.to_the_end("web", &shell("kill -11 $$"), "");
    assert_eq!(report.ending, Some(Ending { exit: Some(Exit::Signal(11)), ..NONE }));
    assert_eq!(output, "to out\nto err\n", "the output of a run before is kept");
}

pub(crate) fn ends_in_order() {
    let bed = Bed::new();
    let script = "trap 'echo bye; exit 7' TERM; while true; do /bin/busybox sleep 0.05; done";
    let mut engine = bed.start(&bed.launch("web", &shell(script), ""));
    engine.running();
    // The trap is set once the shell runs its loop.
    while engine.groups().iter().all(|group| {
        std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default().lines().count() < 3
    }) {}
    engine.lines.tell(&Command::Stop);
    let ending = engine.ended().ending.unwrap();
    assert_eq!(ending, Ending { exit: Some(Exit::Code(7)), asked: true, ..NONE });
    assert!(engine.output().ends_with("bye\n"), "{}", engine.output());
}

pub(crate) fn is_killed() {
    let bed = Bed::new();
    // Children in sessions of their own, which ignore what can be ignored.
    let script = "trap '' TERM INT HUP; (/bin/busybox setsid /bin/busybox sh -c \"trap '' TERM; while :; do :; done\" &) ; \
                  echo deaf; while true; do /bin/busybox sleep 1; done";
    let mut engine = bed.start(&bed.launch("web", &shell(script), ""));
    engine.running();
    let began = std::time::Instant::now();
    while engine.output() != "deaf\n" {
        assert!(began.elapsed() < PATIENCE);
    }
    engine.lines.tell(&Command::Stop);
    engine.report(|report| report.phase == Phase::Stopping);
    let ending = engine.ended().ending.unwrap();
    assert_eq!(ending, Ending { asked: true, ..NONE });
}

pub(crate) fn hangs() {
    let bed = Bed::new();
    let more = "ready = \"notify\"\nwatchdog_seconds = 1";
    let mut engine = bed.start(&bed.launch("web", &["/bin/hostile", "hostile", "hang"], more));
    let report = engine.report(|report| report.phase == Phase::Running && !report.status.is_empty());
    assert_eq!(report.status, "about to hang");
    let ending = engine.ended().ending.unwrap();
    assert_eq!(ending, Ending { hung: true, ..NONE });
}

pub(crate) fn is_not_ready() {
    let bed = Bed::new();
    let (report, _) =
        bed.to_the_end("web", &shell("/bin/busybox sleep 100"), "ready = \"notify\"\nstart_seconds = 1");
    assert_eq!(report.ending, Some(Ending { hung: true, ..NONE }));
}

pub(crate) fn out_of_memory() {
    let bed = Bed::new();
    // The one that eats is killed; the one that was started ends as if nothing had happened.
    let script = "/bin/hostile hostile memory; echo $?; exit 0";
    let (report, output) =
        bed.to_the_end("web", &shell(script), "[limits]\nmemory_mib = 24\nprocesses = 16\n");
    assert_eq!(output.lines().last(), Some("137"), "{output}");
    let taken = output.lines().filter_map(|line| line.parse::<u32>().ok()).rev().nth(1).unwrap_or(0);
    assert!((8..24).contains(&taken), "{taken} of 24 MiB were taken");
    assert_eq!(report.ending, Some(Ending { exit: Some(Exit::Code(0)), out_of_memory: true, ..NONE }));
    let (report, _) = bed.to_the_end("web", &shell("exit 0"), "[limits]\nmemory_mib = 24\nprocesses = 16\n");
    assert!(!report.ending.unwrap().out_of_memory, "each run counts for itself");
}

pub(crate) fn never_twice() {
    let bed = Bed::new();
    let launch = bed.launch("web", &shell("/bin/busybox sleep 1000"), "");
    let mut engine = bed.start(&launch);
    engine.running();
    let mut second = bed.start(&launch);
    let refused = second.report(|report| report.refused.is_some()).refused.unwrap();
    assert_eq!(refused, "the engine runs already");
    assert!(!second.child.wait().unwrap().success());

    // The one who had it started goes; another finds it.
    let (_, nobody) = std::os::unix::net::UnixStream::pair().unwrap();
    engine.lines = shim::Lines::new(nobody).unwrap();
    let found = std::os::unix::net::UnixStream::connect(launch.run.join(shim::SOCKET)).unwrap();
    engine.lines = shim::Lines::new(found).unwrap();
    engine.last = None;
    assert_eq!(engine.running().key, launch.key);

    // With the shim, everything of the run goes; then it may run again.
    engine.child.kill().unwrap();
    engine.child.wait().unwrap();
    let began = std::time::Instant::now();
    while shim::is_locked(&launch.run).unwrap() {
        assert!(began.elapsed() < PATIENCE);
    }
    let mut third = bed.start(&launch);
    third.running();
    third.lines.tell(&Command::Kill);
    assert!(third.ended().ending.unwrap().asked);
}

pub(crate) fn not_executable() {
    let bed = Bed::new();
    let mut engine = bed.start(&bed.launch("web", &["/bin/nothing"], ""));
    let refused = engine.report(|report| report.refused.is_some()).refused.unwrap();
    assert!(refused.contains("cannot execute /bin/nothing"), "{refused}");
    assert!(!engine.child.wait().unwrap().success());
    assert!(!shim::is_locked(&engine.run).unwrap());
}
