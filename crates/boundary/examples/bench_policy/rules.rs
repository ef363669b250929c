//! Made-up rules: addresses in nested prefixes of a few networks, a third IPv6, well-known ports, every
//! fifth rule a deny.

use std::fmt::Write as _;

use boundary::{ResolvedRule, ResolvedSet};

const V4: u128 = 0xffff_0000_0000;
const SERVICES: [u16; 12] = [22, 25, 53, 80, 110, 123, 143, 443, 993, 3306, 5432, 8080];

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A prefix: first address, last address, and its text.
    fn prefix(&mut self) -> ((u128, u128), String) {
        if self.below(10) < 3 {
            let length = [32, 40, 48, 48, 56, 64, 64, 64, 128][usize::try_from(self.below(9)).unwrap()];
            let network = 0x2a00_0000 + self.below(24) * 0x1_0001;
            let bits =
                u128::from(network) << 96 | u128::from(self.below(1 << 20)) << 64 | u128::from(self.below(4));
            let host = u128::MAX.checked_shr(length).unwrap_or(0);
            let text = format!("{}/{length}", std::net::Ipv6Addr::from_bits(bits & !host));
            return ((bits & !host, bits | host), text);
        }
        let length = [8, 16, 16, 20, 24, 24, 24, 28, 32, 32, 32][usize::try_from(self.below(11)).unwrap()];
        let network = 11 + self.below(40) * 4;
        let bits = u32::try_from(network << 24 | self.below(1 << 12) << 12 | self.below(1 << 12)).unwrap();
        let host = u32::MAX.checked_shr(length).unwrap_or(0);
        let text = format!("{}/{length}", std::net::Ipv4Addr::from_bits(bits & !host));
        ((V4 + u128::from(bits & !host), V4 + u128::from(bits | host)), text)
    }

    fn ports(&mut self) -> (u16, u16) {
        match self.below(10) {
            0..=2 => (0, u16::MAX),
            3 => (1024, u16::MAX),
            4 => {
                let first = u16::try_from(5000 + self.below(40) * 100).unwrap();
                (first, first + 99)
            }
            _ => {
                let port = SERVICES[usize::try_from(self.below(12)).unwrap()];
                (port, port)
            }
        }
    }

    fn rule(&mut self, name: String) -> ResolvedRule {
        let mut rule = ResolvedRule::any(name);
        let inbound = self.below(2) == 0;
        (rule.inbound, rule.outbound) = (inbound, !inbound);
        rule.remote = vec![self.prefix().0];
        rule.protocol = match self.below(20) {
            0 => None,
            1 => Some(1),
            2..=5 => Some(17),
            _ => Some(6),
        };
        if matches!(rule.protocol, Some(6 | 17)) {
            let (services, clients) = (vec![self.ports()], vec![(0, u16::MAX)]);
            (rule.local_port, rule.remote_port) =
                if inbound { (services, clients) } else { (clients, services) };
        }
        rule
    }

    /// That many rules, a fifth of them denies.
    pub(crate) fn ordinary_set(&mut self, rules: usize) -> ResolvedSet {
        let mut set = ResolvedSet::default();
        for _ in 0..rules {
            let deny = self.below(5) == 0;
            let place = if deny { set.deny.len() } else { set.allow.len() };
            let rule = self.rule(format!("{}[{place}]", if deny { "deny" } else { "allow" }));
            if deny { &mut set.deny } else { &mut set.allow }.push(rule);
        }
        set
    }

    /// Every allow narrowed or as it is, every deny and some more: contained.
    pub(crate) fn narrowed(&mut self, upper: &ResolvedSet) -> ResolvedSet {
        let mut lower = upper.clone();
        for rule in &mut lower.allow {
            let (first, last) = rule.remote[0];
            match self.below(3) {
                0 => rule.remote = vec![(first, first + (last - first) / 2)],
                1 if rule.protocol == Some(6) => rule.local_port[0].1 = rule.local_port[0].1.max(1) - 1,
                _ => {}
            }
            rule.local_port.retain(|(first, last)| first <= last);
        }
        for place in 0..lower.deny.len() / 10 {
            let more = self.rule(format!("more[{place}]"));
            lower.deny.push(more);
        }
        lower
    }

    /// One allow more, which no upper set of ours has: to an address outside all networks.
    pub(crate) fn widened(&mut self, lower: &ResolvedSet) -> ResolvedSet {
        let mut wider = lower.clone();
        let mut rule = self.rule("wider".to_owned());
        rule.remote = vec![(V4 + 0xcb00_7107, V4 + 0xcb00_7107)];
        wider.allow.push(rule);
        wider
    }

    /// Random overlapping ranges in all that a rule can have ranges in, the address and both ports.
    pub(crate) fn adversarial_set(&mut self, rules: usize) -> ResolvedSet {
        let mut set = ResolvedSet::default();
        for place in 0..rules {
            let mut rule = ResolvedRule::any(format!("allow[{place}]"));
            let mut range = |bound: u64| {
                // Wider ones would soon cover everything, which is simple again.
                let (first, width) = (self.below(bound), self.below(bound / 4));
                (first, (first + width).min(bound - 1))
            };
            let address = range(1 << 32);
            let port =
                |(first, last): (u64, u64)| (u16::try_from(first).unwrap(), u16::try_from(last).unwrap());
            rule.remote = vec![(V4 + u128::from(address.0), V4 + u128::from(address.1))];
            rule.remote_port = vec![port(range(1 << 16))];
            rule.local_port = vec![port(range(1 << 16))];
            rule.protocol = Some(6);
            set.allow.push(rule);
        }
        set
    }

    /// A boundary file of that many rules.
    pub(crate) fn file(&mut self, rules: usize) -> String {
        let mut text = "version = 1\n".to_owned();
        for _ in 0..rules {
            let kind = if self.below(5) == 0 { "deny" } else { "allow" };
            let (prefix, (first, last)) = (self.prefix().1, self.ports());
            write!(
                text,
                "\n[[{kind}]]\ndirection = \"in\"\nprotocol = \"tcp\"\nremote = \"{prefix}\"\nlocal_port = \"{first}-{last}\"\n"
            )
            .unwrap();
        }
        text
    }
}
