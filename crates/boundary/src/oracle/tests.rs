//! Frames made by hand, one a rule of the model.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use packet_set::Direction::{self, In, Out};

use super::{Oracle, Realm, Reason, Verdict};
use crate::filter_set::FilterSet;
use crate::resolved::ResolvedSet;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const V4: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 11);
const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, 0x11);
const REMOTE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const REMOTE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
const PASS: Verdict = Verdict::Pass;

fn drop(reason: Reason) -> Verdict {
    Verdict::Drop(reason)
}

fn set(rules: &str) -> ResolvedSet {
    FilterSet::parse(format!("version = 1\n{rules}").as_bytes()).unwrap().resolve(None).unwrap()
}

fn oracle(rules: &[&str], flow_capacity: usize) -> Oracle {
    let stack = rules.iter().map(|rules| set(rules)).collect();
    Oracle::new(Realm { mac: MAC, v4: vec![V4], v6: vec![V6], stack, flow_capacity })
}

fn open() -> Oracle {
    oracle(&["[[allow]]"], 16)
}

fn ethernet(direction: Direction, kind: u16, payload: &[u8]) -> Vec<u8> {
    let (destination, source) = if direction == Out { (OTHER_MAC, MAC) } else { (MAC, OTHER_MAC) };
    [&destination[..], &source, &kind.to_be_bytes(), payload].concat()
}

fn ip(direction: Direction, local: IpAddr, remote: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (source, destination) = if direction == Out { (local, remote) } else { (remote, local) };
    let length = u16::try_from(payload.len()).unwrap();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let mut header = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0];
            header[2..4].copy_from_slice(&(length + 20).to_be_bytes());
            let packet = [&header[..], &source.octets(), &destination.octets(), payload].concat();
            ethernet(direction, 0x0800, &packet)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut header = [0x60, 0, 0, 0, 0, 0, protocol, 255];
            header[4..6].copy_from_slice(&length.to_be_bytes());
            let packet = [&header[..], &source.octets(), &destination.octets(), payload].concat();
            ethernet(direction, 0x86dd, &packet)
        }
        _ => unreachable!("one family"),
    }
}

/// An IPv4 packet between the realm and the remote.
fn v4(direction: Direction, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip(direction, V4.into(), REMOTE.into(), protocol, payload)
}

fn v6(direction: Direction, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip(direction, V6.into(), REMOTE_V6.into(), protocol, payload)
}

fn ports(direction: Direction, local: u16, remote: u16) -> [u8; 4] {
    let (source, destination) = if direction == Out { (local, remote) } else { (remote, local) };
    let mut bytes = [0; 4];
    bytes[..2].copy_from_slice(&source.to_be_bytes());
    bytes[2..].copy_from_slice(&destination.to_be_bytes());
    bytes
}

fn tcp(direction: Direction, local: u16, remote: u16, flags: u8) -> Vec<u8> {
    let mut segment = ports(direction, local, remote).to_vec();
    segment.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
    v4(direction, 6, &segment)
}

fn udp(direction: Direction, local: u16, remote: u16) -> Vec<u8> {
    v4(direction, 17, &[&ports(direction, local, remote)[..], &[0, 8, 0, 0]].concat())
}

fn echo(direction: Direction, kind: u8, identifier: u8) -> Vec<u8> {
    v4(direction, 1, &[kind, 0, 0, 0, 0, identifier, 0, 1])
}

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const RST: u8 = 0x04;
const FIN: u8 = 0x01;

#[test]
fn cut_and_lapse_close_for_everything() {
    let mut oracle = open();
    oracle.set_deadline(Some(10));
    assert_eq!(oracle.verdict(Out, &udp(Out, 1, 2), false, 9), PASS);
    assert_eq!(oracle.verdict(Out, &udp(Out, 1, 2), false, 10), drop(Reason::Closed));
    assert_eq!(oracle.verdict(Out, &[], false, 10), drop(Reason::Closed));
    oracle.set_deadline(None);
    oracle.set_cut(true);
    assert_eq!(oracle.verdict(In, &udp(In, 1, 2), false, 0), drop(Reason::Closed));
}

#[test]
fn frames_of_other_kinds_are_unsupported() {
    let frame = udp(Out, 1, 2);
    assert_eq!(open().verdict(Out, &frame[..13], true, 0), drop(Reason::Malformed));
    assert_eq!(open().verdict(Out, &frame, true, 0), drop(Reason::Unsupported));
    for kind in [0x8100, 0x88a8, 0x88cc, 0x0600] {
        assert_eq!(
            open().verdict(Out, &ethernet(Out, kind, &frame[14..]), false, 0),
            drop(Reason::Unsupported)
        );
    }
}

#[test]
fn macs_are_the_leased_one() {
    let mut frame = udp(Out, 1, 2);
    frame[6..12].copy_from_slice(&OTHER_MAC);
    assert_eq!(open().verdict(Out, &frame, false, 0), drop(Reason::Spoofed));
    let mut frame = udp(In, 1, 2);
    for other in [OTHER_MAC, [0xff; 6], [0x33, 0x33, 0, 0, 0, 1]] {
        frame[..6].copy_from_slice(&other);
        assert_eq!(open().verdict(In, &frame, false, 0), drop(Reason::NotMine));
    }
    let mut multicast = v6(In, 17, &[0, 1, 0, 2, 0, 8, 0, 0]);
    multicast[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 1]);
    assert_eq!(open().verdict(In, &multicast, false, 0), drop(Reason::NotMine));
}

fn arp(operation: u8, mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    [&[0, 1, 8, 0, 6, 4, 0, operation][..], &mac, &sender.octets(), &[0; 6], &target.octets()].concat()
}

#[test]
fn arp_speaks_of_leased_addresses_only() {
    let out = |arp: Vec<u8>| open().verdict(Out, &ethernet(Out, 0x0806, &arp), false, 0);
    assert_eq!(out(arp(1, MAC, V4, REMOTE)), PASS);
    assert_eq!(out(arp(2, MAC, V4, REMOTE)), PASS);
    assert_eq!(out(arp(1, MAC, Ipv4Addr::UNSPECIFIED, V4)), PASS);
    // A probe for another's address would make its owner give it up.
    assert_eq!(out(arp(1, MAC, Ipv4Addr::UNSPECIFIED, REMOTE)), drop(Reason::Spoofed));
    assert_eq!(out(arp(2, MAC, Ipv4Addr::UNSPECIFIED, V4)), drop(Reason::Spoofed));
    assert_eq!(out(arp(1, OTHER_MAC, V4, REMOTE)), drop(Reason::Spoofed));
    assert_eq!(out(arp(1, MAC, REMOTE, REMOTE)), drop(Reason::Spoofed));
    assert_eq!(out(arp(3, MAC, V4, REMOTE)), drop(Reason::Malformed));
    assert_eq!(out(arp(1, MAC, V4, REMOTE)[..27].to_vec()), drop(Reason::Malformed));
    let mut frame = ethernet(In, 0x0806, &arp(1, OTHER_MAC, REMOTE, V4));
    assert_eq!(open().verdict(In, &frame, false, 0), PASS);
    frame[..6].copy_from_slice(&[0xff; 6]);
    assert_eq!(open().verdict(In, &frame, false, 0), PASS);
    let other = ethernet(In, 0x0806, &arp(1, OTHER_MAC, REMOTE, REMOTE));
    assert_eq!(open().verdict(In, &other, false, 0), drop(Reason::NotMine));
}

#[test]
fn ip_headers_are_whole_and_plain() {
    let check = |change: &dyn Fn(&mut Vec<u8>), expected| {
        let mut frame = udp(Out, 1, 2);
        change(&mut frame);
        assert_eq!(open().verdict(Out, &frame, false, 0), expected);
    };
    check(&|frame| frame.extend([0; 18]), PASS);
    check(&|frame| frame[14] = 0x44, drop(Reason::Malformed));
    check(&|frame| frame[14] = 0x55, drop(Reason::Malformed));
    check(&|frame| frame[17] = 19, drop(Reason::Malformed));
    check(&|frame| frame[17] = 29, drop(Reason::Malformed));
    check(&|frame| frame.truncate(33), drop(Reason::Malformed));
    check(&|frame| frame[20] = 0x20, drop(Reason::Unsupported));
    check(&|frame| frame[21] = 1, drop(Reason::Unsupported));
    // Reserved and don't-fragment bits are no fragments.
    check(&|frame| frame[20] = 0xc0, PASS);
    for header in [0, 43, 44, 50, 51, 60, 135, 139, 140] {
        assert_eq!(open().verdict(Out, &v6(Out, header, &[0; 40]), false, 0), drop(Reason::Unsupported));
    }
    let mapped = V4.to_ipv6_mapped();
    for (source, destination) in [(mapped, REMOTE_V6), (V6, REMOTE.to_ipv6_mapped())] {
        let frame = ip(Out, source.into(), destination.into(), 59, &[0; 4]);
        assert_eq!(
            open().verdict(Out, &frame, false, 0),
            drop(Reason::Unsupported),
            "{source} {destination}"
        );
    }
    let mut long = v6(Out, 59, &[0; 4]);
    long[19] = 5;
    assert_eq!(open().verdict(Out, &long, false, 0), drop(Reason::Malformed));
}

fn neighbour(kind: u8, target: Ipv6Addr, option: &[u8]) -> Vec<u8> {
    [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &target.octets(), option].concat()
}

#[test]
fn neighbour_discovery_speaks_of_leased_addresses_only() {
    let (solicitation, advertisement) = (135, 136);
    let out = |source: Ipv6Addr, message: Vec<u8>| {
        oracle(&[""], 0).verdict(Out, &ip(Out, source.into(), REMOTE_V6.into(), 58, &message), false, 0)
    };
    let own = [&[2, 1][..], &MAC].concat();
    let foreign = [&[2, 1][..], &OTHER_MAC].concat();
    assert_eq!(out(V6, neighbour(solicitation, REMOTE_V6, &[])), PASS);
    assert_eq!(out(Ipv6Addr::UNSPECIFIED, neighbour(solicitation, V6, &[])), PASS);
    assert_eq!(out(Ipv6Addr::UNSPECIFIED, neighbour(solicitation, REMOTE_V6, &[])), drop(Reason::Spoofed));
    assert_eq!(out(REMOTE_V6, neighbour(solicitation, V6, &[])), drop(Reason::Spoofed));
    assert_eq!(out(V6, neighbour(advertisement, V6, &own)), PASS);
    assert_eq!(out(V6, neighbour(advertisement, V6, &foreign)), drop(Reason::Spoofed));
    assert_eq!(out(V6, neighbour(advertisement, REMOTE_V6, &[])), drop(Reason::Spoofed));
    assert_eq!(out(Ipv6Addr::UNSPECIFIED, neighbour(advertisement, V6, &[])), drop(Reason::Spoofed));
    for router in [133, 134, 137] {
        assert_eq!(out(V6, neighbour(router, V6, &[])), drop(Reason::Unsupported));
    }
    let into = |destination: Ipv6Addr, message: Vec<u8>, hops: u8| {
        let mut frame = ip(In, destination.into(), REMOTE_V6.into(), 58, &message);
        frame[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 1]);
        frame[21] = hops;
        oracle(&[""], 0).verdict(In, &frame, false, 0)
    };
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    assert_eq!(into(REMOTE_V6, neighbour(solicitation, V6, &[]), 255), PASS);
    assert_eq!(into(V6, neighbour(solicitation, REMOTE_V6, &[]), 255), drop(Reason::NotMine));
    assert_eq!(into(all_nodes, neighbour(advertisement, REMOTE_V6, &[]), 255), PASS);
    assert_eq!(into(REMOTE_V6, neighbour(advertisement, V6, &[]), 255), drop(Reason::NotMine));
    assert_eq!(into(V6, neighbour(134, V6, &[]), 255), drop(Reason::Unsupported));
    // From farther than one hop it is no neighbour message, and multicast is for those alone.
    assert_eq!(into(V6, neighbour(solicitation, V6, &[]), 254), drop(Reason::NotMine));
}

#[test]
fn addresses_and_transport_headers_are_right() {
    let foreign = ip(Out, REMOTE.into(), V4.into(), 17, &[0, 1, 0, 2, 0, 8, 0, 0]);
    assert_eq!(open().verdict(Out, &foreign, false, 0), drop(Reason::Spoofed));
    let other = ip(In, REMOTE.into(), V4.into(), 17, &[0, 1, 0, 2, 0, 8, 0, 0]);
    assert_eq!(open().verdict(In, &other, false, 0), drop(Reason::NotMine));
    for (protocol, needed) in [(6, 20), (17, 8), (132, 12), (1, 8), (58, 8)] {
        let mut payload = vec![0x50; needed];
        assert!(open().verdict(Out, &v4(Out, protocol, &payload), false, 0) != drop(Reason::Malformed));
        payload.pop();
        assert_eq!(open().verdict(Out, &v4(Out, protocol, &payload), false, 0), drop(Reason::Malformed));
    }
    let mut short = tcp(Out, 1, 2, SYN);
    short[14 + 20 + 12] = 0x40;
    assert_eq!(open().verdict(Out, &short, false, 0), drop(Reason::Malformed));
    assert_eq!(open().verdict(Out, &v4(Out, 47, &[]), false, 0), PASS);
}

const WEB: &str = "[[allow]]\ndirection = \"in\"\nprotocol = \"tcp\"\nlocal_port = 80";

#[test]
fn a_flow_admits_its_replies_until_the_policy_changes() {
    let mut oracle = oracle(&["[[allow]]", WEB], 16);
    assert_eq!(oracle.verdict(In, &tcp(In, 80, 5000, ACK), false, 0), PASS, "one-way, without a flow");
    assert_eq!(oracle.flow_count(), 0);
    assert_eq!(oracle.verdict(Out, &tcp(Out, 80, 5000, SYN | ACK), false, 0), drop(Reason::NoFlow));
    assert_eq!(oracle.verdict(Out, &tcp(Out, 80, 5000, SYN), false, 0), drop(Reason::Refused { tier: 1 }));
    assert_eq!(oracle.verdict(In, &tcp(In, 80, 5000, SYN), false, 0), PASS);
    assert_eq!(oracle.verdict(Out, &tcp(Out, 80, 5000, SYN | ACK), false, 0), PASS);
    oracle.replace_stack(vec![set("[[allow]]"), set(WEB)]);
    assert_eq!(
        oracle.verdict(Out, &tcp(Out, 80, 5000, ACK), false, 0),
        PASS,
        "judged again by its first packet"
    );
    oracle.replace_stack(vec![set("[[allow]]"), set("")]);
    assert_eq!(oracle.verdict(Out, &tcp(Out, 80, 5000, ACK), false, 0), drop(Reason::Refused { tier: 1 }));
    assert_eq!(oracle.verdict(Out, &tcp(Out, 80, 5000, ACK), false, 0), drop(Reason::NoFlow));
}

#[test]
fn one_way_rules_make_no_flow() {
    let mut oracle = oracle(&["[[allow]]\ndirection = \"out\"\none_way = true"], 16);
    assert_eq!(oracle.verdict(Out, &udp(Out, 1, 2), false, 0), PASS);
    assert_eq!(oracle.flow_count(), 0);
    assert_eq!(oracle.verdict(In, &udp(In, 1, 2), false, 0), drop(Reason::Refused { tier: 0 }));
}

#[test]
fn echo_flows_know_requests_from_replies() {
    let mut oracle = oracle(&["[[allow]]\ndirection = \"out\"\n[[deny]]\none_way = true"], 16);
    assert_eq!(oracle.verdict(In, &echo(In, 0, 7), false, 0), drop(Reason::NoFlow));
    assert_eq!(oracle.verdict(Out, &echo(Out, 8, 7), false, 0), PASS);
    assert_eq!(oracle.verdict(In, &echo(In, 0, 7), false, 0), PASS);
    assert_eq!(oracle.verdict(In, &echo(In, 0, 8), false, 0), drop(Reason::NoFlow));
    assert_eq!(oracle.verdict(In, &echo(In, 8, 7), false, 0), drop(Reason::Refused { tier: 0 }));
    assert_eq!(oracle.verdict(Out, &echo(Out, 0, 7), false, 0), drop(Reason::NoFlow));
    assert_eq!(oracle.verdict(Out, &echo(Out, 3, 7), false, 0), drop(Reason::NoFlow), "errors begin no flow");
}

#[test]
fn a_full_table_refuses_new_flows_and_keeps_live_ones() {
    let mut oracle = oracle(&["[[allow]]\ndirection = \"out\""], 2);
    for local in [1, 2] {
        assert_eq!(oracle.verdict(Out, &udp(Out, local, 53), false, 0), PASS);
    }
    assert_eq!(oracle.verdict(Out, &udp(Out, 3, 53), false, 0), drop(Reason::TableFull));
    assert_eq!(oracle.verdict(In, &udp(In, 1, 53), false, 59_999), PASS);
    assert_eq!(oracle.verdict(In, &udp(In, 2, 53), false, 60_000), drop(Reason::Refused { tier: 0 }), "idle");
    assert_eq!(oracle.verdict(Out, &udp(Out, 2, 53), false, 60_000), PASS, "takes its own place again");
    oracle.sweep(119_999);
    assert_eq!(oracle.flow_count(), 1);
    assert_eq!(oracle.verdict(Out, &udp(Out, 3, 53), false, 119_999), PASS);
}

#[test]
fn tcp_flows_end() {
    let idle_after = |frames: &[(Direction, u8)]| {
        let mut oracle = oracle(&["[[allow]]\ndirection = \"out\""], 2);
        assert_eq!(oracle.verdict(Out, &tcp(Out, 9, 80, SYN), false, 0), PASS);
        for (direction, flags) in frames {
            assert_eq!(oracle.verdict(*direction, &tcp(*direction, 9, 80, *flags), false, 0), PASS);
        }
        oracle.sweep(10_000);
        oracle.flow_count() == 0
    };
    assert!(!idle_after(&[(In, SYN | ACK), (Out, FIN | ACK), (Out, ACK)]));
    assert!(idle_after(&[(Out, FIN | ACK), (In, FIN | ACK)]));
    assert!(idle_after(&[(In, RST)]));
}

#[test]
fn tiers_below_the_eighth_count_as_the_eighth() {
    let mut rules = vec!["[[allow]]"; 9];
    rules.push("");
    assert_eq!(oracle(&rules, 1).verdict(Out, &udp(Out, 1, 2), false, 0), drop(Reason::Refused { tier: 7 }));
    assert_eq!(oracle(&[], 1).verdict(Out, &udp(Out, 1, 2), false, 0), drop(Reason::Refused { tier: 0 }));
}

proptest::proptest! {
    #[test]
    fn no_frame_makes_the_oracle_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120), kind in 0_usize..3) {
        let kind = [0x0800, 0x0806, 0x86dd][kind];
        for direction in [In, Out] {
            let verdict = open().verdict(direction, &ethernet(direction, kind, &bytes), false, 0);
            proptest::prop_assert!(verdict == PASS || matches!(verdict, Verdict::Drop(_)));
        }
    }
}
