//! Suspending, resuming and switching what is below.

use super::Signer;
use crate::change::Change;
use crate::order::{Power, Target};
use crate::refusal::Refusal;
use crate::tenure::Tenure;

pub(super) fn suspend(tenure: &Tenure, signer: &Signer<'_>, args: &Target) -> Result<Vec<Change>, Refusal> {
    let target = signer.below(tenure, args.tier)?;
    let done = target.suspended_by.contains(&signer.id);
    Ok(if done { Vec::new() } else { vec![Change::Suspended { tier: args.tier, by: signer.id }] })
}

/// Ends the signer's own suspension; those of other tiers stay.
pub(super) fn resume(tenure: &Tenure, signer: &Signer<'_>, args: &Target) -> Result<Vec<Change>, Refusal> {
    let target = signer.below(tenure, args.tier)?;
    let there = target.suspended_by.contains(&signer.id);
    Ok(if there { vec![Change::Resumed { tier: args.tier, by: signer.id }] } else { Vec::new() })
}

pub(super) fn power(tenure: &Tenure, signer: &Signer<'_>, args: &Power) -> Result<Vec<Change>, Refusal> {
    let target = args.tier.filter(|tier| *tier != signer.id);
    if let Some(target) = target {
        signer.below(tenure, target)?;
    }
    Ok(vec![Change::Switched { tier: target.unwrap_or(signer.id), action: args.action }])
}
