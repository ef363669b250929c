//! What was refused at the realms, by set and rule. The kernel counts each packet that a set refuses; its log tells of
//! most of them what they were, by which the rule is found. A tier's next holder hears of none of it.

use std::collections::BTreeMap;

use boundary::{Direction, Form, Packet, ResolvedSet, explain};
use datapath::{Counters, Denial, Reason};
use id::{Name, TierId};
use node_protocol::call::{Answer, Denials, RefusedBy, Way};
use tenure::{Binding, effects};

use super::Supervisor;
use super::explain::no_tier;
use super::passed::Whose;
use crate::reconcile::policy_of;

/// Denials of one realm that are looked at in one go, and different ones that are told apart.
const TAKEN_MAX: usize = 256;
const KINDS_MAX: usize = 256;

/// More records than a filter's log holds.
const LOG_MAX: usize = 32 * 1024;

/// What the filters refused, since the supervisor's start.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    realms: BTreeMap<Whose, Refused>,
}

/// The same of one realm, since its tier's epoch began.
#[derive(Debug, Default)]
struct Refused {
    /// What the kernel had counted when this began, and when it was looked at last.
    began: Counters,
    read: Counters,
    /// The sets that the live generation enforces, from the top; none before it is known.
    stack: Vec<Binding>,
    /// All packets that a set refused.
    sets: BTreeMap<(Binding, Way), u64>,
    /// The same by rule, as far as the log was read in time.
    kinds: BTreeMap<Kind, u64>,
}

/// One kind of refusal: the set, its deny or nothing where no allow matched, and who sent it.
type Kind = (Binding, Option<String>, Way);

impl Refused {
    fn new(counters: Counters) -> Self {
        Self { read: counters.clone(), began: counters, ..Self::default() }
    }

    /// Takes in what the kernel has counted by now.
    fn count(&mut self, now: Counters) {
        for (way, before, after) in
            [(Way::In, &self.read.inward, &now.inward), (Way::Out, &self.read.out, &now.out)]
        {
            for ((before, after), binding) in before.refused_by.iter().zip(after.refused_by).zip(&self.stack)
            {
                let more = since(*before, after);
                if more > 0 {
                    *self.sets.entry((*binding, way)).or_default() += more;
                }
            }
        }
        // Without a stack nothing is live that could refuse.
        self.read = now;
    }
}

/// How many more there are. A filter that was loaded anew counts from nothing.
fn since(before: u64, after: u64) -> u64 {
    after.checked_sub(before).unwrap_or(after)
}

impl Supervisor {
    /// Begins to count for realms that are not counted yet, in the turn in which they come up or enter a new epoch:
    /// what was refused before is somebody else's.
    pub(super) fn begin_refusals(&mut self) {
        let tenure = &self.node.tenure;
        let is_present = |whose: &Whose| tenure.tier(whose.0).is_some_and(|tier| tier.epoch == whose.1);
        self.refusals.realms.retain(|whose, _| is_present(whose));
        let present: Vec<(Name, Whose)> =
            self.filters.keys().filter_map(|name| Some((name.clone(), self.whose(name.as_str())?))).collect();
        for (name, whose) in present {
            let Some(filter) = self.filters.get_mut(&name) else { continue };
            if self.refusals.realms.contains_key(&whose) {
                continue;
            }
            if let Ok(counters) = filter.counters() {
                drop(filter.denials(LOG_MAX));
                self.refusals.realms.insert(whose, Refused::new(counters));
            }
            // A new epoch may leave the sets as they are.
            let world = effects(&self.node.tenure);
            let seen = self.observed.realms.get(&name).and_then(|seen| seen.policy);
            if seen.is_some() && seen == world.realm(whose.0).map(|realm| policy_of(&world, realm)) {
                self.enforces_anew(&name);
            }
        }
    }

    /// From now on a realm's filter enforces the sets that bind it by the journal.
    pub(super) fn enforces_anew(&mut self, name: &Name) {
        self.take_denials_of(name);
        let Some(whose) = self.whose(name.as_str()) else { return };
        let stack = self.node.tenure.bindings(whose.0).into_iter().map(|(binding, _)| binding).collect();
        if let Some(refused) = self.refusals.realms.get_mut(&whose) {
            refused.stack = stack;
        }
    }

    /// What was refused to and from the tier's realm, as `reader` may hear it.
    pub(super) fn denials(&mut self, tier: TierId, reader: Option<TierId>) -> Answer {
        self.take_denials();
        let Some(name) = self.node.tenure.tier(tier).map(|tier| tier.name.clone()) else {
            return no_tier(tier);
        };
        let refused = self.whose(name.as_str()).and_then(|whose| self.refusals.realms.get(&whose));
        let Some(Refused { began, read, sets, kinds, .. }) = refused else {
            return Answer::Denials(Box::default());
        };
        let mut denials = Denials::default();
        for (way, before, after) in
            [(Way::In, &began.inward, &read.inward), (Way::Out, &began.out, &read.out)]
        {
            denials.unread += since(before.log_lost, after.log_lost);
            for reason in Reason::ALL {
                let packets = since(before.dropped_for(reason), after.dropped_for(reason));
                if packets > 0 {
                    denials.dropped.entry(reason.name().to_owned()).or_default().insert(way, packets);
                }
            }
        }
        let told = |binding: Binding, rule: Option<&str>, direction: Way, packets: u64| RefusedBy {
            by: self.stopped_by(reader, binding, rule),
            direction,
            packets,
        };
        denials.by_set =
            sets.iter().map(|((binding, way), packets)| told(*binding, None, *way, *packets)).collect();
        let mut by_rule: BTreeMap<Kind, u64> = BTreeMap::new();
        for ((binding, rule, way), packets) in kinds {
            // What may not be read is counted together.
            let rule = rule.clone().filter(|_| self.may_read(reader, *binding));
            *by_rule.entry((*binding, rule, *way)).or_default() += packets;
        }
        denials.refused = by_rule
            .into_iter()
            .map(|((binding, rule, way), packets)| told(binding, rule.as_deref(), way, packets))
            .collect();
        Answer::Denials(Box::new(denials))
    }

    /// Reads the filters' counters and logs, so that the logs have room.
    pub(super) fn take_denials(&mut self) {
        for name in self.filters.keys().cloned().collect::<Vec<_>>() {
            self.take_denials_of(&name);
        }
    }

    fn take_denials_of(&mut self, name: &Name) {
        let Some(whose) = self.whose(name.as_str()) else { return };
        let Some(filter) = self.filters.get_mut(name) else { return };
        let Some(refused) = self.refusals.realms.get_mut(&whose) else { return };
        let taken = filter.denials(TAKEN_MAX);
        if let Ok(counters) = filter.counters() {
            refused.count(counters);
        }
        let packets: Vec<Packet> = taken.iter().filter_map(asked).collect();
        if packets.is_empty() {
            return;
        }
        let (stack, bindings) = (self.node.stack(whose.0), self.node.tenure.bindings(whose.0));
        for packet in packets {
            let Some(kind) = kind(&stack, &bindings, &packet) else { continue };
            if refused.kinds.len() < KINDS_MAX || refused.kinds.contains_key(&kind) {
                *refused.kinds.entry(kind).or_default() += 1;
            }
        }
    }
}

/// The packet as the sets were asked about it.
fn asked(denial: &Denial) -> Option<Packet> {
    let Reason::Refused { .. } = denial.reason else { return None };
    Some(Packet {
        form: Form::Flow,
        direction: match denial.direction {
            datapath::Direction::In => Direction::In,
            datapath::Direction::Out => Direction::Out,
        },
        protocol: denial.protocol,
        remote: crate::sets::number(denial.remote),
        remote_port: denial.remote_port,
        local_port: denial.local_port,
    })
}

/// Nothing where the sets that refused it are in force no more.
fn kind(stack: &[ResolvedSet], bindings: &[(Binding, Option<id::Digest>)], packet: &Packet) -> Option<Kind> {
    let explanation = explain(stack, packet);
    let (binding, _) = bindings.get(explanation.stopped_by?)?;
    let way = if packet.direction == Direction::Out { Way::Out } else { Way::In };
    Some((*binding, explanation.rule.map(str::to_owned), way))
}
