//! A socket that hears all frames of a network namespace: packet(7).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::RecvFlags;

use crate::failed::{Act, Failed};

use super::{bind, packet_socket, set};

/// What the kernel may keep for whoever reads late.
const BUFFER_BYTES: i32 = 64 << 20;
/// The longest frame between namespaces: what a sender hands to its link in one piece.
const FRAME_BYTES_MAX: usize = 1 << 17;

/// Every frame that passes any link of one network namespace, coming and going, also of links that are made
/// later. A frame that passes several links is heard at each.
#[derive(Debug)]
pub struct Recorder(OwnedFd);

impl Recorder {
    /// Hears those of the calling thread's network namespace from now on, wherever it is used.
    ///
    /// # Errors
    /// When the right to raw sockets, or to so long a queue, is missing.
    pub fn open() -> Result<Self, Failed> {
        let act = || "hear all frames of a network namespace".to_owned();
        let socket = packet_socket().act(act)?;
        rustix::io::ioctl_fionbio(&socket, true).act(act)?;
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER_BYTES).act(act)?;
        // No link's index: all links.
        bind(&socket, 0, libc::ETH_P_ALL).act(act)?;
        Ok(Self(socket))
    }

    /// The next frame, if one was heard.
    ///
    /// # Errors
    /// The kernel's. A link that went down is none: the others go on.
    pub fn receive(&self) -> Result<Option<Vec<u8>>, Failed> {
        let act = || "hear a frame".to_owned();
        loop {
            let mut frame = vec![0; FRAME_BYTES_MAX];
            match rustix::net::recv(&self.0, &mut frame[..], RecvFlags::TRUNC) {
                Ok((_, length)) if length > FRAME_BYTES_MAX => {
                    return Err(Failed::new(act(), io::Error::other(format!("it has {length} bytes"))));
                }
                Ok((_, length)) => {
                    frame.truncate(length);
                    frame.shrink_to_fit();
                    return Ok(Some(frame));
                }
                Err(rustix::io::Errno::NETDOWN | rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(Failed::new(act(), error)),
            }
        }
    }

    /// How many frames passed and were not kept, since this was last asked.
    ///
    /// # Errors
    /// The kernel's.
    pub fn lost(&self) -> Result<u32, Failed> {
        let mut told = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = libc::socklen_t::try_from(size_of_val(&told))
            .map_err(io::Error::other)
            .act(|| "count lost frames".to_owned())?;
        let (level, option) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
        // SAFETY: `told` is a tpacket_stats of `length` bytes that outlives the call; getsockopt(2) writes at most
        // so many bytes there, and how many into `length`.
        let answer = unsafe {
            libc::getsockopt(self.0.as_raw_fd(), level, option, (&raw mut told).cast(), &raw mut length)
        };
        if answer < 0 {
            return Err(Failed::new("count lost frames", io::Error::last_os_error()));
        }
        Ok(told.tp_drops)
    }
}

impl AsFd for Recorder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
