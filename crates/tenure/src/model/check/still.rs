//! Checks on one state, whatever led to it.

use id::{Digest, Sequence, TierId, Time};

use super::walk::{above, is_below, is_suspended, may_exercise, reach, reach_of_line, runs_at};
use super::{Checks, Invariant};
use crate::model::state::State;
use crate::tests::example::{console, directory, key, node, object};
use crate::tier::KeyEntry;
use crate::{
    Freshness, Input, Order, Right, Rights, Target, Tenure, Tier, Verb, Verified, decide, effects, view,
};

pub(in crate::model) fn standing_still(checks: &mut Checks<'_>, state: &State) {
    for (upper, tier) in state.tenure.tiers() {
        for (lower, below) in state.tenure.tiers().filter(|(lower, _)| is_below(&state.tenure, *lower, upper))
        {
            if !below.ending {
                can_sever(checks, state, (upper, tier), (lower, below));
            }
        }
        views(checks, &state.tenure, upper);
    }
    filters(checks, &state.tenure);
    trials(checks, &state.tenure);
    names(checks, state);
    for (id, _) in state.tenure.tiers().filter(|(_, tier)| tier.ending) {
        let dialled = effects(&state.tenure).realm(id).is_some_and(|realm| !realm.consoles.is_empty());
        let kept = state.tenure.tier(id).is_some_and(|tier| !tier.consoles.is_empty());
        checks.expect(Invariant::NoConsole, !dialled && !kept);
    }
}

/// The names mean what the newest directory says that was ever obeyed.
fn names(checks: &mut Checks<'_>, state: &State) {
    let newest = state.past.directory;
    if newest > 0 {
        let present = effects(&state.tenure).directory;
        checks.expect(Invariant::DirectoryForward, present == Some(directory(newest)));
    }
}

/// A severing that the upper tier signs now is accepted.
fn can_sever(
    checks: &mut Checks<'_>,
    state: &State,
    (upper, tier): (TierId, &Tier),
    (lower, below): (TierId, &Tier),
) {
    let tenure = &state.tenure;
    let signer = tier.keys.iter().find(|(_, entry)| entry.rights.has(Right::Sever));
    let gone =
        tier.ending || above(tenure, upper).iter().any(|id| tenure.tier(*id).is_some_and(|t| t.ending));
    if gone || !may_exercise(tenure, upper, Right::Sever) {
        return;
    }
    let Some((signer, _)) = signer else {
        checks.expect(Invariant::CanSever, false);
        return;
    };
    let last = tenure.last_sequence(*signer).map_or(0, Sequence::get);
    let Some(seq) = Sequence::new(last + 1) else { return };
    let order = Order {
        node: node(),
        lease: tier.lease,
        tier: upper,
        epoch: tier.epoch,
        seq,
        freshness: Freshness::NotAfter(Time::MAX),
        term: None,
        verb: Verb::Sever(Target { tier: lower }),
    };
    let sent = Verified {
        order,
        signer: *signer,
        envelope: Digest::of(b"sever"),
        fresh: state.fresh(),
        at: state.clock,
    };
    let can = decide(tenure, &Input::Order(Box::new(sent))).is_ok_and(|changes| changes.len() > 1);
    checks.expect(Invariant::CanSever, can);
    let exhausted = |tier: &Tier| tier.used.records >= tier.quota.records_per_hour;
    let busy = |id: TierId| tenure.procedures().any(|procedure| procedure.part(id).is_some());
    let circumstances = [
        (Invariant::CanSeverQuota, exhausted(tier) || exhausted(below)),
        (Invariant::CanSeverCustody, state.machine.custody_dead),
        (Invariant::CanSeverLapsed, !runs_at(tenure, upper, state.clock.max(tenure.clock()))),
        (Invariant::CanSeverSuspended, is_suspended(tenure, upper)),
        (Invariant::CanSeverBusy, busy(upper) || busy(lower)),
    ];
    for (invariant, _) in circumstances.into_iter().filter(|(_, given)| *given) {
        checks.expect(invariant, can);
    }
}

/// Everything that is another tier's content is changed; the view stays.
fn views(checks: &mut Checks<'_>, tenure: &Tenure, own: TierId) {
    let mut other = tenure.clone();
    let granted: Vec<_> = tenure.children(own).map(|(id, _)| id).collect();
    let mut changed = false;
    for (id, tier) in other.tiers.iter_mut().filter(|(id, _)| **id != own) {
        changed = true;
        tier.own = Some(if tier.own == Some(object(0)) { object(1) } else { object(0) });
        tier.keys = [(key(99).id(), KeyEntry { key: key(99), rights: Rights::NONE })].into();
        tier.identity = Some(object(2));
        tier.consents.clear();
        tier.consoles = vec![console(9)];
        tier.directory = None;
        tier.used.records += 7;
        tier.used.keys += 7;
        tier.term += 1;
        tier.data.life += 1;
        if !granted.contains(id) {
            tier.given = tier.given.map(|_| object(3));
            tier.contract = tier.contract.as_ref().and_then(|_| "L-0".to_owned().try_into().ok());
        }
    }
    // Tiers beside it, and below its children, might as well not be there.
    let up = above(tenure, own);
    let hidden = |id: TierId| id != own && !up.contains(&id) && !granted.contains(&id);
    changed |= other.tiers.keys().any(|id| hidden(*id));
    other.tiers.retain(|id, _| !hidden(*id));
    other.procedures.retain(|_, procedure| {
        procedure.parts.retain(|part| !hidden(part.tier));
        !procedure.parts.is_empty()
    });
    for id in up {
        if let Some(tier) = other.tiers.get_mut(&id) {
            tier.power.restarts += 1;
            tier.lease = id::LeaseId::from_bytes([99; 16]);
        }
    }
    other.sequences.clear();
    other.aside = crate::tenure::Aside::default();
    if changed {
        checks.expect(Invariant::View, view(tenure, own) == view(&other, own));
    }
}

/// Nothing is tried any more whose time is over. In this model `object(0)` is tried and set by no other order, after `object(2)` at most, so what
/// comes back is that or nothing.
fn trials(checks: &mut Checks<'_>, tenure: &Tenure) {
    for (_, tier) in tenure.tiers() {
        if tier.own == Some(object(0)) {
            let before = tier.trial.map(|trial| trial.before);
            let right = before.is_some_and(|before| before.is_none() || before == Some(object(2)));
            let runs = tier.trial.is_some_and(|trial| trial.until > tenure.clock());
            checks.expect(Invariant::TrialEnds, runs && right);
        }
    }
}

/// What a realm obeys is no wider than what the realm above it obeys, whatever its own sets say.
fn filters(checks: &mut Checks<'_>, tenure: &Tenure) {
    for realm in effects(tenure).realms {
        let Some(parent) = tenure.tier(realm.tier).and_then(|tier| tier.parent) else { continue };
        let in_force = realm.sets.iter().copied().map(reach).min().unwrap_or(9);
        let own = tenure.tier(realm.tier).and_then(|tier| tier.own).map_or(9, reach);
        if own > reach_of_line(tenure, parent) {
            checks.expect(Invariant::FilterEffective, in_force <= reach_of_line(tenure, parent));
        }
    }
}
