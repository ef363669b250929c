//! Real connections and real traffic over a cable between two namespaces.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use boundary::oracle::{Reason, Verdict};
use boundary::{Budget, Direction, Form, Packet, ResolvedRule, ResolvedSet};
use datapath::{Counters, Image, Lease, Program, Settings, compile};
use id::Generation;
use packet_set::address_number;

use crate::dice::Dice;
use crate::frames::{Draft, Frame};
use crate::harness::Harness;
use crate::world::World;

const OUTSIDE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 0, 1));
const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 0, 11));

fn lease() -> Lease {
    Lease { mac: [2, 0, 0, 0, 0, 0x11], addresses: vec![OWN] }
}

/// What goes out by `protocol` to `ports` of the outside.
fn outward(protocol: u8, ports: (u16, u16)) -> ResolvedRule {
    let outside = address_number(OUTSIDE);
    ResolvedRule {
        inbound: false,
        protocol: Some(protocol),
        remote: vec![(outside, outside)],
        remote_port: vec![ports],
        ..ResolvedRule::any("outward")
    }
}

fn image(stack: &[Vec<ResolvedRule>]) -> Image {
    let mut budget = Budget::for_tier();
    let sets: Vec<_> = stack
        .iter()
        .map(|allow| {
            let rules = ResolvedSet { allow: allow.clone(), deny: Vec::new() };
            rules.packet_set(&mut budget).unwrap()
        })
        .collect();
    compile(&sets, &lease(), &mut budget).unwrap()
}

fn open_harness() -> Harness {
    let mut harness = Harness::new(&Program::embedded(), &Settings::default());
    harness.cable.give_addresses(&lease(), OUTSIDE);
    harness.filter.set_deadline(Duration::MAX).unwrap();
    harness.filter.admit().unwrap();
    harness
}

fn generation(number: u64) -> Generation {
    Generation::new(number).unwrap()
}

/// Waits until the counters say so.
fn wait_until(harness: &Harness, what: &str, done: impl Fn(&Counters) -> bool) {
    let began = Instant::now();
    while !done(&harness.filter.counters().unwrap()) {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        thread::yield_now();
    }
}

#[test]
fn a_connection_lives_and_dies_by_the_policy() {
    const TCP: u8 = 6;
    let mut harness = open_harness();
    let listener = TcpListener::bind((OUTSIDE, 8080)).unwrap();
    let connect = |harness: &Harness| {
        let target = SocketAddr::from((OUTSIDE, 8080));
        harness.cable.realm.run(|| TcpStream::connect_timeout(&target, Duration::from_secs(10))).unwrap()
    };
    let allowing = image(&[vec![ResolvedRule::any("all")], vec![outward(TCP, (8000, 8080))]]);
    let refusing = image(&[vec![ResolvedRule::any("all")], vec![outward(TCP, (8000, 8079))]]);

    harness.filter.switch(&refusing, generation(1)).unwrap();
    let refused = harness
        .cable
        .realm
        .run(|| TcpStream::connect_timeout(&SocketAddr::from((OUTSIDE, 8080)), Duration::from_millis(300)))
        .unwrap();
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(harness.filter.counters().unwrap().out.refused_by[1] > 0);

    harness.filter.switch(&allowing, generation(2)).unwrap();
    let mut inside = connect(&harness).unwrap();
    let mut outside = listener.accept().unwrap().0;
    echo(&mut inside, &mut outside);
    // The same policy under a new number: the connection is asked again, and stays.
    harness.filter.switch(&allowing, generation(3)).unwrap();
    echo(&mut inside, &mut outside);
    assert_eq!(harness.filter.flows().unwrap().len(), 1);

    let before = harness.filter.counters().unwrap();
    harness.filter.switch(&refusing, generation(4)).unwrap();
    outside.write_all(b"never").unwrap();
    wait_until(&harness, "the open connection is refused", |now| {
        // By the tier; or, when a late acknowledgement was refused before, as a packet of no flow.
        now.inward.dropped.iter().sum::<u64>() > before.inward.dropped.iter().sum::<u64>()
    });
    let refused = harness.filter.counters().unwrap();
    let refused = refused.out.refused_by[1] + refused.inward.refused_by[1];
    assert!(refused > before.out.refused_by[1] + before.inward.refused_by[1]);
    assert!(harness.filter.flows().unwrap().is_empty());
    inside.set_nonblocking(true).unwrap();
    assert_eq!(inside.read(&mut [0; 5]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let after = harness.filter.counters().unwrap();
    // But for neighbours' questions nothing passed.
    assert_eq!(after.out.dropped_for(datapath::Reason::TableFull), 0);

    // A cut filter stops even what the policy allows.
    harness.filter.switch(&allowing, generation(5)).unwrap();
    drop((inside, outside));
    let mut inside = connect(&harness).unwrap();
    let mut outside = listener.accept().unwrap().0;
    echo(&mut inside, &mut outside);
    harness.filter.cut().unwrap();
    let passed = harness.filter.counters().unwrap().inward.passed;
    outside.write_all(b"never").unwrap();
    wait_until(&harness, "the cut filter drops", |now| now.inward.dropped_for(datapath::Reason::Closed) > 0);
    assert_eq!(harness.filter.counters().unwrap().inward.passed, passed);
}

fn echo(inside: &mut TcpStream, outside: &mut TcpStream) {
    let mut read = [0; 5];
    inside.write_all(b"hello").unwrap();
    outside.read_exact(&mut read).unwrap();
    outside.write_all(&read).unwrap();
    inside.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"hello");
}

/// Two policies take turns while the realm sends what both admit and what both refuse.
#[test]
fn a_switch_under_traffic_gives_no_wrong_verdict() {
    const UDP: u8 = 17;
    const SWITCHES: u64 = 60;
    let mut harness = open_harness();
    let wide = image(&[
        vec![outward(UDP, (4000, 5999))],
        vec![outward(UDP, (5000, 5999))],
        vec![outward(UDP, (0, 5999))],
    ]);
    let narrow = image(&[vec![outward(UDP, (5000, 5999)), outward(6, (1, 9))]]);
    harness.filter.switch(&wide, generation(1)).unwrap();
    // It takes what passes: nobody answers that the port is closed.
    let _sink = UdpSocket::bind((OUTSIDE, 5000)).unwrap();

    let mut dice = Dice::new(1);
    let mut world = World::new(&mut dice);
    (world.mac, world.v4) = (lease().mac, vec![[10, 1, 0, 11].into()]);
    let mut frame = |remote_port, local_port| {
        let remote = address_number(OUTSIDE);
        let packet = Packet {
            form: Form::Flow,
            direction: Direction::Out,
            protocol: UDP,
            remote,
            remote_port,
            local_port,
        };
        let draft = Draft { packet, local: OWN, tcp_flags: 0, identifier: 0, padding: 0 };
        world.whole(&mut dice, &draft).bytes
    };
    let admitted: Vec<_> = (0..512).map(|port| frame(5000 + port % 7, 20_000 + port)).collect();
    let refused: Vec<_> = (0..512).map(|port| frame(6000 + port % 7, 20_000 + port)).collect();

    let before = harness.filter.counters().unwrap().out;
    let stop = AtomicBool::new(false);
    let socket = &harness.cable.far;
    let filter = &mut harness.filter;
    let sent = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                for (yes, no) in admitted.iter().zip(&refused) {
                    assert!(socket.send(yes).unwrap() && socket.send(no).unwrap());
                    sent += 1;
                }
            }
            sent
        });
        for number in 2..2 + SWITCHES {
            let next = if number % 2 == 0 { &narrow } else { &wide };
            filter.switch(next, generation(number)).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    wait_until(&harness, "every packet is judged", |now| {
        let judged = now.out.passed + now.out.dropped.iter().sum::<u64>();
        judged - before.passed - before.dropped.iter().sum::<u64>() >= 2 * sent
    });
    let after = harness.filter.counters().unwrap().out;
    println!(
        "{SWITCHES} switches; {sent} packets that both admit, {sent} that both refuse: 0 wrong verdicts"
    );
    assert_eq!(after.passed - before.passed, sent);
    assert_eq!(after.dropped_for(datapath::Reason::Refused { tier: 0 }), sent);
    assert_eq!(after.dropped.iter().sum::<u64>(), sent);
}

/// Sends `count` frames of UDP as the realm: from port 9 to `remote_port` of the outside.
fn send_udp(harness: &Harness, remote_port: u16, count: u64) {
    let frame = udp(remote_port);
    for _ in 0..count {
        assert!(harness.cable.far.send(&frame.bytes).unwrap());
    }
}

fn udp(remote_port: u16) -> Frame {
    let mut dice = Dice::new(2);
    let mut world = World::new(&mut dice);
    (world.mac, world.v4) = (lease().mac, vec![[10, 1, 0, 11].into()]);
    let remote = address_number(OUTSIDE);
    let packet = Packet {
        form: Form::Flow,
        direction: Direction::Out,
        protocol: 17,
        remote,
        remote_port,
        local_port: 9,
    };
    let draft = Draft { packet, local: OWN, tcp_flags: 0, identifier: 0, padding: 0 };
    world.whole(&mut dice, &draft)
}

/// The image, the deadline and the open gate: without any of them the filter is closed.
#[test]
fn what_is_not_set_closes_the_filter() {
    let allowing = image(&[vec![outward(17, (5000, 5000))]]);
    let mut harness = Harness::new(&Program::embedded(), &Settings::default());
    let mut closed = 0;
    let mut closes = |harness: &mut Harness| {
        assert_eq!(harness.judge(&udp(5000), false), Verdict::Drop(Reason::Closed));
        closed += 1;
        assert_eq!(harness.filter.counters().unwrap().out.dropped_for(datapath::Reason::Closed), closed);
    };
    closes(&mut harness);
    harness.filter.admit().unwrap();
    closes(&mut harness);
    harness.filter.set_deadline(Duration::MAX).unwrap();
    closes(&mut harness);
    harness.filter.switch(&allowing, generation(1)).unwrap();
    assert_eq!(harness.judge(&udp(5000), false), Verdict::Pass);
    harness.filter.set_deadline(Duration::ZERO).unwrap();
    closes(&mut harness);
    harness.filter.set_deadline(Duration::MAX).unwrap();
    harness.filter.cut().unwrap();
    closes(&mut harness);
    harness.filter.admit().unwrap();
    assert_eq!(harness.judge(&udp(5000), false), Verdict::Pass);
}

/// A full log drops records, never its duty: each frame is dropped and counted, and so is each loss.
#[test]
fn a_full_log_loses_records_and_counts_them() {
    const FRAMES: u64 = 500;
    let settings = Settings { log_bytes: 4096, ..Settings::default() };
    let mut harness = Harness::new(&Program::embedded(), &settings);
    harness.filter.set_deadline(Duration::MAX).unwrap();
    harness.filter.admit().unwrap();
    harness.filter.switch(&image(&[vec![outward(17, (5000, 5000))]]), generation(1)).unwrap();
    send_udp(&harness, 6000, FRAMES);
    wait_until(&harness, "all are refused", |now| now.out.refused_by[0] == FRAMES);
    let lost = harness.filter.counters().unwrap().out.log_lost;
    let denials = harness.filter.denials(usize::MAX);
    assert!(lost > 0 && denials.len() as u64 + lost == FRAMES, "{} told, {lost} lost", denials.len());
    let denial = &denials[0];
    assert_eq!(
        (denial.direction, denial.reason, denial.ethertype, denial.protocol, denial.remote),
        (datapath::Direction::Out, datapath::Reason::Refused { tier: 0 }, 0x0800, 17, OUTSIDE)
    );
    assert_eq!((denial.remote_port, denial.local_port), (6000, 9));
    assert_eq!(denial.length as usize, udp(6000).bytes.len());
}

#[test]
fn flows_are_told_and_swept() {
    let mut harness = open_harness();
    harness.filter.switch(&image(&[vec![outward(17, (5000, 5000))]]), generation(4)).unwrap();
    let before = os::clock::boot();
    assert_eq!(harness.judge(&udp(5000), false), Verdict::Pass);
    let flows = harness.filter.flows().unwrap();
    let [flow] = flows.as_slice() else { panic!("{flows:?}") };
    assert_eq!((flow.began_by, flow.protocol, flow.remote), (datapath::Direction::Out, 17, OUTSIDE));
    assert_eq!((flow.remote_port, flow.local_port, flow.generation), (5000, 9, 4));
    // The program reads the clock once a tick.
    let tick = Duration::from_millis(50);
    assert!(before <= flow.seen.0 + tick && flow.seen.0 == flow.seen.1 && flow.seen.1 <= os::clock::boot());
    assert_eq!(harness.filter.sweep(flow.seen.1 + Duration::from_secs(59)).unwrap(), 0);
    assert_eq!(harness.filter.sweep(flow.seen.1 + Duration::from_secs(60)).unwrap(), 1);
    assert!(harness.filter.flows().unwrap().is_empty());
}

/// Between the look at an idle flow and its end a packet may begin it anew: it is not swept then.
#[test]
fn a_flow_that_begins_anew_amid_a_sweep_stays() {
    let mut harness = open_harness();
    harness.filter.switch(&image(&[vec![outward(17, (5000, 5001))]]), generation(1)).unwrap();
    assert_eq!(harness.judge(&udp(5000), false), Verdict::Pass);
    assert_eq!(harness.judge(&udp(5001), false), Verdict::Pass);
    harness.age_flows(Duration::from_secs(61));
    let mut table = harness.filter.flow_table().unwrap();
    let mut told = Vec::new();
    let swept = table.walk(os::clock::boot(), |flow| {
        told.push(flow.remote_port);
        if flow.remote_port == 5000 {
            assert_eq!(harness.judge(&udp(5000), false), Verdict::Pass);
        }
    });
    let left: Vec<u16> = harness.filter.flows().unwrap().iter().map(|flow| flow.remote_port).collect();
    assert_eq!((swept.unwrap(), left.as_slice()), (1, [5000].as_slice()), "told: {told:?}");
    assert!(told.contains(&5000) && told.contains(&5001), "told: {told:?}");
}

/// A segment that stands for several packets counts as these.
#[test]
fn large_segments_count_as_their_packets() {
    let mut harness = open_harness();
    harness.filter.switch(&image(&[vec![outward(17, (5000, 5000))]]), generation(1)).unwrap();
    assert!(harness.judge_large(&udp(5000), 44));
    assert!(!harness.judge_large(&udp(5001), 44));
    let counters = harness.filter.counters().unwrap().out;
    assert_eq!((counters.passed, counters.refused_by[0], counters.dropped.iter().sum()), (44, 44, 44));
}
