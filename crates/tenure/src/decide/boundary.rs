//! Filter sets: one's own, or the one given to a child. Each lies within everything above it.

use std::time::Duration;

use boundary::PacketJson;
use id::{Digest, Time};
use packet_set::{Budget, Packet, PacketSet};
use serde_json::{Value, json};

use super::Signer;
use crate::change::Change;
use crate::limits::TRIAL_SECONDS_MAX;
use crate::order::{Boundary, TryBoundary};
use crate::refusal::{Limited, QuotaKind, Refusal};
use crate::rule::{Rule, holds};
use crate::tenure::Tenure;

pub(super) fn set(tenure: &Tenure, signer: &Signer<'_>, args: &Boundary) -> Result<Vec<Change>, Refusal> {
    if let Some(child) = args.tier.filter(|tier| *tier != signer.id) {
        signer.child(tenure, child)?;
        within(tenure, &tenure.sets_with_depth(signer.id), args.object)?;
        return Ok(vec![Change::GivenBoundarySet { tier: child, object: args.object }]);
    }
    own(tenure, signer, args.object)?;
    Ok(vec![Change::OwnBoundarySet { tier: signer.id, object: args.object }])
}

/// One's own set, for a while. Who does not confirm it in time, perhaps because it cannot any more, has the one
/// before again.
pub(super) fn attempt(
    tenure: &Tenure,
    signer: &Signer<'_>,
    args: &TryBoundary,
    now: Time,
) -> Result<Vec<Change>, Refusal> {
    if args.seconds.get() > TRIAL_SECONDS_MAX {
        return Err(Refusal::Limit { what: Limited::TrialSeconds, max: TRIAL_SECONDS_MAX.into() });
    }
    own(tenure, signer, args.object)?;
    let until = now.plus(Duration::from_secs(args.seconds.get().into()));
    Ok(vec![Change::BoundaryTried { tier: signer.id, object: args.object, until }])
}

/// Whether the object may be the signer's own set.
fn own(tenure: &Tenure, signer: &Signer<'_>, object: Digest) -> Result<(), Refusal> {
    if signer.tier.own.is_none() && tenure.own_share(signer.id).objects == 0 {
        return Err(Refusal::ExceedsQuota { what: QuotaKind::Objects, left: 0 });
    }
    let mut above = tenure.sets_with_depth(signer.id);
    if signer.tier.own.is_some() {
        // Its own present set is about to be replaced; it does not bind the next one.
        above.pop();
    }
    within(tenure, &above, object)
}

/// A packet that a tier's sets admit and something above them refuses: what stands above was tightened, or
/// names mean something else, since they were accepted. The lesser holds.
pub(crate) fn beyond(tenure: &Tenure, id: id::TierId) -> Option<Value> {
    let tier = tenure.tier(id)?;
    let mut above = tier.parent.map(|parent| tenure.sets_with_depth(parent)).unwrap_or_default();
    let depth = tenure.path(id).len().saturating_sub(1);
    for object in tier.given.into_iter().chain(tier.own) {
        match within(tenure, &above, object) {
            Err(Refusal::ExceedsBoundary { witness }) => return Some(witness),
            Err(Refusal::TooComplex {}) => return Some(json!("too complex to prove")),
            Ok(()) | Err(_) => above.push((depth, object)),
        }
    }
    None
}

/// Whether the set of `object` lies within all sets of `above`, from the top.
pub(super) fn within(tenure: &Tenure, above: &[(usize, Digest)], object: Digest) -> Result<(), Refusal> {
    let lower = tenure.aside.sets.get(&object).ok_or(Refusal::UnknownObject { object })?;
    if !holds(Rule::Boundary) {
        return Ok(());
    }
    let nothing = PacketSet::nothing();
    let held = |digest| tenure.aside.sets.get(digest).unwrap_or(&nothing);
    let builtin = tenure.aside.builtin.iter().map(|set| (None, set));
    let uppers = builtin.chain(above.iter().map(|(depth, digest)| (Some(*depth), held(digest))));
    let mut budget = Budget::for_turn();
    for (depth, upper) in uppers {
        let excess = lower.witness_beyond(upper, &[], &mut budget);
        if let Some(witness) = excess.map_err(|_too_complex| Refusal::TooComplex {})? {
            return Err(Refusal::ExceedsBoundary { witness: witness_json(&witness.packet, depth) });
        }
    }
    Ok(())
}

/// The counterexample, as far as the node knows it: it holds sets, not the rules that they were made of. The
/// one who wrote the set gets rule names and the box from `leasehold boundary check`. `upper_tier` counts from
/// the root, 0; null stands for the built-in deny above it.
fn witness_json(packet: &Packet, upper_tier: Option<usize>) -> Value {
    json!({ "packet": PacketJson::from(packet), "upper_tier": upper_tier })
}
