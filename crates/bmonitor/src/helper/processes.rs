//! The processes in a realm: those with any thread in its network namespace. And those that hold a volume.

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
    kill_each(|id| is_in(id, &link)).map(drop)
}

/// How a process holds a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// It has files of it open.
    Files,
    /// It has files of it open, or is in another mount namespace that has the file system mounted.
    FilesOrMounts,
}

/// Kills every process that holds the file system on that device, but the monitor's own, and waits until each has ended.
/// Gives how many there were.
pub(super) fn kill_holders(device: u64, hold: Hold) -> Result<usize, NotKilled> {
    let own = [std::process::id(), std::os::unix::process::parent_id()];
    let mounts = fs::read_link("/proc/self/ns/mnt");
    let mounts = mounts.map_err(|source| NotKilled::Kernel { act: "look at the own mounts", source })?;
    kill_each(|id| {
        !own.contains(&id)
            && (has_open(id, device) || hold == Hold::FilesOrMounts && has_mounted(id, device, &mounts))
    })
}

fn kill_each(which: impl Fn(u32) -> bool) -> Result<usize, NotKilled> {
    let mut killed = 0;
    for _round in 0..ROUNDS_MAX {
        let found = found(&which)?;
        if found.is_empty() {
            return Ok(killed);
        }
        killed += found.len();
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

/// Whether any thread of a process has a file of the device open, mapped, as its root or as where it is. Threads may
/// have descriptors of their own, and of a process whose first thread has ended the others alone tell.
fn has_open(id: u32, device: u64) -> bool {
    let on_device = |path: PathBuf| fs::metadata(path).is_ok_and(|metadata| metadata.dev() == device);
    let in_maps = |maps: &str| {
        let (major, minor) = parts(device);
        let wanted = format!("{major:02x}:{minor:02x}");
        maps.lines().any(|line| line.split_ascii_whitespace().nth(3) == Some(&wanted))
    };
    let threads = entries(&PathBuf::from(format!("/proc/{id}/task")));
    threads.into_iter().any(|thread| {
        on_device(thread.join("cwd"))
            || on_device(thread.join("root"))
            || entries(&thread.join("fd")).into_iter().any(on_device)
            || fs::read_to_string(thread.join("maps")).is_ok_and(|maps| in_maps(&maps))
    })
}

/// Whether a process is in another mount namespace than `own`, in which the file system on the device is mounted.
fn has_mounted(id: u32, device: u64, own: &Path) -> bool {
    let (major, minor) = parts(device);
    let wanted = format!("{major}:{minor}");
    entries(&PathBuf::from(format!("/proc/{id}/task"))).into_iter().any(|thread| {
        let elsewhere = fs::read_link(thread.join("ns/mnt")).is_ok_and(|mounts| mounts != own);
        let mounts = || fs::read_to_string(thread.join("mountinfo")).unwrap_or_default();
        elsewhere && mounts().lines().any(|line| line.split(' ').nth(2) == Some(&wanted))
    })
}

/// The number of a device as the kernel writes it in two (`makedev(3)`).
const fn parts(device: u64) -> (u64, u64) {
    (((device >> 8) & 0xfff) | ((device >> 32) & !0xfff), (device & 0xff) | ((device >> 12) & 0xffff_ff00))
}

/// What is in a folder of the process list; nothing in that of a process that has ended.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.path()).collect()
}

/// Whether any thread of the process is in the namespace. One that has ended is in none, reaped or not:
/// no other sign of that is looked at, for a process whose first thread alone has ended looks like a zombie.
fn is_in(id: u32, link: &str) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{id}/task")) else { return false };
    threads.filter_map(Result::ok).any(|thread| {
        fs::read_link(thread.path().join("ns/net")).is_ok_and(|namespace| namespace.as_os_str() == link)
    })
}
