//! Whole frames over one link: packet(7).

mod record;
mod tap;

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::failed::{Act, Failed};
use crate::link::Links;

pub use self::record::Recorder;
pub use self::tap::{Tap, Tapped};

/// A socket that sends whole Ethernet frames over one link and receives nothing.
#[derive(Debug)]
pub struct FrameSocket {
    socket: OwnedFd,
    link: String,
}

impl FrameSocket {
    /// Opens a socket on the link `name` of the calling thread's network namespace. It stays on that
    /// link wherever it is used.
    ///
    /// # Errors
    /// When there is no such link ([`Failed::not_found`]) or the right to raw sockets is missing.
    pub fn open(name: &str) -> Result<Self, Failed> {
        let act = || format!("open a socket on the link {name:?}");
        let index = Links::open()?.find(name)?.index;
        let socket = packet_socket().act(act)?;
        bind(&socket, i32::try_from(index).map_err(io::Error::other).act(act)?, 0).act(act)?;
        Ok(Self { socket, link: name.to_owned() })
    }

    /// Sends one frame, Ethernet header first; 14 bytes at least. Answers whether the link took it:
    /// a filter on its way out may drop it.
    ///
    /// # Errors
    /// When the link is down, or the frame is too short or too long for it.
    pub fn send(&self, frame: &[u8]) -> Result<bool, Failed> {
        match rustix::net::send(&self.socket, frame, rustix::net::SendFlags::empty()) {
            Ok(_) => Ok(true),
            // What the kernel says of a frame that a queue or filter dropped.
            Err(rustix::io::Errno::NOBUFS) => Ok(false),
            Err(error) => Err(Failed::new(format!("send over the link {:?}", self.link), error)),
        }
    }
}

/// A packet socket of protocol 0: it receives nothing until it is bound to another.
fn packet_socket() -> io::Result<OwnedFd> {
    // SAFETY: socket(2) takes three numbers and touches no memory of ours.
    let descriptor = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Binds it to a link, for frames of one protocol, as ethernet(7) numbers them; for none with 0.
fn bind(socket: &OwnedFd, index: i32, protocol: i32) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET.cast_unsigned().try_into().map_err(io::Error::other)?,
        sll_protocol: u16::try_from(protocol).map_err(io::Error::other)?.to_be(),
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = libc::socklen_t::try_from(size_of_val(&address)).map_err(io::Error::other)?;
    // SAFETY: `address` is a whole sockaddr_ll of `length` bytes that outlives the call; bind(2) only reads it.
    let answer = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn set(socket: &OwnedFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(&value)).map_err(io::Error::other)?;
    // SAFETY: `value` is an int of `length` bytes that outlives the call; setsockopt(2) only reads it.
    let answer =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
