//! `cargo xtask fresh`: the demo from a bare clone on a bare Debian 12, so that a missing install step
//! shows. Only the Rust toolchain and the machine's own configuration of package sources are lent to it.
//!
//! Everything happens in a mount and a process namespace, on a file system in memory. They end with this
//! program, however it ends: its death kills the first process of the namespace.

use std::process::Command;

use crate::command::{output_of, run};
use crate::failure::Failure;
use crate::workspace::Workspace;

const INSIDE: &str = include_str!("fresh/inside.sh");

/// What the new root and the build in it take at most.
const MEMORY_MIB_MIN: u64 = 6 * 1024;

/// Runs `command` in a clone of the last commit, in a bare Debian 12.
pub(crate) fn fresh(workspace: &Workspace, command: &[String]) -> Result<(), Failure> {
    check_memory()?;
    install_debootstrap()?;
    let changes = output_of(git(workspace).args(["status", "--porcelain"]))?;
    if !changes.is_empty() {
        crate::complain("note: there are uncommitted changes; they are not in the clone");
    }
    let root = workspace.target_directory.join("fresh");
    std::fs::create_dir_all(&root).map_err(Failure::file("create", &root))?;
    // setpriv makes the namespace's parent die with this program, `--kill-child` the namespace with its parent.
    let mut outer = Command::new("setpriv");
    outer.args(["--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"]);
    outer.args(["--pid", "--fork", "--kill-child", "bash", "-c", INSIDE, "fresh"]);
    outer.arg(&root).arg(&workspace.workspace_root).arg(mirror()?);
    run(outer.args(command))
}

fn git(workspace: &Workspace) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(&workspace.workspace_root);
    command
}

fn install_debootstrap() -> Result<(), Failure> {
    if Command::new("debootstrap").arg("--version").output().is_ok() {
        return Ok(());
    }
    run(Command::new("apt-get").args(["update", "--quiet=2"]))?;
    run(Command::new("apt-get").args([
        "install",
        "--quiet=2",
        "--yes",
        "--no-install-recommends",
        "debootstrap",
    ]))
}

/// Where this machine's own configuration finds Debian 12.
fn mirror() -> Result<String, Failure> {
    let format = "$(CREATED_BY) $(RELEASE) $(COMPONENT) $(REPO_URI)";
    let targets = output_of(Command::new("apt-get").args(["indextargets", "--format", format]))?;
    let found = targets.lines().find_map(|line| line.strip_prefix("Packages bookworm main "));
    found.map(str::to_owned).ok_or_else(|| Failure::Form {
        what: "the configuration of apt".to_owned(),
        reason: "it names no source of bookworm".to_owned(),
    })
}

fn check_memory() -> Result<(), Failure> {
    let path = "/proc/meminfo";
    let text = std::fs::read_to_string(path).map_err(Failure::file("read", path))?;
    let available = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = available.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0);
    if kib / 1024 >= MEMORY_MIB_MIN {
        return Ok(());
    }
    let short =
        format!("{} MiB of memory are free; a root and a build in memory take {MEMORY_MIB_MIN}", kib / 1024);
    Err(Failure::Found(vec![short]))
}
