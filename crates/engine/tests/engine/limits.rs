//! Limits as the kernel holds them, in whichever kind of control groups this machine has. Of memory
//! `life::out_of_memory` tells.

use std::fs;
use std::time::{Duration, Instant};

use engine::shim::Command;
use os::poll::wait;

use super::bed::{Bed, Engine, PATIENCE};

const PROCESSES: usize = 8;
/// So little that the engine is held back on a busy machine, too.
const CPU_PERCENT: u64 = 10;
/// So long an engine works before its share is looked at.
const SPAN_US: u64 = 1_000_000;
/// How often it is looked for what nothing tells of.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) fn hold() {
    let bed = Bed::new();
    processes(&bed);
    processor_time(&bed);
}

/// Copies of copies, until the kernel refuses; and never more than the limit.
fn processes(bed: &Bed) {
    let limits = format!("[limits]\nmemory_mib = 64\nprocesses = {PROCESSES}\n");
    let mut engine = bed.start(&bed.launch("web", &["/bin/hostile", "hostile", "fork"], &limits));
    engine.running();
    let began = Instant::now();
    loop {
        let refused = counted(&engine, "pids.events", "max").unwrap_or(0);
        // The group that counts them has all of them.
        let there = file(&engine, "pids.events", "cgroup.procs").lines().count();
        assert!(there <= PROCESSES && began.elapsed() < PATIENCE, "{there} processes, {refused} refused");
        if refused > 0 && there == PROCESSES {
            break;
        }
        wait(&[], Some(LOOK)).unwrap();
    }
    engine.lines.tell(&Command::Kill);
    assert!(engine.ended().ending.unwrap().asked);
}

/// One that never rests is held back, and gets no more than its share.
fn processor_time(bed: &Bed) {
    let limits = format!("[limits]\nmemory_mib = 64\nprocesses = 16\ncpu_percent = {CPU_PERCENT}\n");
    let mut engine = bed.start(&bed.launch("web", &["/bin/hostile", "hostile", "spin"], &limits));
    engine.running();
    let began = Instant::now();
    loop {
        let held_back = counted(&engine, "cpu.stat", "nr_throttled").unwrap_or(0);
        let (passed, worked) = told(&engine.output()).unwrap_or_default();
        // What it used too much is taken from the periods after: a kernel that looks late holds it back for longer.
        if held_back > 0 && passed >= SPAN_US && worked * 100 < passed * CPU_PERCENT * 2 {
            break;
        }
        let told = format!("{worked} of {passed} microseconds, held back {held_back} times");
        assert!(began.elapsed() < PATIENCE * 3, "{told}");
        wait(&[], Some(LOOK)).unwrap();
    }
    engine.lines.tell(&Command::Kill);
    assert!(engine.ended().ending.unwrap().asked);
}

/// The last whole line that an engine has said of its time.
fn told(output: &str) -> Option<(u64, u64)> {
    let whole = output.rsplit_once('\n')?.0;
    let (passed, worked) = whole.lines().last()?.split_once(' ')?;
    Some((passed.parse().ok()?, worked.parse().ok()?))
}

/// A file of that of the engine's control groups which has another one.
fn file(engine: &Engine, with: &str, name: &str) -> String {
    let group = engine.groups().into_iter().find(|group| group.join(with).exists());
    group.map(|group| fs::read_to_string(group.join(name)).unwrap()).unwrap_or_default()
}

/// A number in such a file.
fn counted(engine: &Engine, name: &str, key: &str) -> Option<u64> {
    let text = file(engine, name, name);
    text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
}
