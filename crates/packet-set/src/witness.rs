//! One packet of a set, and the largest box around it.

use crate::budget::Budget;
use crate::packet::{Direction, Form, ICMP, ICMPV6, Packet, PortUse, TCP, UDP, V4_FIRST, V4_LAST, port_use};
use crate::region::{Field, Region};
use crate::set::PacketSet;

/// A packet of a set and a box around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// In the set.
    pub packet: Packet,
    /// Has the packet; every packet of it is in the set; no field's list can take one more value. It grows from
    /// the last field to the first: each takes every value with which all of the box below is in the set.
    /// Protocols that use the ports differently join only where the box holds all ports.
    pub region: Region,
}

/// Documentation addresses (RFC 5737, RFC 3849): what a person takes for "some computer outside".
const OUTSIDE: [u128; 3] = [V4_FIRST + 0xcb00_7107, V4_FIRST + 0xc633_6407, 0x2001_0db8 << 96 | 7];
const PROTOCOLS: [u128; 4] = [TCP as u128, UDP as u128, ICMP as u128, ICMPV6 as u128];
const SERVICES: [u128; 8] = [443, 80, 22, 53, 25, 5432, 3306, 8080];
const CLIENTS: [u128; 2] = [40000, 50000];
/// Echo requests of ICMP and ICMPv6 as type * 256 + code.
const ECHOES: [u128; 2] = [8 << 8, 128 << 8];
const ANYWHERE: [(u128, u128); 1] = [(0, u128::MAX)];
/// An IPv4 address rather than an IPv6 one, a global IPv6 one rather than another.
const PLAIN: [(u128, u128); 3] =
    [(V4_FIRST, V4_LAST), (0x2 << 124, 0x3fff << 112 | (!0 >> 16)), (0, u128::MAX)];

impl PacketSet {
    /// A packet of the set that a person can make sense of: a flow rather than a lone packet, TCP
    /// rather than protocol 0, one of the `known` addresses if the set has any, well-known ports.
    /// Nothing if the set is empty.
    #[must_use]
    pub fn witness(&self, known: &[u128]) -> Option<Witness> {
        // A walk of one finished set is no work that anybody could make large.
        let mut unlimited = Budget::of_steps(u64::MAX);
        self.witness_beyond(&Self::nothing(), known, &mut unlimited).ok().flatten()
    }
}

/// The values that are chosen, field by field.
pub(crate) struct Choice<'k> {
    known: &'k [u128],
    values: [u128; 6],
    chosen: usize,
}

impl<'k> Choice<'k> {
    pub(crate) const fn new(known: &'k [u128]) -> Self {
        Self { known, values: [0; 6], chosen: 0 }
    }

    /// Chooses the next field's value.
    pub(crate) const fn take(&mut self, value: u128) {
        self.values[self.chosen] = value;
        self.chosen += 1;
    }

    /// The values of the next field that a person would rather see, the best first.
    pub(crate) fn liked(&self, field: Field) -> impl Iterator<Item = u128> + use<'k> {
        let (known, liked): (&'k [u128], &'static [u128]) = match field {
            Field::Form | Field::Direction => (&[], &[]),
            Field::Protocol => (&[], &PROTOCOLS),
            Field::Remote => (self.known, &OUTSIDE),
            Field::RemotePort => (&[], self.ports().0),
            Field::LocalPort => (&[], self.ports().1),
        };
        known.iter().chain(liked).copied()
    }

    /// Where to look for the others.
    pub(crate) const fn plain(field: Field) -> &'static [(u128, u128)] {
        match field {
            Field::Remote => &PLAIN,
            Field::Form | Field::Direction | Field::Protocol | Field::RemotePort | Field::LocalPort => {
                &ANYWHERE
            }
        }
    }

    fn ports(&self) -> (&'static [u128], &'static [u128]) {
        let Packet { protocol, direction, .. } = self.packet();
        match (port_use(protocol), direction) {
            (PortUse::Ports, Direction::In) => (&CLIENTS, &SERVICES),
            (PortUse::Ports, Direction::Out) => (&SERVICES, &CLIENTS),
            (PortUse::TypeAndCode | PortUse::Unused, _) => (&[], &ECHOES),
        }
    }

    /// What is chosen so far; 0 for the rest.
    pub(crate) fn packet(&self) -> Packet {
        let [form, direction, protocol, remote, remote_port, local_port] = self.values;
        let port = |value| u16::try_from(value).unwrap_or_default();
        Packet {
            form: if form == Form::Flow.number() { Form::Flow } else { Form::OneWay },
            direction: if direction == Direction::In.number() { Direction::In } else { Direction::Out },
            protocol: u8::try_from(protocol).unwrap_or_default(),
            remote,
            remote_port: port(remote_port),
            local_port: port(local_port),
        }
    }
}
