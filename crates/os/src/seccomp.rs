//! System-call allow-lists: `seccomp(2)`, filter mode.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};
use thiserror::Error;

/// One allowed system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// The kernel's name for it.
    pub call: &'static str,
    /// If not empty: the values that its first argument may have.
    pub first: &'static [u32],
}

/// An allow-list that cannot be enforced.
#[derive(Debug, Error)]
pub enum Error {
    /// A name that this list of system calls lacks.
    #[error("unknown system call {0}")]
    Unknown(&'static str),
    /// The filter cannot be compiled for this architecture.
    #[error("the allow-list cannot be compiled")]
    Compile(#[source] seccompiler::BackendError),
    /// The kernel refused it.
    #[error("the allow-list cannot be installed")]
    Install(#[source] seccompiler::Error),
    /// An architecture that has no list.
    #[error("no allow-list for this architecture")]
    Architecture(#[source] io::Error),
}

/// From now on only these calls work in this thread and in all that it starts; any other kills the
/// process (as firecracker does: a call that is not on the list means that its code is not ours any
/// more). Must follow [`crate::privilege::gain_nothing_by_exec`]. Lists add up: a second one only narrows.
///
/// # Errors
/// See [`enum@Error`]. On an error nothing is enforced; the caller must end.
pub fn enforce(allowed: &[Allowed]) -> Result<(), Error> {
    apply_filter(&compile(allowed)?).map_err(Error::Install)
}

/// A list for what others wrote: whatever is not on it is refused, and who called goes on.
#[derive(Debug, Clone, Copy)]
pub struct Refusing<'a> {
    /// The calls that work.
    pub allowed: &'a [Allowed],
    /// Calls of that list that work only with none of these bits in their first argument.
    pub without_bits: &'a [(&'static str, u64)],
    /// Calls of that list that are refused where their second argument, of which the mask is looked at, is that:
    /// a name, a mask, a value.
    pub without_second: &'a [(&'static str, u32, u32)],
    /// Calls that are answered as by a kernel which does not have them.
    pub unknown: &'a [&'static str],
}

/// From now on only these calls work in this thread and in all that it starts; any other gives `EPERM`. Must
/// follow [`crate::privilege::gain_nothing_by_exec`].
///
/// # Errors
/// See [`enum@Error`]. On an error not all is enforced; the caller must end.
pub fn refuse_others(list: &Refusing<'_>) -> Result<(), Error> {
    apply_filter(&compile_refusing(list)?).map_err(Error::Install)?;
    let refused = refused_by_second(list.without_second)?;
    if !refused.is_empty() {
        let eperm = SeccompAction::Errno(libc::EPERM.cast_unsigned());
        apply_filter(&program(refused, SeccompAction::Allow, eperm)?).map_err(Error::Install)?;
    }
    // Of two answers of one kind the kernel takes that of the newest list.
    let missing = list.unknown.iter().map(|call| Ok((number(call).ok_or(Error::Unknown(call))?, Vec::new())));
    let missing = missing.collect::<Result<BTreeMap<_, _>, Error>>()?;
    if missing.is_empty() {
        return Ok(());
    }
    let nosys = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    apply_filter(&program(missing, SeccompAction::Allow, nosys)?).map_err(Error::Install)
}

fn compile_refusing(list: &Refusing<'_>) -> Result<BpfProgram, Error> {
    let mut rules = BTreeMap::new();
    for allowed in list.allowed {
        let number = number(allowed.call).ok_or(Error::Unknown(allowed.call))?;
        rules.insert(number, first_argument(allowed.first)?);
    }
    for (call, bits) in list.without_bits {
        let number = number(call).ok_or(Error::Unknown(call))?;
        let none = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(*bits), 0);
        let rule = none.and_then(|none| SeccompRule::new(vec![none])).map_err(Error::Compile)?;
        rules.insert(number, vec![rule]);
    }
    for call in list.unknown {
        rules.insert(number(call).ok_or(Error::Unknown(call))?, Vec::new());
    }
    program(rules, SeccompAction::Errno(libc::EPERM.cast_unsigned()), SeccompAction::Allow)
}

/// A rule for each second argument that is refused.
fn refused_by_second(list: &[(&'static str, u32, u32)]) -> Result<BTreeMap<i64, Vec<SeccompRule>>, Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for (call, mask, value) in list {
        let number = number(call).ok_or(Error::Unknown(call))?;
        let masked = SeccompCmpOp::MaskedEq(u64::from(*mask));
        // The kernel looks at no more than these 32 bits of it either.
        let refused = SeccompCondition::new(1, SeccompCmpArgLen::Dword, masked, u64::from(*value));
        let rule = refused.and_then(|refused| SeccompRule::new(vec![refused])).map_err(Error::Compile)?;
        rules.entry(number).or_default().push(rule);
    }
    Ok(rules)
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    others: SeccompAction,
    these: SeccompAction,
) -> Result<BpfProgram, Error> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(Error::Compile)?;
    let filter = SeccompFilter::new(rules, others, these, architecture);
    filter.and_then(BpfProgram::try_from).map_err(Error::Compile)
}

fn compile(allowed: &[Allowed]) -> Result<BpfProgram, Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for allowed in allowed {
        let number = number(allowed.call).ok_or(Error::Unknown(allowed.call))?;
        rules.insert(number, first_argument(allowed.first)?);
    }
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(Error::Compile)?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture);
    filter.and_then(BpfProgram::try_from).map_err(Error::Compile)
}

/// No rule at all means: whatever the arguments.
fn first_argument(values: &[u32]) -> Result<Vec<SeccompRule>, Error> {
    let rule = |value: &u32| {
        let equal = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, u64::from(*value))?;
        SeccompRule::new(vec![equal])
    };
    values.iter().map(rule).collect::<Result<_, _>>().map_err(Error::Compile)
}

macro_rules! calls {
    ($($name:ident $number:ident),* $(,)?) => {
        /// The number of a system call on this architecture, if the list below has it.
        #[must_use]
        pub fn number(name: &str) -> Option<i64> {
            match name {
                $(stringify!($name) => Some(libc::$number),)*
                _ => None,
            }
        }
    };
}

calls! {
    accept4 SYS_accept4,
    arch_prctl SYS_arch_prctl,
    fallocate SYS_fallocate,
    bind SYS_bind,
    bpf SYS_bpf,
    brk SYS_brk,
    capget SYS_capget,
    capset SYS_capset,
    chdir SYS_chdir,
    chmod SYS_chmod,
    chown SYS_chown,
    clock_gettime SYS_clock_gettime,
    clock_nanosleep SYS_clock_nanosleep,
    clone SYS_clone,
    clone3 SYS_clone3,
    close SYS_close,
    close_range SYS_close_range,
    connect SYS_connect,
    dup SYS_dup,
    dup2 SYS_dup2,
    dup3 SYS_dup3,
    epoll_create1 SYS_epoll_create1,
    epoll_ctl SYS_epoll_ctl,
    epoll_wait SYS_epoll_wait,
    eventfd2 SYS_eventfd2,
    execve SYS_execve,
    execveat SYS_execveat,
    exit SYS_exit,
    exit_group SYS_exit_group,
    faccessat2 SYS_faccessat2,
    access SYS_access,
    fchdir SYS_fchdir,
    fchmod SYS_fchmod,
    fchmodat SYS_fchmodat,
    fchown SYS_fchown,
    fchownat SYS_fchownat,
    fcntl SYS_fcntl,
    fdatasync SYS_fdatasync,
    flock SYS_flock,
    fstat SYS_fstat,
    fstatfs SYS_fstatfs,
    fsync SYS_fsync,
    ftruncate SYS_ftruncate,
    futex SYS_futex,
    getcwd SYS_getcwd,
    getdents64 SYS_getdents64,
    getegid SYS_getegid,
    geteuid SYS_geteuid,
    getgid SYS_getgid,
    getpeername SYS_getpeername,
    getpgid SYS_getpgid,
    getpid SYS_getpid,
    getppid SYS_getppid,
    getrandom SYS_getrandom,
    getsockname SYS_getsockname,
    getsockopt SYS_getsockopt,
    gettid SYS_gettid,
    getuid SYS_getuid,
    getxattr SYS_getxattr,
    ioctl SYS_ioctl,
    kill SYS_kill,
    landlock_create_ruleset SYS_landlock_create_ruleset,
    linkat SYS_linkat,
    link SYS_link,
    listen SYS_listen,
    lseek SYS_lseek,
    lstat SYS_lstat,
    madvise SYS_madvise,
    memfd_secret SYS_memfd_secret,
    mkdir SYS_mkdir,
    mkdirat SYS_mkdirat,
    mlock SYS_mlock,
    mmap SYS_mmap,
    mount SYS_mount,
    move_mount SYS_move_mount,
    mprotect SYS_mprotect,
    mremap SYS_mremap,
    munmap SYS_munmap,
    nanosleep SYS_nanosleep,
    newfstatat SYS_newfstatat,
    open SYS_open,
    openat SYS_openat,
    openat2 SYS_openat2,
    perf_event_open SYS_perf_event_open,
    pidfd_open SYS_pidfd_open,
    pidfd_send_signal SYS_pidfd_send_signal,
    pipe2 SYS_pipe2,
    poll SYS_poll,
    ppoll SYS_ppoll,
    prctl SYS_prctl,
    pread64 SYS_pread64,
    prlimit64 SYS_prlimit64,
    pwrite64 SYS_pwrite64,
    read SYS_read,
    readlink SYS_readlink,
    readlinkat SYS_readlinkat,
    readv SYS_readv,
    recvfrom SYS_recvfrom,
    recvmsg SYS_recvmsg,
    rename SYS_rename,
    renameat SYS_renameat,
    renameat2 SYS_renameat2,
    restart_syscall SYS_restart_syscall,
    rmdir SYS_rmdir,
    rseq SYS_rseq,
    rt_sigaction SYS_rt_sigaction,
    rt_sigprocmask SYS_rt_sigprocmask,
    rt_sigreturn SYS_rt_sigreturn,
    sched_getaffinity SYS_sched_getaffinity,
    sched_yield SYS_sched_yield,
    seccomp SYS_seccomp,
    sendmmsg SYS_sendmmsg,
    sendmsg SYS_sendmsg,
    sendto SYS_sendto,
    set_robust_list SYS_set_robust_list,
    set_tid_address SYS_set_tid_address,
    setgid SYS_setgid,
    setgroups SYS_setgroups,
    setns SYS_setns,
    setpgid SYS_setpgid,
    setresgid SYS_setresgid,
    setresuid SYS_setresuid,
    setsid SYS_setsid,
    setsockopt SYS_setsockopt,
    setuid SYS_setuid,
    shutdown SYS_shutdown,
    sigaltstack SYS_sigaltstack,
    signalfd4 SYS_signalfd4,
    socket SYS_socket,
    socketpair SYS_socketpair,
    stat SYS_stat,
    statfs SYS_statfs,
    statx SYS_statx,
    symlinkat SYS_symlinkat,
    syncfs SYS_syncfs,
    sync_file_range SYS_sync_file_range,
    tgkill SYS_tgkill,
    timerfd_create SYS_timerfd_create,
    timerfd_settime SYS_timerfd_settime,
    truncate SYS_truncate,
    umask SYS_umask,
    umount2 SYS_umount2,
    uname SYS_uname,
    unlink SYS_unlink,
    unlinkat SYS_unlinkat,
    unshare SYS_unshare,
    utimensat SYS_utimensat,
    vfork SYS_vfork,
    wait4 SYS_wait4,
    waitid SYS_waitid,
    write SYS_write,
    writev SYS_writev,
    ptrace SYS_ptrace,
    accept SYS_accept,
    alarm SYS_alarm,
    clock_getres SYS_clock_getres,
    copy_file_range SYS_copy_file_range,
    creat SYS_creat,
    epoll_create SYS_epoll_create,
    epoll_pwait SYS_epoll_pwait,
    epoll_pwait2 SYS_epoll_pwait2,
    eventfd SYS_eventfd,
    faccessat SYS_faccessat,
    fadvise64 SYS_fadvise64,
    fork SYS_fork,
    futimesat SYS_futimesat,
    get_robust_list SYS_get_robust_list,
    getcpu SYS_getcpu,
    getdents SYS_getdents,
    getgroups SYS_getgroups,
    getitimer SYS_getitimer,
    getpgrp SYS_getpgrp,
    getpriority SYS_getpriority,
    getresgid SYS_getresgid,
    getresuid SYS_getresuid,
    getrlimit SYS_getrlimit,
    getrusage SYS_getrusage,
    getsid SYS_getsid,
    gettimeofday SYS_gettimeofday,
    inotify_add_watch SYS_inotify_add_watch,
    inotify_init SYS_inotify_init,
    inotify_init1 SYS_inotify_init1,
    inotify_rm_watch SYS_inotify_rm_watch,
    landlock_add_rule SYS_landlock_add_rule,
    landlock_restrict_self SYS_landlock_restrict_self,
    lchown SYS_lchown,
    membarrier SYS_membarrier,
    memfd_create SYS_memfd_create,
    mincore SYS_mincore,
    msync SYS_msync,
    munlock SYS_munlock,
    pause SYS_pause,
    pipe SYS_pipe,
    pivot_root SYS_pivot_root,
    preadv SYS_preadv,
    pselect6 SYS_pselect6,
    pwritev SYS_pwritev,
    readahead SYS_readahead,
    recvmmsg SYS_recvmmsg,
    sched_get_priority_max SYS_sched_get_priority_max,
    sched_get_priority_min SYS_sched_get_priority_min,
    sched_getparam SYS_sched_getparam,
    sched_getscheduler SYS_sched_getscheduler,
    sched_setaffinity SYS_sched_setaffinity,
    select SYS_select,
    sendfile SYS_sendfile,
    sethostname SYS_sethostname,
    setitimer SYS_setitimer,
    setpriority SYS_setpriority,
    setregid SYS_setregid,
    setreuid SYS_setreuid,
    setrlimit SYS_setrlimit,
    splice SYS_splice,
    symlink SYS_symlink,
    sync SYS_sync,
    sysinfo SYS_sysinfo,
    tee SYS_tee,
    time SYS_time,
    timer_create SYS_timer_create,
    timer_delete SYS_timer_delete,
    timer_getoverrun SYS_timer_getoverrun,
    timer_gettime SYS_timer_gettime,
    timer_settime SYS_timer_settime,
    timerfd_gettime SYS_timerfd_gettime,
    times SYS_times,
    tkill SYS_tkill,
    utime SYS_utime,
    utimes SYS_utimes,
    vmsplice SYS_vmsplice,
    init_module SYS_init_module,
    reboot SYS_reboot,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_with_an_unknown_name_is_refused() {
        let made_up = Allowed { call: "make_coffee", first: &[] };
        assert!(matches!(compile(&[made_up]), Err(Error::Unknown("make_coffee"))));
    }

    #[test]
    fn a_list_compiles_with_and_without_arguments() {
        let plain = Allowed { call: "read", first: &[] };
        let sockets = Allowed { call: "socket", first: &[1, 16] };
        assert!(compile(&[plain, sockets]).unwrap().len() > compile(&[plain]).unwrap().len());
    }
}
