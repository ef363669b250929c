//! The processes in a realm: those with any thread in its network namespace.

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use os::child::Stranger;
use os::poll::{Wanted, wait};
use thiserror::Error;

/// Rounds after which a realm counts as one that starts processes faster than they can be killed. Each
/// kills all that were there; what they started meanwhile is found by the next.
const ROUNDS_MAX: usize = 1000;

/// How long a killed process may take to end.
const END_AT_MOST: Duration = Duration::from_secs(3);

/// Why there may be processes left.
#[derive(Debug, Error)]
pub(super) enum NotKilled {
    #[error("cannot {act}")]
    Kernel { act: &'static str, source: io::Error },
    #[error("processes of the realm do not end")]
    Lasting,
}

/// Kills every process in a namespace, and waits until each has ended. A namespace that is not there has
/// no process.
pub(super) fn kill_in(namespace: &Path) -> Result<(), NotKilled> {
    let inode = match fs::metadata(namespace) {
        Ok(metadata) => metadata.ino(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(NotKilled::Kernel { act: "look at the realm", source }),
    };
    let link = format!("net:[{inode}]");
    kill_each(|id| is_in(id, &link))
}

/// Kills every process that has a file of the file system on that device open, but the monitor's own, and waits until
/// each has ended.
pub(super) fn kill_holders(device: u64) -> Result<(), NotKilled> {
    let own = [std::process::id(), std::os::unix::process::parent_id()];
    kill_each(|id| !own.contains(&id) && holds(id, device))
}

fn kill_each(which: impl Fn(u32) -> bool) -> Result<(), NotKilled> {
    for _round in 0..ROUNDS_MAX {
        let found = found(&which)?;
        if found.is_empty() {
            return Ok(());
        }
        for process in &found {
            process.kill().map_err(|source| NotKilled::Kernel { act: "kill a process", source })?;
        }
        for process in &found {
            let ended = wait(&[(process.ended(), Wanted::READ)], Some(END_AT_MOST));
            let ended = ended.map_err(|source| NotKilled::Kernel { act: "wait for a process", source })?;
            if ended != [true] {
                return Err(NotKilled::Lasting);
            }
        }
    }
    Err(NotKilled::Lasting)
}

/// Each is held before it is looked at, so that another process with its id is not killed in its place.
fn found(which: &impl Fn(u32) -> bool) -> Result<Vec<Stranger>, NotKilled> {
    let because = |act| move |source| NotKilled::Kernel { act, source };
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").map_err(because("list the processes"))? {
        let name = entry.map_err(because("list the processes"))?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if id == std::process::id() {
            continue;
        }
        let held = Stranger::hold(id).map_err(because("hold a process"))?;
        if let Some(process) = held.filter(|_| which(id)) {
            found.push(process);
        }
    }
    Ok(found)
}

/// Whether a process has a file of the device open, mapped, as its root or as where it is. What a thread alone has,
/// with descriptors of its own, is not seen.
fn holds(id: u32, device: u64) -> bool {
    let process = PathBuf::from(format!("/proc/{id}"));
    let on_device = |path: PathBuf| fs::metadata(path).is_ok_and(|metadata| metadata.dev() == device);
    let any_in = |part: &str| {
        let entries = fs::read_dir(process.join(part)).into_iter().flatten().filter_map(Result::ok);
        entries.into_iter().any(|entry| on_device(entry.path()))
    };
    ["cwd", "root", "exe"].iter().any(|part| on_device(process.join(part)))
        || any_in("fd")
        || any_in("map_files")
}

/// Whether any thread of the process is in the namespace. One that has ended is in none, reaped or not:
/// no other sign of that is looked at, for a process whose first thread alone has ended looks like a zombie.
fn is_in(id: u32, link: &str) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return false };
    threads.filter_map(Result::ok).any(|thread| {
        fs::read_link(thread.path().join("ns/net")).is_ok_and(|namespace| namespace.as_os_str() == link)
    })
}
