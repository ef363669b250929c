//! Who is at the other end of a unix socket: `SO_PEERCRED`, `unix(7)`.

use std::io;
use std::os::fd::AsFd;

use rustix::net::sockopt::socket_peercred;

/// The process that connected, as the kernel saw it at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its effective uid.
    pub uid: u32,
    /// Its process id: for messages only, it may be another process by now.
    pub pid: i32,
}

/// Reads the peer of a connected unix socket.
///
/// # Errors
/// The kernel's.
pub fn of(socket: impl AsFd) -> io::Result<Peer> {
    let peer = socket_peercred(socket)?;
    Ok(Peer { uid: peer.uid.as_raw(), pid: peer.pid.as_raw_nonzero().get() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_pair_of_our_own_is_ours() {
        let (here, _there) = UnixStream::pair().unwrap();
        assert_eq!(of(&here).unwrap().pid, i32::try_from(std::process::id()).unwrap());
    }
}
