//! One packet of a set, and the largest box around it.

use crate::arena::MixedMap;
use crate::packet::{Direction, Form, ICMP, ICMPV6, Packet, PortUse, TCP, UDP, V4_FIRST, V4_LAST, port_use};
use crate::region::{Field, Ranges, Region};
use crate::set::{Child, Edge, NodeIndex, PacketSet};

/// A packet of a set and a box around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// In the set.
    pub packet: Packet,
    /// Has the packet; every packet of it is in the set; no field's list can take one more value.
    pub region: Region,
}

/// Documentation addresses (RFC 5737, RFC 3849): what a person takes for "some computer outside".
const OUTSIDE: [u128; 3] = [V4_FIRST + 0xcb00_7107, V4_FIRST + 0xc633_6407, 0x2001_0db8 << 96 | 7];
const PROTOCOLS: [u128; 4] = [TCP as u128, UDP as u128, ICMP as u128, ICMPV6 as u128];
const SERVICES: [u128; 8] = [443, 80, 22, 53, 25, 5432, 3306, 8080];
const CLIENTS: [u128; 2] = [40000, 50000];
/// Echo requests of ICMP and ICMPv6 as type * 256 + code.
const ECHOES: [u128; 2] = [8 << 8, 128 << 8];

impl PacketSet {
    /// A packet of the set that a person can make sense of: a flow rather than a lone packet, TCP
    /// rather than protocol 0, one of the `known` addresses if the set has any, well-known ports.
    /// Nothing if the set is empty.
    #[must_use]
    pub fn witness(&self, known: &[u128]) -> Option<Witness> {
        let mut at = self.root();
        let mut choose = |field, liked: &[u128]| {
            let Child::Node(node) = at else { return None };
            let value = pick(field, self.edges(node), liked)?;
            at = self.follow(at, value);
            Some(value)
        };
        let form = if choose(Field::Form, &[])? == Form::Flow.number() { Form::Flow } else { Form::OneWay };
        let direction = choose(Field::Direction, &[])?;
        let direction = if direction == Direction::In.number() { Direction::In } else { Direction::Out };
        let protocol = u8::try_from(choose(Field::Protocol, &PROTOCOLS)?).ok()?;
        let liked: Vec<u128> = known.iter().chain(&OUTSIDE).copied().collect();
        let remote = choose(Field::Remote, &liked)?;
        let (at_remote, at_local): (&[u128], &[u128]) = match (port_use(protocol), direction) {
            (PortUse::Ports, Direction::In) => (&CLIENTS, &SERVICES),
            (PortUse::Ports, Direction::Out) => (&SERVICES, &CLIENTS),
            (PortUse::TypeAndCode | PortUse::Unused, _) => (&[], &ECHOES),
        };
        let remote_port = u16::try_from(choose(Field::RemotePort, at_remote)?).ok()?;
        let local_port = u16::try_from(choose(Field::LocalPort, at_local)?).ok()?;
        let packet = Packet { form, direction, protocol, remote, remote_port, local_port };
        Some(Witness { packet, region: self.region_around(&packet)? })
    }

    /// The largest box around a packet of the set; nothing if it is not in the set. It grows from the
    /// last field to the first: each takes every value with which all of the box below is in the set.
    /// Protocols that use the ports differently join only where the box holds all ports.
    #[must_use]
    pub fn region_around(&self, packet: &Packet) -> Option<Region> {
        if !self.evaluate(packet) {
            return None;
        }
        let mut path = vec![self.root()];
        for value in packet.values() {
            path.push(self.follow(*path.last()?, value));
        }
        let mut below =
            Below { ports: port_use(packet.protocol), lists: Vec::new(), known: MixedMap::default() };
        for field in Field::ALL.into_iter().rev() {
            let values = if below.ports.leaves_out(field) {
                Ranges::all(field)
            } else {
                self.values_with(path[field.level()], field, &mut below)
            };
            below.lists.push(values);
        }
        let mut lists = below.lists.into_iter();
        let mut next = || lists.next().unwrap_or_default();
        let (local_port, remote_port, remote) = (next(), next(), next());
        let (protocol, direction, form) = (next(), next(), next());
        Some(Region { form, direction, protocol, remote, remote_port, local_port })
    }

    /// The values of the field that lead from `at` to nodes that hold all of the box below.
    fn values_with(&self, at: Child, field: Field, below: &mut Below) -> Ranges {
        let Child::Node(node) = at else { return Ranges::none() };
        let mut first = 0;
        let mut found = Vec::new();
        for edge in self.edges(node) {
            if field == Field::Protocol {
                let fits = |number: &u128| self.protocol_holds(*number, edge.child, below);
                found.extend((first..=edge.upto).filter(fits).map(|number| (number, number)));
            } else if self.holds(edge.child, field.level() + 1, below) {
                found.push((first, edge.upto));
            }
            first = edge.upto.wrapping_add(1);
        }
        Ranges::of(found)
    }

    /// Whether everything under `at`, a node of that level, is in the set for the box below.
    fn holds(&self, at: Child, level: usize, below: &mut Below) -> bool {
        let Child::Node(node) = at else { return at == Child::Admitted };
        if let Some(known) = below.known.get(&(node, below.ports)) {
            return *known;
        }
        let field = Field::ALL[level];
        let list = below.list(field);
        let holds = if field == Field::Protocol {
            let mut numbers = list.as_slice().iter().flat_map(|(first, last)| *first..=*last);
            numbers.all(|number| self.protocol_holds(number, self.follow(at, number), below))
        } else {
            let edges = self.edges(node);
            list.as_slice().iter().all(|(first, last)| {
                let from = edges.partition_point(|edge| edge.upto < *first);
                let upto = edges.partition_point(|edge| edge.upto < *last);
                edges[from..=upto].iter().all(|edge| self.holds(edge.child, level + 1, below))
            })
        };
        below.known.insert((node, below.ports), holds);
        holds
    }

    /// Like [`PacketSet::holds`] for the node of one protocol.
    fn protocol_holds(&self, number: u128, at: Child, below: &mut Below) -> bool {
        let Some(ports) = u8::try_from(number).ok().map(port_use) else { return false };
        if ports != below.ports && !below.has_all_ports() {
            return false;
        }
        let own = std::mem::replace(&mut below.ports, ports);
        let holds = self.holds(at, Field::Remote.level(), below);
        below.ports = own;
        holds
    }
}

/// The lists of the box so far, from the last field up, for the protocols that use the ports so.
struct Below {
    ports: PortUse,
    lists: Vec<Ranges>,
    known: MixedMap<(NodeIndex, PortUse), bool>,
}

impl Below {
    /// The list of a field; a protocol that does not use it has 0 there.
    fn list(&self, field: Field) -> Ranges {
        if self.ports.leaves_out(field) { Ranges::one(0) } else { self.stored(field).clone() }
    }

    fn has_all_ports(&self) -> bool {
        [Field::RemotePort, Field::LocalPort].into_iter().all(|field| self.stored(field).is_all(field))
    }

    fn stored(&self, field: Field) -> &Ranges {
        &self.lists[Field::LocalPort.level() - field.level()]
    }
}

impl PortUse {
    /// Whether the field is always 0.
    const fn leaves_out(self, field: Field) -> bool {
        match self {
            Self::Ports => false,
            Self::TypeAndCode => matches!(field, Field::RemotePort),
            Self::Unused => matches!(field, Field::RemotePort | Field::LocalPort),
        }
    }
}

/// A liked value that does not lead to nothing, or the plainest of the others.
fn pick(field: Field, edges: &[Edge], liked: &[u128]) -> Option<u128> {
    let leads = |value: &u128| {
        edges
            .get(edges.partition_point(|edge| edge.upto < *value))
            .is_some_and(|edge| edge.child != Child::Refused)
    };
    if let Some(value) = liked.iter().copied().find(leads) {
        return Some(value);
    }
    let mut first = 0;
    let mut ranges = Vec::new();
    for edge in edges {
        if edge.child != Child::Refused {
            ranges.push((first, edge.upto));
        }
        first = edge.upto.wrapping_add(1);
    }
    if field == Field::Remote { plain_address(&ranges) } else { ranges.first().map(|(first, _)| *first) }
}

/// An IPv4 address rather than an IPv6 one, a global IPv6 one rather than another, and in a range of
/// several not the first, which may be a network's own.
fn plain_address(ranges: &[(u128, u128)]) -> Option<u128> {
    const GLOBAL: (u128, u128) = (0x2 << 124, 0x3fff << 112 | (!0 >> 16));
    for (from, upto) in [(V4_FIRST, V4_LAST), GLOBAL, (0, u128::MAX)] {
        let within = ranges.iter().map(|(first, last)| (*first.max(&from), *last.min(&upto)));
        if let Some((first, last)) = within.filter(|(first, last)| first <= last).min() {
            return Some(if first < last { first + 1 } else { first });
        }
    }
    None
}
