//! Network namespaces: made, named in a folder (as `ip netns` does), entered, left by ending.

use std::any::Any;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::failed::{Act, Failed};
use crate::mount;

/// Where `ip netns` looks for network namespaces.
pub const FOLDER: &str = "/run/netns";

/// A handle on a network namespace. It lives while a handle, a name, a process or a socket holds it.
#[derive(Debug)]
pub struct Namespace {
    file: File,
    path: PathBuf,
}

impl Namespace {
    /// Makes a namespace with the file `path` as its name; its folder must be there. The loopback
    /// link in it is down.
    ///
    /// # Errors
    /// When the name is taken ([`Failed::already_exists`]) or the kernel refuses; then no name is left behind.
    pub fn create(path: &Path) -> Result<Self, Failed> {
        let act = || format!("make the network namespace {}", path.display());
        File::create_new(path).act(act)?;
        let target = path.to_owned();
        let made = on_fresh_thread(move || -> Result<(), Failed> {
            unshare(UnshareFlags::NEWNET)?;
            mount::bind(Path::new("/proc/thread-self/ns/net"), &target)
        })
        .and_then(|made| made);
        match made {
            Ok(()) => Self::open(path),
            Err(failed) => {
                fs::remove_file(path).act(act)?;
                Err(failed)
            }
        }
    }

    /// The namespace that is named `path`.
    ///
    /// # Errors
    /// When there is none, or the file is something else.
    pub fn open(path: &Path) -> Result<Self, Failed> {
        let act = || format!("open the network namespace {}", path.display());
        let file = File::open(path).act(act)?;
        let kind = rustix::fs::fstatfs(&file).act(act)?.f_type;
        if kind != NSFS_MAGIC {
            return Err(Failed::new(act(), io::Error::from(io::ErrorKind::NotFound)));
        }
        Ok(Self { file, path: path.to_owned() })
    }

    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When `/proc` is missing.
    pub fn current() -> Result<Self, Failed> {
        Self::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// What tells it from every other living namespace: its inode number.
    ///
    /// # Errors
    /// When the kernel refuses to look at it.
    pub fn inode(&self) -> Result<u64, Failed> {
        Ok(self.file.metadata().act(|| format!("look at {}", self.path.display()))?.ino())
    }

    /// Moves the calling thread into the namespace. The others of its process stay where they are.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self) -> Result<(), Failed> {
        rustix::thread::move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
            .act(|| format!("enter the network namespace {}", self.path.display()))
    }

    /// Runs `work` in the namespace, on a thread of its own, and waits for it. Sockets that it opens
    /// stay in the namespace wherever they are used.
    ///
    /// # Errors
    /// When the namespace cannot be entered. A panic of `work` goes on in the caller.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Failed> {
        thread::scope(|scope| {
            let worker = scope.spawn(|| -> Result<T, Failed> {
                self.enter()?;
                Ok(work())
            });
            resumed(worker.join())
        })
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Takes the name `path` from its namespace, which ends when nothing else holds it.
///
/// # Errors
/// When there is no such name ([`Failed::not_found`]) or the kernel refuses.
pub fn delete(path: &Path) -> Result<(), Failed> {
    let act = || format!("delete the network namespace {}", path.display());
    fs::symlink_metadata(path).act(act)?;
    match mount::unmount(path) {
        // A name that was reserved and never got its namespace.
        Err(failed) if failed.kind() == io::ErrorKind::InvalidInput => (),
        other => other?,
    }
    fs::remove_file(path).act(act)
}

/// Gives the calling process (single-threaded, or about to be replaced) its own mount, host
/// name and IPC namespaces, and its *children* their own process list.
///
/// # Errors
/// When the kernel refuses.
pub fn unshare_machine() -> Result<(), Failed> {
    unshare(UnshareFlags::NEWNS | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC | UnshareFlags::NEWPID)
}

/// Gives the calling process its own mount namespace; propagation stays as it was.
///
/// # Errors
/// When the kernel refuses.
pub fn unshare_mounts() -> Result<(), Failed> {
    unshare(UnshareFlags::NEWNS)
}

/// Makes the control groups in which this process is the roots of what it sees of them.
///
/// # Errors
/// When the kernel refuses.
pub fn unshare_cgroups() -> Result<(), Failed> {
    unshare(UnshareFlags::NEWCGROUP)
}

/// Gives this process, which has one thread and was made another user before, a user namespace in which that
/// user is `inside`, and nobody else is there. All capabilities that it has are of that namespace alone.
/// `/proc` must be the process list that it is in.
///
/// # Errors
/// When the kernel refuses.
pub fn unshare_users(inside: u32) -> Result<(), Failed> {
    let act = || "make a user namespace".to_owned();
    let outside = [rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()];
    // The files of a process that changed its user are root's, unless it is dumpable.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable).act(act)?;
    unshare(UnshareFlags::NEWUSER)?;
    let [uid, gid] = outside;
    fs::write("/proc/self/setgroups", "deny").act(act)?;
    fs::write("/proc/self/uid_map", format!("{inside} {uid} 1\n")).act(act)?;
    fs::write("/proc/self/gid_map", format!("{inside} {gid} 1\n")).act(act)?;
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).act(act)
}

/// The file system type of namespace files (`NSFS_MAGIC`, linux/magic.h).
const NSFS_MAGIC: rustix::fs::FsWord = 0x6e73_6673;

#[expect(unsafe_code, reason = "rustix marks unshare unsafe because of CLONE_FILES")]
fn unshare(flags: UnshareFlags) -> Result<(), Failed> {
    // SAFETY: only CLONE_FILES, which is never among the flags here, can leave a descriptor closed
    // that another thread believes to be its own.
    unsafe { rustix::thread::unshare_unsafe(flags) }.act(|| "make namespaces".to_owned())
}

/// A thread whose namespaces may change because it ends right after.
fn on_fresh_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failed> {
    let worker = thread::Builder::new().spawn(work).act(|| "start a thread".to_owned())?;
    Ok(resumed(worker.join()))
}

fn resumed<T>(joined: Result<T, Box<dyn Any + Send>>) -> T {
    match joined {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
