//! `cargo xtask guest`: a machine of its own with Debian 12's kernel, emulated by QEMU in software, boots
//! and runs tests of the node monitor. The kernel here may be newer than that one: what it refuses shows
//! there alone.
//!
//! The guest is an initramfs with busybox, the modules that nodes need and our programs; its first
//! process, `guest/init.sh`, runs the trials and says on the console how each ended.

mod cpio;
mod kernel;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use self::cpio::Archive;
use self::kernel::Kernel;
use crate::ci::cargo;
use crate::command::{output_of, run_lines};
use crate::failure::Failure;
use crate::workspace::Workspace;

const INIT: &str = include_str!("guest/init.sh");

/// What the guest runs: a name, and a command of its shell.
const TRIALS: &[(&str, &str)] = &[
    ("filter-agrees-with-the-oracle", "./kernel --exact corpus::a_thousand_frames_get_the_oracles_verdict"),
    ("filter-loads-and-lives", "./kernel --test-threads 1 loading::"),
    ("enrols-and-takes-orders", "./slice --exact a_boundary_opens_a_connection_and_a_severing_cuts_it"),
    ("dials-a-console", "./slice --exact a_node_dials_its_console_and_takes_orders_through_it"),
    ("secrets-fall-back-to-locked-memory", "falls_back"),
    ("processes-are-confined", "./slice --exact live_processes_have_what_the_table_says"),
    (
        "cgroup-v2-limits",
        "limits_engines out_of_memory_is_named_whatever_the_exit_status \
         processes_and_processor_time_are_what_the_limits_say",
    ),
];

/// Where these programs come from.
pub(crate) const PACKAGES: [&str; 8] =
    ["--package", "bmonitor", "--package", "courier", "--package", "datapath", "--package", "engine"];
/// The test programs among them, by their names there, and what belongs beside those.
const TESTS: [&str; 3] = ["engine", "kernel", "slice"];
const BESIDE: [&str; 2] = ["bmonitor", "bmonitor-courier"];
/// Everything is over by then.
const DEADLINE_S: u32 = 600;
const MEMORY_MIB: &str = "1024";
const BUSYBOX: &str = "/bin/busybox";

/// Builds the guest, boots it and looks how its trials end. The console is kept in `target/guest`.
///
/// `built` are arguments of `cargo test` by which the programs are built: what is built already with
/// the features of the whole workspace would else be compiled anew.
pub(crate) fn guest(workspace: &Workspace, built: &[&str]) -> Result<(), Failure> {
    let folder = workspace.target_directory.join("guest");
    fs::create_dir_all(&folder).map_err(Failure::file("create", &folder))?;
    let kernel = Kernel::cached(&folder)?;
    crate::say(&format!("kernel {}", kernel.version));
    let initramfs = folder.join("initramfs");
    let image = initramfs_of(&kernel, &Programs::build(workspace, built)?)?;
    fs::write(&initramfs, image).map_err(Failure::file("write", &initramfs))?;
    let console = folder.join("console.log");
    let (lines, ended) = boot(&kernel, &initramfs);
    fs::write(&console, lines.join("\n")).map_err(Failure::file("write", &console))?;
    let missing = verdict(&lines);
    if missing.is_empty() {
        return ended;
    }
    lines.iter().rev().take(40).rev().for_each(|line| crate::complain(line));
    let hint = format!("the guest's console is kept in {}", console.display());
    Failure::unless_empty(missing.into_iter().chain([hint]).collect())
}

/// Runs QEMU until the guest powers off, or the deadline; what stood on its console.
fn boot(kernel: &Kernel, initramfs: &Path) -> (Vec<String>, Result<(), Failure>) {
    // no_timer_check: on a busy machine the emulated timer can be late, and the kernel would give up on it.
    // setpriv makes the namespace's parent die with this program, `--kill-child` the namespace with its parent.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child"]);
    command.args(["timeout", "--kill-after=5", &DEADLINE_S.to_string(), "qemu-system-x86_64"]);
    command.args(["-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max", "-smp", "2"]);
    command.args(["-m", MEMORY_MIB, "-nic", "none", "-nographic", "-no-reboot", "-kernel"]);
    command.arg(&kernel.image).arg("-initrd").arg(initramfs);
    command
        .args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off no_timer_check"])
        .stdin(Stdio::null());
    let mut lines = Vec::new();
    let ended = run_lines(&mut command, |line| {
        let line = line.trim_end().to_owned();
        if line.starts_with("guest: ") {
            crate::say(&line);
        }
        lines.push(line);
    });
    (lines, ended)
}

/// The trials that the console does not tell to have passed.
fn verdict(lines: &[String]) -> Vec<String> {
    let said = |wanted: &str| lines.iter().any(|line| line.starts_with(wanted));
    let missing = TRIALS.iter().filter(|(name, _)| !said(&format!("guest: {name}: ok")));
    missing.map(|(name, _)| format!("{name} did not pass in the guest")).collect()
}

/// What is put into the guest.
#[derive(Debug)]
struct Programs {
    /// By their names there.
    tests: BTreeMap<&'static str, PathBuf>,
    /// The node monitor and what belongs beside it. Tests know its path on this machine.
    beside: Vec<PathBuf>,
}

/// A line of `cargo … --message-format json`.
#[derive(Debug, Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
    profile: Option<Profile>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Profile {
    test: bool,
}

impl Programs {
    fn build(workspace: &Workspace, built: &[&str]) -> Result<Self, Failure> {
        let mut command = cargo(workspace);
        command.args(["test", "--locked", "--no-run", "--quiet", "--message-format", "json"]).args(built);
        let mut programs = Self { tests: BTreeMap::new(), beside: Vec::new() };
        for line in output_of(&mut command)?.lines() {
            let Ok(Message { target: Some(target), executable: Some(path), profile: Some(profile) }) =
                serde_json::from_str(line)
            else {
                continue;
            };
            let is_of = |kind: &str| target.kind.iter().any(|of| of == kind);
            match TESTS.into_iter().find(|name| *name == target.name && is_of("test")) {
                Some(name) => _ = programs.tests.insert(name, path),
                None if BESIDE.contains(&target.name.as_str()) && !profile.test => programs.beside.push(path),
                None => {}
            }
        }
        if programs.tests.len() == TESTS.len() && programs.beside.len() == BESIDE.len() {
            return Ok(programs);
        }
        Err(Failure::Form { what: "what cargo built".to_owned(), reason: format!("only {programs:?}") })
    }
}

fn initramfs_of(kernel: &Kernel, programs: &Programs) -> Result<Vec<u8>, Failure> {
    let mut archive = Archive::default();
    for folder in ["proc", "sys", "dev", "tmp", "run", "modules", "work"] {
        archive.folder(folder);
    }
    let calls: String = TRIALS.iter().map(|(name, command)| format!("trial {name} {command}\n")).collect();
    archive.file("init", &INIT.replace("@TRIALS@\n", &calls).into_bytes());
    archive.file("bin/busybox", &read(Path::new(BUSYBOX))?);
    for (place, module) in kernel.modules.iter().enumerate() {
        archive.file(&format!("modules/{place:02}.ko"), &read(module)?);
    }
    let mut libraries = BTreeSet::new();
    for (name, path) in &programs.tests {
        archive.file(&format!("work/{name}"), &read(path)?);
        libraries.extend(libraries_of(path)?);
    }
    for path in &programs.beside {
        archive.file(&path.to_string_lossy(), &read(path)?);
        libraries.extend(libraries_of(path)?);
    }
    for library in libraries {
        archive.file(&library.to_string_lossy(), &read(&library)?);
    }
    Ok(archive.finish())
}

/// The shared libraries of a program, and its loader.
fn libraries_of(program: &Path) -> Result<Vec<PathBuf>, Failure> {
    let text = output_of(Command::new("ldd").arg(program))?;
    Ok(text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(Failure::file("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_passes_when_the_console_says_so() {
        let told = |name: &str| format!("guest: {name}: ok, 1 passed, 3 s");
        let mut lines: Vec<String> = TRIALS.iter().map(|(name, _)| told(name)).collect();
        assert!(verdict(&lines).is_empty());
        lines.remove(0);
        assert_eq!(verdict(&lines), [format!("{} did not pass in the guest", TRIALS[0].0)]);
    }
}
