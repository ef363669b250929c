//! Leases: what a tier grants to a child, and what it changes about it later.

use super::{Signer, boundary, enrolment, keys};
use crate::change::Change;
use crate::console::are_consoles_below_the_root;
use crate::input::Verified;
use crate::lease::{Quota, Terms};
use crate::limits::DEPTH_MAX;
use crate::order::{Lease, NewTerms};
use crate::procedure::{Fate, Part, Procedure, ProcedureId, Purpose};
use crate::refusal::{Limited, QuotaKind, Refusal};
use crate::right::Grant;
use crate::rule::{Rule, holds};
use crate::tenure::Tenure;

pub(super) fn grant(
    tenure: &Tenure,
    signer: &Signer<'_>,
    args: &Lease,
    verified: &Verified,
) -> Result<Vec<Change>, Refusal> {
    if tenure.children(signer.id).any(|(_, child)| child.ending) && holds(Rule::NoRegrant) {
        return Err(Refusal::SeveringUnderWay {});
    }
    if tenure.path(signer.id).len() >= DEPTH_MAX {
        return Err(Refusal::Limit { what: Limited::Depth, max: DEPTH_MAX as u64 });
    }
    if tenure.tier_named(args.name.as_str()).is_some() {
        return Err(Refusal::NameTaken { name: args.name.clone() });
    }
    let fresh = verified.fresh;
    if tenure.tiers.contains_key(&fresh.tier) || tenure.tiers.values().any(|tier| tier.lease == fresh.lease) {
        return Err(Refusal::IdInUse {});
    }
    rights_within(tenure, signer, &args.rights)?;
    terms_within(tenure, signer, &args.terms)?;
    quota_within(tenure, signer, &args.quota, None)?;
    keys::are_a_set(&args.keys, args.rights.exercise.or(args.rights.grant), args.rights.exercise)?;
    let unknown = args.keys.iter().filter(|key| !tenure.sequences.contains_key(&key.key.id())).count();
    if unknown > args.quota.keys as usize {
        return Err(Refusal::ExceedsQuota { what: QuotaKind::Keys, left: args.quota.keys });
    }
    are_consoles_below_the_root(&args.consoles)?;
    let directory = signer.tier.directory;
    if args.directory.is_some() && args.directory != directory {
        return Err(Refusal::WrongDirectory {});
    }
    boundary::within(tenure, &tenure.sets_with_depth(signer.id), args.boundary)?;

    let parts = vec![Part { tier: fresh.tier, epoch: enrolment::first_epoch()?, fate: Fate::New }];
    let procedure = Procedure {
        id: ProcedureId(verified.envelope),
        purpose: Purpose::Lease,
        by: signer.id,
        tier: fresh.tier,
        next: Procedure::first_step(&parts),
        parts,
        nonce: None,
    };
    let leased = Change::Leased {
        parent: signer.id,
        tier: fresh.tier,
        lease: fresh.lease,
        name: args.name.clone(),
        contract: args.contract.clone(),
        terms: args.terms,
        rights: args.rights,
        quota: args.quota,
        keys: args.keys.clone(),
        given: args.boundary,
        consoles: args.consoles.clone(),
        directory,
    };
    Ok(vec![leased, Change::Begun { procedure }])
}

/// A tightening always goes through, whatever the tiers below made of what they had: what they may do is
/// the intersection along the path anyway. What is widened must lie within the grantor's own.
pub(super) fn change(tenure: &Tenure, signer: &Signer<'_>, args: &NewTerms) -> Result<Vec<Change>, Refusal> {
    let child = signer.child(tenure, args.tier)?;
    if let Some(rights) = &args.rights {
        rights_within(tenure, signer, rights)?;
    }
    if let Some(terms) = &args.terms {
        terms_within(tenure, signer, terms)?;
    }
    if let Some(quota) = &args.quota {
        quota_within(tenure, signer, quota, Some(&child.quota))?;
    }
    Ok(vec![Change::TermsChanged {
        tier: args.tier,
        contract: args
            .contract
            .clone()
            .or_else(|| child.contract.clone())
            .ok_or(Refusal::NotChild { tier: args.tier })?,
        terms: args.terms.unwrap_or(child.terms),
        rights: args.rights.unwrap_or(child.rights),
        quota: args.quota.unwrap_or(child.quota),
    }])
}

fn rights_within(tenure: &Tenure, signer: &Signer<'_>, rights: &Grant) -> Result<(), Refusal> {
    let upper = tenure.effective_rights(signer.id).grant;
    match rights.exercise.or(rights.grant).exceeding(upper) {
        Some(right) if holds(Rule::RightsSubset) => Err(Refusal::ExceedsRights { right }),
        Some(_) | None => Ok(()),
    }
}

fn terms_within(tenure: &Tenure, signer: &Signer<'_>, terms: &Terms) -> Result<(), Refusal> {
    if terms.not_before >= terms.until {
        return Err(Refusal::EmptyTerms {});
    }
    let upper = tenure.effective_terms(signer.id);
    if terms.within(&upper) || !holds(Rule::TermsSubset) {
        Ok(())
    } else {
        Err(Refusal::ExceedsTerms { not_before: upper.not_before, until: upper.until })
    }
}

/// Whether the grantor can give `quota`, in place of the one that the child has.
fn quota_within(
    tenure: &Tenure,
    signer: &Signer<'_>,
    quota: &Quota,
    old: Option<&Quota>,
) -> Result<(), Refusal> {
    let share = tenure.own_share(signer.id);
    let used = signer.tier.used.keys;
    let own_set = u32::from(signer.tier.own.is_some());
    // A new child itself is one tier, and the set given to it one object; an old one counts already.
    let new = u32::from(old.is_none());
    let old = old.copied().unwrap_or_default();
    let check = |what, left: u32, had: u32, wanted: u32, more: u32| {
        let left = left.saturating_add(had);
        if wanted.saturating_add(more) <= left || wanted <= had && more == 0 {
            Ok(())
        } else {
            Err(Refusal::ExceedsQuota { what, left })
        }
    };
    check(QuotaKind::Tiers, share.tiers, old.tiers, quota.tiers, new)?;
    check(QuotaKind::Keys, share.keys.saturating_sub(used), old.keys, quota.keys, 0)?;
    check(QuotaKind::Objects, share.objects.saturating_sub(own_set), old.objects, quota.objects, new)?;
    let space = share.space_mib.saturating_sub(signer.tier.space_mib());
    check(QuotaKind::SpaceMib, space, old.space_mib, quota.space_mib, 0)?;
    check(QuotaKind::RecordsPerHour, share.records_per_hour, old.records_per_hour, quota.records_per_hour, 0)
}
