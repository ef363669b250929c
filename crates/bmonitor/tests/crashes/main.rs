//! `kill -9` of a node's monitor, at named steps and at seeded times, in the middle of a node's life with a
//! prober sending throughout. Afterwards the kernel holds what the journal demands. Needs root.
//!
//! A point is replayed by its seed: `cargo test -p bmonitor --test crashes -- open_nothing --seed=7`; `--rounds=9`
//! goes through all steps so often, each time at other acts and times.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and lists its points"
)]

mod data;
mod demand;
mod held;
mod life;
mod point;
mod subject;

use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::point::{Point, Story};

/// Every step is gone through once, and there are as many points again at seeded times: at least so many.
const POINTS_MIN: usize = 80;
/// The seed of the first point; the others count on from it.
const FIRST_SEED: u64 = 1;
/// Lives at a time: each has its own facility.
const AT_ONCE: usize = 2;

fn main() -> ExitCode {
    lab::trial::main(&[
        ("crashes_lose_nothing_and_open_nothing", crashes_without_data),
        ("crashes_lose_no_data_and_bring_none_back", crashes_with_data),
    ])
}

fn crashes_without_data() {
    let steps: Vec<_> = steps().into_iter().filter(|(step, _)| !needs_data(step)).collect();
    crashes(&life::STORY, &steps, |point| life::live(point).to_string());
}

fn crashes_with_data() {
    let steps: Vec<_> = steps().into_iter().filter(|(step, _)| concerns_data(step)).collect();
    crashes(&data::STORY, &steps, |point| data::live(point).to_string());
}

/// Steps that are passed only where there is a volume or an engine.
fn needs_data(step: &str) -> bool {
    step.starts_with("engine:") || step.starts_with("volume:") || step == "custody:key-given"
}

/// Those, and the steps of all that makes, keeps, closes and erases.
fn concerns_data(step: &str) -> bool {
    let whose = step.split(':').next().unwrap_or_default();
    ["engine", "volume", "custody", "record", "secret", "courier", "effect", "outcome", "receipt"]
        .contains(&whose)
}

fn crashes(story: &Story, steps: &[(String, String)], live: fn(&Point) -> String) {
    courier_is_built();
    let points = points(story, steps);
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (began, lived) =
                        (Instant::now(), thread::scope(|life| life.spawn(|| live(point)).join()));
                    let seconds = began.elapsed().as_secs_f64();
                    match lived {
                        Ok(found) => println!("{point}: {found}; {seconds:.1} s"),
                        Err(_panic) => {
                            println!("{point}: FAILED");
                            failed.lock().unwrap().push(point.seed);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!("{} points, {} failed", points.len(), failed.len());
    assert!(failed.is_empty(), "points that failed, by seed: {failed:?}");
}

fn points(story: &Story, steps: &[(String, String)]) -> Vec<Point> {
    let number =
        |name: &str| std::env::args().find_map(|argument| argument.strip_prefix(name)?.parse::<u64>().ok());
    let wanted = number("--seed=");
    let last =
        FIRST_SEED + 2 * steps.len() as u64 * number("--rounds=").unwrap_or(1).max(wanted.unwrap_or(0));
    let all = (FIRST_SEED..last).map(|seed| Point::new(seed, steps, story));
    all.filter(|point| wanted.is_none_or(|seed| seed == point.seed)).collect()
}

/// The steps that `bmonitor steps` lists, with the process that passes each.
fn steps() -> Vec<(String, String)> {
    let output = Command::new(env!("CARGO_BIN_EXE_bmonitor")).arg("steps").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words = |line: &str| -> Option<(String, String)> {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some((words.next()?, words.next()?))
    };
    let steps: Vec<_> = text.lines().filter_map(words).collect();
    assert!(2 * steps.len() >= POINTS_MIN, "{} steps", steps.len());
    steps
}

/// The courier is another package's program: `cargo test -p bmonitor` alone does not build it.
fn courier_is_built() {
    let Some(cargo) = std::env::var_os("CARGO") else { return };
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--offline", "--package", "courier"]);
    assert!(command.status().unwrap().success());
}
