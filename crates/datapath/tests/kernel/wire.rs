//! Real connections and real traffic over a cable between two namespaces.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use boundary::{Budget, Direction, Form, Packet, ResolvedRule, ResolvedSet};
use datapath::{Counters, Image, Lease, Program, Reason, Settings, compile};
use id::Generation;
use packet_set::address_number;

use crate::dice::Dice;
use crate::frames::Draft;
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
        now.inward.dropped_for(Reason::Refused { tier: 0 })
            > before.inward.dropped_for(Reason::Refused { tier: 0 })
    });
    assert!(harness.filter.flows().unwrap().is_empty());
    inside.set_nonblocking(true).unwrap();
    assert_eq!(inside.read(&mut [0; 5]).unwrap_err().kind(), ErrorKind::WouldBlock);
    let after = harness.filter.counters().unwrap();
    // But for neighbours' questions nothing passed.
    assert_eq!(after.out.dropped_for(Reason::TableFull), 0);

    // A cut filter stops even what the policy allows.
    harness.filter.switch(&allowing, generation(5)).unwrap();
    drop((inside, outside));
    let mut inside = connect(&harness).unwrap();
    let mut outside = listener.accept().unwrap().0;
    echo(&mut inside, &mut outside);
    harness.filter.cut().unwrap();
    let passed = harness.filter.counters().unwrap().inward.passed;
    outside.write_all(b"never").unwrap();
    wait_until(&harness, "the cut filter drops", |now| now.inward.dropped_for(Reason::Closed) > 0);
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
    assert_eq!(after.dropped_for(Reason::Refused { tier: 0 }), sent);
    assert_eq!(after.dropped.iter().sum::<u64>(), sent);
}

/// A segment that stands for several packets counts as these.
#[test]
fn large_segments_count_as_their_packets() {
    let mut harness = open_harness();
    harness.filter.switch(&image(&[vec![outward(17, (5000, 5000))]]), generation(1)).unwrap();
    let mut dice = Dice::new(2);
    let mut world = World::new(&mut dice);
    (world.mac, world.v4) = (lease().mac, vec![[10, 1, 0, 11].into()]);
    let mut send = |remote_port| {
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
        harness.judge_large(&world.whole(&mut dice, &draft), 44)
    };
    assert!(send(5000));
    assert!(!send(5001));
    let counters = harness.filter.counters().unwrap().out;
    assert_eq!((counters.passed, counters.refused_by[0], counters.dropped.iter().sum()), (44, 44, 44));
}
