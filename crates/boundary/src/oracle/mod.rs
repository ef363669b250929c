//! The verdict of the whole data path on a raw Ethernet frame, written straight from the rules.
//!
//! It shares no code with the filter program or with the compiler that feeds it, and is slow and plain
//! on purpose: a million frames through the loaded program must get its verdicts. The checks stand in
//! the order in which their reasons count; the first that fails names the reason:
//!
//! 1. closed: the realm is cut, or its deadline has come.
//! 2. Ethernet: under 14 bytes is malformed; VLAN and other types than IPv4, ARP, IPv6 unsupported.
//! 3. MAC: out from the leased one, else spoofed; in to the leased one (or broadcast with ARP, or
//!    IPv6 multicast with neighbour discovery), else not-mine.
//! 4. ARP speaks of leased addresses only, and passes or falls here.
//! 5. IP headers: fragments, IPv6 extension headers and IPv4 addresses mapped into an IPv6 header (RFC 4291
//!    §2.5.5.2: they name sockets, not hosts) are unsupported. Bytes behind the IP length are padding.
//! 6. Neighbour discovery (RFC 4861) passes or falls here; router messages are unsupported; every other
//!    packet has the realm's leased address on the realm's side. A neighbour message with another hop
//!    limit than 255, another code than 0 or under 24 bytes is an ordinary ICMPv6 packet. No realm speaks to
//!    many: other packets to a group of MACs are not-mine on the way in and unsupported on the way out; with a
//!    multicast or broadcast address (224/4, 255.255.255.255, ff00::/8) on the other side they are unsupported.
//! 7. Transport headers are whole. What a DHCP server says (UDP from port 67, in IPv6 547) is unsupported
//!    from a realm.
//! 8. An ICMP error (unreachable, too big, time exceeded, parameter problem) passes when the packet that it
//!    quotes is one of a live flow, gone the other way.
//!    Flows: see [`flow`].
//! 9. Otherwise each tier decides over the packet as a flow's first, then as a one-way one.

pub mod flow;
mod frame;

use std::net::{Ipv4Addr, Ipv6Addr};

use packet_set::{Direction, Form, Packet};

use crate::resolved::ResolvedSet;
use flow::{Flows, Found};
use frame::{Content, Segment};

/// Tiers that the data path tells apart; the ones below count as the last.
pub const TIERS_MAX: usize = 8;

/// What stands for one realm.
#[derive(Debug, Clone)]
pub struct Realm {
    /// The leased MAC address.
    pub mac: [u8; 6],
    /// The leased IPv4 addresses.
    pub v4: Vec<Ipv4Addr>,
    /// The leased IPv6 addresses.
    pub v6: Vec<Ipv6Addr>,
    /// A set for each tier, top first (0 is the built-in deny). An empty stack admits nothing.
    pub stack: Vec<ResolvedSet>,
    /// How many flows the table holds.
    pub flow_capacity: usize,
}

/// What happens to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It ends here.
    Drop(Reason),
}

/// Why a frame is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The realm is cut or lapsed.
    Closed,
    /// A header is cut short or contradicts itself.
    Malformed,
    /// A kind of packet that the data path does not know.
    Unsupported,
    /// The realm speaks under another's address.
    Spoofed,
    /// The frame is for someone else.
    NotMine,
    /// It belongs to no flow, and can't begin one.
    NoFlow,
    /// This tier refuses it (0 is the top; at most `TIERS_MAX - 1`).
    Refused {
        /// The first tier from the top that refuses the flow.
        tier: usize,
    },
    /// Admitted, but the table has no room for its flow.
    TableFull,
}

/// The model: a realm with its flows.
#[derive(Debug, Clone)]
pub struct Oracle {
    realm: Realm,
    generation: u64,
    cut: bool,
    deadline_ms: Option<u64>,
    flows: Flows,
}

impl Oracle {
    /// A realm without flows, open without end.
    #[must_use]
    pub fn new(realm: Realm) -> Self {
        let flows = Flows::new(realm.flow_capacity);
        Self { realm, generation: 0, cut: false, deadline_ms: None, flows }
    }

    /// Puts another stack in force; older flows are judged again at their next packet.
    pub fn replace_stack(&mut self, stack: Vec<ResolvedSet>) {
        self.realm.stack = stack;
        self.generation += 1;
    }

    /// Sets or clears the cut flag.
    pub fn set_cut(&mut self, cut: bool) {
        self.cut = cut;
    }

    /// Sets the time from which the realm is closed.
    pub fn set_deadline(&mut self, deadline_ms: Option<u64>) {
        self.deadline_ms = deadline_ms;
    }

    /// Removes idle flows, as a collector outside the filter program may at any time.
    pub fn sweep(&mut self, now_ms: u64) {
        self.flows.sweep(now_ms);
    }

    /// How many flows the table holds, idle ones too.
    #[must_use]
    pub fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// The verdict on a frame. `Out` comes from the realm. `vlan_tagged` says that the kernel took a
    /// VLAN tag off before. `now_ms` never goes back from call to call.
    pub fn verdict(&mut self, direction: Direction, frame: &[u8], vlan_tagged: bool, now_ms: u64) -> Verdict {
        match self.judge(direction, frame, vlan_tagged, now_ms) {
            Ok(()) => Verdict::Pass,
            Err(reason) => Verdict::Drop(reason),
        }
    }

    fn judge(
        &mut self,
        direction: Direction,
        frame: &[u8],
        vlan_tagged: bool,
        now_ms: u64,
    ) -> Result<(), Reason> {
        if self.cut || self.deadline_ms.is_some_and(|deadline| now_ms >= deadline) {
            return Err(Reason::Closed);
        }
        match frame::read(&self.realm, direction, frame, vlan_tagged)? {
            Content::Neighbour => Ok(()),
            Content::Segment(segment) => self.judge_segment(&segment, now_ms),
        }
    }

    fn judge_segment(&mut self, segment: &Segment, now_ms: u64) -> Result<(), Reason> {
        if segment.quote.as_ref().is_some_and(|quote| self.flows.holds(quote, self.generation, now_ms)) {
            return Ok(());
        }
        match self.flows.find(segment, self.generation, now_ms) {
            Found::Current => return Ok(()),
            Found::Older(first) => {
                return match self.first_refusing(&first) {
                    None => {
                        self.flows.stamp(segment, self.generation, now_ms);
                        Ok(())
                    }
                    Some(tier) => {
                        self.flows.remove(segment);
                        Err(Reason::Refused { tier })
                    }
                };
            }
            Found::Nothing => {}
        }
        let refusing = segment.begins_flow.then(|| self.first_refusing(&segment.packet));
        if refusing == Some(None) {
            return if self.flows.insert(segment, self.generation, now_ms) {
                Ok(())
            } else {
                Err(Reason::TableFull)
            };
        }
        let alone = Packet { form: Form::OneWay, ..segment.packet };
        if self.first_refusing(&alone).is_none() {
            return Ok(());
        }
        Err(refusing.flatten().map_or(Reason::NoFlow, |tier| Reason::Refused { tier }))
    }

    /// The first tier from the top that refuses the packet. No tier at all refuses as tier 0.
    fn first_refusing(&self, packet: &Packet) -> Option<usize> {
        if self.realm.stack.is_empty() {
            return Some(0);
        }
        let refuses = |set: &ResolvedSet| !set.decide(packet).admits();
        self.realm.stack.iter().position(refuses).map(|tier| tier.min(TIERS_MAX - 1))
    }
}

#[cfg(test)]
mod tests;
