//! `cargo xtask ci`: everything that must hold before a change lands. It is what `scripts/test` and
//! `.ci/run` run.
//!
//! The tests are built before anything else is: a `cargo build` with other features in the same
//! target directory would compile many dependencies twice.

use std::process::Command;

use crate::command::{run, run_watched};
use crate::failure::Failure;
use crate::fuzz::fuzz;
use crate::guest::guest;
use crate::leftovers::looked_for;
use crate::stages::Stages;
use crate::workspace::Workspace;
use crate::{tools, trusted_base};

/// The stages, in their order.
pub(crate) const STAGES: [&str; 11] = [
    "format",
    "deny",
    "test",
    "guest",
    "clippy",
    "docs",
    "trusted-base",
    "typos",
    "fuzz",
    "demo",
    "leftovers",
];

/// For so long each target is fuzzed.
const FUZZ_S: u64 = 10;

/// Runs the stages named, or all; `Ok(true)` when all of them held.
pub(crate) fn ci(only: Vec<String>) -> Result<bool, Failure> {
    let workspace = Workspace::load()?;
    let mut stages = Stages::new(only);
    let mut tests = Tests::default();
    stages.run("format", || format(&workspace));
    stages.run("deny", || tools::deny(&workspace));
    stages.run("test", || tests.run(&workspace));
    stages.run("guest", || guest(&workspace, &["--workspace"]));
    stages.run("clippy", || clippy(&workspace));
    stages.run("docs", || docs(&workspace));
    stages.run("trusted-base", || trusted_base::check(&workspace));
    stages.run("typos", || tools::typos(&workspace));
    stages.run("fuzz", || fuzz(&workspace, &[], FUZZ_S));
    stages.run("demo", || {
        run(&mut looked_for(&workspace, &["scripts/demo", "--exit"]))?;
        run(&mut looked_for(&workspace, &["scripts/demo", "--tour", "business", "--exit"]))
    });
    stages.run("leftovers", || leftovers(&workspace));
    let held = stages.summary();
    if stages.wants("test") {
        crate::say(&format!("\ntests: {} passed, {} failed", tests.passed, tests.failed));
    }
    Ok(held)
}

/// `cargo`, in the root of the workspace.
pub(crate) fn cargo(workspace: &Workspace) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(&workspace.workspace_root);
    command
}

fn format(workspace: &Workspace) -> Result<(), Failure> {
    run(cargo(workspace).args(["fmt", "--all", "--check"]))?;
    run(cargo(workspace).args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
}

fn clippy(workspace: &Workspace) -> Result<(), Failure> {
    let arguments = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run(cargo(workspace).args(arguments))
}

/// The demo again, ended by failures and signals; `scripts/demo` has built it.
fn leftovers(workspace: &Workspace) -> Result<(), Failure> {
    let program = workspace.target_directory.join("debug/leasehold");
    run(Command::new("scripts/leftovers-test").arg(program).current_dir(&workspace.workspace_root))
}

/// A link in a comment that leads nowhere fails.
fn docs(workspace: &Workspace) -> Result<(), Failure> {
    let arguments = ["doc", "--locked", "--workspace", "--no-deps", "--document-private-items", "--quiet"];
    run(cargo(workspace).args(arguments).env("RUSTDOCFLAGS", "-D warnings"))
}

/// How many tests ran, added up over all test programs and doctests.
#[derive(Debug, Default)]
struct Tests {
    passed: u64,
    failed: u64,
}

impl Tests {
    /// With what the tests print: depths, seeds, points and counts are part of the evidence.
    fn run(&mut self, workspace: &Workspace) -> Result<(), Failure> {
        let tests = ["test", "--locked", "--workspace"];
        run(cargo(workspace).args(tests).arg("--no-run"))?;
        let words = [&["cargo"], &tests[..], &["--no-fail-fast", "--", "--show-output"]].concat();
        run_watched(&mut looked_for(workspace, &words), |line| self.count(line))
    }

    /// Adds a line `test result: ok. 12 passed; 0 failed; …`; other lines change nothing.
    fn count(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        self.passed += number_before(result, " passed");
        self.failed += number_before(result, " failed");
    }
}

fn number_before(text: &str, word: &str) -> u64 {
    let Some((before, _)) = text.split_once(word) else { return 0 };
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_test_programs_are_added_up() {
        let mut tests = Tests::default();
        tests.count("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured");
        tests.count("test a ... ok");
        tests.count("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured");
        assert_eq!((tests.passed, tests.failed), (15, 2));
    }
}
