//! What a process gives up for good before it works: uid, gains by exec, dumps, limits, namespaces.

use std::io;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getppid, getrlimit, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit, umask,
};
use rustix::thread::{
    UnshareFlags, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid, unshare_unsafe,
};

/// Becomes this uid and gid, really, effectively and saved, without further groups. Of the thread: to
/// be called while there is one alone. Leaving uid 0 empties the capability sets.
///
/// # Errors
/// The kernel's.
pub fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    let gid = rustix::process::Gid::from_raw(gid);
    let uid = rustix::process::Uid::from_raw(uid);
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// No exec gains rights any more, here and in every process started from here.
///
/// # Errors
/// The kernel's.
pub fn gain_nothing_by_exec() -> io::Result<()> {
    Ok(set_no_new_privs(true)?)
}

/// No core dump, and no other process of the same uid may trace this one or read its memory.
///
/// # Errors
/// The kernel's.
pub fn hide_memory() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// This process gets `SIGKILL` when the one that started it ends; fails if that already happened.
/// `parent` is the process id that it should have.
///
/// # Errors
/// The kernel's; [`io::ErrorKind::NotConnected`] if the parent is gone.
pub fn die_with_parent(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let now = getppid().map_or(0, |pid| pid.as_raw_nonzero().get().cast_unsigned());
    if now == parent { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
}

/// The same for the first process of a pid namespace, which cannot see its parent: whether that had ended
/// already, the caller finds out by other means.
///
/// # Errors
/// The kernel's.
pub fn die_with_outer_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// New files are readable by their owner alone.
pub fn hide_files() {
    umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// A limit of `setrlimit(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of a core dump.
    CoreBytes,
    /// Open descriptors.
    Descriptors,
    /// Bytes of address space.
    AddressSpaceBytes,
    /// Bytes of a written file.
    FileBytes,
}

/// Lowers a limit, soft and hard, to `at_most`; a lower one stays. Never raises: that would need
/// `CAP_SYS_RESOURCE`.
///
/// # Errors
/// The kernel's.
pub fn limit(limit: Limit, at_most: u64) -> io::Result<()> {
    let resource = match limit {
        Limit::CoreBytes => Resource::Core,
        Limit::Descriptors => Resource::Nofile,
        Limit::AddressSpaceBytes => Resource::As,
        Limit::FileBytes => Resource::Fsize,
    };
    let hard = getrlimit(resource).maximum.map_or(at_most, |now| now.min(at_most));
    setrlimit(resource, Rlimit { current: Some(hard), maximum: Some(hard) })?;
    Ok(())
}

/// Moves this thread into a new network namespace, which is empty but for a loopback that is down.
///
/// # Errors
/// The kernel's.
pub fn leave_network() -> io::Result<()> {
    // SAFETY: the descriptor table stays shared (`FILES` is not among the flags).
    unsafe { unshare_unsafe(UnshareFlags::NEWNET)? };
    Ok(())
}
