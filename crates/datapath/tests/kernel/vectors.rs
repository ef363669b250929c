//! The twelve families of frames that filters get wrong, sent over a cable between two namespaces: each is
//! written out with the verdict that it must get, which is the oracle's, too, and what passes arrives.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};
use std::{fs, thread};

use boundary::oracle::{Oracle, Realm, Reason, Verdict};
use boundary::{Budget, Direction, ResolvedRule, ResolvedSet};
use datapath::{Lease, Program, Settings, compile};
use id::Generation;
use packet_set::address_number;

use crate::frames::Frame;
use crate::harness::Harness;
use Direction::{In, Out};
use Verdict::{Drop, Pass};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x11];
const OTHER_MAC: [u8; 6] = [2, 9, 9, 9, 9, 9];
const OWN: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 11);
const PEER: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 1);
const OWN6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, 0x11);
const PEER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x11, 0, 0, 0, 0, 0, 1);
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// The filter on its cable, and the oracle beside it.
struct Wire {
    harness: Harness,
    oracle: Oracle,
    generation: u64,
    frames: usize,
}

impl Wire {
    fn new(settings: Settings) -> Self {
        let mut harness = Harness::new(&Program::embedded(), &settings);
        harness.filter.set_deadline(Duration::MAX).unwrap();
        harness.filter.admit().unwrap();
        let (v4, v6) = (vec![OWN], vec![OWN6]);
        let flow_capacity = settings.flows_max as usize;
        let oracle = Oracle::new(Realm { mac: MAC, v4, v6, stack: Vec::new(), flow_capacity });
        Self { harness, oracle, generation: 0, frames: 0 }
    }

    fn policy(&mut self, tiers: &[Vec<ResolvedRule>]) {
        let stack: Vec<ResolvedSet> =
            tiers.iter().map(|allow| ResolvedSet { allow: allow.clone(), deny: Vec::new() }).collect();
        let mut budget = Budget::for_tier();
        let sets: Vec<_> = stack.iter().map(|set| set.packet_set(&mut budget).unwrap()).collect();
        let lease = Lease { mac: MAC, addresses: vec![OWN.into(), OWN6.into()] };
        let image = compile(&sets, &lease, &mut budget).unwrap();
        self.generation += 1;
        self.harness.filter.switch(&image, Generation::new(self.generation).unwrap()).unwrap();
        self.oracle.replace_stack(stack);
    }

    /// Sends the frame over the cable: verdict, oracle and arrival must agree.
    fn expect(&mut self, what: &str, direction: Direction, bytes: Vec<u8>, expected: Verdict) {
        let now = u64::try_from(os::clock::boot().as_millis()).unwrap();
        let told = self.oracle.verdict(direction, &bytes, false, now);
        assert_eq!(told, expected, "{what}: the oracle");
        let before = self.arrived(direction);
        let frame = Frame { direction, bytes };
        assert_eq!(self.harness.judge(&frame, true), expected, "{what}: {frame:?}");
        if direction == In {
            let until = Instant::now() + Duration::from_secs(10);
            let due = before + u64::from(expected == Pass);
            while self.arrived(In) < due {
                assert!(Instant::now() < until, "{what}: it passed and never arrived");
                thread::yield_now();
            }
            assert_eq!(self.arrived(In), due, "{what}: it arrived");
        }
        self.frames += 1;
    }

    /// Frames that came out of the realm's end of the cable. The other end counts before its filter.
    fn arrived(&self, direction: Direction) -> u64 {
        if direction == Out {
            return 0;
        }
        let read = || fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        let text = self.harness.cable.realm.run(read).unwrap();
        let line = text.lines().find_map(|line| line.trim().strip_prefix("far:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

fn ethernet(direction: Direction, kind: u16, payload: &[u8]) -> Vec<u8> {
    let (to, from) = if direction == Out { (OTHER_MAC, MAC) } else { (MAC, OTHER_MAC) };
    let mut bytes = [&to[..], &from, &kind.to_be_bytes(), payload].concat();
    bytes.resize(bytes.len().max(60), 0);
    bytes
}

/// An IPv4 packet between the realm and its peer.
fn v4(direction: Direction, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (from, to) = if direction == Out { (OWN, PEER) } else { (PEER, OWN) };
    let total = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![0x45, 0, total[0], total[1], 0, 1, 0, 0, 64, protocol, 0, 0];
    bytes.extend([from.octets(), to.octets()].concat());
    bytes.extend(payload);
    bytes
}

fn v6(direction: Direction, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (from, to) = if direction == Out { (OWN6, PEER6) } else { (PEER6, OWN6) };
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![0x60, 0, 0, 0, length[0], length[1], protocol, 64];
    bytes.extend([from.octets(), to.octets()].concat());
    bytes.extend(payload);
    bytes
}

fn frame(direction: Direction, ip: &[u8]) -> Vec<u8> {
    ethernet(direction, if ip[0] >> 4 == 4 { 0x0800 } else { 0x86dd }, ip)
}

/// Ports as the realm sees them.
fn ports(direction: Direction, remote: u16, local: u16) -> Vec<u8> {
    let (from, to) = if direction == Out { (local, remote) } else { (remote, local) };
    [from.to_be_bytes(), to.to_be_bytes()].concat()
}

fn udp(direction: Direction, remote: u16, local: u16) -> Vec<u8> {
    [ports(direction, remote, local), vec![0, 8, 0, 0]].concat()
}

fn tcp(direction: Direction, remote: u16, local: u16, flags: u8) -> Vec<u8> {
    [ports(direction, remote, local), vec![0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 1, 0, 0, 0, 0, 0]].concat()
}

fn icmp(kind: u8, code: u8, quoted: &[u8]) -> Vec<u8> {
    [&[kind, code, 0, 0, 0, 7, 0, 1], quoted].concat()
}

/// What the realm may begin: by a protocol, to ports of the peers.
fn outward(protocol: u8, ports: (u16, u16)) -> ResolvedRule {
    let peer = |address: IpAddr| (address_number(address), address_number(address));
    ResolvedRule {
        inbound: false,
        protocol: Some(protocol),
        remote: vec![peer(PEER.into()), peer(PEER6.into())],
        remote_port: vec![ports],
        ..ResolvedRule::any("outward")
    }
}

const UNSUPPORTED: Verdict = Drop(Reason::Unsupported);
const MALFORMED: Verdict = Drop(Reason::Malformed);
const NO_FLOW: Verdict = Drop(Reason::NoFlow);

fn refused(tier: usize) -> Verdict {
    Drop(Reason::Refused { tier })
}

/// Families 1 and 2: each tier alone denies; edges of prefixes, ports and protocols.
#[test]
fn tiers_and_edges_on_the_wire() {
    let mut wire = Wire::new(Settings::default());
    let open = |wire: &mut Wire, what: &str, remote, expected| {
        wire.expect(what, Out, frame(Out, &v4(Out, UDP, &udp(Out, remote, 9))), expected);
        wire.expect(what, Out, frame(Out, &v6(Out, UDP, &udp(Out, remote, 9))), expected);
    };
    let (all, none) = (vec![ResolvedRule::any("all")], Vec::new());
    wire.policy(&[all.clone(), all.clone(), all.clone()]);
    open(&mut wire, "all tiers admit", 5000, Pass);
    for tier in 0..3 {
        let mut stack = vec![all.clone(); 3];
        stack[tier].clone_from(&none);
        wire.policy(&stack);
        open(&mut wire, "one tier is empty", 5001, refused(tier));
    }
    wire.policy(&[all.clone(), vec![outward(UDP, (5000, 6000))]]);
    for (port, expected) in [
        (0, refused(1)),
        (4999, refused(1)),
        (5000, Pass),
        (6000, Pass),
        (6001, refused(1)),
        (65_535, refused(1)),
    ] {
        open(&mut wire, "edges of ports", port, expected);
    }
    wire.expect("another protocol", Out, frame(Out, &v4(Out, TCP, &tcp(Out, 5000, 9, SYN))), refused(1));
    let mut prefix = outward(UDP, (0, 65_535));
    prefix.remote = vec![(address_number([10, 2, 0, 0].into()), address_number([10, 2, 0, 255].into()))];
    wire.policy(&[all, vec![prefix]]);
    for (last, expected) in [
        ([10, 1, 255, 255], refused(1)),
        ([10, 2, 0, 0], Pass),
        ([10, 2, 0, 255], Pass),
        ([10, 2, 1, 0], refused(1)),
    ] {
        let mut packet = v4(Out, UDP, &udp(Out, 7, 9));
        packet[16..20].copy_from_slice(&last);
        wire.expect("edges of a prefix", Out, frame(Out, &packet), expected);
    }
    println!("{} frames", wire.frames);
}

/// Families 3 to 7: headers, fragments, extension headers, tags, neighbours; and speaking to many.
#[test]
fn headers_and_neighbours_on_the_wire() {
    let mut wire = Wire::new(Settings::default());
    wire.policy(&[vec![ResolvedRule::any("all")]]);
    let good = v4(Out, UDP, &udp(Out, 5000, 9));
    let with = |at: usize, to: &[u8]| {
        let mut packet = good.clone();
        packet[at..at + to.len()].copy_from_slice(to);
        frame(Out, &packet)
    };
    let mut options = v4(Out, UDP, &[&[1, 1, 1, 1][..], &udp(Out, 5000, 9)].concat());
    options[0] = 0x46;
    wire.expect("IPv4 options", Out, frame(Out, &options), Pass);
    wire.expect("a header length under 5", Out, with(0, &[0x44]), MALFORMED);
    wire.expect("a length beyond the frame", Out, with(2, &[1, 0]), MALFORMED);
    wire.expect("a length under the header", Out, with(2, &[0, 19]), MALFORMED);
    wire.expect("UDP cut short", Out, with(2, &[0, 27]), MALFORMED);
    wire.expect("a TCP offset under 5", Out, frame(Out, &v4(Out, TCP, &[0; 20])), MALFORMED);
    for (what, offset) in
        [("a first fragment", 0x2000_u16), ("a tail", 0x0005), ("a middle", 0x2005), ("a tiny one", 0x2001)]
    {
        wire.expect(what, Out, with(6, &offset.to_be_bytes()), UNSUPPORTED);
    }
    wire.expect("do not fragment", Out, with(6, &[0x40, 0]), Pass);
    for (what, next) in
        [("hop by hop", 0), ("routing", 43), ("a fragment", 44), ("ESP", 50), ("AH", 51), ("options", 60)]
    {
        let extended = v6(Out, next, &[&[UDP, 0, 0, 0, 0, 0, 0, 0][..], &udp(Out, 5000, 9)].concat());
        wire.expect(what, Out, frame(Out, &extended), UNSUPPORTED);
    }
    for (what, kind) in
        [("VLAN", 0x8100_u16), ("QinQ", 0x88a8), ("MPLS", 0x8847), ("an unknown type", 0x88b5)]
    {
        let tagged = [&[0, 5, 8, 0][..], &good].concat();
        wire.expect(what, Out, ethernet(Out, kind, &tagged), UNSUPPORTED);
    }
    wire.expect(
        "a priority tag",
        Out,
        ethernet(Out, 0x8100, &[&[0xe0, 0, 8, 0][..], &good].concat()),
        UNSUPPORTED,
    );
    wire.expect("another's address", Out, with(12, &[10, 1, 0, 12]), Drop(Reason::Spoofed));
    let mut spoofed = frame(Out, &good);
    spoofed[11] ^= 1;
    wire.expect("another's MAC", Out, spoofed, Drop(Reason::Spoofed));
    let mut many = frame(Out, &good);
    many[..6].fill(0xff);
    wire.expect("a broadcast", Out, many.clone(), UNSUPPORTED);
    many[..6].copy_from_slice(&[1, 0, 0x5e, 0, 0, 1]);
    wire.expect("a multicast", Out, many, UNSUPPORTED);
    wire.expect("to a multicast address", Out, with(16, &[224, 0, 0, 251]), UNSUPPORTED);
    wire.expect("to all", Out, with(16, &[255; 4]), UNSUPPORTED);
    wire.expect("a DHCP answer", Out, frame(Out, &v4(Out, UDP, &udp(Out, 68, 67))), UNSUPPORTED);
    wire.expect("a DHCPv6 answer", Out, frame(Out, &v6(Out, UDP, &udp(Out, 546, 547))), UNSUPPORTED);

    let arp = |direction: Direction, sender: Ipv4Addr, target: Ipv4Addr| {
        let mac = if direction == Out { MAC } else { OTHER_MAC };
        let bytes =
            [&[0, 1, 8, 0, 6, 4, 0, 1][..], &mac, &sender.octets(), &[0; 6], &target.octets()].concat();
        ethernet(direction, 0x0806, &bytes)
    };
    wire.expect("a question", Out, arp(Out, OWN, PEER), Pass);
    wire.expect("a question for the realm", In, arp(In, PEER, OWN), Pass);
    wire.expect(
        "a question for another",
        In,
        arp(In, PEER, Ipv4Addr::new(10, 1, 0, 12)),
        Drop(Reason::NotMine),
    );
    wire.expect("another's name", Out, arp(Out, Ipv4Addr::new(10, 1, 0, 12), PEER), Drop(Reason::Spoofed));
    let neighbour = |direction: Direction, kind: u8, target: Ipv6Addr| {
        let mut packet =
            v6(direction, ICMPV6, &[&[kind, 0, 0, 0, 0, 0, 0, 0][..], &target.octets()].concat());
        packet[7] = 255;
        frame(direction, &packet)
    };
    wire.expect("a solicitation", Out, neighbour(Out, 135, PEER6), Pass);
    wire.expect("its own advertisement", Out, neighbour(Out, 136, OWN6), Pass);
    wire.expect("another's advertisement", Out, neighbour(Out, 136, PEER6), Drop(Reason::Spoofed));
    wire.expect("a solicitation of the realm", In, neighbour(In, 135, OWN6), Pass);
    wire.expect("a solicitation of another", In, neighbour(In, 135, PEER6), Drop(Reason::NotMine));
    wire.expect("a rogue router", Out, neighbour(Out, 134, OWN6), UNSUPPORTED);
    wire.expect("a redirect", Out, neighbour(Out, 137, OWN6), UNSUPPORTED);
    println!("{} frames", wire.frames);
}

/// Families 8 and 9: errors about flows; replies, unsolicited, idle, revoked, table full.
#[test]
fn flows_and_their_errors_on_the_wire() {
    let mut wire = Wire::new(Settings { flows_max: 2, ..Settings::default() });
    let allowing =
        vec![vec![ResolvedRule::any("all")], vec![outward(UDP, (5000, 5999)), outward(TCP, (80, 80))]];
    wire.policy(&allowing);
    let reply = frame(In, &v4(In, UDP, &udp(In, 5000, 9)));
    let error = |quoted_port: u16| icmp(3, 4, &v4(Out, UDP, &udp(Out, quoted_port, 9)));
    wire.expect("unsolicited", In, reply.clone(), refused(1));
    wire.expect("a late segment", Out, frame(Out, &v4(Out, TCP, &tcp(Out, 81, 9, ACK))), NO_FLOW);
    wire.expect("an error before the flow", In, frame(In, &v4(In, ICMP, &error(5000))), NO_FLOW);
    wire.expect("the first", Out, frame(Out, &v4(Out, UDP, &udp(Out, 5000, 9))), Pass);
    wire.expect("the reply", In, reply.clone(), Pass);
    wire.expect("to another port", In, frame(In, &v4(In, UDP, &udp(In, 5000, 10))), refused(1));
    wire.expect("an error about the flow", In, frame(In, &v4(In, ICMP, &error(5000))), Pass);
    let mut router = v4(In, ICMP, &error(5000));
    router[12..16].copy_from_slice(&[192, 0, 2, 1]);
    wire.expect("a router's error", In, frame(In, &router), Pass);
    wire.expect("an error about no flow", In, frame(In, &v4(In, ICMP, &error(5001))), NO_FLOW);
    let backwards = icmp(3, 4, &v4(In, UDP, &udp(In, 5000, 9)));
    wire.expect("an error about what the peer sent", In, frame(In, &v4(In, ICMP, &backwards)), NO_FLOW);
    wire.expect("the realm's error about it", Out, frame(Out, &v4(Out, ICMP, &backwards)), Pass);
    wire.expect(
        "a redirect",
        In,
        frame(In, &v4(In, ICMP, &icmp(5, 1, &v4(Out, UDP, &udp(Out, 5000, 9))))),
        NO_FLOW,
    );
    wire.expect("a connection", Out, frame(Out, &v6(Out, TCP, &tcp(Out, 80, 9, SYN))), Pass);
    wire.expect("its answer", In, frame(In, &v6(In, TCP, &tcp(In, 80, 9, SYN | ACK))), Pass);
    let too_big = icmp(2, 0, &v6(Out, TCP, &tcp(Out, 80, 9, ACK)));
    wire.expect("too big for it", In, frame(In, &v6(In, ICMPV6, &too_big)), Pass);
    wire.expect(
        "one flow too many",
        Out,
        frame(Out, &v4(Out, UDP, &udp(Out, 5002, 9))),
        Drop(Reason::TableFull),
    );
    wire.expect("the first lives on", In, reply.clone(), Pass);
    wire.policy(&[vec![ResolvedRule::any("all")], vec![outward(TCP, (80, 80))]]);
    wire.expect("an error about a revoked flow", In, frame(In, &v4(In, ICMP, &error(5000))), NO_FLOW);
    wire.expect("a reply of a revoked flow", In, reply.clone(), refused(1));
    wire.expect("the other flow", In, frame(In, &v6(In, TCP, &tcp(In, 80, 9, ACK))), Pass);
    wire.expect("the end of it", In, frame(In, &v6(In, TCP, &tcp(In, 80, 9, 4))), Pass);
    println!("{} frames", wire.frames);
}
