//! A set written back as rules: what `leasehold boundary narrow` prints.
//!
//! Where most protocols pass, one allow for any protocol and a few denies say it; elsewhere allows alone.
//! Flows and one-way packets that differ take extra rules with `one_way`.

use std::collections::BTreeMap;
use std::fmt;

use packet_set::{Budget, Child, Field, Form, PacketSet, PortUse, Ranges, Region, TooComplex, port_use};
use serde::Serialize;

use crate::addresses;
use crate::filter_set::RULES_MAX;
use crate::keys::Keys;

/// So many protocols may be written as denies under one allow for any.
const DENIED_PROTOCOLS_MAX: usize = 64;

/// A boundary file, made from a set. `Display` writes TOML, serde JSON of the same shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    version: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow: Vec<Keys>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deny: Vec<Keys>,
}

impl Written {
    /// Writes the set as rules.
    ///
    /// # Errors
    /// The budget ran out, or it would take more rules than a file may have.
    pub fn of(set: &PacketSet, budget: &mut Budget) -> Result<Self, TooComplex> {
        let below = |set: &PacketSet, form: Form| set.follow(set.root(), form.number());
        let mut rules = Rules::default();
        let both = Ranges::all(Field::Form);
        let alone = Ranges::one(Form::OneWay.number());
        if below(set, Form::Flow) == below(set, Form::OneWay) {
            rules.add(set, below(set, Form::Flow), &both, true)?;
        } else {
            // A rule without `one_way` speaks of both forms. So write the flows; then all one-way packets, if
            // the flows' rules do not admit them already; then deny the one-way packets that only flows have.
            let exchanged = set.exchange_forms(budget)?;
            let beyond = below(&set.subtract(&exchanged, budget)?, Form::OneWay) != Child::Refused;
            rules.add(set, below(set, Form::Flow), &both, !beyond)?;
            if beyond {
                rules.add(set, below(set, Form::OneWay), &alone, true)?;
            }
            let lacking = exchanged.subtract(set, budget)?;
            let mut denied = Rules::default();
            denied.add(&lacking, below(&lacking, Form::OneWay), &alone, false)?;
            rules.deny.append(&mut denied.allow);
        }
        let keys = |regions: Vec<Region>| join_directions(regions).iter().map(Keys::of_rule).collect();
        Ok(Self { version: 1, allow: keys(rules.allow), deny: keys(rules.deny) })
    }
}

/// One rule for both directions where two say the same for one each.
fn join_directions(regions: Vec<Region>) -> Vec<Region> {
    let mut joined: BTreeMap<Region, Vec<(u128, u128)>> = BTreeMap::new();
    for mut region in regions {
        let direction = std::mem::take(&mut region.direction);
        joined.entry(region).or_default().extend(direction.as_slice());
    }
    joined.into_iter().map(|(region, way)| Region { direction: Ranges::of(way), ..region }).collect()
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version = {}", self.version)?;
        for (kind, rules) in [("allow", &self.allow), ("deny", &self.deny)] {
            for rule in rules {
                writeln!(f, "\n[[{kind}]]")?;
                for (key, value) in rule.lines() {
                    writeln!(f, "{key} = {value}")?;
                }
            }
        }
        Ok(())
    }
}

/// Regions collected from a diagram.
#[derive(Default)]
struct Rules {
    allow: Vec<Region>,
    deny: Vec<Region>,
}

impl Rules {
    fn push(rules: &mut Vec<Region>, region: Region) -> Result<(), TooComplex> {
        if rules.len() >= RULES_MAX {
            return Err(TooComplex);
        }
        rules.push(region);
        Ok(())
    }

    /// Writes everything below a node of the direction level.
    fn add(&mut self, set: &PacketSet, at: Child, form: &Ranges, denies: bool) -> Result<(), TooComplex> {
        for (protocols, direction) in groups(set, at) {
            let context = Region { form: form.clone(), direction, ..Region::everything() };
            self.add_protocols(set, protocols, &context, denies)?;
        }
        Ok(())
    }

    fn add_protocols(
        &mut self,
        set: &PacketSet,
        protocols: Child,
        context: &Region,
        denies: bool,
    ) -> Result<(), TooComplex> {
        let classes: Vec<Class> = Class::of(set, protocols);
        let denied_max = if denies { DENIED_PROTOCOLS_MAX } else { 0 };
        let mut any = Vec::new();
        let mut denied: BTreeMap<(u8, Child), Vec<(u128, u128)>> = BTreeMap::new();
        let mut allowed: BTreeMap<(u8, Child), Vec<(u128, u128)>> = BTreeMap::new();
        for range in elementary_ranges(set, &classes) {
            let at = |class: &Class| set.follow(class.addresses, range.0);
            let lacking: usize = classes.iter().map(|class| class.lacking(set, at(class))).sum();
            let most = lacking <= denied_max;
            if most {
                any.push(range);
            }
            for class in &classes {
                let child = at(class);
                for protocol in &class.protocols {
                    if most && !is_full(set, child, port_use(*protocol)) {
                        denied.entry((*protocol, child)).or_default().push(range);
                    } else if !most && child != Child::Refused {
                        allowed.entry((*protocol, child)).or_default().push(range);
                    }
                }
            }
        }
        if !any.is_empty() {
            Self::push(&mut self.allow, Region { remote: Ranges::of(any), ..context.clone() })?;
        }
        let mut lacking_codes = Vec::new();
        for (refuse, rules, found) in [(false, &mut self.allow, allowed), (true, &mut self.deny, denied)] {
            for ((protocol, child), ranges) in found {
                let remote = Ranges::of(ranges);
                let context = Region { protocol: Ranges::one(protocol.into()), remote, ..context.clone() };
                for (remote_port, mut local_port) in port_products(set, child, port_use(protocol), refuse) {
                    if denies && !refuse && port_use(protocol) == PortUse::TypeAndCode {
                        let whole = whole_types(&local_port);
                        let lacking = addresses::subtract(whole.as_slice(), local_port.as_slice());
                        if !lacking.is_empty() {
                            let local_port = Ranges::of(lacking);
                            lacking_codes.push(Region { local_port, ..context.clone() });
                        }
                        local_port = whole;
                    }
                    Self::push(rules, Region { remote_port, local_port, ..context.clone() })?;
                }
            }
        }
        for region in lacking_codes {
            Self::push(&mut self.deny, region)?;
        }
        Ok(())
    }
}

/// With all codes of each type that has most of them: a list has no ranges of codes, so one that lacks
/// would take a value for each other.
fn whole_types(codes: &Ranges) -> Ranges {
    const CODES: u128 = 256;
    let mut counts: BTreeMap<u128, u128> = BTreeMap::new();
    for (first, last) in codes.as_slice() {
        for kind in first / CODES..=last / CODES {
            let (from, upto) = (kind * CODES, kind * CODES + CODES - 1);
            *counts.entry(kind).or_default() += upto.min(*last) - from.max(*first) + 1;
        }
    }
    let most = counts.into_iter().filter(|(_, count)| *count > CODES / 2);
    let whole = most.map(|(kind, _)| (kind * CODES, kind * CODES + CODES - 1));
    Ranges::of(codes.as_slice().iter().copied().chain(whole).collect())
}

/// Protocols with the same addresses and ports.
struct Class {
    protocols: Vec<u8>,
    addresses: Child,
}

impl Class {
    fn of(set: &PacketSet, at: Child) -> Vec<Self> {
        let mut classes: Vec<Self> = Vec::new();
        for protocol in 0..=u8::MAX {
            let addresses = set.follow(at, protocol.into());
            match classes.iter_mut().find(|class| class.addresses == addresses) {
                Some(class) => class.protocols.push(protocol),
                None => classes.push(Self { protocols: vec![protocol], addresses }),
            }
        }
        classes
    }

    /// How many of the protocols do not have all ports there.
    fn lacking(&self, set: &PacketSet, ports: Child) -> usize {
        let uses = [PortUse::Ports, PortUse::TypeAndCode, PortUse::Unused];
        let full = uses.map(|each| is_full(set, ports, each));
        self.protocols.iter().filter(|protocol| !full[port_use(**protocol) as usize]).count()
    }
}

/// The address ranges within which no class changes.
fn elementary_ranges(set: &PacketSet, classes: &[Class]) -> Vec<(u128, u128)> {
    let mut ends: Vec<u128> = Vec::new();
    for class in classes {
        if let Child::Node(node) = class.addresses {
            ends.extend(set.edges(node).iter().map(|edge| edge.upto));
        }
    }
    ends.sort_unstable();
    ends.dedup();
    let mut next = 0;
    ends.into_iter()
        .map(|end| {
            let range = (next, end);
            next = end.wrapping_add(1);
            range
        })
        .collect()
}

/// A node's children that do not refuse, each with all values that lead to it.
fn groups(set: &PacketSet, at: Child) -> Vec<(Child, Ranges)> {
    children(set, at).into_iter().filter(|(child, _)| *child != Child::Refused).collect()
}

fn children(set: &PacketSet, at: Child) -> Vec<(Child, Ranges)> {
    let Child::Node(node) = at else { return Vec::new() };
    let mut found: BTreeMap<Child, Vec<(u128, u128)>> = BTreeMap::new();
    let mut first = 0;
    for edge in set.edges(node) {
        found.entry(edge.child).or_default().push((first, edge.upto));
        first = edge.upto.wrapping_add(1);
    }
    found.into_iter().map(|(child, ranges)| (child, Ranges::of(ranges))).collect()
}

/// Whether a node of the remote-port level has every packet of such a protocol.
fn is_full(set: &PacketSet, at: Child, ports: PortUse) -> bool {
    match at {
        Child::Node(_) => port_products(set, at, ports, true).is_empty(),
        Child::Refused | Child::Admitted => false,
    }
}

/// The remote and local ports that are admitted, or refused, below a node of the remote-port level.
fn port_products(set: &PacketSet, at: Child, ports: PortUse, refused: bool) -> Vec<(Ranges, Ranges)> {
    let all = || (Ranges::all(Field::RemotePort), Ranges::all(Field::LocalPort));
    match (ports, at) {
        (_, Child::Refused | Child::Admitted) => {
            if refused {
                vec![all()]
            } else {
                Vec::new()
            }
        }
        (PortUse::Unused, Child::Node(_)) => {
            if refused {
                Vec::new()
            } else {
                vec![all()]
            }
        }
        (PortUse::TypeAndCode, Child::Node(_)) => {
            let local = local_ports(set, set.follow(at, 0), refused);
            if local.is_empty() { Vec::new() } else { vec![(Ranges::all(Field::RemotePort), local)] }
        }
        (PortUse::Ports, Child::Node(_)) => children(set, at)
            .into_iter()
            .map(|(child, remote)| (remote, local_ports(set, child, refused)))
            .filter(|(_, local)| !local.is_empty())
            .collect(),
    }
}

fn local_ports(set: &PacketSet, at: Child, refused: bool) -> Ranges {
    if at == Child::Refused {
        return if refused { Ranges::all(Field::LocalPort) } else { Ranges::none() };
    }
    let wanted = if refused { Child::Refused } else { Child::Admitted };
    let found = children(set, at).into_iter().find(|(child, _)| *child == wanted);
    found.map_or_else(Ranges::none, |(_, ranges)| ranges)
}
