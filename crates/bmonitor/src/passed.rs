//! What passed at a realm in the last hour: kinds of flows, not flows, so that it stays small however many there are. A
//! kind is who began, the protocol, the other end and the port that was called; ports that a caller picks at random
//! are told of the newest flow alone.
//!
//! It lies in memory only. It is the tier's own in its epoch, and goes with it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use boundary::{Form, Packet, PacketJson};
use datapath::{Direction, FilterError, Flow, FlowTable};
use node_protocol::call::{Passed, PassedFlows};
use serde_json::Value;

use crate::sets::number;

/// How long a kind is remembered after its last packet.
const REMEMBERED: Duration = Duration::from_secs(3600);
/// Kinds of one realm that are told apart: some 400 bytes each as they are told. The longest quiet gives way.
const KINDS_MAX: usize = 2048;

/// Flows that only differ in the caller's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    began_by: Direction,
    protocol: u8,
    remote: IpAddr,
    /// The port that was called; for ICMP type * 256 + code.
    called: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    flows: u64,
    /// Of the newest flow.
    caller_port: u16,
    /// Its last packet, since the machine started.
    last: Duration,
}

/// What one walk through a flow table found.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    kinds: BTreeMap<Kind, Seen>,
    /// Flows of kinds for which there was no room.
    beyond: u64,
}

/// A realm's record.
#[derive(Debug)]
pub(crate) struct Record {
    /// When it was begun, and last added to.
    began: Duration,
    walked: Duration,
    kinds: BTreeMap<Kind, Seen>,
    /// Flows that were told apart no longer, and when the newest of them was counted.
    beyond: (u64, Duration),
}

impl Kind {
    fn of(flow: &Flow) -> (Self, u16) {
        let (remote_port, local_port) = flow.first_ports;
        let (called, caller) = match flow.began_by {
            Direction::In => (local_port, remote_port),
            // Type and code stand in the realm's port, whoever sends.
            Direction::Out if is_icmp(flow.protocol) => (local_port, remote_port),
            Direction::Out => (remote_port, local_port),
        };
        (Self { began_by: flow.began_by, protocol: flow.protocol, remote: flow.remote, called }, caller)
    }

    /// A flow's first packet.
    fn packet(&self, caller: u16) -> Packet {
        let (direction, called_is_local) = match self.began_by {
            Direction::In => (boundary::Direction::In, true),
            Direction::Out => (boundary::Direction::Out, is_icmp(self.protocol)),
        };
        let (remote_port, local_port) =
            if called_is_local { (caller, self.called) } else { (self.called, caller) };
        Packet {
            form: Form::Flow,
            direction,
            protocol: self.protocol,
            remote: number(self.remote),
            remote_port,
            local_port,
        }
    }
}

const fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, 1 | 58)
}

/// Reads a table, in which `since` was the last look, and takes idle flows out of it.
pub(crate) fn walk(table: &mut FlowTable, since: Duration, now: Duration) -> Result<Walked, FilterError> {
    let mut walked = Walked::default();
    table.walk(now, |flow| walked.see(flow, since))?;
    Ok(walked)
}

impl Walked {
    fn see(&mut self, flow: &Flow, since: Duration) {
        let (began, last) = flow.seen;
        if last < since {
            return;
        }
        let (kind, caller_port) = Kind::of(flow);
        let seen = Seen { flows: u64::from(began >= since), caller_port, last };
        if let Some(known) = self.kinds.get_mut(&kind) {
            known.add(&seen);
        } else if self.kinds.len() < KINDS_MAX {
            self.kinds.insert(kind, seen);
        } else {
            self.beyond += seen.flows;
        }
    }
}

impl Seen {
    fn add(&mut self, more: &Self) {
        self.flows += more.flows;
        if more.last >= self.last {
            (self.caller_port, self.last) = (more.caller_port, more.last);
        }
    }
}

impl Record {
    /// Nothing yet: what is in the table from before may be another party's. `now` is [`os::clock::boot`], as
    /// everywhere here.
    pub(crate) const fn new(now: Duration) -> Self {
        Self { began: now, walked: now, kinds: BTreeMap::new(), beyond: (0, now) }
    }

    /// When the table was last looked at: what began later is new.
    pub(crate) const fn walked(&self) -> Duration {
        self.walked
    }

    /// Adds what a walk found that began at `at`, and forgets what is over.
    pub(crate) fn take(&mut self, walked: Walked, at: Duration) {
        for (kind, seen) in walked.kinds {
            // One that was open before the record began counts, too.
            let new = Seen { flows: seen.flows.max(1), ..seen };
            self.kinds.entry(kind).and_modify(|known| known.add(&seen)).or_insert(new);
        }
        if at.saturating_sub(self.beyond.1) >= REMEMBERED {
            self.beyond.0 = 0;
        }
        self.gave_way(walked.beyond, at);
        self.walked = at;
        self.kinds.retain(|_, seen| at.saturating_sub(seen.last) < REMEMBERED);
        if self.kinds.len() > KINDS_MAX {
            let mut quiet: Vec<(Duration, Kind)> =
                self.kinds.iter().map(|(kind, seen)| (seen.last, *kind)).collect();
            quiet.sort_unstable();
            for (_, kind) in quiet.into_iter().take(self.kinds.len() - KINDS_MAX) {
                let flows = self.kinds.remove(&kind).map_or(0, |seen| seen.flows);
                self.gave_way(flows, at);
            }
        }
    }

    const fn gave_way(&mut self, flows: u64, at: Duration) {
        if flows > 0 {
            self.beyond = (self.beyond.0 + flows, at);
        }
    }

    /// As it is told.
    pub(crate) fn told(&self, now: Duration) -> PassedFlows {
        let told = |(kind, seen): (&Kind, &Seen)| {
            let packet = PacketJson::from(&kind.packet(seen.caller_port));
            Passed {
                // Numbers, words and an address: it always serialises.
                packet: serde_json::to_value(packet).unwrap_or(Value::Null),
                flows: seen.flows,
                seconds_ago: now.saturating_sub(seen.last).as_secs(),
            }
        };
        PassedFlows {
            seconds: now.saturating_sub(self.began).min(REMEMBERED).as_secs(),
            beyond: self.beyond.0,
            kinds: self.kinds.iter().map(told).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(began_by: Direction, protocol: u8, ports: (u16, u16), seen: (u64, u64)) -> Flow {
        Flow {
            began_by,
            protocol,
            remote: [10, 1, 0, 7].into(),
            remote_port: ports.0,
            local_port: ports.1,
            first_ports: ports,
            generation: 1,
            seen: (Duration::from_secs(seen.0), Duration::from_secs(seen.1)),
        }
    }

    fn walked(flows: &[Flow], since: u64) -> Walked {
        let mut walked = Walked::default();
        flows.iter().for_each(|flow| walked.see(flow, Duration::from_secs(since)));
        walked
    }

    #[test]
    fn flows_are_counted_once_and_told_by_kind() {
        let (first, second) = (Duration::from_secs(100), Duration::from_secs(105));
        let mut record = Record::new(first);
        let open = flow(Direction::In, 6, (40_000, 443), (90, 99));
        record.take(walked(&[open.clone(), flow(Direction::In, 6, (40_001, 443), (95, 98))], 0), first);
        // The one is still open, another has begun, and one was quiet.
        let still = Flow { seen: (open.seen.0, Duration::from_secs(104)), ..open };
        let new = flow(Direction::Out, 17, (53, 50_000), (101, 103));
        let quiet = flow(Direction::In, 6, (40_002, 8080), (50, 60));
        record.take(walked(&[still, new, quiet], 100), second);
        let told = record.told(Duration::from_secs(110));
        let told: Vec<_> =
            told.kinds.iter().map(|kind| (kind.packet.to_string(), kind.flows, kind.seconds_ago)).collect();
        let outward = r#"{"direction":"out","local_port":50000,"one_way":false,"protocol":17,"remote":"10.1.0.7","remote_port":53}"#;
        let inward = r#"{"direction":"in","local_port":443,"one_way":false,"protocol":6,"remote":"10.1.0.7","remote_port":40000}"#;
        assert_eq!(told, [(outward.to_owned(), 1, 7), (inward.to_owned(), 2, 6)]);
    }

    #[test]
    fn an_echo_is_told_by_its_type() {
        let ping = Flow { remote_port: 77, local_port: 0, ..flow(Direction::Out, 1, (0, 8 << 8), (1, 1)) };
        let mut record = Record::new(Duration::ZERO);
        record.take(walked(&[ping], 0), Duration::from_secs(2));
        let told = record.told(Duration::from_secs(2));
        assert_eq!((&told.kinds[0].packet["icmp_type"], told.kinds[0].flows), (&Value::from(8), 1));
    }

    #[test]
    fn what_is_over_is_forgotten_and_what_is_much_gives_way() {
        let mut record = Record::new(Duration::ZERO);
        let many: Vec<Flow> = (0..3000)
            .map(|port| flow(Direction::In, 6, (40_000, port), (10, 10 + u64::from(port))))
            .collect();
        record.take(walked(&many, 0), Duration::from_secs(3100));
        let told = record.told(Duration::from_secs(3100));
        assert_eq!((told.kinds.len(), told.beyond), (KINDS_MAX, 3000 - KINDS_MAX as u64));
        // Another one comes: the one that was quiet for the longest goes.
        let late = flow(Direction::Out, 6, (443, 40_000), (3150, 3150));
        record.take(walked(&[late], 3100), Duration::from_secs(3200));
        let told = record.told(Duration::from_secs(3200));
        assert_eq!((told.kinds.len(), told.seconds, told.kinds[KINDS_MAX - 1].flows), (KINDS_MAX, 3200, 1));
        assert!(!told.kinds.iter().any(|kind| kind.packet["local_port"] == 0));
        record.take(Walked::default(), Duration::from_secs(9999));
        let told = record.told(Duration::from_secs(9999));
        assert_eq!((told.kinds.len(), told.beyond), (0, 0));
    }

    #[test]
    fn what_passed_before_the_record_began_is_not_told() {
        let mut record = Record::new(Duration::from_secs(100));
        let others = flow(Direction::In, 6, (40_000, 443), (90, 99));
        let open = flow(Direction::In, 6, (40_001, 80), (90, 101));
        let since = record.walked().as_secs();
        record.take(walked(&[others, open], since), Duration::from_secs(105));
        let told = record.told(Duration::from_secs(105));
        let told: Vec<_> =
            told.kinds.iter().map(|kind| (kind.packet["local_port"].as_u64(), kind.flows)).collect();
        assert_eq!(told, [(Some(80), 1)]);
    }
}
