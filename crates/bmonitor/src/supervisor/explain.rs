//! Why a packet passes or not: from what is in force on this node, and no more of it than is the asker's to see.

use boundary::{Packet, PacketJson, explain};
use id::TierId;
use node_protocol::call::{Answer, Explained, Refused, StoppedBy, code};
use serde_json::Value;
use tenure::{Binding, effects};

use super::Supervisor;
use crate::failure::Exit;
use crate::reconcile::{Seal, policy_of};

impl Supervisor {
    /// What the sets in force say to a packet of the tier's realm. Which rule it is `reader` hears, of the sets that
    /// are its to see; nobody in particular, as who sits at the node, hears whose set it is.
    pub(super) fn explain(&self, tier: TierId, reader: Option<TierId>, packet: Value) -> Answer {
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
        let stopped_by = stopped.map(|(binding, _)| self.stopped_by(reader, *binding, explanation.rule));
        let seen = self.observed.realms.get(&realm.name).filter(|seen| seen.whole);
        Answer::Explained(Box::new(Explained {
            pass: stopped_by.is_none(),
            rule: explanation.rule.filter(|_| stopped_by.is_none()).and_then(|rule| {
                let lowest = bindings.last()?.0;
                self.may_read(reader, lowest).then(|| rule.to_owned())
            }),
            stopped_by,
            open: seen.is_some_and(|seen| matches!(seen.gate, Some(Seal::OpenUntil(_)))),
            in_force: seen.is_some_and(|seen| seen.policy == Some(policy_of(&world, realm))),
            generation: self.generations.get(&realm.name).map_or(0, |generation| generation.get()),
        }))
    }

    pub(super) fn may_read(&self, reader: Option<TierId>, binding: Binding) -> bool {
        match reader {
            Some(reader) => binding.may_be_read_by(&self.node.tenure, reader),
            None => binding == Binding::BuiltIn,
        }
    }

    pub(super) fn stopped_by(
        &self,
        reader: Option<TierId>,
        binding: Binding,
        rule: Option<&str>,
    ) -> StoppedBy {
        let tenure = &self.node.tenure;
        let readable = self.may_read(reader, binding);
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

pub(super) fn no_tier(tier: TierId) -> Answer {
    refused(code::NOT_FOUND, Exit::NotFound, format!("there is no tier {tier}"))
}

fn refused(code: &str, exit: Exit, message: String) -> Answer {
    Answer::Refused(Refused { code: code.to_owned(), exit: exit as u8, message, hint: None, details: None })
}
