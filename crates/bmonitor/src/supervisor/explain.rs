//! Why a packet passes or not, and what was refused by which rule: from what is in force on this node, and no
//! more of it than is the asker's to see.

use std::collections::BTreeMap;

use boundary::{Direction, Form, Packet, PacketJson, ResolvedSet, explain};
use datapath::{Denial, Reason};
use id::{Name, TierId};
use node_protocol::call::{Answer, Denials, Explained, Refused, RefusedBy, StoppedBy, Way, code};
use serde_json::Value;
use tenure::{Binding, effects};

use super::Supervisor;
use crate::failure::Exit;
use crate::reconcile::{Seal, policy_of};

/// Denials of one realm that are looked at in one go, and different ones that are told apart.
const TAKEN_MAX: usize = 256;
const KINDS_MAX: usize = 256;

/// What the filters refused, by set and rule, as far as their logs were read in time.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    realms: BTreeMap<Name, BTreeMap<Kind, u64>>,
}

/// One kind of refusal: the set, its deny or nothing where no allow matched, and whether the realm sent it.
type Kind = (Binding, Option<String>, bool);

impl Supervisor {
    /// What the sets in force say to a packet of the tier's realm.
    pub(super) fn explain(&self, tier: TierId, packet: Value) -> Answer {
        let packet = serde_json::from_value::<PacketJson>(packet).map_err(|error| error.to_string());
        let packet = match packet.and_then(Packet::try_from) {
            Ok(packet) => packet,
            Err(why) => return refused(code::MALFORMED_MESSAGE, Exit::Usage, why),
        };
        let world = effects(&self.node.tenure);
        let Some(realm) = world.realm(tier) else { return no_tier(tier) };
        let stack = self.node.stack(tier);
        let explanation = explain(&stack, &packet);
        let bindings = self.node.tenure.bindings(tier);
        let stopped = explanation.stopped_by.and_then(|place| bindings.get(place));
        let stopped_by = stopped.map(|(binding, _)| self.stopped_by(tier, *binding, explanation.rule));
        let seen = self.observed.realms.get(&realm.name).filter(|seen| seen.whole);
        Answer::Explained(Box::new(Explained {
            pass: stopped_by.is_none(),
            rule: explanation.rule.filter(|_| stopped_by.is_none()).and_then(|rule| {
                let lowest = bindings.last()?.0;
                lowest.may_be_read_by(&self.node.tenure, tier).then(|| rule.to_owned())
            }),
            stopped_by,
            open: seen.is_some_and(|seen| matches!(seen.gate, Some(Seal::OpenUntil(_)))),
            in_force: seen.is_some_and(|seen| seen.policy == Some(policy_of(&world, realm))),
            generation: self.generations.get(&realm.name).map_or(0, |generation| generation.get()),
        }))
    }

    /// What was refused to and from the tier's realm.
    pub(super) fn denials(&mut self, tier: TierId) -> Answer {
        self.take_denials();
        let Some(name) = self.node.tenure.tier(tier).map(|tier| tier.name.clone()) else {
            return no_tier(tier);
        };
        let counters = self.filters.get(&name).and_then(|filter| filter.counters().ok());
        let tallies = counters.map(|counters| [(Way::In, counters.inward), (Way::Out, counters.out)]);
        let mut denials = Denials::default();
        for (way, tally) in tallies.into_iter().flatten() {
            denials.unread += tally.log_lost;
            for reason in Reason::ALL {
                let packets = tally.dropped_for(reason);
                if packets > 0 {
                    denials.dropped.entry(reason.name().to_owned()).or_default().insert(way, packets);
                }
            }
        }
        let mut refused: BTreeMap<(Binding, Option<String>, bool, Way), u64> = BTreeMap::new();
        for ((binding, rule, out), packets) in self.refusals.realms.get(&name).into_iter().flatten() {
            // What may not be read is counted together.
            let readable = binding.may_be_read_by(&self.node.tenure, tier);
            let rule = rule.clone().filter(|_| readable);
            let way = if *out { Way::Out } else { Way::In };
            *refused.entry((*binding, rule, readable, way)).or_default() += packets;
        }
        let by = |((binding, rule, _, way), packets): ((Binding, Option<String>, bool, Way), u64)| {
            RefusedBy { by: self.stopped_by(tier, binding, rule.as_deref()), direction: way, packets }
        };
        denials.refused = refused.into_iter().map(by).collect();
        Answer::Denials(Box::new(denials))
    }

    /// Reads the filters' logs, so that they have room.
    pub(super) fn take_denials(&mut self) {
        let names: Vec<Name> = self.filters.keys().cloned().collect();
        for name in names {
            let taken = self.filters.get_mut(&name).map(|filter| filter.denials(TAKEN_MAX));
            let refused = taken.unwrap_or_default().into_iter().filter_map(|denial| asked(&denial));
            let refused: Vec<Packet> = refused.collect();
            let Some(tier) = self.node.tenure.tier_named(name.as_str()).filter(|_| !refused.is_empty())
            else {
                continue;
            };
            let (stack, bindings) = (self.node.stack(tier), self.node.tenure.bindings(tier));
            let kinds = self.refusals.realms.entry(name).or_default();
            for packet in refused {
                let Some(kind) = kind(&stack, &bindings, &packet) else { continue };
                if kinds.len() < KINDS_MAX || kinds.contains_key(&kind) {
                    *kinds.entry(kind).or_default() += 1;
                }
            }
        }
        let tenure = &self.node.tenure;
        self.refusals.realms.retain(|name, _| tenure.tier_named(name.as_str()).is_some());
    }

    fn stopped_by(&self, asker: TierId, binding: Binding, rule: Option<&str>) -> StoppedBy {
        let tenure = &self.node.tenure;
        let readable = binding.may_be_read_by(tenure, asker);
        let tier = binding.tier().and_then(|id| Some((id, tenure.tier(id)?)));
        StoppedBy {
            tier: tier.map(|(id, _)| id),
            name: tier.map(|(_, tier)| tier.name.clone()),
            set: match binding {
                Binding::BuiltIn => "built-in",
                Binding::Given(_) => "given",
                Binding::Own(_) => "own",
            }
            .to_owned(),
            rule: rule.filter(|_| readable).map(str::to_owned),
            hidden: !readable,
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
    Some((*binding, explanation.rule.map(str::to_owned), packet.direction == Direction::Out))
}

pub(super) fn no_tier(tier: TierId) -> Answer {
    refused(code::NOT_FOUND, Exit::NotFound, format!("there is no tier {tier}"))
}

fn refused(code: &str, exit: Exit, message: String) -> Answer {
    Answer::Refused(Refused { code: code.to_owned(), exit: exit as u8, message, hint: None, details: None })
}
