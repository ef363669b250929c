//! `cargo xtask tour`: one of the demo's tours, many times in a row. No run is tried again, each must be over in time;
//! the log of each is kept.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::ci::cargo;
use crate::command::{run, run_lines};
use crate::failure::Failure;
use crate::leftovers::looked_for;
use crate::load;
use crate::workspace::Workspace;

/// What a run may take from its start until nothing is left of it: "the built tour under 60 s" (issue 3).
const ALONE: Duration = Duration::from_secs(60);
/// The same of copies that share the processors: "the built tour under 120 s" (issue 4).
const TOGETHER: Duration = Duration::from_secs(120);

/// Builds the demo and runs it so many times, in so many copies at once; a run fails also when it leaves
/// something behind, or takes too long.
pub(crate) fn tour(workspace: &Workspace, times: u32, copies: u32, name: &str) -> Result<(), Failure> {
    let packages = ["--package", "leasehold", "--package", "bmonitor", "--package", "courier"];
    run(cargo(workspace).args(["build", "--locked", "--quiet"]).args(packages))?;
    let program = workspace.target_directory.join("debug/leasehold").display().to_string();
    let folder = workspace.target_directory.join("tour");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Failure::file("remove", &folder))?;
    }
    fs::create_dir_all(&folder).map_err(Failure::file("create", &folder))?;
    let bound = if copies == 1 { ALONE } else { TOGETHER };
    let in_a_row = |copy: u32| -> Vec<Run> {
        let log = |time: u32| {
            folder.join(if copies == 1 { format!("{time}.jsonl") } else { format!("{time}-{copy}.jsonl") })
        };
        // Control groups have no namespace: each copy has names of its own.
        let prefix = format!("t{:x}{copy}", std::process::id() & 0xf_ffff);
        let demo = [&program, "demo", "--tour", name, "--prefix", &prefix, "--exit", "-o", "json"];
        (1..=times).map(|time| once(workspace, &demo, &log(time), bound)).collect()
    };
    let runs: Vec<Run> = thread::scope(|scope| {
        let in_a_row = &in_a_row;
        let running: Vec<_> = (1..=copies).map(|copy| scope.spawn(move || in_a_row(copy))).collect();
        let ended =
            running.into_iter().map(|copy| copy.join().unwrap_or_else(|_panic| vec![Run::panicked()]));
        ended.flatten().collect()
    });
    crate::say(&summary(&runs, bound));
    Failure::unless_empty(runs.into_iter().flat_map(|run| run.failed).collect())
}

/// How one run went.
struct Run {
    took: Duration,
    failed: Vec<String>,
}

impl Run {
    fn panicked() -> Self {
        Self { took: Duration::ZERO, failed: vec!["it panicked".to_owned()] }
    }
}

fn once(workspace: &Workspace, demo: &[&str], log: &Path, bound: Duration) -> Run {
    let (began, mut lines) = (Instant::now(), Vec::new());
    // What is said on stderr goes to the terminal, as it comes.
    let ended = run_lines(&mut looked_for(workspace, demo), |line| {
        lines.push(line.to_owned());
    });
    let took = began.elapsed();
    let written = fs::write(log, lines.join("\n") + "\n").map_err(Failure::file("write", log));
    let held = lines.iter().filter(|line| line.contains("\"held\":true")).count();
    let mut failed: Vec<String> =
        [ended, written].into_iter().filter_map(Result::err).map(|failure| failure.in_full()).collect();
    if took > bound {
        failed.push(format!("{} took {:.1} s, not {} s", log.display(), took.as_secs_f64(), bound.as_secs()));
    }
    let verdict = if failed.is_empty() { "held" } else { "DID NOT HOLD" };
    let seconds = took.as_secs_f64();
    crate::say(&format!(
        "{verdict}, {held} of {} steps, {seconds:.1} s, load {}, {}",
        lines.len(),
        load(),
        log.display()
    ));
    Run { took, failed }
}

/// How many held, and how long they took.
fn summary(runs: &[Run], bound: Duration) -> String {
    let held = runs.iter().filter(|run| run.failed.is_empty()).count();
    let mut times: Vec<Duration> = runs.iter().map(|run| run.took).collect();
    times.sort_unstable();
    let at = |place: usize| times.get(place).map_or(0.0, Duration::as_secs_f64);
    format!(
        "{held} of {} held; median {:.1} s, worst {:.1} s, bound {} s, load {}",
        runs.len(),
        at(times.len() / 2),
        at(times.len().saturating_sub(1)),
        bound.as_secs(),
        load()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_tells_how_many_held_and_how_long_they_took() {
        let run = |seconds, failed: &[&str]| Run {
            took: Duration::from_secs(seconds),
            failed: failed.iter().map(|why| (*why).to_owned()).collect(),
        };
        let told = summary(&[run(70, &["slow"]), run(30, &[]), run(40, &[])], ALONE);
        assert!(told.starts_with("2 of 3 held; median 40.0 s, worst 70.0 s, bound 60 s, load "), "{told}");
    }
}
