//! From bytes to what the flow table and the tiers are asked about: steps 2 to 7.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use packet_set::{Direction, Form, ICMP, ICMPV6, Packet, SCTP, TCP, UDP, address_number};

use super::{Realm, Reason};

const ETHERNET: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const ARP: [u8; 2] = [0x08, 0x06];
const IPV6: [u8; 2] = [0x86, 0xdd];
/// Extension headers, ESP, AH, no next header, HIP, shim6: RFC 8200 §4, RFC 7045.
const NEXT_HEADERS_UNSUPPORTED: [u8; 9] = [0, 43, 44, 50, 51, 60, 135, 139, 140];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// What a frame without fault holds.
pub(super) enum Content {
    /// Address resolution that is in order: it passes.
    Neighbour,
    /// A packet of the algebra.
    Segment(Segment),
}

/// A packet of the algebra with what the flow table needs beside.
pub(super) struct Segment {
    /// In the form of a flow's first packet.
    pub(super) packet: Packet,
    pub(super) begins_flow: bool,
    pub(super) echo: Echo,
    pub(super) reset: bool,
    pub(super) fin: bool,
    /// What an ICMP error is about.
    pub(super) quote: Option<Quote>,
}

/// The packet that an ICMP error quotes.
pub(super) struct Quote {
    /// The way that it went.
    pub(super) direction: Direction,
    pub(super) protocol: u8,
    pub(super) remote: u128,
    /// The remote's, then the realm's.
    pub(super) ports: (u16, u16),
    pub(super) echo: Echo,
}

impl Segment {
    pub(super) fn is_icmp(&self) -> bool {
        matches!(self.packet.protocol, ICMP | ICMPV6)
    }
}

/// An echo message with its identifier.
#[derive(Clone, Copy)]
pub(super) enum Echo {
    No,
    Request(u16),
    Reply(u16),
}

/// Reads a frame as far as it is in order.
pub(super) fn read(
    realm: &Realm,
    direction: Direction,
    frame: &[u8],
    vlan_tagged: bool,
) -> Result<Content, Reason> {
    let (ethernet, payload) = frame.split_at_checked(ETHERNET).ok_or(Reason::Malformed)?;
    let kind = [ethernet[12], ethernet[13]];
    if vlan_tagged || ![IPV4, ARP, IPV6].contains(&kind) {
        return Err(Reason::Unsupported);
    }
    // What goes to a group of MACs passes only if it turns out to be neighbour discovery.
    let mut multicast = false;
    match direction {
        Direction::Out if ethernet[6..12] != realm.mac => return Err(Reason::Spoofed),
        // The lowest bit of the first byte: IEEE 802.
        Direction::Out => multicast = ethernet[0] % 2 == 1,
        Direction::In => match &ethernet[..6] {
            mac if mac == realm.mac => {}
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] if kind == ARP => {}
            [0x33, 0x33, ..] if kind == IPV6 => multicast = true,
            _ => return Err(Reason::NotMine),
        },
    }
    match kind {
        ARP => read_arp(realm, direction, payload),
        IPV4 => read_v4(payload).and_then(|ip| read_single(realm, direction, &ip, multicast)),
        _ => {
            let ip = read_v6(payload)?;
            match read_neighbour(realm, direction, &ip)? {
                Some(neighbour) => Ok(neighbour),
                None => read_single(realm, direction, &ip, multicast),
            }
        }
    }
}

/// A packet from one to one.
fn read_single(realm: &Realm, direction: Direction, ip: &Ip<'_>, multicast: bool) -> Result<Content, Reason> {
    let remote = match direction {
        _ if multicast && direction == Direction::In => return Err(Reason::NotMine),
        Direction::Out => ip.destination,
        Direction::In => ip.source,
    };
    if multicast || remote.is_multicast() || remote == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(Reason::Unsupported);
    }
    read_ip(realm, direction, ip)
}

/// RFC 826 over Ethernet and IPv4.
fn read_arp(realm: &Realm, direction: Direction, payload: &[u8]) -> Result<Content, Reason> {
    let arp = payload.get(..28).ok_or(Reason::Malformed)?;
    let operation = word(arp, 6);
    if arp[..6] != [0, 1, 8, 0, 6, 4] || !(1..=2).contains(&operation) {
        return Err(Reason::Malformed);
    }
    let leased =
        |at: usize| realm.v4.contains(&Ipv4Addr::new(arp[at], arp[at + 1], arp[at + 2], arp[at + 3]));
    match direction {
        Direction::Out => {
            let probe = operation == 1 && arp[14..18] == [0; 4];
            let own = arp[8..14] == realm.mac && (leased(14) || (probe && leased(24)));
            if own { Ok(Content::Neighbour) } else { Err(Reason::Spoofed) }
        }
        Direction::In => {
            if leased(24) {
                Ok(Content::Neighbour)
            } else {
                Err(Reason::NotMine)
            }
        }
    }
}

struct Ip<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    hop_limit: u8,
    payload: &'a [u8],
}

fn read_v4(bytes: &[u8]) -> Result<Ip<'_>, Reason> {
    let fixed = bytes.get(..20).ok_or(Reason::Malformed)?;
    let header = usize::from(fixed[0] & 0xf) * 4;
    let total = usize::from(word(fixed, 2));
    if fixed[0] >> 4 != 4 || header < 20 || total < header || total > bytes.len() {
        return Err(Reason::Malformed);
    }
    // More fragments, or an offset.
    if word(fixed, 6) & 0x3fff != 0 {
        return Err(Reason::Unsupported);
    }
    let address = |at: usize| IpAddr::from([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    Ok(Ip {
        source: address(12),
        destination: address(16),
        protocol: fixed[9],
        hop_limit: fixed[8],
        payload: &bytes[header..total],
    })
}

fn read_v6(bytes: &[u8]) -> Result<Ip<'_>, Reason> {
    let (fixed, rest) = bytes.split_at_checked(40).ok_or(Reason::Malformed)?;
    let payload = rest.get(..usize::from(word(fixed, 4))).ok_or(Reason::Malformed)?;
    if fixed[0] >> 4 != 6 {
        return Err(Reason::Malformed);
    }
    if NEXT_HEADERS_UNSUPPORTED.contains(&fixed[6]) {
        return Err(Reason::Unsupported);
    }
    let (source, destination) = (v6_at(fixed, 8), v6_at(fixed, 24));
    if [source, destination].iter().any(|address| address.to_ipv4_mapped().is_some()) {
        return Err(Reason::Unsupported);
    }
    Ok(Ip {
        source: source.into(),
        destination: destination.into(),
        protocol: fixed[6],
        hop_limit: fixed[7],
        payload,
    })
}

/// Neighbour solicitation and advertisement, RFC 4861 §4.3 and §4.4; nothing for any other packet.
fn read_neighbour(realm: &Realm, direction: Direction, ip: &Ip<'_>) -> Result<Option<Content>, Reason> {
    if ip.protocol != ICMPV6 {
        return Ok(None);
    }
    let solicitation = match ip.payload.first() {
        Some(133 | 134 | 137) => return Err(Reason::Unsupported),
        Some(135) => true,
        Some(136) => false,
        _ => return Ok(None),
    };
    if ip.hop_limit != 255 || ip.payload.len() < 24 || ip.payload[1] != 0 {
        return Ok(None);
    }
    let target_leased = realm.v6.contains(&v6_at(ip.payload, 8));
    let in_order = match direction {
        Direction::Out => {
            let detects = solicitation && ip.source == Ipv6Addr::UNSPECIFIED && target_leased;
            let source = is_leased(realm, ip.source) || detects;
            let link_layer = match ip.payload.get(24..32) {
                Some([1 | 2, _, mac @ ..]) => mac == realm.mac,
                _ => true,
            };
            source && (solicitation || target_leased) && link_layer
        }
        Direction::In if solicitation => target_leased,
        Direction::In => is_leased(realm, ip.destination) || ip.destination == ALL_NODES,
    };
    match (in_order, direction) {
        (true, _) => Ok(Some(Content::Neighbour)),
        (false, Direction::Out) => Err(Reason::Spoofed),
        (false, Direction::In) => Err(Reason::NotMine),
    }
}

fn is_leased(realm: &Realm, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => realm.v4.contains(&v4),
        IpAddr::V6(v6) => realm.v6.contains(&v6),
    }
}

fn read_ip(realm: &Realm, direction: Direction, ip: &Ip<'_>) -> Result<Content, Reason> {
    let (local, remote, foreign) = match direction {
        Direction::Out => (ip.source, ip.destination, Reason::Spoofed),
        Direction::In => (ip.destination, ip.source, Reason::NotMine),
    };
    if !is_leased(realm, local) {
        return Err(foreign);
    }
    let bytes = ip.payload;
    let needed = match ip.protocol {
        TCP => 20,
        UDP | ICMP | ICMPV6 => 8,
        SCTP => 12,
        _ => 0,
    };
    if bytes.len() < needed || (ip.protocol == TCP && bytes[12] >> 4 < 5) {
        return Err(Reason::Malformed);
    }
    let (remote_port, local_port) = match (ip.protocol, direction) {
        (TCP | UDP | SCTP, Direction::Out) => (word(bytes, 2), word(bytes, 0)),
        (TCP | UDP | SCTP, Direction::In) => (word(bytes, 0), word(bytes, 2)),
        (ICMP | ICMPV6, _) => (0, word(bytes, 0)),
        _ => (0, 0),
    };
    let server = if ip.source.is_ipv4() { 67 } else { 547 };
    if ip.protocol == UDP && direction == Direction::Out && local_port == server {
        return Err(Reason::Unsupported);
    }
    let echo = echo(ip.protocol, bytes);
    let flags = if ip.protocol == TCP { bytes[13] } else { 0 };
    let begins_flow = match ip.protocol {
        TCP => flags & 0x12 == 0x02,
        ICMP | ICMPV6 => matches!(echo, Echo::Request(_)),
        _ => true,
    };
    let remote = address_number(remote);
    let packet =
        Packet { form: Form::Flow, direction, protocol: ip.protocol, remote, remote_port, local_port };
    Ok(Content::Segment(Segment {
        packet,
        begins_flow,
        echo,
        reset: flags & 0x04 != 0,
        fin: flags & 0x01 != 0,
        quote: read_quote(direction, ip, local),
    }))
}

fn echo(protocol: u8, bytes: &[u8]) -> Echo {
    match (protocol, bytes) {
        (ICMP, [8, ..]) | (ICMPV6, [128, ..]) => Echo::Request(word(bytes, 4)),
        (ICMP, [0, ..]) | (ICMPV6, [129, ..]) => Echo::Reply(word(bytes, 4)),
        _ => Echo::No,
    }
}

/// RFC 792 and RFC 4443 §3: an error quotes the packet that it is about, its IP header and 8 bytes at least. It is
/// sent to the quoted packet's source; a realm's own is about a packet that was sent to the realm.
fn read_quote(direction: Direction, error: &Ip<'_>, realm_side: IpAddr) -> Option<Quote> {
    let kind = *error.payload.first()?;
    let quoted = error.payload.get(8..)?;
    let (version, header) = match (error.source, error.protocol, kind) {
        (IpAddr::V4(_), ICMP, 3 | 11 | 12) => (4, usize::from(quoted.first()? & 0xf) * 4),
        (IpAddr::V6(_), ICMPV6, 1..=4) => (6, 40),
        _ => return None,
    };
    let (fixed, start) = quoted.split_at_checked(header)?;
    if fixed.len() < 20 || fixed[0] >> 4 != version || start.len() < 8 {
        return None;
    }
    let (source, destination, protocol) = if version == 4 {
        let v4 = |at: usize| IpAddr::from([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let fragment = word(fixed, 6) & 0x3fff != 0;
        (!fragment).then(|| (v4(12), v4(16), fixed[9]))?
    } else {
        let (source, destination) = (v6_at(fixed, 8), v6_at(fixed, 24));
        let strange = NEXT_HEADERS_UNSUPPORTED.contains(&fixed[6])
            || [source, destination].iter().any(|address| address.to_ipv4_mapped().is_some());
        (!strange).then_some((source.into(), destination.into(), fixed[6]))?
    };
    let ports = match protocol {
        TCP | UDP | SCTP => (word(start, 0), word(start, 2)),
        _ => (0, 0),
    };
    let echo = echo(protocol, start);
    if matches!(protocol, ICMP | ICMPV6) && matches!(echo, Echo::No) {
        return None;
    }
    // The quoted packet went the other way.
    let (went, local, remote, ports) = match direction {
        Direction::In => (Direction::Out, source, destination, (ports.1, ports.0)),
        Direction::Out => (Direction::In, destination, source, ports),
    };
    let to_its_sender = direction == Direction::In || error.destination == remote;
    (local == realm_side && to_its_sender).then(|| Quote {
        direction: went,
        protocol,
        remote: address_number(remote),
        ports,
        echo,
    })
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn v6_at(bytes: &[u8], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&bytes[at..at + 16]);
    Ipv6Addr::from(octets)
}
