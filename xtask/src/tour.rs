//! `cargo xtask tour`: the demo's tour, many times in a row. No run is tried again; the log of each is kept.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::ci::cargo;
use crate::command::{run, run_lines};
use crate::failure::Failure;
use crate::leftovers::looked_for;
use crate::workspace::Workspace;

/// Builds the demo and runs it so many times; a run fails also when it leaves something behind.
pub(crate) fn tour(workspace: &Workspace, times: u32) -> Result<(), Failure> {
    let packages = ["--package", "leasehold", "--package", "bmonitor", "--package", "courier"];
    run(cargo(workspace).args(["build", "--locked", "--quiet"]).args(packages))?;
    let program = workspace.target_directory.join("debug/leasehold").display().to_string();
    let folder = workspace.target_directory.join("tour");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Failure::file("remove", &folder))?;
    }
    fs::create_dir_all(&folder).map_err(Failure::file("create", &folder))?;
    let failed = (1..=times).filter_map(|time| once(workspace, &program, &folder, time).err());
    Failure::unless_empty(failed.map(|failure| failure.in_full()).collect())
}

fn once(workspace: &Workspace, program: &str, folder: &Path, time: u32) -> Result<(), Failure> {
    let log = folder.join(format!("{time}.jsonl"));
    let (began, mut lines) = (Instant::now(), Vec::new());
    // What is said on stderr goes to the terminal, as it comes.
    let ended = run_lines(&mut looked_for(workspace, &[program, "demo", "--exit", "-o", "json"]), |line| {
        lines.push(line.to_owned());
    });
    let took = began.elapsed().as_secs_f64();
    fs::write(&log, lines.join("\n") + "\n").map_err(Failure::file("write", &log))?;
    let held = lines.iter().filter(|line| line.contains("\"held\":true")).count();
    let verdict = if ended.is_ok() { "held" } else { "DID NOT HOLD" };
    crate::say(&format!(
        "{time}: {verdict}, {held} of {} steps, {took:.1} s, {}",
        lines.len(),
        log.display()
    ));
    ended
}
