//! The model's own way along the tree: by parents alone, one tier and one right at a time.

use id::{Digest, TierId, Time};

use crate::tests::example::object;
use crate::{Right, Tenure, Tier};

/// The tiers strictly above, nearest first.
pub(super) fn above(tenure: &Tenure, tier: TierId) -> Vec<TierId> {
    let mut found = Vec::new();
    let mut parent = tenure.tier(tier).and_then(|tier| tier.parent);
    while let Some(here) = parent {
        found.push(here);
        parent = tenure.tier(here).and_then(|tier| tier.parent);
    }
    found
}

pub(in crate::model) fn is_below(tenure: &Tenure, lower: TierId, upper: TierId) -> bool {
    above(tenure, lower).contains(&upper)
}

/// The tier and all below it.
pub(in crate::model) fn subtree(tenure: &Tenure, top: TierId) -> Vec<TierId> {
    tenure.tiers().map(|(id, _)| id).filter(|id| *id == top || is_below(tenure, *id, top)).collect()
}

/// The tier, then those above it.
pub(super) fn line(tenure: &Tenure, tier: TierId) -> impl Iterator<Item = &Tier> {
    std::iter::once(tier).chain(above(tenure, tier)).filter_map(|id| tenure.tier(id))
}

pub(super) fn may_exercise(tenure: &Tenure, tier: TierId, right: Right) -> bool {
    let own = tenure.tier(tier).is_some_and(|tier| tier.rights.exercise.has(right));
    own && above(tenure, tier)
        .iter()
        .all(|id| tenure.tier(*id).is_some_and(|tier| tier.rights.grant.has(right)))
}

pub(super) fn may_grant(tenure: &Tenure, tier: TierId, right: Right) -> bool {
    line(tenure, tier).all(|tier| tier.rights.grant.has(right))
}

pub(super) fn runs_at(tenure: &Tenure, tier: TierId, now: Time) -> bool {
    line(tenure, tier).all(|tier| tier.terms.not_before <= now && now < tier.terms.until)
}

pub(super) fn is_suspended(tenure: &Tenure, tier: TierId) -> bool {
    line(tenure, tier).any(|tier| !tier.suspended_by.is_empty())
}

/// The highest address that the object's set admits: the model's objects admit 0 to some number.
pub(super) fn reach(set: Digest) -> u8 {
    (0..10).find(|last| object(*last) == set).unwrap_or(0)
}

/// The highest address that every set on the line admits.
pub(super) fn reach_of_line(tenure: &Tenure, tier: TierId) -> u8 {
    line(tenure, tier).flat_map(|tier| tier.given.into_iter().chain(tier.own)).map(reach).min().unwrap_or(9)
}
