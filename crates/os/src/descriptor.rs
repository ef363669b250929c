//! Descriptors that a process began with, and descriptors that processes hand to each other:
//! `close_range(2)`, `SCM_RIGHTS` of `unix(7)`.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// Descriptors that are taken from one message; any further one is closed.
pub const RECEIVED_MAX: usize = 4;

/// Marks every descriptor from 3 up close-on-exec, so that none which this process inherited reaches
/// a process that it starts. Nothing is closed here.
///
/// # Errors
/// The kernel's.
pub fn keep_from_children() -> io::Result<()> {
    // SAFETY: only the close-on-exec flags of this process's descriptors change; no descriptor is
    // closed, so every owner of one keeps it.
    let answer = unsafe { libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whoever reads or writes here never waits: what cannot be done at once is [`io::ErrorKind::WouldBlock`].
///
/// # Errors
/// The kernel's.
pub fn never_wait(descriptor: &impl AsFd) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(descriptor)?;
    Ok(rustix::fs::fcntl_setfl(descriptor, flags | rustix::fs::OFlags::NONBLOCK)?)
}

/// Writes as many of `bytes` as the stream takes, and with the first of them a copy of a descriptor.
///
/// # Errors
/// The kernel's; [`io::ErrorKind::WouldBlock`] where the stream does not block and has no room: then the
/// descriptor was not handed over either.
pub fn send(stream: &UnixStream, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let handed: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    if !handed.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&handed)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    loop {
        match sendmsg(stream, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            sent => return Ok(sent?),
        }
    }
}

/// Reads what has arrived, and appends the descriptors that came along; they are close-on-exec. A stream
/// that is read in any other way closes what comes along.
///
/// # Errors
/// The kernel's.
pub fn receive(stream: &UnixStream, buffer: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(RECEIVED_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut into = [IoSliceMut::new(buffer)];
        match recvmsg(stream, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            received => break received?,
        }
    };
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(handed) = message {
            // What is not taken is closed.
            descriptors.extend(handed.take(RECEIVED_MAX));
        }
    }
    Ok(received.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};

    #[test]
    fn a_descriptor_comes_with_the_first_byte() {
        let (here, there) = UnixStream::pair().unwrap();
        let (mut a, b) = UnixStream::pair().unwrap();
        assert_eq!(send(&here, b"take", Some(b.as_fd())).unwrap(), 4);
        drop(b);
        assert_eq!(send(&here, b" this", None).unwrap(), 5);
        let (mut buffer, mut descriptors) = ([0; 16], Vec::new());
        let length = receive(&there, &mut buffer, &mut descriptors).unwrap();
        assert!(length >= 1 && buffer.starts_with(b"t"));
        let mut handed = UnixStream::from(descriptors.pop().unwrap());
        assert!(descriptors.is_empty());
        a.write_all(b"hello").unwrap();
        let mut said = [0; 5];
        handed.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"hello");
    }

    #[test]
    fn more_descriptors_than_are_taken_are_closed() {
        let (here, there) = UnixStream::pair().unwrap();
        let file = File::open("/dev/null").unwrap();
        let many: Vec<BorrowedFd<'_>> = (0..RECEIVED_MAX + 3).map(|_| file.as_fd()).collect();
        let mut space = vec![MaybeUninit::uninit(); 256];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&many)));
        sendmsg(&here, &[IoSlice::new(b"x")], &mut ancillary, SendFlags::NOSIGNAL).unwrap();
        let mut descriptors = Vec::new();
        receive(&there, &mut [0; 1], &mut descriptors).unwrap();
        assert_eq!(descriptors.len(), RECEIVED_MAX);
    }
}
