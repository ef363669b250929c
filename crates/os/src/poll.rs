//! Waiting for descriptors: `poll(2)`.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// What is waited for on one descriptor. A hang-up or an error counts as both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// There is something to read, or a connection to accept.
    pub read: bool,
    /// There is room to write.
    pub write: bool,
}

impl Wanted {
    /// Reading alone.
    pub const READ: Self = Self { read: true, write: false };
}

/// Waits until one of the descriptors is ready or the time is over; `None` waits without end. Gives
/// a flag for each, in their order. A signal that interrupts ends the wait with none ready.
///
/// # Errors
/// The kernel's.
pub fn wait(wanted: &[(BorrowedFd<'_>, Wanted)], at_most: Option<Duration>) -> io::Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> =
        wanted.iter().map(|(fd, wanted)| PollFd::from_borrowed_fd(*fd, flags(*wanted))).collect();
    // A span that the kernel's type cannot hold is as good as without end.
    let at_most = at_most.and_then(|span| Timespec::try_from(span).ok());
    match poll(&mut polled, at_most.as_ref()) {
        Ok(_number) => Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect()),
        Err(Errno::INTR) => Ok(vec![false; wanted.len()]),
        Err(error) => Err(error.into()),
    }
}

fn flags(wanted: Wanted) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, wanted.read);
    flags.set(PollFlags::OUT, wanted.write);
    flags
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn only_the_ready_one_is_ready() {
        let (mut a, b) = UnixStream::pair().unwrap();
        let (_c, d) = UnixStream::pair().unwrap();
        let both = [(b.as_fd(), Wanted::READ), (d.as_fd(), Wanted::READ)];
        assert_eq!(wait(&both, Some(Duration::ZERO)).unwrap(), [false, false]);
        a.write_all(b"x").unwrap();
        assert_eq!(wait(&both, None).unwrap(), [true, false]);
    }
}
