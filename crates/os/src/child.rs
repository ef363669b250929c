//! A child process, held by a pidfd: `pidfd_open(2)`. Ids of processes are used again; descriptors are not.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child as Process, Command, ExitStatus, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A started process with one stream to it: its stdin and stdout are the stream's other end.
#[derive(Debug)]
pub struct Child {
    process: Process,
    pidfd: OwnedFd,
    /// Our end; does not block.
    pub stream: UnixStream,
}

impl Child {
    /// Starts `command` in a process group of its own.
    ///
    /// # Errors
    /// The kernel's. A child that was started but cannot be watched is killed and reaped.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let (here, there) = UnixStream::pair()?;
        here.set_nonblocking(true)?;
        let stdin = OwnedFd::from(there);
        let stdout = stdin.try_clone()?;
        command.stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout)).process_group(0);
        let mut process = command.spawn()?;
        // The command holds the stream's other end: gone with it, so that its end is seen here.
        drop(command);
        match watch(&process) {
            Ok(pidfd) => Ok(Self { process, pidfd, stream: here }),
            Err(error) => {
                process.kill()?;
                process.wait()?;
                Err(error)
            }
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Readable once the process has ended.
    #[must_use]
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Kills it; one that has ended already is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub fn kill(&self) -> io::Result<()> {
        kill(&self.pidfd)
    }

    /// How it ended, if it has. Never waits.
    ///
    /// # Errors
    /// The kernel's.
    pub fn reap(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }
}

fn watch(process: &Process) -> io::Result<OwnedFd> {
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidData)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// A process that is no child of ours, held by a pidfd: what is asked about its id afterwards is about it,
/// or it has ended.
#[derive(Debug)]
pub struct Stranger(OwnedFd);

impl Stranger {
    /// Holds the process that has this id now; nothing if there is none.
    ///
    /// # Errors
    /// The kernel's.
    pub fn hold(id: u32) -> io::Result<Option<Self>> {
        let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Some(Self(pidfd))),
            Err(Errno::SRCH | Errno::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Kills it; one that has ended already is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub fn kill(&self) -> io::Result<()> {
        kill(&self.0)
    }

    /// Readable once it has ended.
    #[must_use]
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn kill(pidfd: &OwnedFd) -> io::Result<()> {
    match pidfd_send_signal(pidfd, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// In words: `exit code 3`, `signal 9`.
#[must_use]
pub fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "neither exit code nor signal".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::poll::{Wanted, wait};

    #[test]
    fn a_child_echoes_over_its_stream_and_is_reaped() {
        let mut child = Child::start(Command::new("cat")).unwrap();
        child.stream.write_all(b"hello").unwrap();
        wait(&[(child.stream.as_fd(), Wanted::READ)], None).unwrap();
        let mut answer = [0; 5];
        child.stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"hello");
        assert!(child.reap().unwrap().is_none());
        child.kill().unwrap();
        wait(&[(child.ended(), Wanted::READ)], None).unwrap();
        assert_eq!(ending(child.reap().unwrap().unwrap()), "signal 9");
        child.kill().unwrap();
    }
}
