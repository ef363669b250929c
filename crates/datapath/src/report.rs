//! What the filter tells: verdicts counted, denials, open flows.

use std::net::IpAddr;
use std::time::Duration;

/// Who sends a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The realm: ingress of the host's end of the link.
    Out,
    /// The world: egress of the host's end of the link.
    In,
}

/// Why a frame was dropped, in the order of the checks: the first that fails names the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The filter is cut, past its deadline, or has no image.
    Closed,
    /// A length or a fixed field contradicts the frame.
    Malformed,
    /// VLAN tags, unknown ethertypes, fragments, extension headers, router discovery.
    Unsupported,
    /// The realm does not send from its own MAC and address.
    Spoofed,
    /// The frame is not for the realm's MAC and address.
    NotMine,
    /// It belongs to no open flow, can begin none, and may not pass alone.
    NoFlow,
    /// A tier refuses it; the index is the tier's place in the stack, 0 at the top.
    Refused {
        /// The first tier from the top that refuses.
        tier: u8,
    },
    /// The flow table is full: new flows are refused, live ones stay.
    TableFull,
}

impl Reason {
    /// All reasons in the order of the checks; `Refused` with tier 0.
    pub const ALL: [Self; 8] = [
        Self::Closed,
        Self::Malformed,
        Self::Unsupported,
        Self::Spoofed,
        Self::NotMine,
        Self::NoFlow,
        Self::Refused { tier: 0 },
        Self::TableFull,
    ];

    /// The reason's one name: in logs, messages and the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Spoofed => "spoofed",
            Self::NotMine => "not-mine",
            Self::NoFlow => "no-flow",
            Self::Refused { .. } => "refused",
            Self::TableFull => "table-full",
        }
    }
}

/// Packets of one direction. A segment that the kernel cuts up later counts as its packets on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets that passed.
    pub passed: u64,
    /// Packets dropped, in the order of [`Reason::ALL`].
    pub dropped: [u64; 8],
    /// Of those refused: by which tier.
    pub refused_by: [u64; 8],
    /// Denials that found the log full. They were dropped and counted like the others.
    pub log_lost: u64,
}

impl Tally {
    /// Packets dropped for `reason`, whatever the tier.
    #[must_use]
    pub fn dropped_for(&self, reason: Reason) -> u64 {
        let place = Reason::ALL.iter().position(|other| other.name() == reason.name());
        place.map_or(0, |place| self.dropped[place])
    }
}

/// All verdicts since the filter was loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sent by the realm.
    pub out: Tally,
    /// Sent to the realm.
    pub inward: Tally,
}

/// One dropped frame, as far as it was understood: what was not reached yet is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Time since the machine started.
    pub at: Duration,
    /// Who sent it.
    pub direction: Direction,
    /// Why it was dropped.
    pub reason: Reason,
    /// Bytes with the Ethernet header.
    pub length: u32,
    /// The Ethernet type.
    pub ethertype: u16,
    /// The IP protocol number.
    pub protocol: u8,
    /// The other end's address.
    pub remote: IpAddr,
    /// The other end's port.
    pub remote_port: u16,
    /// The realm's port; for ICMP type * 256 + code.
    pub local_port: u16,
}

/// An open flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Who sent its first packet.
    pub began_by: Direction,
    /// The IP protocol number.
    pub protocol: u8,
    /// The other end's address.
    pub remote: IpAddr,
    /// The other end's port; for ICMP echo its identifier.
    pub remote_port: u16,
    /// The realm's port.
    pub local_port: u16,
    /// The other end's and the realm's port of the first packet as the rules saw it: for ICMP 0, and
    /// type * 256 + code.
    pub first_ports: (u16, u16),
    /// The generation that last admitted it.
    pub generation: u64,
    /// Its first and its last packet, as time since the machine started.
    pub seen: (Duration, Duration),
}
