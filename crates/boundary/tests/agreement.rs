//! A hundred thousand random pairs of sets, judged four ways: by the diagram, by rectangles, by the rules
//! one by one, and by brute force over a domain in which every pair shows all that it can differ in.
//!
//! `cargo test -p boundary --test agreement -- --nocapture` prints the counts.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use boundary::{
    Budget, Decision, Direction, FilterSet, Form, Meaning, Packet, PacketSet, ResolvedRule, ResolvedSet,
    Written, compare, rectangle,
};

const PAIRS: u32 = 100_000;
const SEED: u64 = 0x1ea5_e401d;

/// Rules name these, or any. The last of each list stands for all others, which no rule names.
const PROTOCOLS: [u8; 6] = [1, 6, 47, 17, 58, 50];
const NAMED_PROTOCOLS: usize = 3;
const BASE: u128 = 0xffff_0a01_0000;
const ADDRESSES: [u128; 4] = [BASE, BASE + 1, BASE + 2, 0x2001_0db8 << 96];
const PORTS: [u16; 4] = [0, 1, 2, 40_000];
const NAMED: usize = 3;

/// SplitMix64: small, seeded, good enough to mix rules.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    /// Two of the named values as bounds.
    fn bounds(&mut self) -> (usize, usize) {
        let (a, b) = (self.below(NAMED), self.below(NAMED));
        (a.min(b), a.max(b))
    }

    fn ports(&mut self) -> Vec<(u16, u16)> {
        if self.one_in(2) {
            return vec![(0, u16::MAX)];
        }
        (0..=self.below(2)).map(|_| self.bounds()).map(|(first, last)| (PORTS[first], PORTS[last])).collect()
    }

    fn rule(&mut self, name: String) -> ResolvedRule {
        let way = self.below(4);
        let remote = if self.one_in(3) {
            vec![(0, u128::MAX)]
        } else {
            (0..=self.below(2))
                .map(|_| self.bounds())
                .map(|(first, last)| (ADDRESSES[first], ADDRESSES[last]))
                .collect()
        };
        let (protocol, remote_port, local_port) = match self.below(NAMED_PROTOCOLS + 2) {
            1 => (Some(PROTOCOLS[1]), self.ports(), self.ports()),
            0 => (Some(PROTOCOLS[0]), vec![(0, u16::MAX)], self.ports()),
            2 => (Some(PROTOCOLS[2]), vec![(0, u16::MAX)], vec![(0, u16::MAX)]),
            _ => (None, vec![(0, u16::MAX)], vec![(0, u16::MAX)]),
        };
        ResolvedRule {
            name,
            inbound: way != 1,
            outbound: way != 0,
            protocol,
            remote,
            remote_port,
            local_port,
            one_way: self.one_in(5),
        }
    }

    fn rules(&mut self, kind: &str, count_max: usize) -> Vec<ResolvedRule> {
        (0..self.below(count_max + 1)).map(|place| self.rule(format!("{kind}[{place}]"))).collect()
    }

    fn set(&mut self) -> ResolvedSet {
        ResolvedSet { allow: self.rules("allow", 4), deny: self.rules("deny", 3) }
    }

    /// Often a narrowed copy of an upper set, so that containment is no rarity.
    fn lower(&mut self, upper: &ResolvedSet) -> ResolvedSet {
        let mut lower = if self.one_in(3) { self.set() } else { upper.clone() };
        if !lower.allow.is_empty() && self.one_in(2) {
            let at = self.below(lower.allow.len());
            lower.allow.remove(at);
        }
        if !lower.deny.is_empty() && self.one_in(3) {
            let at = self.below(lower.deny.len());
            lower.deny.remove(at);
        }
        if self.one_in(2) {
            lower.deny.push(self.rule("more".to_owned()));
        }
        if self.one_in(4) {
            lower.allow.push(self.rule("wider".to_owned()));
        }
        lower
    }
}

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

#[derive(Debug, Default)]
struct Counts {
    pairs: u32,
    contained: u32,
    refused: u32,
    equal: u32,
    packets_judged: u64,
    packets_in_boxes: u64,
    written_and_read_back: u32,
}

#[test]
fn diagram_rectangles_rules_and_brute_force_agree() {
    let domain = domain();
    let mut random = Random(SEED);
    let mut counts = Counts::default();
    for number in 0..PAIRS {
        let uppers: Vec<ResolvedSet> = (0..=random.below(4) / 3).map(|_| random.set()).collect();
        let lower = random.lower(&uppers[0]);
        check_pair(&domain, &uppers, &lower, &mut counts);
        if number % 5 == 0 {
            check_changed(&uppers[0], &lower);
        }
        if number % 10 == 0 {
            check_written(&lower);
            counts.written_and_read_back += 1;
        }
    }
    println!("seed {SEED:#x}, a domain of {} packets: {counts:?}", domain.len());
    assert_eq!(counts.pairs, PAIRS);
    // Both answers are tested, each by at least a quarter of the pairs.
    assert!(counts.contained > PAIRS / 4 && counts.refused > PAIRS / 4, "{counts:?}");
}

/// A set that was changed is the one that is made anew.
fn check_changed(before: &ResolvedSet, after: &ResolvedSet) {
    let anew = |rules: &ResolvedSet| Meaning::of(rules.clone(), &mut Budget::for_tier()).unwrap();
    for (from, to) in [(before, after), (after, before)] {
        let changed = anew(from).changed(to.clone(), &mut Budget::for_tier()).unwrap();
        assert_eq!(changed.packets(), anew(to).packets(), "from {from:#?}\nto {to:#?}");
        // What it keeps for the next change is right, too.
        let back = changed.changed(from.clone(), &mut Budget::for_tier()).unwrap();
        assert_eq!(back.packets(), anew(from).packets(), "from {to:#?}\nback to {from:#?}");
    }
}

fn check_pair(domain: &[Packet], uppers: &[ResolvedSet], lower: &ResolvedSet, counts: &mut Counts) {
    let context = || format!("uppers {uppers:#?}\nlower {lower:#?}");
    let upper_admits = |packet: &Packet| uppers.iter().all(|upper| upper.decide(packet).admits());
    let violates = |packet: &Packet| lower.decide(packet).admits() && !upper_admits(packet);
    let comparison = compare(uppers, lower, &[], &mut Budget::for_tier()).unwrap();
    let (mut violated, mut differing) = (false, false);
    for packet in domain {
        let (in_lower, in_upper) = (lower.decide(packet).admits(), upper_admits(packet));
        assert_eq!(comparison.lower.evaluate(packet), in_lower, "{packet:?} {}", context());
        assert_eq!(comparison.upper.evaluate(packet), in_upper, "{packet:?} {}", context());
        violated |= in_lower && !in_upper;
        differing |= in_lower != in_upper;
        counts.packets_judged += 1;
    }
    assert_eq!(comparison.excess.is_some(), violated, "{}", context());
    assert_eq!(comparison.upper.digest() == comparison.lower.digest(), !differing, "{}", context());
    let by_rectangles = rectangle::excess(uppers, lower, 1_000_000).unwrap();
    assert_eq!(by_rectangles.is_some(), violated, "{}", context());
    if let Some(packet) = by_rectangles {
        assert!(violates(&packet) && packet.is_well_formed(), "{packet:?} {}", context());
        assert!(rectangle::admits(lower, &packet));
    }
    if let Some(excess) = &comparison.excess {
        assert!(
            violates(&excess.packet) && excess.region.contains(&excess.packet),
            "{excess:?} {}",
            context()
        );
        let boxed: Vec<_> = domain.iter().filter(|packet| excess.region.contains(packet)).collect();
        assert!(boxed.iter().all(|packet| violates(packet)), "{excess:?} {}", context());
        counts.packets_in_boxes += boxed.len() as u64;
        let first = uppers.iter().position(|upper| !upper.decide(&excess.packet).admits());
        assert_eq!(first, Some(excess.upper_tier));
        let denies = uppers[excess.upper_tier].deny.iter().find(|rule| rule.matches(&excess.packet));
        assert_eq!(denies.map(|rule| rule.name.clone()), excess.upper_rule);
        let Decision::Admitted(rule) = lower.decide(&excess.packet) else { panic!("{}", context()) };
        assert_eq!(rule.name, excess.lower_rule);
    }
    counts.pairs += 1;
    counts.contained += u32::from(!violated);
    counts.refused += u32::from(violated);
    counts.equal += u32::from(!differing);
}

/// What `narrow` writes means the set that it was written from.
fn check_written(set: &ResolvedSet) {
    let exact = set.packet_set(&mut Budget::for_tier()).unwrap();
    let text = Written::of(&exact, &mut Budget::for_tier()).unwrap().to_string();
    let read: PacketSet = FilterSet::parse(text.as_bytes())
        .unwrap()
        .resolve(None)
        .unwrap()
        .packet_set(&mut Budget::for_tier())
        .unwrap();
    assert_eq!(read, exact, "{set:#?}\n{text}");
}
