//! Products of lists of ranges: what one rule matches, and the box around a witness.

use crate::packet::Packet;

/// A level of the diagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// [`crate::Form`].
    Form,
    /// [`crate::Direction`].
    Direction,
    /// The protocol number.
    Protocol,
    /// The remote address, 128 bits.
    Remote,
    /// The remote port.
    RemotePort,
    /// The local port, or ICMP's type and code.
    LocalPort,
}

impl Field {
    /// All, from the diagram's root down.
    pub const ALL: [Self; 6] =
        [Self::Form, Self::Direction, Self::Protocol, Self::Remote, Self::RemotePort, Self::LocalPort];

    /// The largest value.
    #[must_use]
    pub const fn last(self) -> u128 {
        match self {
            Self::Form | Self::Direction => 1,
            Self::Protocol => 0xff,
            Self::Remote => u128::MAX,
            Self::RemotePort | Self::LocalPort => 0xffff,
        }
    }

    /// Its level, 0 at the root.
    pub(crate) const fn level(self) -> usize {
        self as usize
    }
}

/// Values of one field: ascending, disjoint, non-adjacent inclusive ranges.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    /// No value.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Every value of the field.
    #[must_use]
    pub fn all(field: Field) -> Self {
        Self(vec![(0, field.last())])
    }

    /// One value.
    #[must_use]
    pub fn one(value: u128) -> Self {
        Self(vec![(value, value)])
    }

    /// The values of any inclusive ranges, in any order, overlapping or not. A reversed one is empty.
    #[must_use]
    pub fn of(mut ranges: Vec<(u128, u128)>) -> Self {
        ranges.retain(|(first, last)| first <= last);
        ranges.sort_unstable();
        let mut joined: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match joined.last_mut() {
                Some(before) if before.1 == u128::MAX || first <= before.1 + 1 => {
                    before.1 = before.1.max(last)
                }
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }

    /// The ranges, inclusive, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[(u128, u128)] {
        &self.0
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every value of the field is in it.
    #[must_use]
    pub fn is_all(&self, field: Field) -> bool {
        self.0 == [(0, field.last())]
    }

    /// Whether the value is in it.
    #[must_use]
    pub fn contains(&self, value: u128) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < value);
        self.0.get(at).is_some_and(|(first, _)| *first <= value)
    }
}

/// The well-formed packets of a product: one list of ranges a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region {
    /// [`crate::Form`] numbers.
    pub form: Ranges,
    /// [`crate::Direction`] numbers.
    pub direction: Ranges,
    /// Protocol numbers.
    pub protocol: Ranges,
    /// Remote addresses.
    pub remote: Ranges,
    /// Remote ports. Protocols without ports are in the region only where it has 0.
    pub remote_port: Ranges,
    /// Local ports, or type * 256 + code. Protocols without are in the region only where it has 0.
    pub local_port: Ranges,
}

impl Region {
    /// Every packet.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            form: Ranges::all(Field::Form),
            direction: Ranges::all(Field::Direction),
            protocol: Ranges::all(Field::Protocol),
            remote: Ranges::all(Field::Remote),
            remote_port: Ranges::all(Field::RemotePort),
            local_port: Ranges::all(Field::LocalPort),
        }
    }

    /// The values of one field.
    #[must_use]
    pub const fn values(&self, field: Field) -> &Ranges {
        match field {
            Field::Form => &self.form,
            Field::Direction => &self.direction,
            Field::Protocol => &self.protocol,
            Field::Remote => &self.remote,
            Field::RemotePort => &self.remote_port,
            Field::LocalPort => &self.local_port,
        }
    }

    /// Whether the packet is in it.
    #[must_use]
    pub fn contains(&self, packet: &Packet) -> bool {
        packet.is_well_formed()
            && Field::ALL
                .iter()
                .zip(packet.values())
                .all(|(field, value)| self.values(*field).contains(value))
    }
}
