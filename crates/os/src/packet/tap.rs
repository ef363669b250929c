//! A socket below IP that hears what one small filter of the kernel takes: socket(7), packet(7).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{RecvFlags, SendFlags};

use crate::failed::{Act, Failed};
use crate::link::{Links, Mac};

use super::{bind, packet_socket, set};

/// `struct virtio_net_hdr`: what the kernel puts before a frame, and wants before one (packet(7),
/// `PACKET_VNET_HDR`).
const HEADER_BYTES: usize = 10;
/// In its first byte: the checksum behind is still to be computed.
const NEEDS_CHECKSUM: u8 = 1;
/// Ethernet with an MTU of 1500; longer frames are of no interest and cut off.
const FRAME_BYTES_MAX: usize = 1514;

/// A socket on one link that hears datagrams of UDP to few ports, and ARP; it sends any frame. What this
/// machine sends itself is not heard, nor what carries a VLAN tag.
#[derive(Debug)]
pub struct Tap {
    socket: OwnedFd,
    link: String,
    mac: Mac,
}

/// A frame that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tapped {
    /// Ethernet header first.
    pub frame: Vec<u8>,
    /// Whether the checksum of UDP is there: between machines that are namespaces nobody computes it.
    pub checksum_ready: bool,
}

impl Tap {
    /// Opens one on the link `name` of the calling thread's network namespace, for UDP to one of `ports`. The
    /// filter cannot be taken off again. Nothing that came before is heard.
    ///
    /// # Errors
    /// When there is no such link ([`Failed::not_found`]) or the right to raw sockets is missing.
    pub fn open(name: &str, ports: &[u16]) -> Result<Self, Failed> {
        let act = || format!("hear what comes over the link {name:?}");
        let link = Links::open()?.find(name)?;
        let socket = packet_socket().act(act)?;
        rustix::io::ioctl_fionbio(&socket, true).act(act)?;
        // The filter comes before the binding: until then nothing is heard.
        attach(&socket, &program(ports)).act(act)?;
        set(&socket, libc::SOL_SOCKET, libc::SO_LOCK_FILTER, 1).act(act)?;
        set(&socket, libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1).act(act)?;
        let index = i32::try_from(link.index).map_err(io::Error::other).act(act)?;
        bind(&socket, index, libc::ETH_P_ALL).act(act)?;
        let mac = link.mac.ok_or_else(|| io::Error::other("it has no hardware address")).act(act)?;
        Ok(Self { socket, link: name.to_owned(), mac })
    }

    /// The link's hardware address when it was opened.
    #[must_use]
    pub const fn mac(&self) -> Mac {
        self.mac
    }

    /// The next frame, if one has come.
    ///
    /// # Errors
    /// When the link is gone or down.
    pub fn receive(&self) -> Result<Option<Tapped>, Failed> {
        let mut buffer = [0; HEADER_BYTES + FRAME_BYTES_MAX];
        match rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((_, length)) => {
                let heard = &buffer[..length.min(buffer.len())];
                let (header, frame) = heard.split_at(HEADER_BYTES.min(heard.len()));
                let checksum_ready = header.first().is_none_or(|flags| flags & NEEDS_CHECKSUM == 0);
                Ok(Some(Tapped { frame: frame.to_vec(), checksum_ready }))
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(Failed::new(format!("hear what comes over the link {:?}", self.link), error)),
        }
    }

    /// Sends one frame, Ethernet header first. Answers whether the link took it.
    ///
    /// # Errors
    /// When the link is gone or down, or the frame is too short or too long for it.
    pub fn send(&self, frame: &[u8]) -> Result<bool, Failed> {
        let whole = [&[0; HEADER_BYTES], frame].concat();
        match rustix::net::send(&self.socket, &whole, SendFlags::empty()) {
            Ok(_) => Ok(true),
            Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::AGAIN) => Ok(false),
            Err(error) => Err(Failed::new(format!("send over the link {:?}", self.link), error)),
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The filter's instructions (bpf(2) before it was extended: the kernel's Documentation/networking/filter.rst).
/// A load from beyond the frame's end drops it.
fn program(ports: &[u16]) -> Vec<libc::sock_filter> {
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_WORD: u16 = 0x20;
    const HEADER_LENGTH_TO_X: u16 = 0xb1;
    const LOAD_HALF_BEHIND_X: u16 = 0x48;
    const IF_EQUAL: u16 = 0x15;
    const IF_BITS: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const OUTGOING: u32 = 4;
    let ports = &ports[..ports.len().min(8)];
    // The last two instructions take and drop; jumps count from the instruction behind them.
    let ports_behind = u8::try_from(ports.len()).unwrap_or(0);
    let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let load = |code, k| instruction(code, 0, 0, k);
    let extension = |offset: i32| (libc::SKF_AD_OFF + offset).cast_unsigned();
    let mut program = vec![
        load(LOAD_WORD, extension(libc::SKF_AD_PKTTYPE)),
        instruction(IF_EQUAL, 11 + ports_behind, 0, OUTGOING),
        load(LOAD_WORD, extension(libc::SKF_AD_VLAN_TAG_PRESENT)),
        instruction(IF_EQUAL, 0, 9 + ports_behind, 0),
        load(LOAD_HALF, 12),
        instruction(IF_EQUAL, 8 + ports_behind, 0, 0x0806),
        instruction(IF_EQUAL, 0, 6 + ports_behind, 0x0800),
        load(LOAD_BYTE, 23),
        instruction(IF_EQUAL, 0, 4 + ports_behind, 17),
        // Not the first fragment: no ports in it.
        load(LOAD_HALF, 20),
        instruction(IF_BITS, 2 + ports_behind, 0, 0x1fff),
        load(HEADER_LENGTH_TO_X, 14),
        load(LOAD_HALF_BEHIND_X, 16),
    ];
    for (place, port) in (0..).zip(ports) {
        program.push(instruction(IF_EQUAL, ports_behind - place, 0, u32::from(*port)));
    }
    program.push(load(RETURN, 0));
    program.push(load(RETURN, u32::MAX));
    program
}

fn attach(socket: &OwnedFd, program: &[libc::sock_filter]) -> io::Result<()> {
    let whole = libc::sock_fprog {
        len: program.len().try_into().map_err(io::Error::other)?,
        filter: program.as_ptr().cast_mut(),
    };
    let length = libc::socklen_t::try_from(size_of_val(&whole)).map_err(io::Error::other)?;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
    // SAFETY: `whole` is a sock_fprog of `length` bytes whose pointer and count are those of `program`, which
    // outlives the call; setsockopt(2) copies the instructions and writes nothing.
    let answer =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const whole).cast(), length) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
