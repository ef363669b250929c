//! Datagrams of UDP in IPv4 in Ethernet frames, for sockets below the kernel's own IP (RFC 791, RFC 768).

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::mac::Mac;
use crate::malformed::Malformed;

const ETHERNET_BYTES: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV4_BYTES: usize = 20;
const UDP: u8 = 17;
const UDP_BYTES: usize = 8;
/// More fragments follow, or this is not the first: 13 bits of offset and a flag.
const FRAGMENT: u16 = 0x3fff;
/// Hops: a router that passes it on is none of DHCP's business, but renewals may cross one.
const HOPS: u8 = 64;

/// One datagram with where it came from and goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'bytes> {
    /// The station that sent it.
    pub from_mac: Mac,
    /// The station that it is for.
    pub to_mac: Mac,
    /// From which address and port.
    pub from: SocketAddrV4,
    /// To which address and port.
    pub to: SocketAddrV4,
    /// What it says.
    pub payload: &'bytes [u8],
}

/// Whether the checksum of UDP can be right: a packet from this machine may be seen before the network card
/// would have computed it (packet(7), `TP_STATUS_CSUMNOTREADY`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UdpChecksum {
    /// It must be right, or absent.
    Ready,
    /// It is not there yet.
    NotReady,
}

impl<'bytes> Datagram<'bytes> {
    /// Reads a frame. What the link put behind the datagram is not looked at.
    ///
    /// # Errors
    /// When it is not a whole and right datagram.
    pub fn read(frame: &'bytes [u8], checksum: UdpChecksum) -> Result<Self, Malformed> {
        let (ethernet, packet) = frame.split_first_chunk::<ETHERNET_BYTES>().ok_or(Malformed::Short)?;
        if ethernet[12..] != IPV4 {
            return Err(Malformed::Protocol);
        }
        let (from, to, segment) = read_ipv4(packet)?;
        let (from_port, to_port, payload) = read_udp(from, to, segment, checksum)?;
        Ok(Self {
            from_mac: Mac(std::array::from_fn(|index| ethernet[6 + index])),
            to_mac: Mac(std::array::from_fn(|index| ethernet[index])),
            from: SocketAddrV4::new(from, from_port),
            to: SocketAddrV4::new(to, to_port),
            payload,
        })
    }

    /// The frame. A payload that no frame holds is cut off: [`crate::Message::write`] makes none.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let payload = &self.payload[..self.payload.len().min(crate::MESSAGE_BYTES_MAX)];
        let udp_bytes = length(UDP_BYTES + payload.len());
        let mut frame = Vec::with_capacity(ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES + payload.len());
        frame.extend(self.to_mac.0);
        frame.extend(self.from_mac.0);
        frame.extend(IPV4);
        let mut header = [0; IPV4_BYTES];
        (header[0], header[8], header[9]) = (0x45, HOPS, UDP);
        header[2..4].copy_from_slice(&length(IPV4_BYTES + UDP_BYTES + payload.len()).to_be_bytes());
        header[12..16].copy_from_slice(&self.from.ip().octets());
        header[16..20].copy_from_slice(&self.to.ip().octets());
        let checksum = sum(&[&header]);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        frame.extend(header);
        let mut udp = [0; UDP_BYTES];
        udp[..2].copy_from_slice(&self.from.port().to_be_bytes());
        udp[2..4].copy_from_slice(&self.to.port().to_be_bytes());
        udp[4..6].copy_from_slice(&udp_bytes.to_be_bytes());
        let checksum = sum(&[&pseudo_header(*self.from.ip(), *self.to.ip(), udp_bytes), &udp, payload]);
        // Zero would mean that there is none.
        let checksum = if checksum == 0 { u16::MAX } else { checksum };
        udp[6..].copy_from_slice(&checksum.to_be_bytes());
        frame.extend(udp);
        frame.extend(payload);
        frame
    }
}

fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

fn read_ipv4(packet: &[u8]) -> Result<(Ipv4Addr, Ipv4Addr, &[u8]), Malformed> {
    let fixed = packet.first_chunk::<IPV4_BYTES>().ok_or(Malformed::Short)?;
    let header_bytes = usize::from(fixed[0] & 0x0f) * 4;
    if fixed[0] >> 4 != 4 || fixed[9] != UDP {
        return Err(Malformed::Protocol);
    }
    let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if header_bytes < IPV4_BYTES || total < header_bytes {
        return Err(Malformed::Length);
    }
    let packet = packet.get(..total).ok_or(Malformed::Short)?;
    let (header, segment) = packet.split_at(header_bytes);
    if sum(&[header]) != 0 {
        return Err(Malformed::Checksum);
    }
    if u16::from_be_bytes([fixed[6], fixed[7]]) & FRAGMENT != 0 {
        return Err(Malformed::Fragment);
    }
    let address = |at: usize| Ipv4Addr::new(fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]);
    Ok((address(12), address(16), segment))
}

fn read_udp(
    from: Ipv4Addr,
    to: Ipv4Addr,
    segment: &[u8],
    checksum: UdpChecksum,
) -> Result<(u16, u16, &[u8]), Malformed> {
    let header = segment.first_chunk::<UDP_BYTES>().ok_or(Malformed::Short)?;
    let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let said = usize::from(number(4));
    if said < UDP_BYTES {
        return Err(Malformed::Length);
    }
    let segment = segment.get(..said).ok_or(Malformed::Short)?;
    let absent = number(6) == 0;
    let verify = checksum == UdpChecksum::Ready && !absent;
    if verify && sum(&[&pseudo_header(from, to, number(4)), segment]) != 0 {
        return Err(Malformed::Checksum);
    }
    Ok((number(0), number(2), &segment[UDP_BYTES..]))
}

fn pseudo_header(from: Ipv4Addr, to: Ipv4Addr, udp_bytes: u16) -> [u8; 12] {
    let mut header = [0; 12];
    header[..4].copy_from_slice(&from.octets());
    header[4..8].copy_from_slice(&to.octets());
    header[9] = UDP;
    header[10..].copy_from_slice(&udp_bytes.to_be_bytes());
    header
}

/// The checksum of the Internet (RFC 1071) over the parts joined; each but the last has an even length. Over
/// bytes that hold their right checksum it is zero.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut total: u32 = 0;
    for part in parts {
        let (pairs, rest) = part.as_chunks::<2>();
        total += pairs.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).sum::<u32>();
        total += rest.iter().map(|&byte| u32::from(byte) << 8).sum::<u32>();
    }
    while let Some(carry) = Some(total >> 16).filter(|&carry| carry != 0) {
        total = (total & 0xffff) + carry;
    }
    !u16::try_from(total).unwrap_or(u16::MAX)
}
