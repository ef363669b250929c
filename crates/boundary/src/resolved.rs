//! Rules after names are resolved: numbers only.

use serde::{Deserialize, Serialize};

use packet_set::{Budget, Direction, Field, Form, Packet, PacketSet, Ranges, Region, TooComplex};

/// One rule. A packet matches when every field has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolvedRule {
    /// The rule's name, or its place: `allow[0]`.
    pub name: String,
    /// Matches what the remote sends.
    pub inbound: bool,
    /// Matches what the realm sends.
    pub outbound: bool,
    /// The IP protocol; none: any.
    pub protocol: Option<u8>,
    /// Inclusive address ranges, IPv4 as v4-mapped; may be empty (a group without nodes).
    pub remote: Vec<(u128, u128)>,
    /// Inclusive port ranges.
    pub remote_port: Vec<(u16, u16)>,
    /// Inclusive port ranges; for ICMP and ICMPv6 ranges of type * 256 + code.
    pub local_port: Vec<(u16, u16)>,
    /// Matches the one-way packet only; otherwise the flow's first packet too.
    pub one_way: bool,
}

impl ResolvedRule {
    /// A rule that matches every packet.
    #[must_use]
    pub fn any(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            inbound: true,
            outbound: true,
            protocol: None,
            remote: vec![(0, u128::MAX)],
            remote_port: vec![(0, u16::MAX)],
            local_port: vec![(0, u16::MAX)],
            one_way: false,
        }
    }

    /// Whether the packet matches.
    #[must_use]
    pub fn matches(&self, packet: &Packet) -> bool {
        let way = match packet.direction {
            Direction::In => self.inbound,
            Direction::Out => self.outbound,
        };
        way && (packet.form == Form::OneWay || !self.one_way)
            && self.protocol.is_none_or(|protocol| protocol == packet.protocol)
            && has(&self.remote, packet.remote)
            && has(&self.remote_port, packet.remote_port)
            && has(&self.local_port, packet.local_port)
    }

    /// The rule as a product of ranges.
    pub(crate) fn region(&self) -> Region {
        let flags = |zero: bool, one: bool| {
            Ranges::of(
                [(zero, 0), (one, 1)]
                    .into_iter()
                    .filter_map(|(is, value)| is.then_some((value, value)))
                    .collect(),
            )
        };
        let ports = |ranges: &[(u16, u16)]| {
            Ranges::of(ranges.iter().map(|(first, last)| (u128::from(*first), u128::from(*last))).collect())
        };
        Region {
            form: flags(!self.one_way, true),
            direction: flags(self.inbound, self.outbound),
            protocol: self
                .protocol
                .map_or_else(|| Ranges::all(Field::Protocol), |number| Ranges::one(number.into())),
            remote: Ranges::of(self.remote.clone()),
            remote_port: ports(&self.remote_port),
            local_port: ports(&self.local_port),
        }
    }
}

fn has<N: Copy + Ord>(ranges: &[(N, N)], value: N) -> bool {
    ranges.iter().any(|(first, last)| *first <= value && value <= *last)
}

/// Allow and deny rules: admits what some allow matches and no deny matches.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolvedSet {
    /// What is admitted,
    pub allow: Vec<ResolvedRule>,
    /// unless one of these matches.
    pub deny: Vec<ResolvedRule>,
}

/// What a set says to a packet, and which rule decided. Borrowed from the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<'a> {
    /// This allow matches, and no deny.
    Admitted(&'a ResolvedRule),
    /// This deny matches.
    Denied(&'a ResolvedRule),
    /// No deny matches, and no allow.
    NotAllowed,
}

impl Decision<'_> {
    /// Whether the packet is in the set.
    #[must_use]
    pub const fn admits(&self) -> bool {
        matches!(self, Self::Admitted(_))
    }
}

impl ResolvedSet {
    /// Admits everything.
    #[must_use]
    pub fn everything() -> Self {
        Self { allow: vec![ResolvedRule::any("allow[0]")], deny: Vec::new() }
    }

    /// What the rules say to a packet, read one by one.
    #[must_use]
    pub fn decide(&self, packet: &Packet) -> Decision<'_> {
        if let Some(deny) = self.deny.iter().find(|rule| rule.matches(packet)) {
            return Decision::Denied(deny);
        }
        self.allow.iter().find(|rule| rule.matches(packet)).map_or(Decision::NotAllowed, Decision::Admitted)
    }

    /// The exact set of packets that the rules admit.
    ///
    /// # Errors
    /// The budget ran out: nothing is proved.
    pub fn packet_set(&self, budget: &mut Budget) -> Result<PacketSet, TooComplex> {
        let regions = |rules: &[ResolvedRule]| rules.iter().map(ResolvedRule::region).collect::<Vec<_>>();
        let allowed = PacketSet::union_of(&regions(&self.allow), budget)?;
        let denied = PacketSet::union_of(&regions(&self.deny), budget)?;
        allowed.subtract(&denied, budget)
    }
}
