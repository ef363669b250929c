//! What an engine is put into, step by step: a file world of its own, then a process list, a user, and at last
//! the list of system calls. Each step is taken with no more rights than the one before left.

mod calls;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
};
use os::mount::{self, Memory};
use os::privilege::{self, Limit};
use os::{Failed, capability, descriptor, namespace, seccomp};
use thiserror::Error;

pub use self::calls::ENGINE_CALLS;
use crate::specification::Limits;

/// The user that an engine is in its own world.
pub const INSIDE_UID: u32 = 1000;
/// Where an engine finds its data.
pub const DATA: &str = "/data";
/// Where it says how it is.
pub const NOTIFY: &str = "/run/notify";
/// The devices of the host that an engine has.
const HOST_DEVICES: [&str; 5] = ["full", "null", "random", "urandom", "zero"];
/// Descriptors that one process of an engine may have.
const DESCRIPTORS_MAX: u64 = 4096;
const MIB: u64 = 1024 * 1024;

/// A step that did not succeed: nothing of the engine may run then.
#[derive(Debug, Error)]
pub enum NotConfined {
    /// A mount or a namespace.
    #[error(transparent)]
    Kernel(#[from] Failed),
    /// Another step.
    #[error("cannot {act}")]
    Step {
        /// What was tried.
        act: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The list of system calls.
    #[error("cannot narrow the system calls")]
    Calls(#[from] seccomp::Error),
    /// The list of files.
    #[error("cannot narrow the files")]
    Files(#[from] landlock::RulesetError),
}

fn step<T>(act: &'static str, done: io::Result<T>) -> Result<T, NotConfined> {
    done.map_err(|source| NotConfined::Step { act, source })
}

/// Gives this process, which has one thread, a mount namespace with nothing in it but an engine's world: its
/// image, read-only; few devices; its data; memory for what is temporary. The process list is not there yet.
///
/// # Errors
/// See [`NotConfined`].
pub fn make_world(image: &Path, data: &Path, limits: &Limits) -> Result<(), NotConfined> {
    namespace::unshare_machine()?;
    mount::private_everywhere()?;
    mount::bind_plain(image, image, true)?;
    let (dev, run) = (image.join("dev"), image.join("run"));
    mount::memory(&dev, Memory { bytes_max: 64 * 1024, files_max: 32, mode: 0o755, programs: false })?;
    for name in HOST_DEVICES {
        let device = dev.join(name);
        step("make a device's place", File::create(&device))?;
        mount::bind(&Path::new("/dev").join(name), &device)?;
    }
    for (link, target) in
        [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"), ("shm", "/tmp")]
    {
        step("make a link of /dev", symlink(target, dev.join(link)))?;
    }
    mount::close(&dev)?;
    mount::memory(&run, Memory { bytes_max: MIB, files_max: 64, mode: 0o755, programs: false })?;
    let bytes_max = u64::from(limits.memory_mib) * MIB;
    mount::memory(
        &image.join("tmp"),
        Memory { bytes_max, files_max: 65_536, mode: 0o1777, programs: false },
    )?;
    mount::bind_plain(data, &image.join("data"), false)?;
    Ok(mount::leave_all_but(image)?)
}

/// What is missing of an engine's confinement, by name.
pub type Missing = Vec<&'static str>;

/// Confines this process, the first of a new process list in the engine's world, to what the engine may do, for
/// good: its own control groups, processes, name, user; no capability, no gain by exec, few files, few calls.
/// `alive` is asked once it would die with its parent: whether that still lives.
///
/// # Errors
/// See [`NotConfined`]; the process must end.
pub fn confine(host_name: &str, uid: u32, alive: impl FnOnce() -> bool) -> Result<Missing, NotConfined> {
    namespace::unshare_cgroups()?;
    mount::processes(Path::new("/proc"))?;
    step("set the host name", os::process::set_host_name(host_name))?;
    step("keep descriptors from the engine", descriptor::keep_from_children())?;
    for (limit, at_most) in [(Limit::CoreBytes, 0), (Limit::Descriptors, DESCRIPTORS_MAX)] {
        step("lower a limit", privilege::limit(limit, at_most))?;
    }
    step("change the uid", privilege::become_user(uid, uid))?;
    namespace::unshare_users(INSIDE_UID)?;
    step("leave the session", os::process::new_session())?;
    step("narrow the bounding set", capability::bound(&[]))?;
    step("drop capabilities", capability::keep(&[]))?;
    step("forbid gains by exec", privilege::gain_nothing_by_exec())?;
    step("hide memory", privilege::hide_memory())?;
    step("die with the shim", privilege::die_with_outer_parent())?;
    if !alive() {
        return step("outlive nobody", Err(io::ErrorKind::NotConnected.into()));
    }
    let missing = narrow_files()?;
    seccomp::refuse_others(&calls::refusing())?;
    Ok(missing)
}

/// Files: programs and libraries are read and executed, data and what is temporary is written.
fn narrow_files() -> Result<Missing, NotConfined> {
    let abi = ABI::V5;
    let handled = AccessFs::from_all(abi);
    let read = AccessFs::from_read(abi);
    let written = AccessFs::from_all(abi);
    let of_file = AccessFs::from_file(abi) & !AccessFs::Execute;
    let mut rules = Ruleset::default().handle_access(handled)?.create()?;
    rules = rules.add_rule(PathBeneath::new(open("/")?, read))?;
    for path in [DATA, "/tmp"] {
        rules = rules
            .add_rule(PathBeneath::new(open(path)?, written & !AccessFs::MakeBlock & !AccessFs::MakeChar))?;
    }
    for name in HOST_DEVICES {
        rules = rules.add_rule(PathBeneath::new(open(&format!("/dev/{name}"))?, of_file))?;
    }
    let status = rules.restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::NotEnforced => vec!["landlock"],
        // An older kernel knows fewer kinds of access; those that it knows are enforced.
        RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => Vec::new(),
    })
}

fn open(path: &str) -> Result<PathFd, NotConfined> {
    PathFd::new(path).map_err(|error| NotConfined::Step {
        act: "open a part of the world",
        source: io::Error::other(error),
    })
}

/// Lets programs without rights listen at every port of the network namespace that this process is in: whether
/// anybody reaches them is the boundary's to say.
///
/// # Errors
/// The kernel's.
pub fn open_low_ports() -> io::Result<()> {
    fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
}
