//! The guard itself: reads what is about to be made until the program ends, then takes it away, the
//! newest first. What is not there is no error: it was recorded and never made.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use os::poll::{Wanted, wait};
use os::process::Process;
use os::{mount, namespace, signal};

use super::Thing;
use crate::failed::{Act, Failed};
use crate::line;
use crate::names;
use crate::role::complain;

/// Runs until the program's end of the pipe is closed, then undoes.
pub(crate) fn run() -> Result<(), Failed> {
    // Ctrl-C, a closed terminal and an orderly shutdown reach the program, not its guard.
    os::process::new_session().act(|| "leave the terminal".to_owned())?;
    let _held = signal::Signals::open().act(|| "hold back signals".to_owned())?;
    let mut things = Vec::new();
    let mut pipe = BufReader::new(io::stdin());
    // A torn last line was never followed by the making of what it would have named.
    while let Ok(Some(thing)) = line::receive::<Thing>(&mut pipe) {
        things.push(thing);
    }
    let mut worst = Ok(());
    for thing in things.iter().rev() {
        if let Err(failed) = undo(thing) {
            complain(&failed);
            worst = Err(Failed::new("clean up", "see above"));
        }
    }
    worst
}

/// Takes one thing away.
pub(crate) fn undo(thing: &Thing) -> Result<(), Failed> {
    match thing {
        Thing::Folder(path) => remove_folder(path),
        Thing::Mount(path) => unmount(path),
        Thing::Names { folder, prefix } => remove_names(folder, prefix),
        Thing::NamesFolder(path) => names::leave(path),
        Thing::ControlGroups(name) => remove_control_groups(name),
    }
}

fn remove_control_groups(name: &str) -> Result<(), Failed> {
    let act = || format!("remove the control groups {name}");
    let mounts = fs::read_to_string("/proc/self/mountinfo").act(act)?;
    for line in mounts.lines().filter(|line| line.contains(" - cgroup")) {
        let Some(mount) = line.split(' ').nth(4) else { continue };
        let group = Path::new(mount).join(name);
        if group.is_dir() {
            remove_control_group(&group)?;
        }
    }
    Ok(())
}

/// One that goes by itself meanwhile is gone.
fn remove_control_group(group: &Path) -> Result<(), Failed> {
    let act = || format!("remove {}", group.display());
    let Some(entries) = there(fs::read_dir(group)).act(act)? else { return Ok(()) };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()) {
        remove_control_group(&path)?;
    }
    let Some(processes) = there(fs::read_to_string(group.join("cgroup.procs"))).act(act)? else {
        return Ok(());
    };
    for id in processes.lines().filter_map(|line| line.parse().ok()) {
        let Ok(process) = Process::open(id) else { continue };
        process.kill().act(act)?;
        wait(&[(process.ended(), Wanted::READ)], None).act(act)?;
    }
    there(fs::remove_dir(group)).map(drop).act(act)
}

/// What was found, or nothing where nothing is there.
fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

fn unmount(path: &Path) -> Result<(), Failed> {
    let act = || format!("unmount {}", path.display());
    while mount::is_mounted(path).act(act)? {
        mount::unmount(path).act(act)?;
    }
    Ok(())
}

fn remove_folder(folder: &Path) -> Result<(), Failed> {
    let act = || format!("remove {}", folder.display());
    let mut below: Vec<PathBuf> = mount::targets().act(act)?;
    below.retain(|target| target.starts_with(folder));
    for target in below.iter().rev() {
        mount::unmount(target).act(act)?;
    }
    // Away first: a program that is not dead yet (it asked for the end) can put nothing in any more.
    let gone = folder.with_extension("gone");
    match fs::rename(folder, &gone) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).act(act),
        Ok(()) => fs::remove_dir_all(&gone).act(act),
    }
}

fn remove_names(folder: &Path, prefix: &str) -> Result<(), Failed> {
    kill_all_in(&named(folder, prefix)?)?;
    // Listed anew: a node may have named a realm's until its processes were dead.
    for name in named(folder, prefix)? {
        namespace::delete(&name).act(|| "take its name".to_owned())?;
    }
    Ok(())
}

/// The files in `folder` called `prefix` or `prefix-…`; none when there is no such folder.
pub(crate) fn named(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, Failed> {
    let act = || format!("list {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.act(act)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.act(act)?;
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(prefix));
        if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Kills every process that lives in one of the namespaces, and waits until they are gone.
fn kill_all_in(namespaces: &[PathBuf]) -> Result<(), Failed> {
    let inodes: BTreeSet<_> = namespaces.iter().filter_map(|path| mount::identity(path).ok()).collect();
    let act = || "end the processes of the facility".to_owned();
    let mut killed = Vec::new();
    for entry in fs::read_dir("/proc").act(act)? {
        let Some(id) = entry.act(act)?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // Opened before it is looked at: the id cannot come to mean another process in between.
        let Ok(process) = Process::open(id) else { continue };
        if lives_in(id, &inodes) && id != std::process::id() {
            process.kill().act(act)?;
            killed.push(process);
        }
    }
    for process in killed {
        wait(&[(process.ended(), Wanted::READ)], None).act(act)?;
    }
    Ok(())
}

fn lives_in(process: u32, namespaces: &BTreeSet<(u64, u64)>) -> bool {
    fs::metadata(format!("/proc/{process}/ns/net"))
        .is_ok_and(|metadata| namespaces.contains(&(metadata.dev(), metadata.ino())))
}
