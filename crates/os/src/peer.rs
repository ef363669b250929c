//! Who is at the other end of a unix socket: `SO_PEERCRED`, `unix(7)`.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};

/// The effective uid of the process that connected, as the kernel saw it at that moment.
///
/// # Errors
/// The kernel's.
pub fn uid(socket: impl AsFd) -> io::Result<u32> {
    // rustix will not have a peer without a process id, which one of another pid namespace lacks.
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or(0);
    let socket = socket.as_fd().as_raw_fd();
    let (peer_pointer, length_pointer) = ((&raw mut peer).cast(), &raw mut length);
    // SAFETY: the pointers are to a `ucred` and to its size, which live until the call returns.
    let answer = unsafe {
        libc::getsockopt(socket, libc::SOL_SOCKET, libc::SO_PEERCRED, peer_pointer, length_pointer)
    };
    if answer == 0 { Ok(peer.uid) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_pair_of_our_own_is_ours() {
        let (here, _there) = UnixStream::pair().unwrap();
        assert_eq!(uid(&here).unwrap(), rustix::process::geteuid().as_raw());
    }
}
