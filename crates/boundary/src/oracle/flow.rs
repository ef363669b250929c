//! The flow table.
//!
//! A flow is found by protocol, remote address and ports; an echo flow by the identifier instead of the
//! ports. It matches packets both ways, an echo flow requests in the direction that began it and replies
//! in the other. After a change of the stack, a flow's next packet has the flow's first packet judged
//! again. Entries idle for long count as absent: a packet of theirs is a miss, and their place is taken
//! by the next flow of the same key; for other keys they hold their place until swept. A packet that an ICMP
//! error quotes is one of a flow if it would match and the flow was admitted under the present stack; it does
//! not refresh the flow.

use std::collections::HashMap;

use packet_set::{Direction, Packet, TCP};

use super::frame::{Echo, Quote, Segment};

/// How long a TCP flow may be idle.
pub const TCP_IDLE_MS: u64 = 3_600_000;
/// How long any other flow may be idle.
pub const OTHER_IDLE_MS: u64 = 60_000;
/// How long a TCP flow may be idle after a reset, or after both sides have ended.
pub const ENDED_IDLE_MS: u64 = 10_000;

/// What the table says about a packet.
pub(super) enum Found {
    /// No live flow.
    Nothing,
    /// A flow admitted under the present stack; it is refreshed.
    Current,
    /// A flow admitted under an older one, which began with this packet.
    Older(Packet),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    protocol: u8,
    remote: u128,
    ports: (u16, u16),
}

#[derive(Debug, Clone)]
struct Flow {
    /// The first packet, as it was judged.
    first: Packet,
    generation: u64,
    seen_ms: u64,
    reset: bool,
    /// FIN seen, by direction.
    ended: (bool, bool),
}

#[derive(Debug, Clone)]
pub(super) struct Flows {
    capacity: usize,
    flows: HashMap<Key, Flow>,
}

impl Flows {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, flows: HashMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    pub(super) fn find(&mut self, segment: &Segment, generation: u64, now_ms: u64) -> Found {
        let Some(flow) = key(segment).and_then(|key| self.flows.get_mut(&key)) else { return Found::Nothing };
        if flow.is_idle(now_ms) || !flow.takes(segment.packet.direction, segment.echo) {
            return Found::Nothing;
        }
        if flow.generation != generation {
            return Found::Older(flow.first);
        }
        flow.see(segment, now_ms);
        Found::Current
    }

    /// Whether a quoted packet is one of a live flow that was admitted under the present stack.
    pub(super) fn holds(&self, quote: &Quote, generation: u64, now_ms: u64) -> bool {
        let ports = match quote.echo {
            Echo::Request(identifier) | Echo::Reply(identifier) => (identifier, 0),
            Echo::No => quote.ports,
        };
        let Some(flow) = self.flows.get(&Key { protocol: quote.protocol, remote: quote.remote, ports })
        else {
            return false;
        };
        flow.generation == generation && !flow.is_idle(now_ms) && flow.takes(quote.direction, quote.echo)
    }

    /// Marks a found flow as admitted under the present stack.
    pub(super) fn stamp(&mut self, segment: &Segment, generation: u64, now_ms: u64) {
        if let Some(flow) = key(segment).and_then(|key| self.flows.get_mut(&key)) {
            flow.generation = generation;
            flow.see(segment, now_ms);
        }
    }

    pub(super) fn remove(&mut self, segment: &Segment) {
        if let Some(key) = key(segment) {
            self.flows.remove(&key);
        }
    }

    /// Whether there was room. An entry with the same key gives its place up.
    pub(super) fn insert(&mut self, segment: &Segment, generation: u64, now_ms: u64) -> bool {
        let Some(key) = key(segment) else { return false };
        if self.flows.len() >= self.capacity && !self.flows.contains_key(&key) {
            return false;
        }
        let mut flow =
            Flow { first: segment.packet, generation, seen_ms: now_ms, reset: false, ended: (false, false) };
        flow.see(segment, now_ms);
        self.flows.insert(key, flow);
        true
    }

    pub(super) fn sweep(&mut self, now_ms: u64) {
        self.flows.retain(|_, flow| !flow.is_idle(now_ms));
    }
}

impl Flow {
    fn is_idle(&self, now_ms: u64) -> bool {
        let ended = self.reset || self.ended == (true, true);
        let limit = match self.first.protocol {
            TCP if ended => ENDED_IDLE_MS,
            TCP => TCP_IDLE_MS,
            _ => OTHER_IDLE_MS,
        };
        now_ms.saturating_sub(self.seen_ms) >= limit
    }

    fn takes(&self, direction: Direction, echo: Echo) -> bool {
        let initiating = direction == self.first.direction;
        match echo {
            Echo::Request(_) => initiating,
            Echo::Reply(_) => !initiating,
            Echo::No => true,
        }
    }

    fn see(&mut self, segment: &Segment, now_ms: u64) {
        self.seen_ms = now_ms;
        // A SYN begins a new connection with the ports of one that is ending.
        if segment.begins_flow {
            (self.reset, self.ended) = (false, (false, false));
        }
        self.reset |= segment.reset;
        match segment.packet.direction {
            Direction::In => self.ended.0 |= segment.fin,
            Direction::Out => self.ended.1 |= segment.fin,
        }
    }
}

/// The key of a packet that can belong to a flow.
fn key(segment: &Segment) -> Option<Key> {
    let packet = &segment.packet;
    let ports = match segment.echo {
        Echo::Request(identifier) | Echo::Reply(identifier) => (identifier, 0),
        Echo::No if segment.is_icmp() => return None,
        Echo::No => (packet.remote_port, packet.local_port),
    };
    Some(Key { protocol: packet.protocol, remote: packet.remote, ports })
}
