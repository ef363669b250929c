//! Engines: a tier says which ones run in its own realm. Nobody else does, and nobody above is asked.

use super::Signer;
use crate::change::Change;
use crate::limits::ENGINES_PER_TIER_MAX;
use crate::order::{Engine, EngineAction};
use crate::refusal::{Limited, QuotaKind, Refusal};
use crate::tenure::Tenure;

pub(super) fn set(tenure: &Tenure, signer: &Signer<'_>, args: &Engine) -> Result<Vec<Change>, Refusal> {
    let present = signer.tier.engines.get(&args.name);
    if let EngineAction::Deploy { specification } = &args.action {
        let unknown = Refusal::UnknownObject { object: *specification };
        let named = tenure.aside.specifications.get(specification).ok_or_else(|| unknown.clone())?;
        if *named != args.name {
            return Err(unknown);
        }
        if present.is_none() {
            has_room(tenure, signer)?;
        }
    } else if present.is_none() {
        return Err(Refusal::UnknownEngine { name: args.name.clone() });
    }
    Ok(vec![Change::EngineSet { tier: signer.id, name: args.name.clone(), action: args.action.clone() }])
}

/// A specification is an object that the tier holds, beside its own set.
fn has_room(tenure: &Tenure, signer: &Signer<'_>) -> Result<(), Refusal> {
    let engines = signer.tier.engines.len();
    if engines >= ENGINES_PER_TIER_MAX {
        let max = u64::try_from(ENGINES_PER_TIER_MAX).unwrap_or(u64::MAX);
        return Err(Refusal::Limit { what: Limited::Engines, max });
    }
    let held =
        u32::try_from(engines).unwrap_or(u32::MAX).saturating_add(u32::from(signer.tier.own.is_some()));
    if held >= tenure.own_share(signer.id).objects {
        return Err(Refusal::ExceedsQuota { what: QuotaKind::Objects, left: 0 });
    }
    Ok(())
}
