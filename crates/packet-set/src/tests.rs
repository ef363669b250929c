//! Every operation against brute force over a small domain, and the laws that the rest relies on.

use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::{
    Budget, Child, Direction, Field, Form, ICMP, Packet, PacketSet, Ranges, Region, TCP, TooComplex, UDP,
    V4_FIRST, address_number,
};

/// Each field's values that the random regions differ in; the rest of the domain behaves as one of them.
const PROTOCOLS: [u8; 5] = [ICMP, TCP, UDP, 47, 132];
const ADDRESSES: [u128; 5] = [0, 5, V4_FIRST, V4_FIRST + 1, u128::MAX];
const PORTS: [u16; 4] = [0, 1, 2, u16::MAX];

fn domain() -> Vec<Packet> {
    let mut packets = Vec::new();
    for form in [Form::Flow, Form::OneWay] {
        for direction in [Direction::In, Direction::Out] {
            for protocol in PROTOCOLS {
                for remote in ADDRESSES {
                    for remote_port in PORTS {
                        for local_port in PORTS {
                            let packet =
                                Packet { form, direction, protocol, remote, remote_port, local_port };
                            packets.extend(packet.is_well_formed().then_some(packet));
                        }
                    }
                }
            }
        }
    }
    packets
}

fn ranges(field: Field, corners: Vec<u128>) -> impl Strategy<Value = Ranges> {
    let range = (prop::sample::select(corners.clone()), prop::sample::select(corners))
        .prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        2 => Just(Ranges::all(field)),
        3 => prop::collection::vec(range, 0..3).prop_map(Ranges::of),
    ]
}

fn regions() -> impl Strategy<Value = Vec<Region>> {
    let ports = || PORTS.iter().copied().map(u128::from).collect();
    let region = (
        ranges(Field::Form, vec![0, 1]),
        ranges(Field::Direction, vec![0, 1]),
        ranges(Field::Protocol, PROTOCOLS.iter().copied().map(u128::from).collect()),
        ranges(Field::Remote, ADDRESSES.to_vec()),
        ranges(Field::RemotePort, ports()),
        ranges(Field::LocalPort, ports()),
    )
        .prop_map(|(form, direction, protocol, remote, remote_port, local_port)| Region {
            form,
            direction,
            protocol,
            remote,
            remote_port,
            local_port,
        });
    prop::collection::vec(region, 0..6)
}

fn budget() -> Budget {
    Budget::of_steps(1_000_000)
}

fn set(regions: &[Region]) -> PacketSet {
    PacketSet::union_of(regions, &mut budget()).unwrap()
}

proptest! {
    #[test]
    fn operations_equal_brute_force(a in regions(), b in regions()) {
        let (left, right) = (set(&a), set(&b));
        let union = left.union(&right, &mut budget()).unwrap();
        let both = left.intersect(&right, &mut budget()).unwrap();
        let rest = left.subtract(&right, &mut budget()).unwrap();
        let other = left.complement(&mut budget()).unwrap();
        let mut subset = true;
        for packet in domain() {
            let in_a = a.iter().any(|region| region.contains(&packet));
            let in_b = b.iter().any(|region| region.contains(&packet));
            prop_assert_eq!(left.evaluate(&packet), in_a);
            prop_assert_eq!(union.evaluate(&packet), in_a || in_b);
            prop_assert_eq!(both.evaluate(&packet), in_a && in_b);
            prop_assert_eq!(rest.evaluate(&packet), in_a && !in_b);
            prop_assert_eq!(other.evaluate(&packet), !in_a);
            subset &= !in_a || in_b;
        }
        prop_assert_eq!(left.is_subset_of(&right, &mut budget()).unwrap(), rest.is_empty());
        // The domain is too thin to show every difference, but a subset shows none.
        prop_assert!(subset || !rest.is_empty());
    }

    #[test]
    fn equal_sets_are_equal_however_made(a in regions(), b in regions()) {
        let (left, right) = (set(&a), set(&b));
        let together: Vec<Region> = b.iter().chain(&a).cloned().collect();
        let union = left.union(&right, &mut budget()).unwrap();
        prop_assert_eq!(&set(&together), &union);
        prop_assert_eq!(set(&together).digest(), union.digest());
        let twice = left.complement(&mut budget()).unwrap().complement(&mut budget()).unwrap();
        prop_assert_eq!(&twice, &left);
        let split = left.intersect(&right, &mut budget()).unwrap()
            .union(&left.subtract(&right, &mut budget()).unwrap(), &mut budget()).unwrap();
        prop_assert_eq!(split.digest(), left.digest());
        prop_assert_eq!(left == right, left.digest() == right.digest());
    }

    #[test]
    fn the_box_around_a_witness_is_within_the_set_and_maximal(
        a in regions(), b in regions(), known in any::<[bool; 5]>(),
    ) {
        let rest = set(&a).subtract(&set(&b), &mut budget()).unwrap();
        let known: Vec<u128> = ADDRESSES.into_iter().zip(known).filter_map(|(address, is)| is.then_some(address)).collect();
        let Some(witness) = rest.witness(&known) else {
            prop_assert!(rest.is_empty());
            return Ok(());
        };
        prop_assert!(rest.evaluate(&witness.packet));
        prop_assert!(witness.region.contains(&witness.packet));
        let whole = set(std::slice::from_ref(&witness.region));
        prop_assert!(whole.is_subset_of(&rest, &mut budget()).unwrap());
        for field in Field::ALL {
            for value in candidates(field) {
                let mut larger = witness.region.clone();
                let list = list_mut(&mut larger, field);
                if list.contains(value) || changes_port_use(&witness.region, field, value) {
                    continue;
                }
                *list = Ranges::of([list.as_slice(), &[(value, value)]].concat());
                let larger = set(&[larger]);
                prop_assert!(larger == whole || !larger.is_subset_of(&rest, &mut budget()).unwrap(), "{field:?} {value}");
            }
        }
    }

    #[test]
    fn side_by_side_and_the_difference_show_the_same(a in regions(), b in regions(), known in any::<[bool; 5]>()) {
        let (left, right) = (set(&a), set(&b));
        let known: Vec<u128> = ADDRESSES.into_iter().zip(known).filter_map(|(address, is)| is.then_some(address)).collect();
        let rest = left.subtract(&right, &mut budget()).unwrap();
        let beyond = left.witness_beyond(&right, &known, &mut budget()).unwrap();
        prop_assert_eq!(&beyond, &rest.witness(&known));
        prop_assert_eq!(beyond.is_none(), left.is_subset_of(&right, &mut budget()).unwrap());
        // An equal set that was made by itself, and the very same.
        prop_assert!(left.is_subset_of(&set(&a), &mut budget()).unwrap());
        prop_assert_eq!(left.witness_beyond(&left, &known, &mut Budget::of_steps(0)), Ok(None));
        for steps in 0..20 {
            let some = left.witness_beyond(&right, &known, &mut Budget::of_steps(steps));
            prop_assert!(some == Err(TooComplex) || some == Ok(beyond.clone()));
        }
    }

    #[test]
    fn a_small_budget_answers_too_complex(a in regions(), b in regions(), steps in 0_u64..40) {
        let exact = set(&a).subtract(&set(&b), &mut budget()).unwrap();
        let within = set(&a).subtract(&set(&b), &mut Budget::of_steps(steps));
        prop_assert!(within == Ok(exact) || within == Err(TooComplex));
    }

    #[test]
    fn diagrams_are_reduced(a in regions()) {
        let set = set(&a);
        let mut seen = std::collections::HashSet::new();
        let mut stack = vec![(set.root(), 0_usize)];
        while let Some((child, level)) = stack.pop() {
            let Child::Node(node) = child else {
                prop_assert_eq!(child == Child::Admitted, level == 6 && child != Child::Refused);
                continue;
            };
            let edges = set.edges(node);
            prop_assert_eq!(edges.last().unwrap().upto, Field::ALL[level].last());
            prop_assert!(edges.windows(2).all(|pair| pair[0].upto < pair[1].upto && pair[0].child != pair[1].child));
            prop_assert!(edges.iter().any(|edge| edge.child != Child::Refused));
            stack.extend(edges.iter().map(|edge| (edge.child, level + 1)));
            seen.insert(node);
        }
        prop_assert_eq!(seen.len(), set.node_count());
    }
}

fn candidates(field: Field) -> Vec<u128> {
    let ports = || PORTS.iter().copied().map(u128::from).collect();
    match field {
        Field::Form | Field::Direction => vec![0, 1],
        Field::Protocol => (0..=255).collect(),
        Field::Remote => ADDRESSES.to_vec(),
        Field::RemotePort | Field::LocalPort => ports(),
    }
}

fn list_mut(region: &mut Region, field: Field) -> &mut Ranges {
    match field {
        Field::Form => &mut region.form,
        Field::Direction => &mut region.direction,
        Field::Protocol => &mut region.protocol,
        Field::Remote => &mut region.remote,
        Field::RemotePort => &mut region.remote_port,
        Field::LocalPort => &mut region.local_port,
    }
}

/// Whether the box has some but not all ports and the value is a protocol that uses ports otherwise.
fn changes_port_use(region: &Region, field: Field, value: u128) -> bool {
    let use_of = |number: u128| crate::port_use(u8::try_from(number).unwrap());
    let all_ports =
        region.remote_port.is_all(Field::RemotePort) && region.local_port.is_all(Field::LocalPort);
    field == Field::Protocol && !all_ports && use_of(value) != use_of(region.protocol.as_slice()[0].0)
}

#[test]
fn witnesses_are_packets_that_a_person_knows() {
    let everything = PacketSet::everything();
    let web = everything.witness(&[]).unwrap().packet;
    assert_eq!((web.form, web.direction, web.protocol), (Form::Flow, Direction::In, TCP));
    assert_eq!(
        (web.remote_address().to_string().as_str(), web.local_port, web.remote_port),
        ("203.0.113.7", 443, 40000)
    );
    let node = address_number("10.1.0.11".parse().unwrap());
    assert_eq!(everything.witness(&[node]).unwrap().packet.remote, node);
    assert_eq!(everything.witness(&[]).unwrap().region, Region::everything());
    assert_eq!(PacketSet::nothing().witness(&[]), None);
}

#[test]
fn everything_has_all_well_formed_packets_and_no_other() {
    let everything = PacketSet::everything();
    let mut packet = domain()[0];
    assert!(domain().iter().all(|packet| everything.evaluate(packet)));
    (packet.protocol, packet.remote_port) = (ICMP, 1);
    assert!(!everything.evaluate(&packet));
    assert!(everything.complement(&mut budget()).unwrap().is_empty());
    assert_eq!(everything.complement(&mut budget()).unwrap().digest(), PacketSet::nothing().digest());
}

#[test]
fn nothing_and_everything_take_no_step() {
    let tcp = Region { protocol: Ranges::one(TCP.into()), ..Region::everything() };
    let (some, no_step) = (set(&[tcp]), &mut Budget::of_steps(0));
    let (nothing, everything) = (PacketSet::nothing(), PacketSet::everything());
    assert_eq!(some.union(&nothing, no_step).as_ref(), Ok(&some));
    assert_eq!(nothing.union(&some, no_step).as_ref(), Ok(&some));
    assert_eq!(some.union(&everything, no_step).as_ref(), Ok(&everything));
    assert_eq!(everything.union(&some, no_step).as_ref(), Ok(&everything));
    assert_eq!(some.intersect(&everything, no_step).as_ref(), Ok(&some));
    assert_eq!(everything.intersect(&some, no_step).as_ref(), Ok(&some));
    assert_eq!(some.intersect(&nothing, no_step).as_ref(), Ok(&nothing));
    assert_eq!(nothing.intersect(&some, no_step).as_ref(), Ok(&nothing));
    assert_eq!(some.subtract(&nothing, no_step).as_ref(), Ok(&some));
    assert_eq!(nothing.subtract(&some, no_step).as_ref(), Ok(&nothing));
}
