//! An engine that tries whatever might get it out, or hurt others. It says `denied …` of what it was refused, and
//! `GOT …` of what it was not.
#![expect(unsafe_code, reason = "a hostile engine does what it likes")]
#![expect(clippy::print_stdout, reason = "an engine's output is its log")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

pub(crate) fn run(what: &str) -> ExitCode {
    match what {
        "everything" => everything(),
        "hang" => hang(),
        "memory" => memory(),
        "spin" => spin(),
        "fork" => forks(),
        "files" => files(),
        "output" => output(),
        "notices" => notices(),
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

/// Whether a call was refused.
fn call(name: &str, number: libc::c_long, arguments: [usize; 5]) {
    let [a, b, c, d, e] = arguments;
    // SAFETY: none; whatever the kernel does with these is what is to be found out. Pointers are null or to texts
    // that live as long as the program.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e) };
    tell(name, if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) });
}

fn tell<T>(name: &str, tried: io::Result<T>) {
    match tried {
        Ok(_) => println!("GOT {name}"),
        Err(error) => println!("denied {name}: {error}"),
    }
}

fn text(text: &'static std::ffi::CStr) -> usize {
    text.as_ptr() as usize
}

fn everything() {
    namespaces_and_mounts();
    kernel();
    keys_and_attributes();
    volume();
    others();
    network();
    files_of_the_machine();
    forged();
}

fn namespaces_and_mounts() {
    for (name, flag) in
        [("user", 0x1000_0000), ("mount", 0x2_0000), ("net", 0x4000_0000), ("pid", 0x2000_0000)]
    {
        call(&format!("unshare {name}"), libc::SYS_unshare, [flag, 0, 0, 0, 0]);
        call(&format!("clone {name}"), libc::SYS_clone, [flag | 17, 0, 0, 0, 0]);
        call(&format!("setns {name}"), libc::SYS_setns, [0, flag, 0, 0, 0]);
    }
    call("clone3", libc::SYS_clone3, [0; 5]);
    call("mount", libc::SYS_mount, [text(c"none"), text(c"/tmp"), text(c"tmpfs"), 0, 0]);
    call("remount", libc::SYS_mount, [text(c"none"), text(c"/"), 0, 32, 0]);
    call("umount", libc::SYS_umount2, [text(c"/proc"), 2, 0, 0, 0]);
    call("pivot_root", libc::SYS_pivot_root, [text(c"/tmp"), text(c"/tmp"), 0, 0, 0]);
    call("chroot", libc::SYS_chroot, [text(c"/tmp"), 0, 0, 0, 0]);
    call("fsopen", libc::SYS_fsopen, [text(c"tmpfs"), 0, 0, 0, 0]);
    call("open_tree", libc::SYS_open_tree, [0, text(c"/"), 1, 0, 0]);
    call("move_mount", libc::SYS_move_mount, [0; 5]);
    call("mknod", libc::SYS_mknod, [text(c"/tmp/disk"), 0o60_666, 0x800, 0, 0]);
    call("mknodat", libc::SYS_mknodat, [usize::MAX - 99, text(c"/data/mem"), 0o20_666, 0x101, 0]);
    call("open_by_handle_at", libc::SYS_open_by_handle_at, [0; 5]);
    call("name_to_handle_at", libc::SYS_name_to_handle_at, [0; 5]);
}

fn kernel() {
    let calls: [(&str, libc::c_long, [usize; 5]); 18] = [
        ("bpf", libc::SYS_bpf, [0; 5]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [8, 0, 0, 0, 0]),
        ("userfaultfd", libc::SYS_userfaultfd, [1, 0, 0, 0, 0]),
        ("perf_event_open", libc::SYS_perf_event_open, [0; 5]),
        ("init_module", libc::SYS_init_module, [0; 5]),
        ("finit_module", libc::SYS_finit_module, [0; 5]),
        ("kexec_load", libc::SYS_kexec_load, [0; 5]),
        ("reboot", libc::SYS_reboot, [0xfee1_dead, 672_274_793, 0, 0, 0]),
        ("swapon", libc::SYS_swapon, [text(c"/tmp"), 0, 0, 0, 0]),
        ("settimeofday", libc::SYS_settimeofday, [0; 5]),
        ("clock_settime", libc::SYS_clock_settime, [0; 5]),
        ("sethostname", libc::SYS_sethostname, [text(c"x"), 1, 0, 0, 0]),
        ("syslog", libc::SYS_syslog, [3, 0, 0, 0, 0]),
        ("acct", libc::SYS_acct, [0; 5]),
        ("quotactl", libc::SYS_quotactl, [0; 5]),
        ("iopl", libc::SYS_iopl, [3, 0, 0, 0, 0]),
        ("lookup_dcookie", libc::SYS_lookup_dcookie, [0; 5]),
        ("personality", libc::SYS_personality, [0x004_0000, 0, 0, 0, 0]),
    ];
    for (name, number, arguments) in calls {
        call(name, number, arguments);
    }
}

/// Keyrings, and attributes that say more of a file than its mode.
fn keys_and_attributes() {
    for kind in [c"user", c"logon", c"keyring", c"fscrypt-provisioning"] {
        let ring = usize::MAX - 2;
        call(&format!("add_key {kind:?}"), libc::SYS_add_key, [text(kind), text(c"k"), text(c"v"), 1, ring]);
    }
    call("request_key", libc::SYS_request_key, [text(c"user"), text(c"k"), 0, 0, 0]);
    // Each of them on the session's keyring: its number, a new one, what is described, read, linked, cleared, unlinked.
    for operation in [0, 1, 6, 11, 8, 7, 9, 3] {
        call(&format!("keyctl {operation}"), libc::SYS_keyctl, [operation, usize::MAX - 2, 0, 0, 0]);
    }
    fs::write("/data/own", "own").unwrap();
    let (path, name, value) = (text(c"/data/own"), text(c"user.x"), text(c"v"));
    call("setxattr", libc::SYS_setxattr, [path, name, value, 1, 0]);
    call("lsetxattr", libc::SYS_lsetxattr, [path, name, value, 1, 0]);
    call("removexattr", libc::SYS_removexattr, [path, name, 0, 0, 0]);
    let own = File::open("/data/own").unwrap();
    let descriptor = usize::try_from(own.as_raw_fd()).unwrap();
    call("fsetxattr", libc::SYS_fsetxattr, [descriptor, name, value, 1, 0]);
    let acl = text(c"system.posix_acl_access");
    call("setxattr acl", libc::SYS_setxattr, [path, acl, value, 1, 0]);
}

/// What would give a volume another key, take the one away that it has, or leave something in it that outlives a
/// key: all requests to the file system, which the file's owner may try. The test looks at why they are refused.
fn volume() {
    for path in ["/data", "/data/own"] {
        let file = File::open(path).unwrap();
        let descriptor = usize::try_from(file.as_raw_fd()).unwrap();
        let mut argument = [0_u64; 64];
        let argument = (&raw mut argument) as usize;
        for (name, request) in [
            ("give a key", 0xc050_6617_usize),
            ("take a key", 0xc040_6618),
            ("take a key of all", 0xc040_6619),
            ("ask for a key", 0xc080_661a),
            ("set a policy", 0x800c_6613),
            ("get a policy", 0xc009_6616),
            ("get a nonce", 0x8010_661b),
            ("get flags", 0x8008_6601),
            ("set flags", 0x4008_6602),
            ("set attributes", 0x401c_5820),
            ("find extents", 0xc020_660b),
            ("verify", 0x4080_6685),
            ("move extents", 0xc028_660f),
            ("freeze", 0xc004_5877),
            ("trim", 0xc018_5879),
            ("shut down", 0x8004_587d),
            ("type", 0x5412),
            ("type on the console", 0x541c),
        ] {
            // The kernel takes the lower half alone.
            for request in [request, request | 1 << 40] {
                call(
                    &format!("request: {name} of {path}"),
                    libc::SYS_ioctl,
                    [descriptor, request, argument, 0, 0],
                );
            }
        }
    }
}

fn others() {
    call("ptrace traceme", libc::SYS_ptrace, [0; 5]);
    call("ptrace init", libc::SYS_ptrace, [16, 1, 0, 0, 0]);
    call("process_vm_readv", libc::SYS_process_vm_readv, [1, 0, 0, 0, 0]);
    call("pidfd_getfd", libc::SYS_pidfd_getfd, [0; 5]);
    call("kcmp", libc::SYS_kcmp, [1, 1, 0, 0, 0]);
    for file in ["mem", "environ", "maps", "fd", "root", "cwd", "ns/user", "auxv"] {
        let path = format!("/proc/1/{file}");
        tell(
            &format!("read {path}"),
            fs::read_link(&path).map(drop).or_else(|_| fs::read_dir(&path).map(drop)).or_else(|_| {
                let bytes = fs::read(&path)?;
                if bytes.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
            }),
        );
    }
    call("setuid 0", libc::SYS_setuid, [0; 5]);
    call("setgid 0", libc::SYS_setgid, [0; 5]);
    call("kill another's", libc::SYS_kill, [2_000_000, 0, 0, 0, 0]);
    call("nice -20", libc::SYS_setpriority, [0, 0, usize::MAX - 19, 0, 0]);
    let processes = fs::read_dir("/proc").map(|entries| {
        entries
            .filter_map(Result::ok)
            .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
            .count()
    });
    let mine = processes.as_ref().is_ok_and(|count| *count <= 3);
    tell("see others' processes", if mine { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) });
    let inherited = fs::read_dir("/proc/self/fd").map(|entries| entries.count()).unwrap_or(99);
    tell("inherited descriptors", if inherited <= 4 { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) });
}

fn network() {
    for (name, family, kind, protocol) in [
        ("netlink", libc::AF_NETLINK, libc::SOCK_RAW, 0),
        ("packet", libc::AF_PACKET, libc::SOCK_RAW, 0x300),
        ("raw ip", libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        ("raw ipv6", libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6),
        ("alg", libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
        ("vsock", libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        ("bluetooth", libc::AF_BLUETOOTH, libc::SOCK_RAW, 0),
        ("xdp", libc::AF_XDP, libc::SOCK_RAW, 0),
    ] {
        // SAFETY: a plain call without pointers.
        let answer = unsafe { libc::socket(family, kind, protocol) };
        tell(name, if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) });
    }
    let outside = (Ipv4Addr::new(192, 0, 2, 1), 80).into();
    tell("another network", TcpStream::connect_timeout(&outside, Duration::from_millis(100)));
}

fn files_of_the_machine() {
    for path in [
        "/sys/fs/cgroup",
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/proc/kcore",
        "/dev/mem",
        "/dev/sda",
        "/dev/kvm",
        "/dev/fuse",
        "/dev/tty",
        "/proc/self/mem-of-nobody",
        "/etc/shadow",
        "/proc/keys",
        "/sys/kernel",
    ] {
        tell(&format!("open {path}"), File::open(path).map(drop));
    }
    for path in ["/bin/busybox", "/dev/new", "/run/new", "/new", "/proc/self/oom_score_adj-of-nobody"] {
        tell(&format!("write {path}"), fs::write(path, "x"));
    }
    tell(
        "chmod the image",
        fs::set_permissions("/bin/busybox", std::os::unix::fs::PermissionsExt::from_mode(0o4755)),
    );
    fs::copy("/bin/busybox", "/tmp/busybox").unwrap_or(0);
    tell("execute in /tmp", Command::new("/tmp/busybox").arg("true").status());
    tell("lower one's own oom score", fs::write("/proc/self/oom_score_adj", "-1000"));
    let limit = libc::rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 };
    // SAFETY: the pointer is to a limit that lives until the call returns.
    let answer = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) };
    tell("core dumps", if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) });
}

/// Notices with others' names change nothing; the test looks at what was reported.
fn forged() {
    let Ok(socket) = UnixDatagram::unbound() else { return };
    for datagram in ["MAINPID=1\nFDSTORE=1\nFDNAME=x\nUSER=root", "ERRNO=1\nBUSERROR=x\nX=\u{0}"] {
        socket.send_to(datagram.as_bytes(), "/run/notify").unwrap_or(0);
    }
}

fn notify(text: &str) {
    let socket = UnixDatagram::unbound().and_then(|socket| socket.send_to(text.as_bytes(), "/run/notify"));
    tell(&format!("notify {text:?}"), socket);
}

fn hang() {
    notify("READY=1\nSTATUS=about to hang");
    loop {
        std::thread::sleep(Duration::from_secs(100));
    }
}

/// Says how many MiB it has.
fn memory() {
    let mut kept = Vec::new();
    loop {
        kept.push(vec![7_u8; 1024 * 1024]);
        std::hint::black_box(&kept);
        println!("{}", kept.len());
    }
}

/// Works without rest. Says all the time how many microseconds have passed, and in how many of them it worked.
fn spin() {
    let began = Instant::now();
    loop {
        let until = Instant::now() + Duration::from_millis(50);
        while Instant::now() < until {}
        println!("{} {}", began.elapsed().as_micros(), worked().as_micros());
    }
}

/// The time that the processor has worked for this process.
fn worked() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a time that lives until the call returns.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn forks() {
    loop {
        // SAFETY: one thread alone; the copies do nothing but copy themselves.
        unsafe { libc::fork() };
    }
}

/// Temporary files are memory: the kernel kills whoever goes on.
fn files() {
    let mut file = File::create("/tmp/flood").unwrap();
    let part = vec![7; 1024 * 1024];
    while file.write_all(&part).is_ok() {}
    memory();
}

fn output() {
    let mut out = io::stdout().lock();
    loop {
        out.write_all(&[b'x'; 65_536]).unwrap();
    }
}

fn notices() {
    let socket = UnixDatagram::unbound().unwrap();
    socket.set_nonblocking(true).unwrap();
    loop {
        socket.send_to(&[b'S'; 4096], "/run/notify").unwrap_or(0);
        socket.send_to(b"STATUS=x\nREADY=1\nWATCHDOG=1", "/run/notify").unwrap_or(0);
    }
}
