//! New keys for tiers that stay: renewal, re-assignment, and the consent that lets data outlive them.
//!
//! Whatever is not kept is erased, in the renewed tier and in all below it: a lower tier's data is wrapped
//! under the keys of every tier above. Data is kept only if its own tier says so, by an order of its own
//! that names what may be done; a consent is used up by that, and dies with the epoch that it names.

use std::collections::BTreeSet;

use id::{KeyId, Nonce, TierId};

use super::{Signer, keys};
use crate::change::Change;
use crate::console::are_consoles_below_the_root;
use crate::input::Verified;
use crate::limits::CONSENTS_PER_TIER_MAX;
use crate::order::{Consent, Reassign, Renew};
use crate::procedure::{Fate, Part, Procedure, ProcedureId, Purpose};
use crate::refusal::{Limited, QuotaKind, Refusal};
use crate::rule::{Rule, holds};
use crate::tenure::Tenure;
use crate::tier::Tier;

pub(super) fn renew(
    tenure: &Tenure,
    signer: &Signer<'_>,
    args: &Renew,
    verified: &Verified,
) -> Result<Vec<Change>, Refusal> {
    let target = args.tier.unwrap_or(signer.id);
    let forced = target != signer.id;
    let tier = if forced { signer.below(tenure, target)? } else { signer.tier };
    if forced && args.keep.contains(&target) && holds(Rule::ForcedErases) {
        return Err(Refusal::ForcedErases {});
    }
    let needed = Consent { tier: target, epoch: tier.epoch, successor: None };
    let used = consents(tenure, target, &args.keep, &needed, |kept| kept == signer.id)?;
    let what = (target, Purpose::Renewal, args.nonce);
    let begun = begin(tenure, signer, what, &args.keep, verified)?;
    Ok(used.into_iter().chain([begun]).collect())
}

pub(super) fn reassign(
    tenure: &Tenure,
    signer: &Signer<'_>,
    args: &Reassign,
    verified: &Verified,
) -> Result<Vec<Change>, Refusal> {
    let child = signer.child(tenure, args.tier)?;
    are_consoles_below_the_root(&args.consoles)?;
    keys::are_a_set(&args.keys, child.named_rights(), child.rights.exercise)?;
    let unknown = args.keys.iter().filter(|key| !tenure.sequences.contains_key(&key.key.id())).count();
    if child.used.keys as usize + unknown > tenure.own_share(args.tier).keys as usize {
        return Err(Refusal::ExceedsQuota { what: QuotaKind::Keys, left: 0 });
    }
    if tenure.tiers.values().any(|tier| tier.lease == verified.fresh.lease) {
        return Err(Refusal::IdInUse {});
    }
    let successor: BTreeSet<KeyId> = args.keys.iter().map(|key| key.key.id()).collect();
    let needed =
        Consent { tier: args.tier, epoch: child.epoch, successor: Some(successor.into_iter().collect()) };
    let used = consents(tenure, args.tier, &args.keep, &needed, |_| false)?;
    let what = (args.tier, Purpose::Reassignment, None);
    let begun = begin(tenure, signer, what, &args.keep, verified)?;
    // Nobody is left who could confirm what the party before only tried.
    let over = child.trial.map(|_| Change::TrialOver { tier: args.tier });
    let reassigned = Change::Reassigned {
        tier: args.tier,
        lease: verified.fresh.lease,
        contract: args.contract.clone(),
        keys: args.keys.clone(),
        consoles: args.consoles.clone(),
    };
    Ok(used.into_iter().chain(over).chain([reassigned, begun]).collect())
}

pub(super) fn consent(tenure: &Tenure, signer: &Signer<'_>, args: &Consent) -> Result<Vec<Change>, Refusal> {
    let nothing = Refusal::NothingToConsent { tier: args.tier };
    let own_or_above = args.tier == signer.id || tenure.is_below(signer.id, args.tier);
    let present = tenure.tiers.get(&args.tier).filter(|tier| own_or_above && tier.epoch == args.epoch);
    if present.is_none() {
        return Err(nothing);
    }
    let mut consent = args.clone();
    if let Some(keys) = &mut consent.successor {
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() || Some(keys.len()) != args.successor.as_ref().map(Vec::len) {
            return Err(Refusal::BadKeys {});
        }
    }
    if signer.tier.consents.len() >= CONSENTS_PER_TIER_MAX {
        return Err(Refusal::Limit { what: Limited::Consents, max: CONSENTS_PER_TIER_MAX as u64 });
    }
    Ok(vec![Change::Consented { tier: signer.id, consent }])
}

/// The consents that keep the data of `keep`, to be used up.
fn consents(
    tenure: &Tenure,
    target: TierId,
    keep: &[TierId],
    needed: &Consent,
    is_signer: impl Fn(TierId) -> bool,
) -> Result<Vec<Change>, Refusal> {
    let mut used = Vec::new();
    for kept in keep {
        let missing = Refusal::NoConsent { tier: *kept };
        let concerned = *kept == target || tenure.is_below(*kept, target);
        let tier =
            tenure.tiers.get(kept).filter(|tier| concerned && !tier.ending).ok_or_else(|| missing.clone())?;
        if is_signer(*kept) || !holds(Rule::ConsentNeeded) {
            continue;
        }
        let found = tier.consents.iter().find(|consent| answers(consent, needed)).ok_or(missing)?;
        if holds(Rule::ConsentOnce) {
            used.push(Change::ConsentUsed { tier: *kept, consent: found.clone() });
        }
    }
    Ok(used)
}

fn answers(consent: &Consent, needed: &Consent) -> bool {
    let same_target =
        consent.tier == needed.tier && (consent.epoch == needed.epoch || !holds(Rule::ConsentOnce));
    let same_party = consent.successor == needed.successor
        || (!holds(Rule::ConsentNamesSuccessor) && consent.successor.is_some() == needed.successor.is_some());
    same_target && same_party
}

/// The procedure that replaces the keys of `target`, and of everything below that is not kept.
fn begin(
    tenure: &Tenure,
    signer: &Signer<'_>,
    (target, purpose, nonce): (TierId, Purpose, Option<Nonce>),
    keep: &[TierId],
    verified: &Verified,
) -> Result<Change, Refusal> {
    let mut parts = Vec::new();
    for id in tenure.subtree(target) {
        let Some(tier) = tenure.tiers.get(&id).filter(|tier| !tier.ending) else { continue };
        if let Some(procedure) = tenure.procedures.values().find(|procedure| procedure.part(id).is_some()) {
            return Err(Refusal::Busy { next: procedure.next });
        }
        if id == target || holds(Rule::Cascade) {
            parts.push(part(id, tier, target, keep)?);
        }
    }
    if parts.is_empty() {
        return Err(Refusal::NotBelow { tier: target });
    }
    let next = Procedure::first_step(&parts);
    let id = ProcedureId(verified.envelope);
    Ok(Change::Begun {
        procedure: Procedure { id, purpose, by: signer.id, tier: target, parts, next, nonce },
    })
}

/// The named tier has new keys in any case; one below keeps its keys with its data.
fn part(id: TierId, tier: &Tier, target: TierId, keep: &[TierId]) -> Result<Part, Refusal> {
    let fate = if keep.contains(&id) { Fate::Kept } else { Fate::Erased };
    let same = fate == Fate::Kept && id != target;
    let epoch = if same { tier.epoch } else { tier.epoch.next().ok_or(Refusal::Exhausted {})? };
    Ok(Part { tier: id, epoch, fate })
}
