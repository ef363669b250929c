//! What the algebra speaks of: one packet, as six numbers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// ICMP's protocol number.
pub const ICMP: u8 = 1;
/// TCP's protocol number.
pub const TCP: u8 = 6;
/// UDP's protocol number.
pub const UDP: u8 = 17;
/// ICMPv6's protocol number.
pub const ICMPV6: u8 = 58;
/// SCTP's protocol number.
pub const SCTP: u8 = 132;

/// The first IPv4 address as a number: `::ffff:0.0.0.0`.
pub const V4_FIRST: u128 = 0xffff_0000_0000;
/// The last IPv4 address as a number: `::ffff:255.255.255.255`.
pub const V4_LAST: u128 = 0xffff_ffff_ffff;

/// Whether a packet begins a flow, whose replies then follow, or stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// The first packet of a flow; 0 in the diagram.
    Flow,
    /// A packet that must not have a reply; 1 in the diagram.
    OneWay,
}

impl Form {
    /// The value in the diagram.
    #[must_use]
    pub const fn number(self) -> u128 {
        match self {
            Self::Flow => 0,
            Self::OneWay => 1,
        }
    }
}

/// Who sent the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the remote to the realm; 0 in the diagram.
    In,
    /// From the realm to the remote; 1 in the diagram.
    Out,
}

impl Direction {
    /// The value in the diagram.
    #[must_use]
    pub const fn number(self) -> u128 {
        match self {
            Self::In => 0,
            Self::Out => 1,
        }
    }
}

/// What the port fields of a protocol's packets hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortUse {
    /// TCP, UDP, SCTP: ports.
    Ports,
    /// ICMP, ICMPv6: type * 256 + code as local port, 0 as remote port.
    TypeAndCode,
    /// Any other: both are 0.
    Unused,
}

/// What the port fields of that protocol hold.
#[must_use]
pub const fn port_use(protocol: u8) -> PortUse {
    match protocol {
        TCP | UDP | SCTP => PortUse::Ports,
        ICMP | ICMPV6 => PortUse::TypeAndCode,
        _ => PortUse::Unused,
    }
}

/// One packet. Addresses are numbers: IPv6 as it is, IPv4 as v4-mapped (`::ffff:a.b.c.d`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Packet {
    /// First packet of a flow, or alone.
    pub form: Form,
    /// Who sent it.
    pub direction: Direction,
    /// The IP protocol number (for IPv6 the last next header).
    pub protocol: u8,
    /// The address that is not the realm's.
    pub remote: u128,
    /// The port on the remote's side; see [`PortUse`].
    pub remote_port: u16,
    /// The port on the realm's side; see [`PortUse`].
    pub local_port: u16,
}

impl Packet {
    /// Whether the port fields are as the protocol has them. An ill-formed packet is in no set.
    #[must_use]
    pub const fn is_well_formed(&self) -> bool {
        match port_use(self.protocol) {
            PortUse::Ports => true,
            PortUse::TypeAndCode => self.remote_port == 0,
            PortUse::Unused => self.remote_port == 0 && self.local_port == 0,
        }
    }

    /// The remote address.
    #[must_use]
    pub fn remote_address(&self) -> IpAddr {
        address_of(self.remote)
    }

    /// The six values, in the order of the diagram's levels.
    #[must_use]
    pub fn values(&self) -> [u128; 6] {
        [
            self.form.number(),
            self.direction.number(),
            u128::from(self.protocol),
            self.remote,
            u128::from(self.remote_port),
            u128::from(self.local_port),
        ]
    }
}

/// An address as the diagram's number.
#[must_use]
pub fn address_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address of a diagram's number: IPv4 if it is v4-mapped.
#[must_use]
pub fn address_of(number: u128) -> IpAddr {
    let v6 = Ipv6Addr::from_bits(number);
    v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), |v4: Ipv4Addr| IpAddr::V4(v4))
}
