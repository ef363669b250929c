//! Volumes: a tier makes and removes its own, within the space that its lease gives.

use super::Signer;
use crate::change::Change;
use crate::limits::VOLUMES_PER_TIER_MAX;
use crate::order::{NewVolume, RemoveVolume};
use crate::refusal::{Limited, QuotaKind, Refusal};
use crate::tenure::Tenure;

pub(super) fn make(tenure: &Tenure, signer: &Signer<'_>, args: &NewVolume) -> Result<Vec<Change>, Refusal> {
    match signer.tier.volumes.get(&args.name) {
        Some(volume) if volume.size_mib == args.size_mib => return Ok(Vec::new()),
        Some(_other) => return Err(Refusal::NameTaken { name: args.name.clone() }),
        None => {}
    }
    if signer.tier.volumes.len() >= VOLUMES_PER_TIER_MAX {
        let max = u64::try_from(VOLUMES_PER_TIER_MAX).unwrap_or(u64::MAX);
        return Err(Refusal::Limit { what: Limited::Volumes, max });
    }
    let left = tenure.own_share(signer.id).space_mib.saturating_sub(signer.tier.space_mib());
    if args.size_mib.get() > left {
        return Err(Refusal::ExceedsQuota { what: QuotaKind::SpaceMib, left });
    }
    let made = signer.tier.volumes_made;
    let number =
        made.checked_add(1).filter(|number| *number <= id::INTEGER_MAX).ok_or(Refusal::Exhausted {})?;
    Ok(vec![Change::VolumeMade { tier: signer.id, name: args.name.clone(), number, size_mib: args.size_mib }])
}

pub(super) fn remove(signer: &Signer<'_>, args: &RemoveVolume) -> Result<Vec<Change>, Refusal> {
    if signer.tier.volumes.contains_key(&args.name) {
        Ok(vec![Change::VolumeRemoved { tier: signer.id, name: args.name.clone() }])
    } else {
        Err(Refusal::UnknownVolume { name: args.name.clone() })
    }
}
