use std::net::IpAddr;

use packet_set::{Budget, Direction, Field, Form, Packet, PacketSet, PortUse, Ranges, Region, port_use};
use proptest::prelude::*;

use super::*;
use crate::image::WORDS_MAX;

/// What the program would answer, from the image alone: `tier_admits` of `bpf/tiers.h` in Rust.
fn admits(image: &Image, tier: usize, packet: &Packet) -> bool {
    let question = packet.form.number() << 9 | packet.direction.number() << 8 | u128::from(packet.protocol);
    let words = &image.words;
    let mut word = words[index(words[tier]) + usize::try_from(question).unwrap()];
    if count(word) == 0 && offset(word) >= 2 {
        let row = words[rows(words, packet.remote) + tier];
        word = words[index(row) + offset(word) - 2];
    }
    for port in [packet.remote_port, packet.local_port] {
        if count(word) > 0 {
            let entries = &words[offset(word)..offset(word) + count(word)];
            word = entries[entries.partition_point(|entry| (entry & 0xffff) < u64::from(port))];
        }
    }
    count(word) == 0 && offset(word) == 1
}

/// Where the rows of an address are: `rows_of` in Rust.
fn rows(words: &[u64], remote: u128) -> usize {
    let place = |word: u64| (offset(word), index(word & 0x1_ffff_ffff));
    if remote >> 32 == 0xffff {
        let (first, count) = place(words[8]);
        let ranges = &words[first..first + count];
        let v4 = u64::try_from(remote & 0xffff_ffff).unwrap();
        return index(ranges[ranges.partition_point(|range| range >> 32 < v4)] & 0xffff_ffff);
    }
    let (first, count) = place(words[9]);
    let bound = |n: usize| u128::from(words[first + 2 * n]) << 64 | u128::from(words[first + 2 * n + 1]);
    let found = (0..count).find(|n| bound(*n) >= remote).unwrap();
    index(words[first + 2 * count + found])
}

fn index(word: u64) -> usize {
    usize::try_from(word).unwrap()
}

fn count(word: u64) -> usize {
    usize::try_from((word >> 16) & 0x1ffff).unwrap()
}

fn offset(word: u64) -> usize {
    usize::try_from(word >> 38).unwrap()
}

fn lease() -> Lease {
    Lease { mac: [2, 0, 0, 0, 0, 1], addresses: vec![IpAddr::from([10, 1, 0, 11])] }
}

fn ranges(field: Field, few: u128) -> impl Strategy<Value = Ranges> {
    prop_oneof![
        1 => Just(Ranges::all(field)),
        2 => prop::collection::vec((0..few, 0..few), 1..3)
            .prop_map(|ends| Ranges::of(ends.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect())),
    ]
}

fn address_ranges() -> impl Strategy<Value = Ranges> {
    prop_oneof![
        1 => Just(Ranges::all(Field::Remote)),
        3 => (any::<u32>(), 0_u32..=32).prop_map(|(v4, bits)| {
            let size = (1_u128 << (32 - bits)) - 1;
            let first = (0xffff_0000_0000 | u128::from(v4)) & !size;
            Ranges::of(vec![(first, first | size)])
        }),
        1 => (any::<u128>(), any::<u128>()).prop_map(|(a, b)| Ranges::of(vec![(a.min(b), a.max(b))])),
    ]
}

fn region() -> impl Strategy<Value = Region> {
    (
        ranges(Field::Form, 2),
        ranges(Field::Direction, 2),
        ranges(Field::Protocol, 256),
        address_ranges(),
        ranges(Field::RemotePort, 65_536),
        ranges(Field::LocalPort, 65_536),
    )
        .prop_map(|(form, direction, protocol, remote, remote_port, local_port)| Region {
            form,
            direction,
            protocol,
            remote,
            remote_port,
            local_port,
        })
}

proptest! {
    /// The compiled tables answer as the diagrams do, on edges of every region and beside them.
    #[test]
    fn image_agrees_with_diagrams(allows in prop::collection::vec(region(), 1..8),
                                  denies in prop::collection::vec(region(), 0..4),
                                  picks in prop::collection::vec(any::<[u16; 8]>(), 200)) {
        let mut budget = Budget::for_tier();
        let upper = PacketSet::union_of(&allows, &mut budget).unwrap();
        let lower = upper.subtract(&PacketSet::union_of(&denies, &mut budget).unwrap(), &mut budget).unwrap();
        let stack = [upper, PacketSet::everything(), lower];
        let image = compile(&stack, &lease(), &mut budget).unwrap();
        let regions: Vec<&Region> = allows.iter().chain(&denies).collect();
        for pick in picks {
            let packet = packet_near(regions[usize::from(pick[0]) % regions.len()], pick);
            for (tier, set) in stack.iter().enumerate() {
                prop_assert_eq!(admits(&image, tier, &packet), set.evaluate(&packet), "{} {:?}", tier, packet);
            }
        }
    }
}

/// A packet on, or one off, the bounds of a region.
fn packet_near(region: &Region, pick: [u16; 8]) -> Packet {
    let bound = |ranges: &Ranges, pick: u16, max: u128| {
        let all = ranges.as_slice();
        let (first, last) = all[usize::from(pick >> 3) % all.len()];
        match pick & 7 {
            0 => first,
            1 => last,
            2 => first.saturating_sub(1),
            3 => last.saturating_add(1).min(max),
            4 => 0,
            5 => max,
            _ => first + (last - first) / 2,
        }
    };
    let protocol = u8::try_from(match pick[1] & 7 {
        0..3 => [6, 17, 1][usize::from(pick[1] & 7)],
        _ => bound(&region.protocol, pick[1], 255),
    })
    .unwrap();
    let port = |ranges, pick| u16::try_from(bound(ranges, pick, 65_535)).unwrap();
    let (remote_port, local_port) = match port_use(protocol) {
        PortUse::Ports => (port(&region.remote_port, pick[2]), port(&region.local_port, pick[3])),
        PortUse::TypeAndCode => (0, port(&region.local_port, pick[3])),
        PortUse::Unused => (0, 0),
    };
    Packet {
        form: if pick[4] & 1 == 0 { Form::Flow } else { Form::OneWay },
        direction: if pick[5] & 1 == 0 { Direction::In } else { Direction::Out },
        protocol,
        remote: bound(&region.remote, pick[6], u128::MAX),
        remote_port,
        local_port,
    }
}

#[test]
fn empty_stack_and_long_lease_are_refused() {
    let mut budget = Budget::for_tier();
    assert_eq!(compile(&[], &lease(), &mut budget), Err(CompileError::NoTiers));
    let crowd = Lease { addresses: vec![IpAddr::from([10, 0, 0, 1]); 17], ..lease() };
    assert_eq!(
        compile(&[PacketSet::nothing()], &crowd, &mut budget),
        Err(CompileError::TooManyAddresses(17))
    );
}

#[test]
fn what_lies_below_the_eighth_tier_is_intersected() {
    let mut budget = Budget::for_tier();
    let mut stack = vec![PacketSet::everything(); 11];
    stack[10] = PacketSet::nothing();
    let image = compile(&stack, &lease(), &mut budget).unwrap();
    assert_eq!(image.tiers, TIERS_MAX);
    let packet = Packet {
        form: Form::Flow,
        direction: Direction::In,
        protocol: 6,
        remote: 9,
        remote_port: 1,
        local_port: 1,
    };
    let admitted: Vec<bool> = (0..TIERS_MAX).map(|tier| admits(&image, tier, &packet)).collect();
    assert_eq!(admitted, [true, true, true, true, true, true, true, false]);
}

/// A set of `count` networks, each other one from the first on.
fn scattered(first: u128, size: u128, count: u128, budget: &mut Budget) -> PacketSet {
    let ranges = (0..count).map(|n| (first + n * size * 2, first + n * size * 2 + size - 1)).collect();
    PacketSet::union_of(&[Region { remote: Ranges::of(ranges), ..Region::everything() }], budget).unwrap()
}

/// Ten thousand prefixes need two ranges each, whatever the number of tiers that name the same.
#[test]
fn prefixes_do_not_multiply() {
    let mut budget = Budget::for_tier();
    let set = scattered(0xffff_0a00_0000, 256, 10_000, &mut budget);
    let image = compile(&[set.clone(), set.clone(), set], &lease(), &mut budget).unwrap();
    assert!(image.size() <= 24_000, "{}", image.size());
}

#[test]
fn more_ranges_than_the_table_holds_are_refused() {
    let mut budget = Budget::of_steps(u64::MAX);
    let set = scattered(1, 1, WORDS_MAX as u128 / 5, &mut budget);
    let refused = compile(&[PacketSet::everything(), set], &lease(), &mut budget).unwrap_err();
    assert!(matches!(refused, CompileError::TooLarge(_)), "{refused}");
}
