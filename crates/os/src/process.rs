//! Processes that are not children of ours, and the duties of a first process: `pidfd_open(2)`,
//! `waitpid(2)`, `setsid(2)`, `sethostname(2)`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitStatus;

use std::os::unix::process::ExitStatusExt;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal};

/// A process, whoever started it. Its id may be used again; this handle goes on meaning the one.
#[derive(Debug)]
pub struct Process(OwnedFd);

impl Process {
    /// The process that has this id now, in the caller's pid namespace.
    ///
    /// # Errors
    /// When there is none ([`io::ErrorKind::NotFound`]).
    pub fn open(id: u32) -> io::Result<Self> {
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::NotFound)?;
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Ok(Self(fd)),
            Err(Errno::SRCH) => Err(io::ErrorKind::NotFound.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Kills it; one that has ended already is no error. The first process of a pid namespace takes
    /// the whole namespace with it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Asks it to end in order.
    ///
    /// # Errors
    /// The kernel's.
    pub fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Interrupts it, as Ctrl-C does.
    ///
    /// # Errors
    /// The kernel's.
    pub fn interrupt(&self) -> io::Result<()> {
        self.signal(Signal::INT)
    }

    /// Readable once it has ended.
    #[must_use]
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.0, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Reaps one ended child, whichever, or gives nothing when none has ended: what the first process of
/// a pid namespace does for all orphans in it. Never waits.
///
/// # Errors
/// The kernel's.
pub fn reap() -> io::Result<Option<(u32, ExitStatus)>> {
    match rustix::process::wait(WaitOptions::NOHANG) {
        Ok(Some((pid, status))) => {
            let id = pid.as_raw_nonzero().get().cast_unsigned();
            Ok(Some((id, ExitStatus::from_raw(status.as_raw()))))
        }
        Ok(None) | Err(Errno::CHILD) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes a copy of this process; gives its id, or nothing in the copy. To be called while there is one thread
/// alone: of the others the copy would have nothing but the locks that they held.
///
/// # Errors
/// The kernel's.
pub fn fork() -> io::Result<Option<u32>> {
    // SAFETY: with one thread, the copy is in the very state of this process, and may do whatever it may.
    match unsafe { libc::fork() } {
        0 => Ok(None),
        id => u32::try_from(id).map(Some).map_err(|_negative| io::Error::last_os_error()),
    }
}

/// Asks every process of this pid namespace to end, but the first one, which this must be.
///
/// # Errors
/// When this is not the first process of its namespace ([`io::ErrorKind::PermissionDenied`]).
pub fn terminate_all_others() -> io::Result<()> {
    if std::process::id() != 1 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // SAFETY: a plain system call without pointers.
    unsafe { libc::kill(-1, libc::SIGTERM) };
    Ok(())
}

/// Leaves the terminal: what is typed there interrupts this process no more.
///
/// # Errors
/// When the process leads its group already.
pub fn new_session() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}

/// Names the machine, in this process's host name namespace.
///
/// # Errors
/// The kernel's.
pub fn set_host_name(name: &str) -> io::Result<()> {
    Ok(rustix::system::sethostname(name.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::poll::{Wanted, wait};

    #[test]
    fn a_process_is_killed_by_its_handle() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::open(child.id()).unwrap();
        process.kill().unwrap();
        wait(&[(process.ended(), Wanted::READ)], None).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        process.kill().unwrap();
        assert_eq!(Process::open(child.id()).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
