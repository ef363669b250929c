//! Controller keys: a tier enrols and removes its own. An upper tier that wants other keys there hands the
//! lease to another party (`reassign`), which erases what the data's tier does not consent to keep.

use std::collections::BTreeSet;

use super::Signer;
use crate::change::Change;
use crate::limits::KEYS_PER_TIER_MAX;
use crate::order::{ControllerKey, RemoveKey};
use crate::refusal::{Limited, QuotaKind, Refusal};
use crate::right::{Right, Rights};
use crate::rule::{Rule, holds};
use crate::tenure::Tenure;

/// Rights without which a tier could not help itself any more: some key must keep each.
const KEPT: [Right; 2] = [Right::Sever, Right::EnrolKey];

pub(super) fn enrol(
    tenure: &Tenure,
    signer: &Signer<'_>,
    args: &ControllerKey,
) -> Result<Vec<Change>, Refusal> {
    if let Some(right) = args.rights.exceeding(signer.tier.named_rights()) {
        return Err(Refusal::ExceedsRights { right });
    }
    if let Some(right) = args.rights.exceeding(signer.key_rights())
        && holds(Rule::EnrollerRights)
    {
        return Err(Refusal::ExceedsRights { right });
    }
    let id = args.key.id();
    let present = signer.tier.keys.get(&id);
    if present.is_none() && signer.tier.keys.len() >= KEYS_PER_TIER_MAX {
        return Err(Refusal::Limit { what: Limited::Keys, max: KEYS_PER_TIER_MAX as u64 });
    }
    // A key that the node remembers costs nothing when it comes back, so that its sequence is never the price.
    if !tenure.sequences.contains_key(&id) && tenure.own_share(signer.id).keys <= signer.tier.used.keys {
        return Err(Refusal::ExceedsQuota { what: QuotaKind::Keys, left: 0 });
    }
    if let Some(entry) = present {
        leaves_the_kept(signer, id, entry.rights, args.rights)?;
    }
    Ok(vec![Change::KeyEnrolled { tier: signer.id, key: *args }])
}

pub(super) fn remove(
    _tenure: &Tenure,
    signer: &Signer<'_>,
    args: &RemoveKey,
) -> Result<Vec<Change>, Refusal> {
    let entry = signer.tier.keys.get(&args.key).ok_or(Refusal::UnknownKey {})?;
    leaves_the_kept(signer, args.key, entry.rights, Rights::NONE)?;
    Ok(vec![Change::KeyRemoved { tier: signer.id, key: args.key }])
}

/// Refuses when `key` goes `from` some rights `to` others and nobody is left with one that must be kept.
fn leaves_the_kept(signer: &Signer<'_>, key: id::KeyId, from: Rights, to: Rights) -> Result<(), Refusal> {
    let others = || signer.tier.keys.iter().filter(|(id, _)| **id != key);
    let lost = |right: &Right| {
        from.has(*right) && !to.has(*right) && !others().any(|(_, entry)| entry.rights.has(*right))
    };
    KEPT.into_iter().find(lost).map_or(Ok(()), |right| Err(Refusal::LastKey { right }))
}

/// A whole set of keys for a tier with these rights: not empty, none twice, none with more than the tier,
/// and together they hold the rights that must be kept, where the tier may exercise them.
pub(super) fn are_a_set(keys: &[ControllerKey], named: Rights, exercised: Rights) -> Result<(), Refusal> {
    let ids: BTreeSet<_> = keys.iter().map(|key| key.key.id()).collect();
    if keys.is_empty() || ids.len() != keys.len() {
        return Err(Refusal::BadKeys {});
    }
    if keys.len() > KEYS_PER_TIER_MAX {
        return Err(Refusal::Limit { what: Limited::Keys, max: KEYS_PER_TIER_MAX as u64 });
    }
    let all = keys.iter().fold(Rights::NONE, |all, key| all.or(key.rights));
    if let Some(right) = all.exceeding(named) {
        return Err(Refusal::ExceedsRights { right });
    }
    let missing = |right: &Right| exercised.has(*right) && !all.has(*right);
    KEPT.into_iter().find(missing).map_or(Ok(()), |right| Err(Refusal::LastKey { right }))
}
