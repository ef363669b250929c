//! `cargo xtask tour`: one of the demo's tours, many times in a row. No run is tried again; the log of each is kept.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::ci::cargo;
use crate::command::{run, run_lines};
use crate::failure::Failure;
use crate::leftovers::looked_for;
use crate::workspace::Workspace;

/// Builds the demo and runs it so many times, in so many copies at once; a run fails also when it leaves
/// something behind.
pub(crate) fn tour(workspace: &Workspace, times: u32, copies: u32, name: &str) -> Result<(), Failure> {
    let packages = ["--package", "leasehold", "--package", "bmonitor", "--package", "courier"];
    run(cargo(workspace).args(["build", "--locked", "--quiet"]).args(packages))?;
    let program = workspace.target_directory.join("debug/leasehold").display().to_string();
    let folder = workspace.target_directory.join("tour");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Failure::file("remove", &folder))?;
    }
    fs::create_dir_all(&folder).map_err(Failure::file("create", &folder))?;
    let in_a_row = |copy: u32| -> Vec<String> {
        let log = |time: u32| {
            folder.join(if copies == 1 { format!("{time}.jsonl") } else { format!("{time}-{copy}.jsonl") })
        };
        let failed = (1..=times).filter_map(|time| once(workspace, &program, name, &log(time)).err());
        failed.map(|failure| failure.in_full()).collect()
    };
    let failed = thread::scope(|scope| {
        let in_a_row = &in_a_row;
        let running: Vec<_> = (1..=copies).map(|copy| scope.spawn(move || in_a_row(copy))).collect();
        running
            .into_iter()
            .flat_map(|copy| copy.join().unwrap_or_else(|_panic| vec!["it panicked".to_owned()]))
            .collect()
    });
    Failure::unless_empty(failed)
}

fn once(workspace: &Workspace, program: &str, name: &str, log: &Path) -> Result<(), Failure> {
    let (began, mut lines) = (Instant::now(), Vec::new());
    // What is said on stderr goes to the terminal, as it comes.
    let demo = [program, "demo", "--tour", name, "--exit", "-o", "json"];
    let ended = run_lines(&mut looked_for(workspace, &demo), |line| {
        lines.push(line.to_owned());
    });
    let took = began.elapsed().as_secs_f64();
    fs::write(log, lines.join("\n") + "\n").map_err(Failure::file("write", log))?;
    let held = lines.iter().filter(|line| line.contains("\"held\":true")).count();
    let verdict = if ended.is_ok() { "held" } else { "DID NOT HOLD" };
    crate::say(&format!("{verdict}, {held} of {} steps, {took:.1} s, {}", lines.len(), log.display()));
    ended
}
