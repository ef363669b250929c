//! The records in the maps, byte by byte. `bpf/state.h` is the same in C: change both or neither.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::image::{ADDRESSES_MAX, Image, Lease, TIERS_MAX};
use crate::report::{Denial, Direction, Flow, Reason};

pub(crate) const SLOTS: u32 = 2;
pub(crate) const HEAD: usize = 32 + 16 * ADDRESSES_MAX;
pub(crate) const FLOW_KEY: usize = 24;
pub(crate) const FLOW: usize = 32;
pub(crate) const DENIAL: usize = 40;

pub(crate) const GATE_OPEN: u32 = 0;
pub(crate) const GATE_DEADLINE: u32 = 1;

pub(crate) const COUNTERS_A_DIRECTION: u32 = 32;
pub(crate) const COUNTER_TIER: u32 = 16;
pub(crate) const COUNTER_LOG_LOST: u32 = 31;

/// `BPF_F_INNER_MAP`: inner arrays may differ in length.
pub(crate) const TABLE_FLAGS: u32 = 1 << 12;

/// What one generation is: `struct head`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) generation: u64,
    pub(crate) slot: u32,
    pub(crate) tiers: u32,
    pub(crate) lease: Lease,
}

impl Head {
    pub(crate) fn new(image: &Image, generation: u64, slot: u32) -> Self {
        let tiers = u32::try_from(image.tiers).unwrap_or(0);
        Self { generation, slot, tiers, lease: image.lease.clone() }
    }

    pub(crate) fn encode(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..8].copy_from_slice(&self.generation.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.slot.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.tiers.to_le_bytes());
        bytes[16..22].copy_from_slice(&self.lease.mac);
        let addresses = self.lease.addresses.iter().take(ADDRESSES_MAX);
        let count = u32::try_from(addresses.len()).unwrap_or(0);
        bytes[24..28].copy_from_slice(&count.to_le_bytes());
        for (cell, address) in bytes[32..].chunks_exact_mut(16).zip(addresses) {
            cell.copy_from_slice(&mapped(*address).octets());
        }
        bytes
    }

    /// The head in `bytes`, or nothing if a count is out of range.
    pub(crate) fn decode(bytes: &[u8; HEAD]) -> Option<Self> {
        let slot = u32_at(bytes, 8);
        let tiers = u32_at(bytes, 12);
        let count = usize::try_from(u32_at(bytes, 24)).ok()?;
        if slot >= SLOTS || tiers as usize > TIERS_MAX || count > ADDRESSES_MAX {
            return None;
        }
        let addresses = bytes[32..].chunks_exact(16).take(count).map(address).collect();
        let mac = bytes[16..22].try_into().ok()?;
        let lease = Lease { mac, addresses };
        Some(Self { generation: u64_at(bytes, 0), slot, tiers, lease })
    }
}

/// An IPv4 address as ::ffff:a.b.c.d.
pub(crate) fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

pub(crate) fn flow(key: &[u8; FLOW_KEY], value: &[u8; FLOW]) -> Flow {
    Flow {
        began_by: direction(value[28]),
        protocol: key[20],
        remote: address(&key[..16]),
        remote_port: u16_at(key, 16),
        local_port: u16_at(key, 18),
        first_ports: (u16_at(value, 24), u16_at(value, 26)),
        generation: u64_at(value, 0),
        seen: (Duration::from_nanos(u64_at(value, 16)), Duration::from_nanos(u64_at(value, 8))),
    }
}

/// Whether the program would take the entry for no flow any more; as `is_idle` in `bpf/flow.h`.
pub(crate) fn is_idle(key: &[u8; FLOW_KEY], value: &[u8; FLOW], now: Duration) -> bool {
    const TCP: u8 = 6;
    let limit_s = match (key[20], value[29]) {
        (TCP, 3) => 10,
        (TCP, _) => 3600,
        _ => 60,
    };
    let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    now.wrapping_sub(u64_at(value, 8)).cast_signed() >= limit_s * 1_000_000_000
}

/// The denial in a record of the log, or nothing if it is not one.
pub(crate) fn denial(bytes: &[u8]) -> Option<Denial> {
    let bytes: &[u8; DENIAL] = bytes.try_into().ok()?;
    Some(Denial {
        at: Duration::from_nanos(u64_at(bytes, 0)),
        remote: address(&bytes[8..24]),
        length: u32_at(bytes, 24),
        ethertype: u16_at(bytes, 28),
        remote_port: u16_at(bytes, 30),
        local_port: u16_at(bytes, 32),
        protocol: bytes[34],
        direction: direction(bytes[35]),
        reason: reason(bytes[36], bytes[37])?,
    })
}

fn reason(number: u8, tier: u8) -> Option<Reason> {
    let known = *Reason::ALL.get(usize::from(number).checked_sub(1)?)?;
    Some(if let Reason::Refused { .. } = known { Reason::Refused { tier } } else { known })
}

fn direction(number: u8) -> Direction {
    if number == 0 { Direction::In } else { Direction::Out }
}

fn address(bytes: &[u8]) -> IpAddr {
    let octets: [u8; 16] = bytes.try_into().unwrap_or_default();
    Ipv6Addr::from(octets).to_canonical()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

/// The `N` bytes at a place that every record has.
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|part| part.try_into().ok()).unwrap_or([0; N])
}
