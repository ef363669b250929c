//! `cargo xtask fuzz`: coverage-guided fuzzing by libFuzzer, on stable Rust.
//!
//! The compiler's own pass puts the counters in; no nightly compiler and no sanitizer is needed
//! (decision 0001). Targets are the files of `fuzz/targets`, their first inputs `fuzz/seeds/TARGET`,
//! inputs found later `fuzz/corpus/TARGET`, inputs that break something `fuzz/artifacts/TARGET`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use crate::ci::cargo;
use crate::command::run;
use crate::failure::Failure;
use crate::workspace::{Workspace, host_platform};

/// Counters for every edge, with a table of where they are, and the operands of comparisons.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// No parser takes longer over an input; a hang is a finding.
const SECONDS_PER_INPUT_MAX: u64 = 10;

/// No parser takes more memory.
const MEMORY_MIB_MAX: u64 = 2048;

/// Fuzzes the targets named, or all, for so many seconds each, as many at once as there are processors.
pub(crate) fn fuzz(workspace: &Workspace, only: &[String], seconds: u64) -> Result<(), Failure> {
    let known = targets(workspace)?;
    if let Some(other) = only.iter().find(|name| !known.contains(name)) {
        return Err(Failure::Found(vec![format!("no fuzz target {other}; there are {}", known.join(", "))]));
    }
    let programs = build(workspace)?;
    let waiting = if only.is_empty() { known } else { only.to_vec() };
    let waiting = Mutex::new(waiting.into_iter());
    let found = Mutex::new(Vec::new());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(name) = next() {
                    let ended = Target { workspace, name: &name }.run(&programs, seconds);
                    match (ended, found.lock()) {
                        (Ok(line), _) => crate::say(&line),
                        (Err(failure), Ok(mut found)) => found.push(failure.in_full()),
                        (Err(failure), Err(_)) => crate::complain(&failure.in_full()),
                    }
                }
            });
        }
    });
    Failure::unless_empty(found.into_inner().unwrap_or_default())
}

fn targets(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let folder = workspace.workspace_root.join("fuzz/targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(Failure::file("read", &folder))? {
        let path = entry.map_err(Failure::file("read", &folder))?.path();
        names.extend(path.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Builds all targets; gives the folder with the programs. Naming the platform keeps the counters
/// out of build scripts and macros.
fn build(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let platform = host_platform()?;
    let folder = workspace.target_directory.join("fuzz");
    let mut command = cargo(workspace);
    command.args(["build", "--quiet", "--bins", "--manifest-path", "fuzz/Cargo.toml", "--target", &platform]);
    run(command.arg("--target-dir").arg(&folder).env("RUSTFLAGS", COVERAGE))?;
    Ok(folder.join(platform).join("debug"))
}

struct Target<'a> {
    workspace: &'a Workspace,
    name: &'a str,
}

impl Target<'_> {
    /// Runs one target; gives a line about what it did.
    fn run(&self, programs: &Path, seconds: u64) -> Result<String, Failure> {
        let corpus = self.folder("corpus")?;
        let seeds = self.folder("seeds")?;
        let findings = self.folder("artifacts")?;
        let log = corpus.with_extension("log");
        let output = File::create(&log).map_err(Failure::file("create", &log))?;
        let begun = Instant::now();
        let mut command = Command::new(programs.join(self.name));
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-timeout={SECONDS_PER_INPUT_MAX}"));
        command.arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"));
        command.arg(format!("-artifact_prefix={}/", findings.display()));
        command.args(["-print_final_stats=1", "-max_len=65536"]);
        command.args([&corpus, &seeds]).stdout(Stdio::null()).stderr(output);
        let ended = run(&mut command);
        let text = std::fs::read(&log).map_err(Failure::file("read", &log))?;
        let text = String::from_utf8_lossy(&text);
        match ended {
            Ok(()) => Ok(format!("{:<16} {}", self.name, told(&text, begun.elapsed().as_secs()))),
            Err(failure) => {
                crate::complain(&last_lines(&text, 40));
                let kept = findings.display();
                Err(Failure::Found(vec![format!("{}: {failure}; the input is in {kept}", self.name)]))
            }
        }
    }

    fn folder(&self, kind: &str) -> Result<PathBuf, Failure> {
        let path = self.workspace.workspace_root.join("fuzz").join(kind).join(self.name);
        std::fs::create_dir_all(&path).map_err(Failure::file("create", &path))?;
        Ok(path)
    }
}

/// What libFuzzer's last lines say, in one line.
fn told(log: &str, seconds: u64) -> String {
    let runs = after_last(log, "stat::number_of_executed_units:").unwrap_or("?");
    let edges = after_last(log, " cov:").unwrap_or("?");
    let corpus = after_last(log, " corp:").unwrap_or("?");
    format!("{seconds} s, {runs} runs, {edges} edges, corpus {corpus}, nothing found")
}

fn after_last<'text>(text: &'text str, word: &str) -> Option<&'text str> {
    text.rsplit_once(word).and_then(|(_, rest)| rest.split_whitespace().next())
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_about_a_run_is_read_from_the_log() {
        let log = "#8 INITED cov: 3 ft: 4 corp: 1/1b\n#99 DONE cov: 17 ft: 40 corp: 5/9b lim: 8\n\
                   stat::number_of_executed_units: 99\n";
        assert_eq!(told(log, 10), "10 s, 99 runs, 17 edges, corpus 5/9b, nothing found");
    }
}
