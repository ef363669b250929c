//! Signals as something to read: `signalfd(2)`; and dying by one.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};

/// Signals that this process reads one after the other instead of being interrupted.
#[derive(Debug)]
pub struct Signals(OwnedFd);

/// A signal that a program of ours acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// `SIGTERM`: end in order.
    Terminate,
    /// `SIGINT`: end in order.
    Interrupt,
    /// `SIGCHLD`: some child changed its state.
    Child,
    /// `SIGHUP`.
    HangUp,
}

const READ: [(libc::c_int, Arrived); 4] = [
    (libc::SIGTERM, Arrived::Terminate),
    (libc::SIGINT, Arrived::Interrupt),
    (libc::SIGCHLD, Arrived::Child),
    (libc::SIGHUP, Arrived::HangUp),
];

impl Signals {
    /// Blocks the signals of [`Arrived`] in this thread and opens the descriptor to read them from. To
    /// be called while there is one thread alone. Processes started afterwards inherit the mask: they
    /// begin with [`unblock`].
    ///
    /// # Errors
    /// The kernel's.
    pub fn open() -> io::Result<Self> {
        let set = set();
        // SAFETY: `set` is initialised; a null pointer for the old mask is allowed.
        check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) })?;
        // SAFETY: `set` is initialised; -1 asks for a new descriptor.
        let raw =
            check(unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
        // SAFETY: the call above made this descriptor and nothing else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(raw) }))
    }

    /// The next signal that has arrived, or nothing.
    ///
    /// # Errors
    /// The kernel's.
    pub fn next(&self) -> io::Result<Option<Arrived>> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); size_of::<libc::signalfd_siginfo>()];
        let read = match rustix::io::read(&self.0, &mut buffer) {
            Ok((read, _rest)) => read,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // `ssi_signo` is the structure's first field, 32 bits (signalfd(2)).
        let number = read.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
        let known = READ.iter().find(|(raw, _arrived)| Some(raw.cast_unsigned()) == number);
        Ok(known.map(|(_raw, arrived)| *arrived))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Unblocks what [`Signals::open`] blocked, in a process that was started by one which reads signals.
///
/// # Errors
/// The kernel's.
pub fn unblock() -> io::Result<()> {
    let set = set();
    // SAFETY: `set` is initialised; a null pointer for the old mask is allowed.
    check(unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut()) })?;
    Ok(())
}

/// Ends this process by `SIGKILL`, now: no destructor runs, as in a crash.
pub fn die() -> ! {
    let sent = kill_process(getpid(), Signal::KILL);
    unreachable!("SIGKILL to oneself returned: {sent:?}")
}

fn set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set that it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the call above.
    let mut set = unsafe { set.assume_init() };
    for (number, _arrived) in READ {
        // SAFETY: `set` is initialised and the numbers are signals.
        unsafe { libc::sigaddset(&raw mut set, number) };
    }
    set
}

fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}
