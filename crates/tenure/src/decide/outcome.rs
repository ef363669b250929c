//! Outcomes: the world's answer to the steps of a procedure, accepted in their order.

use super::passed;
use crate::change::Change;
use crate::input::Outcome;
use crate::procedure::{Procedure, Step};
use crate::refusal::Refusal;
use crate::rule::{Rule, holds};
use crate::tenure::Tenure;

pub(super) fn decide(tenure: &Tenure, outcome: &Outcome) -> Result<Vec<Change>, Refusal> {
    let procedure = tenure.procedures.get(&outcome.procedure).ok_or(Refusal::UnknownProcedure {})?;
    if outcome.step < procedure.next {
        return Ok(Vec::new());
    }
    if outcome.step > procedure.next && holds(Rule::StepOrder) {
        return Err(Refusal::OutOfOrder { step: outcome.step, next: procedure.next });
    }
    let mut changes = passed(tenure, outcome.at);
    if outcome.step == Step::Remade {
        changes.extend(identities(tenure, procedure, outcome)?);
    }
    changes.push(Change::StepDone { procedure: procedure.id, step: outcome.step });
    if procedure.step_after(outcome.step).is_none() {
        changes.push(Change::Completed { procedure: procedure.id });
    }
    Ok(changes)
}

/// The identities that were wanted, each of its tier's present epoch.
fn identities(tenure: &Tenure, procedure: &Procedure, outcome: &Outcome) -> Result<Vec<Change>, Refusal> {
    let wanted = procedure.parts.iter().filter(|part| {
        tenure.tiers.get(&part.tier).is_some_and(|tier| tier.identity.is_none() && !tier.ending)
    });
    wanted
        .map(|part| {
            let right = |made: &&crate::input::Made| made.tier == part.tier && made.epoch == part.epoch;
            let made = outcome.made.iter().find(right).ok_or(Refusal::WrongIdentity { tier: part.tier })?;
            Ok(Change::IdentityMade(*made))
        })
        .collect()
}
