//! Whoever holds a volume that is to be closed: found and killed however it holds, or shut out.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use node_protocol::call::Status;
use tenure::{Target, Verb};

use crate::volumes::{Tenancy, tenancy};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// In a thread with descriptors of its own, whose process has lost its first thread.
const BY_A_THREAD: &str = r#"
import ctypes, os, sys, threading
def hold():
    assert ctypes.CDLL(None).unshare(0x400) == 0
    held = os.open(sys.argv[1], os.O_RDONLY)
    print("holds", flush=True)
    threading.Event().wait(60)
threading.Thread(target=hold).start()
ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
"#;

/// By memory alone.
const BY_MEMORY: &str = r#"
import ctypes, os, sys, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
file = os.open(sys.argv[1], os.O_RDONLY)
assert libc.mmap(None, ctypes.c_size_t(4096), 1, 2, file, ctypes.c_long(0)) != ctypes.c_void_p(-1).value
os.close(file)
print("holds", flush=True)
time.sleep(60)
"#;

/// Killed however the test ends.
struct Holder(Child);

impl Holder {
    /// A process in the node's process list that starts in the supervisor's mount namespace.
    fn start(tenancy: &Tenancy, command: &[&str]) -> Self {
        let supervisor = tenancy.supervisor.to_string();
        let mut inside = Command::new("nsenter");
        inside.args(["--target", &supervisor, "--mount", "--pid", "--"]).args(command);
        let mut holder = Self(inside.stdout(Stdio::piped()).spawn().unwrap());
        let mut said = String::new();
        BufReader::new(holder.0.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "holds\n");
        holder
    }

    fn python(tenancy: &Tenancy, program: &str, path: &Path) -> Self {
        Self::start(tenancy, &["python3", "-c", program, path.to_str().unwrap()])
    }

    /// What nobody kills ends by itself after a minute, and not by a signal.
    fn was_killed(mut self) {
        assert_eq!(self.0.wait().unwrap().signal(), Some(9));
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

fn say(tenancy: &Tenancy, verb: Verb) {
    tenancy.world.say(0, verb).accepted();
}

fn state(status: &Status) -> Option<&str> {
    status.tiers.last()?.volumes.first()?.state.as_deref()
}

/// A thread's own descriptor, memory and a copy of the mount are seen and do not last.
pub(crate) fn are_killed() {
    let tenancy = tenancy();
    tenancy.write("data");
    let path = tenancy.folder().join("data/secret");
    let holders = [
        Holder::python(&tenancy, BY_A_THREAD, &path),
        Holder::python(&tenancy, BY_MEMORY, &path),
        Holder::start(
            &tenancy,
            &["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo holds; exec sleep 60"],
        ),
    ];
    say(&tenancy, Verb::Suspend(Target { tier: tenancy.tier }));
    assert_eq!(state(&tenancy.world.settled(0)), Some("closed"));
    holders.into_iter().for_each(Holder::was_killed);
    say(&tenancy, Verb::Resume(Target { tier: tenancy.tier }));
    tenancy.open();
    assert!(tenancy.reads("data"));
}

/// A descriptor that nobody has, for it is on its way through a socket, outside the node: the volume is held, and says
/// so; nothing is read by it; it is closed, and the receipt is signed, when it is let go of, and not before.
pub(crate) fn are_shut_out() {
    let tenancy = tenancy();
    tenancy.write("data");
    let is_held = |status: &Status| status.warnings.iter().any(|warning| warning.code == "volume-held");
    let (near, far) = UnixStream::pair().unwrap();
    send(&near, &tenancy.content("data").join("secret"));
    say(&tenancy, Verb::Suspend(Target { tier: tenancy.tier }));
    let status = becomes(&tenancy, is_held);
    assert_eq!((state(&status), status.settled), (Some("held"), false));
    let held = receive(&far);
    held.read_at(&mut [0; 16], 0).unwrap_err();
    drop(held);
    let status = tenancy.world.settled(0);
    assert!(state(&status) == Some("closed") && !is_held(&status));
    say(&tenancy, Verb::Resume(Target { tier: tenancy.tier }));
    tenancy.open();
    assert!(tenancy.reads("data"));

    let before = tenancy.receipts_now();
    send(&near, &tenancy.content("data").join("secret"));
    say(&tenancy, Verb::Sever(Target { tier: tenancy.tier }));
    becomes(&tenancy, is_held);
    assert_eq!((tenancy.salts(), tenancy.receipts_now()), (0, before));
    let held = receive(&far);
    held.read_at(&mut [0; 16], 0).unwrap_err();
    drop(held);
    tenancy.world.settled(0);
    assert_eq!(tenancy.receipts_now(), before + 1);
}

/// The first status of which something is true. A volume is tried to be closed for a second before it is shut.
fn becomes(tenancy: &Tenancy, wanted: impl Fn(&Status) -> bool) -> Status {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = tenancy.world.now(0);
        if wanted(&status) {
            return status;
        }
        assert!(Instant::now() < deadline, "{status:?}");
        os::poll::wait(&[], Some(LOOK)).unwrap();
    }
}

/// Puts a file of the volume into a socket, and has it no more.
fn send(near: &UnixStream, path: &Path) {
    let file = File::open(path).unwrap();
    assert_eq!(os::descriptor::send(near, b"!", Some(file.as_fd())).unwrap(), 1);
}

fn receive(far: &UnixStream) -> File {
    let mut received: Vec<OwnedFd> = Vec::new();
    os::descriptor::receive(far, &mut [0], &mut received).unwrap();
    File::from(received.remove(0))
}
