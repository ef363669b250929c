//! Frames byte by byte, right ones and wrong ones.

use std::fmt;
use std::net::IpAddr;

use boundary::{Direction, Packet};
use packet_set::{ICMP, ICMPV6, PortUse, SCTP, TCP, UDP, address_of, port_use};

use crate::dice::Dice;
use crate::world::World;

pub(crate) const SYN: u8 = 2;
const OTHER_MAC: [u8; 6] = [2, 9, 9, 9, 9, 9];

/// What a frame is aimed at; what it hits is for the oracle to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aim {
    Neighbour,
    Malformed,
    Unsupported,
    Spoofed,
    NotMine,
    NoFlow,
    First,
    Admitted,
}

/// A frame with its direction.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) direction: Direction,
    pub(crate) bytes: Vec<u8>,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ", self.direction)?;
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A packet as it goes over the wire, before it is spoilt.
pub(crate) struct Draft {
    pub(crate) packet: Packet,
    pub(crate) local: IpAddr,
    pub(crate) tcp_flags: u8,
    /// Identifier of an echo.
    pub(crate) identifier: u16,
    pub(crate) padding: usize,
}

impl World {
    pub(crate) fn frame(&self, dice: &mut Dice, aim: Aim) -> Frame {
        let mut frame = match aim {
            Aim::Neighbour => self.neighbour(dice),
            Aim::Admitted if !self.admitted.is_empty() => {
                let packet = dice.pick(&self.admitted);
                self.first(dice, packet)
            }
            Aim::Admitted | Aim::First | Aim::Malformed => {
                let packet = self.first_packet(dice);
                self.first(dice, packet)
            }
            Aim::Unsupported => {
                let packet = self.first_packet(dice);
                let mut frame = self.first(dice, packet);
                spoil_kind(&mut frame.bytes, dice);
                frame
            }
            Aim::Spoofed => self.misaddressed(dice, Direction::Out),
            Aim::NotMine => self.misaddressed(dice, Direction::In),
            Aim::NoFlow => self.stray(dice),
        };
        if aim == Aim::Malformed {
            if dice.one_in(6) {
                frame = self.neighbour(dice);
            }
            spoil_length(&mut frame.bytes, dice);
        }
        if dice.one_in(200) {
            let place = dice.below(frame.bytes.len());
            frame.bytes[place] ^= 1 << dice.below(8);
        }
        frame
    }

    /// A right frame made wrong in one way. What an open flow's packet may not do is looked for so.
    pub(crate) fn spoilt(&self, dice: &mut Dice, aim: Aim, mut frame: Frame) -> Frame {
        match aim {
            Aim::Malformed => spoil_length(&mut frame.bytes, dice),
            Aim::Unsupported => spoil_kind(&mut frame.bytes, dice),
            Aim::Spoofed | Aim::NotMine => self.misaddress(dice, &mut frame),
            Aim::Neighbour | Aim::NoFlow | Aim::First | Aim::Admitted => {}
        }
        frame
    }

    /// The frame of a flow's first packet.
    pub(crate) fn first(&self, dice: &mut Dice, packet: Packet) -> Frame {
        let local = self.local_for(dice, packet.remote);
        let padding = if dice.one_in(4) { dice.below(30) } else { 0 };
        let identifier = dice.pick(&[0, 1, 7, 0xffff]);
        let tcp_flags = SYN | dice.pick(&[0, 0, 0, 0x08, 0xc0, 0x01, 0x04]);
        self.whole(dice, &Draft { packet, local, tcp_flags, identifier, padding })
    }

    pub(crate) fn local_for(&self, dice: &mut Dice, remote: u128) -> IpAddr {
        let v6 = address_of(remote).is_ipv6();
        if v6 && !self.v6.is_empty() { dice.pick(&self.v6).into() } else { dice.pick(&self.v4).into() }
    }

    /// A right frame for a draft.
    pub(crate) fn whole(&self, dice: &mut Dice, draft: &Draft) -> Frame {
        let payload = transport(dice, draft);
        let remote = address_of(draft.packet.remote);
        let direction = draft.packet.direction;
        let mut bytes = self.ethernet(direction, if draft.local.is_ipv4() { 0x0800 } else { 0x86dd });
        bytes.extend(ip(dice, draft.packet.protocol, direction, draft.local, remote, &payload));
        bytes.extend(std::iter::repeat_n(0xee, draft.padding));
        Frame { direction, bytes }
    }

    fn ethernet(&self, direction: Direction, kind: u16) -> Vec<u8> {
        let (source, destination) = match direction {
            Direction::Out => (self.mac, OTHER_MAC),
            Direction::In => (OTHER_MAC, self.mac),
        };
        let mut bytes = destination.to_vec();
        bytes.extend(source);
        bytes.extend(kind.to_be_bytes());
        bytes
    }

    /// The same flow's next packet, either way; sometimes with an end of the connection in it.
    pub(crate) fn follow(&self, dice: &mut Dice, draft: &Draft) -> Frame {
        let mut packet = draft.packet;
        let back = dice.one_in(2);
        if back {
            packet.direction = other(packet.direction);
        }
        let is_reply = back != dice.one_in(12);
        match packet.protocol {
            ICMP if is_reply => packet.local_port = 0,
            ICMPV6 if is_reply => packet.local_port = 0x8100,
            _ => (),
        }
        let tcp_flags = dice.pick(&[0x10, 0x10, 0x18, 0x12, 0x11, 0x11, 0x11, 0x04, SYN]);
        self.whole(dice, &Draft { packet, tcp_flags, local: draft.local, ..*draft })
    }

    /// An ICMP error about a packet of the flow, sometimes a forged one.
    pub(crate) fn error_about(&self, dice: &mut Dice, draft: &Draft) -> Frame {
        let direction = if dice.one_in(2) { Direction::In } else { Direction::Out };
        let mut packet = draft.packet;
        if packet.direction == direction {
            packet.direction = other(direction);
            match packet.protocol {
                ICMP => packet.local_port = 0,
                ICMPV6 => packet.local_port = 0x8100,
                _ => (),
            }
        }
        let quoted = self.whole(dice, &Draft { packet, padding: 0, ..*draft }).bytes.split_off(14);
        let (protocol, kinds): (u8, &[u8]) = if draft.local.is_ipv4() {
            (ICMP, &[3, 3, 3, 11, 12, 4, 5])
        } else {
            (ICMPV6, &[1, 2, 3, 4, 5, 100])
        };
        let mut payload = vec![dice.pick(kinds), dice.pick(&[0, 1, 4]), 0, 0, 0, 0, 5, 220];
        payload.extend(quoted);
        if dice.one_in(3) {
            let at = dice.below(payload.len());
            payload[at] ^= 1 << dice.below(8);
        }
        if dice.one_in(5) {
            payload.truncate(8 + dice.below(payload.len() - 7));
        }
        // A router on the way may tell of what the realm sent.
        let strange = direction == Direction::In && dice.one_in(2) || dice.one_in(8);
        let remote = if strange { dice.pick(&self.remotes) } else { address_of(draft.packet.remote) };
        let local = if dice.one_in(8) { self.local_for(dice, draft.packet.remote) } else { draft.local };
        let mut bytes = self.ethernet(direction, if local.is_ipv4() { 0x0800 } else { 0x86dd });
        bytes.extend(ip(dice, protocol, direction, local, remote, &payload));
        Frame { direction, bytes }
    }

    /// No flow's packet, and none that could begin one.
    fn stray(&self, dice: &mut Dice) -> Frame {
        let mut packet = self.first_packet(dice);
        packet.protocol = dice.pick(&[TCP, TCP, ICMP, ICMPV6]);
        packet.remote_port = dice.port();
        packet.local_port =
            dice.pick(&[0x0000, 0x8100, 0x0301, 0x0304, 0x0100, 0x0b00, 0x8000, 0x0800, 0x8700]);
        if packet.protocol != TCP {
            packet.remote_port = 0;
        }
        let local = self.local_for(dice, packet.remote);
        let tcp_flags = dice.pick(&[0, 0x10, 0x12, 0x11, 0x04, 0x14, 0xff, 0x01]);
        let identifier = dice.port();
        self.whole(dice, &Draft { packet, local, tcp_flags, identifier, padding: 0 })
    }

    /// With a MAC or an address that is not the realm's, in one of the places where it could stand.
    fn misaddressed(&self, dice: &mut Dice, direction: Direction) -> Frame {
        let mut frame = if dice.one_in(3) {
            self.neighbour_of(dice, direction)
        } else {
            let mut packet = self.first_packet(dice);
            packet.direction = direction;
            self.first(dice, packet)
        };
        self.misaddress(dice, &mut frame);
        frame
    }

    fn misaddress(&self, dice: &mut Dice, frame: &mut Frame) {
        let direction = frame.direction;
        let bytes = &mut frame.bytes;
        let kind = u16::from_be_bytes([bytes[12], bytes[13]]);
        let mac = if direction == Direction::Out { 6 } else { 0 };
        // Where the realm's own address stands: Ethernet, ARP, IPv4, IPv6, neighbour target, option.
        let address = match (kind, direction) {
            (0x0806, Direction::Out) => dice.pick(&[22, 28]),
            (0x0806, Direction::In) => 38,
            (0x0800, Direction::Out) => 26,
            (0x0800, Direction::In) => 30,
            (_, Direction::Out) => dice.pick(&[22, 22, 62, 80]),
            (_, Direction::In) => dice.pick(&[38, 38, 62]),
        };
        match dice.below(4) {
            0 => bytes[mac + 5] ^= 1 << dice.below(8),
            1 => bytes[mac..mac + 6].copy_from_slice(&dice.pick(&[
                [0xff; 6],
                [0x33, 0x33, 0, 0, 0, 1],
                [1, 0, 0x5e, 0, 0, 1],
                [0x33, 0x33, 0xff, 0, 0, 9],
                [0; 6],
            ])),
            _ => {
                let width = if kind == 0x86dd { 16 } else { 4 };
                if let Some(byte) = bytes.get_mut(address + dice.below(width)) {
                    *byte ^= 1 << dice.below(8);
                }
            }
        }
        // IPv6 that speaks of the leased IPv4 address.
        if kind == 0x86dd && dice.one_in(16) {
            let at = 22 + 16 * dice.below(2);
            bytes[at..at + 16].copy_from_slice(&self.v4[0].to_ipv6_mapped().octets());
        }
    }

    fn neighbour(&self, dice: &mut Dice) -> Frame {
        let direction = if dice.one_in(2) { Direction::In } else { Direction::Out };
        self.neighbour_of(dice, direction)
    }

    /// Address resolution that is in order.
    fn neighbour_of(&self, dice: &mut Dice, direction: Direction) -> Frame {
        if self.v6.is_empty() || dice.one_in(2) {
            self.arp(dice, direction)
        } else {
            self.discovery(dice, direction)
        }
    }

    fn arp(&self, dice: &mut Dice, direction: Direction) -> Frame {
        let mut bytes = self.ethernet(direction, 0x0806);
        let operation = 1 + u8::from(dice.one_in(2));
        bytes.extend([0, 1, 8, 0, 6, 4, 0, operation]);
        let own = dice.pick(&self.v4).octets();
        match direction {
            Direction::Out => {
                bytes.extend(self.mac);
                bytes.extend(if dice.one_in(5) { [0; 4] } else { own });
                bytes.extend([0; 6]);
                bytes.extend([10, 1, 0, dice.byte()]);
            }
            Direction::In => {
                bytes.extend(OTHER_MAC);
                bytes.extend([10, 1, 0, dice.byte()]);
                bytes.extend([0; 6]);
                bytes.extend(own);
                if dice.one_in(2) {
                    bytes[..6].fill(0xff);
                }
            }
        }
        bytes.extend(std::iter::repeat_n(0, dice.pick(&[0, 18])));
        Frame { direction, bytes }
    }

    fn discovery(&self, dice: &mut Dice, direction: Direction) -> Frame {
        let solicitation = dice.one_in(2);
        let own = dice.pick(&self.v6);
        let remote: std::net::Ipv6Addr = "fd00:10::9".parse().unwrap();
        let mut payload =
            vec![if solicitation { 135 } else { 136 }, u8::from(dice.one_in(20)), 0, 0, 0, 0, 0, 0];
        let target_is_own = (direction == Direction::In) == solicitation;
        payload.extend(if target_is_own { own.octets() } else { remote.octets() });
        if dice.one_in(2) {
            payload.extend([dice.pick(&[1, 2, 3]), 1]);
            payload.extend(if direction == Direction::Out && !dice.one_in(5) { self.mac } else { OTHER_MAC });
        }
        let local = match direction {
            Direction::Out if solicitation && dice.one_in(4) => std::net::Ipv6Addr::UNSPECIFIED,
            Direction::In if !solicitation && dice.one_in(3) => "ff02::1".parse().unwrap(),
            Direction::In | Direction::Out => own,
        };
        if local.is_unspecified() && dice.one_in(2) {
            payload[8..24].copy_from_slice(&own.octets());
        }
        let mut bytes = self.ethernet(direction, 0x86dd);
        if direction == Direction::In && dice.one_in(2) {
            bytes[..6].copy_from_slice(&[0x33, 0x33, 0xff, 0, 0, dice.byte()]);
        }
        let hops = if dice.one_in(20) { 64 } else { 255 };
        let mut header = ip(dice, ICMPV6, direction, local.into(), remote.into(), &payload);
        header[7] = hops;
        bytes.extend(header);
        Frame { direction, bytes }
    }
}

pub(crate) const fn other(direction: Direction) -> Direction {
    match direction {
        Direction::In => Direction::Out,
        Direction::Out => Direction::In,
    }
}

fn transport(dice: &mut Dice, draft: &Draft) -> Vec<u8> {
    let packet = &draft.packet;
    let (source, destination) = match packet.direction {
        Direction::Out => (packet.local_port, packet.remote_port),
        Direction::In => (packet.remote_port, packet.local_port),
    };
    let mut bytes = match port_use(packet.protocol) {
        PortUse::Ports => [source.to_be_bytes(), destination.to_be_bytes()].concat(),
        PortUse::TypeAndCode => {
            let mut bytes = packet.local_port.to_be_bytes().to_vec();
            bytes.extend([0, 0]);
            bytes.extend(draft.identifier.to_be_bytes());
            bytes
        }
        PortUse::Unused => Vec::new(),
    };
    let length = match packet.protocol {
        TCP => 20 + 4 * dice.below(3),
        UDP | ICMP | ICMPV6 => 8 + dice.below(20),
        SCTP => 12 + dice.below(20),
        _ => dice.below(20),
    };
    bytes.resize(length, 0x5a);
    if packet.protocol == TCP {
        bytes[12] = u8::try_from(length / 4).unwrap() << 4;
        bytes[13] = draft.tcp_flags;
    }
    bytes
}

/// The header with its payload. An IPv6 remote of an IPv4 local (there may be no IPv6 lease) is
/// written as whatever its last four bytes say.
fn ip(
    dice: &mut Dice,
    protocol: u8,
    direction: Direction,
    local: IpAddr,
    remote: IpAddr,
    payload: &[u8],
) -> Vec<u8> {
    let (mut local, mut remote) = (octets(local), octets(remote));
    let v4 = local.len() == 4;
    if v4 && remote.len() == 16 {
        remote.drain(..12);
    }
    if !v4 && remote.len() == 4 {
        remote = [vec![0; 10], vec![0xff; 2], remote].concat();
    }
    if direction == Direction::In {
        std::mem::swap(&mut local, &mut remote);
    }
    let mut bytes = if v4 {
        let options = 4 * if dice.one_in(8) { dice.below(11) } else { 0 };
        let total = u16::try_from(20 + options + payload.len()).unwrap().to_be_bytes();
        let mut bytes = vec![0x45 + u8::try_from(options / 4).unwrap(), 0, total[0], total[1], 0, 1];
        bytes.extend([if dice.one_in(2) { 0x40 } else { 0 }, 0, 64, protocol, 0, 0]);
        bytes.extend(local);
        bytes.extend(remote);
        bytes.extend(std::iter::repeat_n(1, options));
        bytes
    } else {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = vec![0x60, dice.byte(), dice.byte(), 0, length[0], length[1], protocol, 64];
        bytes.extend(local);
        bytes.extend(remote);
        bytes
    };
    bytes.extend(payload);
    bytes
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// Makes a frame of a kind that is not supported: VLAN, unknown type, fragment, extension header.
fn spoil_kind(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let v4 = bytes[12] == 0x08;
    match dice.below(5) {
        0 => {
            let tag = dice.pick(&[[0x81, 0, 0, 5], [0x88, 0xa8, 0, 5], [0x81, 0, 0xe0, 0]]);
            bytes.splice(12..12, tag);
        }
        1 => {
            let kinds = [0x8100_u16, 0x88a8, 0x8847, 0x8035, 0x88cc, 0x0600, 0x05dc, 0x0842, 0x8863, 0x9100];
            bytes[12..14].copy_from_slice(&dice.pick(&kinds).to_be_bytes());
        }
        // To many: a group of MACs, or a multicast or broadcast address.
        _ if dice.one_in(3) => {
            if dice.one_in(2) {
                bytes[..6].copy_from_slice(&dice.pick(&[
                    [0xff; 6],
                    [1, 0, 0x5e, 0, 0, 9],
                    [0x33, 0x33, 0, 0, 0, 1],
                ]));
            } else if v4 {
                let at = dice.pick(&[26, 30]);
                bytes[at..at + 4].copy_from_slice(&dice.pick(&[
                    [224, 0, 0, 1],
                    [239, 255, 255, 255],
                    [255; 4],
                    [240, 0, 0, 1],
                    [223, 1, 1, 1],
                ]));
            } else {
                let at = dice.pick(&[22, 38]);
                bytes[at] = dice.pick(&[0xff, 0xff, 0xfe]);
            }
        }
        _ if v4 && bytes[14] == 0x45 && bytes[23] == UDP && dice.one_in(3) => {
            let at = dice.pick(&[34, 36]);
            bytes[at..at + 2].copy_from_slice(&dice.pick(&[67_u16, 68, 547]).to_be_bytes());
        }
        _ if !v4 && bytes[20] == UDP && dice.one_in(3) => {
            let at = dice.pick(&[54, 56]);
            bytes[at..at + 2].copy_from_slice(&dice.pick(&[67_u16, 546, 547]).to_be_bytes());
        }
        _ if v4 => bytes[20..22].copy_from_slice(
            &dice.pick(&[0x2000_u16, 0x2001, 0x0001, 0x1fff, 0x3fff, 0x6000, 0x8001, 0x8000]).to_be_bytes(),
        ),
        2 => {
            bytes[20] = ICMPV6;
            if let Some(kind) = bytes.get_mut(54) {
                *kind = dice.pick(&[133, 134, 137]);
            }
        }
        _ => bytes[20] = dice.pick(&[0, 43, 44, 50, 51, 60, 135, 139, 140, 59, 4, 41, 42]),
    }
}

/// Makes a length or a fixed field wrong, or the frame too short.
fn spoil_length(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let kind = u16::from_be_bytes([bytes[12], bytes[13]]);
    match (dice.below(4), kind) {
        (0, _) => bytes.truncate(14 + dice.below(bytes.len() - 13)),
        (_, 0x0806) => bytes[14 + dice.below(8)] ^= 1 << dice.below(8),
        (1, 0x0800) => bytes[14] = dice.pick(&[0x44, 0x40, 0x4f, 0x55, 0x65, 0x35, 0x05]),
        (1, _) => bytes[14] = dice.pick(&[0x40, 0x50, 0x70, 0x00, 0xe0]),
        (2, 0x0800) => {
            let wrong = dice.pick(&[0_u16, 19, 20, 21, 24, 28, 39, 40, 41, 0xffff]);
            bytes[16..18].copy_from_slice(&wrong.to_be_bytes());
        }
        (2, _) => {
            let wrong = dice.pick(&[0_u16, 1, 7, 8, 11, 12, 19, 20, 21, 0xffff]);
            bytes[18..20].copy_from_slice(&wrong.to_be_bytes());
        }
        _ => {
            // The TCP data offset, if it is TCP.
            let at = if kind == 0x0800 { 14 + usize::from(bytes[14] & 15) * 4 + 12 } else { 54 + 12 };
            if let Some(offset) = bytes.get_mut(at) {
                *offset = dice.pick(&[0x00, 0x40, 0x4f, 0x10]);
            }
        }
    }
}
