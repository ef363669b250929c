//! Checkers that are programs of others. Each has one version that decides, and is installed under
//! the target directory when it is not there yet: `cargo clean` takes it away again.

use std::path::PathBuf;
use std::process::Command;

use crate::ci::cargo;
use crate::command::run;
use crate::failure::Failure;
use crate::workspace::Workspace;

const CARGO_DENY: &str = "0.20.2";
const TYPOS: &str = "1.52.0";

/// Licences, sources, bans and doubles, by `deny.toml`. Not advisories: their database is no package
/// of the registry, and a check that needs another server cannot gate a change.
pub(crate) fn deny(workspace: &Workspace) -> Result<(), Failure> {
    let program = installed_deny(workspace)?;
    let mut command = Command::new(program);
    command.args([
        "--workspace",
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]);
    run(command.current_dir(&workspace.workspace_root))
}

/// Spelling, by `typos.toml`.
pub(crate) fn typos(workspace: &Workspace) -> Result<(), Failure> {
    let program = installed_typos(workspace)?;
    let config = workspace.workspace_root.join("typos.toml");
    run(Command::new(program).arg("--config").arg(config).current_dir(&workspace.workspace_root))
}

/// Compiled unoptimised: it runs for a second, and compiles in half the time.
fn installed_deny(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let folder = workspace.target_directory.join(format!("tools/cargo-deny-{CARGO_DENY}"));
    let program = folder.join("bin/cargo-deny");
    if !program.exists() {
        let mut command = cargo(workspace);
        command.args(["install", "--quiet", "--debug", "--locked", "--version", CARGO_DENY, "--root"]);
        run(command.arg(&folder).arg("cargo-deny").env("CARGO_TARGET_DIR", folder.join("target")))?;
        let built = folder.join("target");
        std::fs::remove_dir_all(&built).map_err(Failure::file("remove", &built))?;
    }
    Ok(program)
}

/// A wheel of the Python package index carries the program: nothing has to be compiled.
fn installed_typos(workspace: &Workspace) -> Result<PathBuf, Failure> {
    let folder = workspace.target_directory.join(format!("tools/typos-{TYPOS}"));
    let program = folder.join("bin/typos");
    if !program.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let package = format!("typos=={TYPOS}");
        let mut command = Command::new(folder.join("bin/pip"));
        run(command.args(["install", "--quiet", "--no-input", "--only-binary", ":all:", &package]))?;
    }
    Ok(program)
}
