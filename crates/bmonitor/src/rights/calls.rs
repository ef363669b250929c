//! The system calls of each process, with the reason for each.

use node_protocol::courier::AllowedCall;
use os::seccomp::Allowed;

/// An allowed system call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) allowed: Allowed,
    pub(crate) reason: &'static str,
}

impl Call {
    /// As a courier is told.
    pub(crate) fn as_told(&self) -> AllowedCall {
        AllowedCall { name: self.allowed.call.to_owned(), first: self.allowed.first.to_vec() }
    }
}

/// The address families of `socket(2)` that are used.
const UNIX: u32 = 1;
const INET: u32 = 2;
const INET6: u32 = 10;
const NETLINK: u32 = 16;
const PACKET: u32 = 17;

const fn call(call: &'static str, reason: &'static str) -> Call {
    Call { allowed: Allowed { call, first: &[] }, reason }
}

const fn socket(first: &'static [u32], reason: &'static str) -> Call {
    Call { allowed: Allowed { call: "socket", first }, reason }
}

/// Joins rows at compile time.
const fn join<const N: usize>(parts: &[&[Call]]) -> [Call; N] {
    let mut joined = [call("", ""); N];
    let mut at = 0;
    let mut part = 0;
    while part < parts.len() {
        let mut row = 0;
        while row < parts[part].len() {
            joined[at] = parts[part][row];
            at += 1;
            row += 1;
        }
        part += 1;
    }
    assert!(at == N, "every row is joined");
    joined
}

/// What any Rust program on glibc does while it runs and ends.
const RUNTIME: &[Call] = &[
    call("brk", "memory"),
    call("mmap", "memory"),
    call("mremap", "memory"),
    call("munmap", "memory"),
    call("mprotect", "memory of threads and of library relocations"),
    call("madvise", "giving memory back"),
    call("futex", "locks of the standard library"),
    call("rt_sigaction", "the standard library's handlers"),
    call("rt_sigprocmask", "threads and children begin with signals blocked"),
    call("rt_sigreturn", "the end of a handler"),
    call("sigaltstack", "the standard library's guard page handler"),
    call("getrandom", "hash seeds, ids, secrets"),
    call("clock_gettime", "time, where the vDSO has none"),
    call("gettid", "abort"),
    call("getpid", "abort; dying at a named step"),
    call("tgkill", "abort"),
    call("kill", "dying at a named step; killing what a realm leaves"),
    call("sched_yield", "channels between threads, one of which is amid a change"),
    call("restart_syscall", "a wait that a stop signal interrupted"),
    call("exit", "end of a thread"),
    call("exit_group", "end"),
];

/// Files and descriptors.
const FILES: &[Call] = &[
    call("openat", "files"),
    call("close", "files"),
    call("read", "files, the stream to the supervisor"),
    call("write", "files, the stream to the supervisor, stderr"),
    call("writev", "stderr"),
    call("lseek", "files"),
    call("fstat", "sizes of files"),
    call("newfstatat", "whether a file is there"),
    call("statx", "whether a file is there"),
    call("fcntl", "close-on-exec of copied descriptors"),
    call("fsync", "what was written is on the disk"),
    call("rename", "a file appears whole or not at all"),
    call("getdents64", "what is in a folder"),
];

/// What a process does that changes the world, which custody never does.
const CHANGING: &[Call] = &[
    call("unlink", "files that are no longer wanted"),
    call("unlinkat", "files that are no longer wanted"),
    call("mkdir", "folders"),
    call("poll", "waiting"),
    call("ppoll", "waiting"),
];

/// What the supervisor does beyond that.
const SUPERVISING: &[Call] = &[
    call("getcwd", "the paths in a panic's backtrace"),
    call("flock", "one supervisor a journal"),
    call("fdatasync", "the journal's records"),
    call("ftruncate", "cutting a torn record off"),
    call("fallocate", "the journal's reserve"),
    call("pread64", "the journal"),
    call("pwrite64", "the journal"),
    call("chmod", "modes of its folders and its socket"),
    call("fchmod", "modes of its folders"),
    call("chown", "custody's folder"),
    call("signalfd4", "its signals"),
    call("socketpair", "a stream to each child"),
    call("bind", "its socket"),
    call("listen", "its socket"),
    call("accept4", "its socket"),
    call("getsockopt", "who is at the other end"),
    call("setsockopt", "its connections"),
    call("recvfrom", "its connections and streams"),
    call("sendto", "its connections and streams"),
    call("recvmsg", "its connections and streams"),
    call("sendmsg", "its connections and streams"),
    call("shutdown", "the end of a request to a child"),
    call("ioctl", "connections and streams that never block (FIONBIO)"),
    call("clone3", "children"),
    call("clone", "children, where clone3 is not there"),
    call("vfork", "children"),
    call("execve", "children: its own program again"),
    call("pidfd_open", "watching children"),
    call("pidfd_send_signal", "killing children"),
    call("wait4", "reaping children"),
    call("waitid", "reaping children"),
    call("pipe2", "the standard library's report of a failed exec"),
    call("dup2", "a child's stdin and stdout"),
    call("dup", "a child's stdin and stdout"),
    call("setpgid", "a child's own process group"),
    call("close_range", "close-on-exec of what it inherited"),
    call("bpf", "the cut bit of pinned maps; for helpers: filters"),
    call("symlink", "for unpackers: links in images"),
    call("connect", "shims that an earlier supervisor had started"),
];

/// How a child begins: what the loader and the enforcement of this table call. It needs them on its
/// parent's list, and has them no more once its own is in force.
const BEGINNING: &[Call] = &[
    call("access", "for children: the loader"),
    call("arch_prctl", "for children: the loader"),
    call("set_tid_address", "for children: the C library"),
    call("set_robust_list", "for children: the C library; threads"),
    call("rseq", "for children: the C library; threads"),
    call("prlimit64", "for children: their limits"),
    call("getppid", "for children: whether the supervisor still is their parent"),
    call("umask", "for children: modes of their files"),
    call("prctl", "for children: bounding set, no_new_privs, not dumpable, dying with the supervisor"),
    call("capset", "for children: their capabilities"),
    call("setgroups", "for custody: no groups"),
    call("setresgid", "for custody: its gid"),
    call("setresuid", "for custody: its uid"),
    call("seccomp", "for children: their own list"),
    call("chdir", "for custody: its folder, before it loses the right to walk there"),
    call("sched_getaffinity", "for children: the standard library's stack guard"),
    call("readlink", "for children: the standard library"),
    call("memfd_secret", "for custody: memory that nobody else reads"),
    call("mlock", "for custody: memory that is never swapped, where there is no memfd_secret"),
    call("syncfs", "for helpers: what a volume has is on the medium before it is closed"),
    call("getuid", "for mkfs.ext4: who it is"),
    call("geteuid", "for mkfs.ext4: who it is"),
    call("getgid", "for mkfs.ext4: who it is"),
    call("getegid", "for mkfs.ext4: who it is"),
    call("gettimeofday", "for mkfs.ext4: the volume's id, where the vDSO has no time"),
    call("clock_nanosleep", "for mkfs.ext4: the volume's id, while the kernel has no random bytes yet"),
];

/// What helpers do to the kernel.
const HELPING: &[Call] = &[
    call("unshare", "a realm's network namespace; custody: leaving the network"),
    call("setns", "setting up links inside a realm"),
    call("mount", "the names of namespaces"),
    call("umount2", "the names of namespaces"),
    call("fstatfs", "whether a name is a namespace"),
    call("rmdir", "the folder of a realm's pins"),
    call("getsockname", "netlink"),
    call("uname", "the kernel's version, for the filter's loader"),
];

/// What a courier does: it waits for streams and sockets, and dials.
const DIALLING: &[Call] = &[
    socket(&[INET, INET6], "connections to consoles; no netlink, no packets"),
    call("connect", "connections to consoles"),
    call("getsockopt", "whether a connection is there"),
    call("setsockopt", "connections that send at once; custody's time to answer"),
    call("shutdown", "the end of a connection"),
    call("read", "the runtime's waking"),
    call("write", "streams, stderr"),
    call("writev", "streams"),
    call("recvfrom", "streams"),
    call("sendto", "streams"),
    call("recvmsg", "the supervisor's first message, and the stream to custody that comes along"),
    call("close", "streams"),
    call("fcntl", "streams that do not block"),
    call("ioctl", "streams that do not block (FIONBIO)"),
    call("epoll_create1", "the runtime's waiting"),
    call("epoll_ctl", "the runtime's waiting"),
    call("epoll_wait", "the runtime's waiting"),
    call("eventfd2", "the runtime's waiting"),
    call("socketpair", "the runtime's watch for signals, of which there are none"),
];

const COURIER_CALLS: [Call; RUNTIME.len() + DIALLING.len()] = join(&[RUNTIME, DIALLING]);

/// A courier's: memory, its streams, the internet's sockets.
pub(super) const COURIER: &[Call] = &COURIER_CALLS;

/// What leasing addresses takes. Its socket is there already.
const LEASING: &[Call] = &[
    call("poll", "waiting"),
    call("ppoll", "waiting"),
    call("read", "the stream to the supervisor"),
    call("write", "the stream to the supervisor, stderr"),
    call("writev", "stderr"),
    call("recvfrom", "what comes over the bridge; the stream to the supervisor"),
    call("sendto", "what goes over the bridge; the stream to the supervisor"),
    call("close", "its end"),
    call("fcntl", "a copied descriptor of its stream"),
];

const DHCP_CALLS: [Call; RUNTIME.len() + LEASING.len()] = join(&[RUNTIME, LEASING]);

/// That of who leases addresses: memory, the stream to the supervisor, the one socket; no other, and no file.
pub(super) const DHCP: &[Call] = &DHCP_CALLS;

/// What couriers need on their parent's list beside what it has itself.
const FOR_COURIERS: &[Call] = &[
    socket(
        &[UNIX, INET, INET6, NETLINK, PACKET],
        "netlink; for couriers: connections to consoles; for dhcp: its one socket",
    ),
    call("epoll_create1", "for couriers: the runtime's waiting"),
    call("epoll_ctl", "for couriers: the runtime's waiting"),
    call("epoll_wait", "for couriers: the runtime's waiting"),
    call("eventfd2", "for couriers: the runtime's waiting"),
];

const SUPERVISOR_CALLS: [Call;
    RUNTIME.len()
        + FILES.len()
        + CHANGING.len()
        + SUPERVISING.len()
        + BEGINNING.len()
        + HELPING.len()
        + FOR_COURIERS.len()] =
    join(&[RUNTIME, FILES, CHANGING, SUPERVISING, BEGINNING, HELPING, FOR_COURIERS]);

/// The supervisor's, and its children's at their beginning.
pub(super) const SUPERVISOR: &[Call] = &SUPERVISOR_CALLS;

/// What a helper shares with the supervisor's own rows.
const HELPER_MORE: &[Call] = &[
    socket(&[UNIX, NETLINK], "netlink; no other family, least of all the internet's"),
    call("bpf", "filters: programs, maps, pins"),
    call("bind", "netlink"),
    call("connect", "netlink"),
    call("getsockopt", "netlink"),
    call("setsockopt", "netlink"),
    call("recvfrom", "netlink"),
    call("sendto", "netlink"),
    call("recvmsg", "netlink"),
    call("sendmsg", "netlink"),
    call("clone3", "a thread that enters a realm's namespace"),
    call("clone", "the same, where clone3 is not there"),
    call("set_robust_list", "threads"),
    call("rseq", "threads"),
    call("sched_getaffinity", "stacks of threads"),
    call("prctl", "names of threads"),
    call("pidfd_open", "processes of a realm"),
    call("pidfd_send_signal", "killing the processes of a realm"),
    call("readlink", "which namespace a process is in"),
    call("prlimit64", "locked memory, for the filter's loader"),
    call(
        "ioctl",
        "loop devices, volumes' keys: their policies, their removal, their status; for mkfs.ext4: devices' sizes",
    ),
    call("flock", "one helper a volume"),
    call("ftruncate", "the size of a volume's image"),
    call("fallocate", "the room of a volume's image"),
    call("syncfs", "what a volume has is on the medium before it is closed"),
    call("getppid", "the supervisor, which is not killed for looking at a volume"),
    call("vfork", "mkfs.ext4"),
    call("execve", "mkfs.ext4"),
    call("pipe2", "what mkfs.ext4 says"),
    call("socketpair", "the standard library's report of a failed exec"),
    call("dup2", "what mkfs.ext4 says"),
    call("wait4", "mkfs.ext4"),
    call("waitid", "mkfs.ext4"),
    call("access", "for mkfs.ext4: the loader"),
    call("arch_prctl", "for mkfs.ext4: the loader"),
    call("set_tid_address", "for mkfs.ext4: the C library"),
    call("pread64", "for mkfs.ext4: the image"),
    call("pwrite64", "for mkfs.ext4: the image"),
    call("getuid", "for mkfs.ext4: who it is"),
    call("geteuid", "for mkfs.ext4: who it is"),
    call("getgid", "for mkfs.ext4: who it is"),
    call("getegid", "for mkfs.ext4: who it is"),
    call("gettimeofday", "for mkfs.ext4: the volume's id, where the vDSO has no time"),
    call("clock_nanosleep", "for mkfs.ext4: the volume's id, while the kernel has no random bytes yet"),
];

const HELPER_CALLS: [Call; RUNTIME.len() + FILES.len() + CHANGING.len() + HELPING.len() + HELPER_MORE.len()] =
    join(&[RUNTIME, FILES, CHANGING, HELPING, HELPER_MORE]);

/// A helper's.
pub(super) const HELPER: &[Call] = &HELPER_CALLS;

/// What custody does beyond its files.
const KEEPING: &[Call] = &[
    call("poll", "waiting"),
    call("ppoll", "waiting"),
    call("recvmsg", "requests of the supervisor, and the descriptors that come along"),
    call("recvfrom", "couriers' questions"),
    call("sendto", "replies and signatures"),
    call("memfd_secret", "memory that nobody else reads"),
    call("mlock", "memory that is never swapped, where there is no memfd_secret"),
    call("ftruncate", "the size of such memory"),
    call("ioctl", "a volume's key, for the kernel alone"),
];

const CUSTODY_CALLS: [Call; RUNTIME.len() + FILES.len() + KEEPING.len()] = join(&[RUNTIME, FILES, KEEPING]);

/// Custody's: memory, its own files, the streams to the supervisor and to couriers.
pub(super) const CUSTODY: &[Call] = &CUSTODY_CALLS;

/// What starting a shim takes, and what a shim does until its engine runs, beyond what engines may do.
const LAUNCHING: &[Call] = &[
    call("clone3", "shims"),
    call("clone", "shims, where clone3 is not there; an engine's first process"),
    call("capset", "for shims: dropping capabilities"),
    call("mount", "for shims: an engine's world"),
    call("umount2", "for shims: the world outside"),
    call("pivot_root", "for shims: an engine's world"),
    call("unshare", "for shims: an engine's namespaces"),
    call("setns", "for shims: the realm's network"),
    call("sethostname", "for shims: an engine's name"),
];

/// What shims and the start of launchers share with engines.
const ENGINES: usize = engine::sandbox::ENGINE_CALLS.len();

const LAUNCHER_CALLS: [Call; ENGINES + LAUNCHING.len()] = {
    let mut joined = [call("", ""); ENGINES + LAUNCHING.len()];
    let mut at = 0;
    while at < ENGINES {
        joined[at] = Call { allowed: engine::sandbox::ENGINE_CALLS[at], reason: "engines inherit the list" };
        at += 1;
    }
    while at < joined.len() {
        joined[at] = LAUNCHING[at - ENGINES];
        at += 1;
    }
    joined
};

/// A launcher's: engines inherit it. No `bpf`, no keys, no tracing, no modules, no netlink, no packets.
pub(super) const LAUNCHER: &[Call] = &LAUNCHER_CALLS;

/// What a shim does once its engine runs.
const ATTENDING: &[Call] = &[
    call("poll", "waiting"),
    call("ppoll", "waiting"),
    call("openat", "files of its control groups, its log and its run folder"),
    call("close", "files, streams"),
    call("read", "output, files"),
    call("write", "the log, files, stderr"),
    call("writev", "stderr"),
    call("lseek", "files"),
    call("fstat", "sizes of files"),
    call("statx", "sizes of files"),
    call("newfstatat", "sizes of files"),
    call("fcntl", "streams that do not block"),
    call("ioctl", "streams that do not block (FIONBIO)"),
    call("accept4", "its control socket"),
    call("recvfrom", "streams, notices"),
    call("sendto", "streams"),
    call("renameat", "the log before this one"),
    call("renameat2", "the log before this one"),
    call("unlinkat", "its control socket, its control groups"),
    call("pidfd_send_signal", "ending its engine"),
    call("wait4", "reaping its engine"),
];

const SHIM_CALLS: [Call; RUNTIME.len() + ATTENDING.len()] = join(&[RUNTIME, ATTENDING]);

/// A shim's: memory, descriptors that it has, files below folders that it holds.
pub(super) const SHIM: &[Call] = &SHIM_CALLS;

/// What unpacking an image takes.
const UNPACKING: &[Call] = &[
    call("mkdir", "folders"),
    call("chmod", "modes of folders"),
    call("fchmod", "modes of files"),
    call("symlink", "links"),
    call("unlink", "an image that was unpacked before"),
    call("unlinkat", "an image that was unpacked before"),
    call("rmdir", "an image that was unpacked before"),
    call("poll", "the standard library's check of its streams"),
];

const UNPACKER_CALLS: [Call; RUNTIME.len() + FILES.len() + UNPACKING.len()] =
    join(&[RUNTIME, FILES, UNPACKING]);

/// An unpacker's: memory, files.
pub(super) const UNPACKER: &[Call] = &UNPACKER_CALLS;
