//! Severing: a tier below and everything below it ends. No reason of the lower side stands in its way.

use super::Signer;
use crate::change::Change;
use crate::input::Verified;
use crate::order::Target;
use crate::procedure::{Fate, Part, Procedure, ProcedureId, Purpose};
use crate::refusal::Refusal;
use crate::rule::{Rule, holds};
use crate::tenure::Tenure;

pub(super) fn sever(
    tenure: &Tenure,
    signer: &Signer<'_>,
    args: &Target,
    verified: &Verified,
) -> Result<Vec<Change>, Refusal> {
    let target = signer.below(tenure, args.tier)?;
    if target.ending {
        // It is on its way already; saying it again restarts nothing, and is a record like any other: while
        // custody is dead it stays on its way, and could be said for ever.
        signer.within_records(tenure, tenure.clock().max(verified.at))?;
        return Ok(Vec::new());
    }
    let mut parts = Vec::new();
    for id in tenure.subtree(args.tier) {
        if id != args.tier && !holds(Rule::Cascade) {
            continue;
        }
        let epoch = tenure.tiers.get(&id).and_then(|tier| tier.epoch.next()).ok_or(Refusal::Exhausted {})?;
        parts.push(Part { tier: id, epoch, fate: Fate::Ended });
    }
    let procedure = Procedure {
        id: ProcedureId(verified.envelope),
        purpose: Purpose::Severing,
        by: signer.id,
        tier: args.tier,
        next: Procedure::first_step(&parts),
        parts,
        nonce: None,
    };
    Ok(vec![Change::Begun { procedure }])
}
