//! One policy for all: two tiers, default deny, each prefix with TCP and UDP to ports 53 and 5000 to 6000.

use std::net::{IpAddr, Ipv4Addr};

use datapath::{Image, Lease, compile};
use packet_set::{Budget, Direction, Field, PacketSet, Ranges, Region, TCP, UDP};

use crate::Outcome;

/// The realm's address.
pub(crate) const OWN: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 11);
/// Its hardware address.
pub(crate) const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x11];

/// Every other /24 from 20.0.0.0 on.
pub(crate) const fn prefix(number: u32) -> u32 {
    0x1400_0000 + number * 512
}

/// The policy for the filter. `shifted` moves all prefixes but the first by one, and denies what is between.
pub(crate) fn image(prefixes: u32, shifted: bool) -> Outcome<Image> {
    let mut budget = Budget::of_steps(u64::MAX);
    let ranges = (0..prefixes).map(|number| {
        let first = 0xffff_0000_0000 + u128::from(prefix(number + u32::from(shifted && number > 0)));
        (first, first + 255)
    });
    let region = Region {
        protocol: Ranges::of(vec![(TCP.into(), TCP.into()), (UDP.into(), UDP.into())]),
        remote: Ranges::of(ranges.collect()),
        remote_port: Ranges::of(vec![(53, 53), (5000, 6000)]),
        form: Ranges::one(0),
        local_port: Ranges::all(Field::LocalPort),
        direction: Ranges::one(Direction::Out.number()),
    };
    let set = PacketSet::union_of(&[region], &mut budget)?;
    let lease = Lease { mac: MAC, addresses: vec![IpAddr::V4(OWN)] };
    Ok(compile(&[set.clone(), set], &lease, &mut budget)?)
}
