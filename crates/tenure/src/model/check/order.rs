//! Checks on one order: that it had to be refused, or what it changed.
#![expect(clippy::wildcard_enum_match_arm, reason = "a check names the verbs that it is about")]

use id::TierId;

use super::walk::{
    above, is_below, is_suspended, may_exercise, may_grant, reach, reach_of_line, runs_at, subtree,
};
use super::{Checks, Invariant};
use crate::model::machine::Doom;
use crate::model::state::State;
use crate::order::Consent;
use crate::tests::example::directory;
use crate::{Freshness, Purpose, Right, Rights, Tenure, Verb, Verified};

/// Every reason that the model sees why the order must be refused; `refused` says whether it was.
pub(in crate::model) fn judged(checks: &mut Checks<'_>, before: &State, sent: &Verified, refused: bool) {
    identity(checks, before, sent, refused);
    freshness(checks, before, sent, refused);
    let tenure = &before.tenure;
    if tenure.tier(sent.order.tier).is_none() {
        return;
    }
    standing(checks, before, sent, refused);
    target(checks, tenure, sent, refused);
    grants(checks, tenure, sent, refused);
    filters(checks, tenure, sent, refused);
    directories(checks, tenure, sent, refused);
    let s = sent.order.tier;
    if matches!(sent.order.verb, Verb::Lease(_))
        && before.past.doomed.iter().any(|doom| withheld(before, doom, s))
    {
        checks.expect(Invariant::NoRegrant, refused);
    }
    for (tier, needed, forced) in consents_needed(tenure, sent) {
        let given = before.past.consents.contains(&(tier, needed.clone()));
        let any = before.past.consents.iter().any(|(by, _)| *by == tier);
        if forced || (!given && !any) {
            checks.expect(Invariant::NewParty, refused);
        } else if !given {
            checks.expect(Invariant::ConsentUsed, refused);
        }
    }
}

/// Whether something that `grantor` granted is severed and not gone.
fn withheld(before: &State, doom: &Doom, grantor: TierId) -> bool {
    doom.purpose == Purpose::Severing && doom.grantor == Some(grantor) && before.machine.has_any(&doom.all())
}

fn identity(checks: &mut Checks<'_>, before: &State, sent: &Verified, refused: bool) {
    let order = &sent.order;
    let Some(tier) = before.tenure.tier(order.tier) else { return };
    let used = (order.lease, sent.signer, order.seq);
    let later = before.past.accepted.iter().any(|(_, key, seq)| *key == sent.signer && *seq >= order.seq);
    if before.past.accepted.contains(&used) || later {
        checks.expect(Invariant::SequenceOnce, refused);
    }
    if order.epoch != tier.epoch {
        checks.expect(Invariant::PastEpoch, refused);
    }
    if order.lease != tier.lease {
        checks.expect(Invariant::PresentLease, refused);
    }
    let removed = before.past.removed.contains(&(order.tier, sent.signer));
    match tier.keys.get(&sent.signer).filter(|_| !removed) {
        None => checks.expect(Invariant::EnrolledKey, refused),
        Some(entry) => {
            let handed_on = match &order.verb {
                Verb::EnrolKey(new) => new.rights,
                _ => Rights::NONE,
            };
            let more = Right::ALL.iter().any(|right| handed_on.has(*right) && !entry.rights.has(*right));
            if !entry.rights.has(order.verb.right()) || more {
                checks.expect(Invariant::KeyRight, refused);
            }
        }
    }
    let seen = before.past.terms_seen.get(&order.tier).copied().unwrap_or_default();
    if order.term.is_some_and(|term| term < seen) {
        checks.expect(Invariant::LeaderTerm, refused);
    }
}

fn freshness(checks: &mut Checks<'_>, before: &State, sent: &Verified, refused: bool) {
    match sent.order.freshness {
        Freshness::NotAfter(limit) if before.clock >= limit || before.tenure.clock() >= limit => {
            checks.expect(Invariant::NotAfter, refused);
        }
        Freshness::Nonce(nonce) if before.past.nonces_used.contains(&nonce) => {
            checks.expect(Invariant::NonceOnce, refused);
        }
        Freshness::NotAfter(_) | Freshness::Nonce(_) => {}
    }
}

fn standing(checks: &mut Checks<'_>, before: &State, sent: &Verified, refused: bool) {
    let (tenure, tier) = (&before.tenure, sent.order.tier);
    let right = sent.order.verb.right();
    if !may_exercise(tenure, tier, right) {
        checks.expect(Invariant::RightExercised, refused);
    }
    if right == Right::Sever {
        return;
    }
    if !runs_at(tenure, tier, before.clock.max(tenure.clock())) {
        checks.expect(Invariant::InTerm, refused);
    }
    if is_suspended(tenure, tier) {
        checks.expect(Invariant::Suspended, refused);
    }
}

fn target(checks: &mut Checks<'_>, tenure: &Tenure, sent: &Verified, refused: bool) {
    let s = sent.order.tier;
    let below = |tier: TierId| is_below(tenure, tier, s);
    let child = |tier: TierId| tenure.tier(tier).is_some_and(|tier| tier.parent == Some(s));
    let allowed = match &sent.order.verb {
        Verb::Suspend(args) | Verb::Resume(args) | Verb::Sever(args) => below(args.tier),
        Verb::Renew(args) => args.tier.is_none_or(|tier| tier == s || below(tier)),
        Verb::Power(args) => args.tier.is_none_or(|tier| tier == s || below(tier)),
        Verb::Boundary(args) => args.tier.is_none_or(|tier| tier == s || child(tier)),
        Verb::Terms(args) => child(args.tier),
        Verb::Reassign(args) => child(args.tier),
        Verb::Lease(_)
        | Verb::EnrolKey(_)
        | Verb::RemoveKey(_)
        | Verb::TryBoundary(_)
        | Verb::Consoles(_)
        | Verb::Directory(_)
        | Verb::Consent(_)
        | Verb::Engine(_)
        | Verb::Volume(_)
        | Verb::RemoveVolume(_) => true,
    };
    if !allowed {
        checks.expect(Invariant::TierAbove, refused);
    }
}

fn grants(checks: &mut Checks<'_>, tenure: &Tenure, sent: &Verified, refused: bool) {
    let s = sent.order.tier;
    let (rights, terms) = match &sent.order.verb {
        Verb::Lease(args) => (Some(args.rights), Some(args.terms)),
        Verb::Terms(args) => (args.rights, args.terms),
        _ => return,
    };
    let given = rights.map(|rights| rights.exercise.or(rights.grant)).unwrap_or_default();
    if Right::ALL.iter().any(|right| given.has(*right) && !may_grant(tenure, s, *right)) {
        checks.expect(Invariant::RightWithin, refused);
    }
    let outside = |upper: &crate::Tier| {
        terms
            .is_some_and(|terms| terms.until > upper.terms.until || terms.not_before < upper.terms.not_before)
    };
    if super::walk::line(tenure, s).any(outside) {
        checks.expect(Invariant::TermWithin, refused);
    }
}

fn directories(checks: &mut Checks<'_>, tenure: &Tenure, sent: &Verified, refused: bool) {
    let Verb::Directory(args) = &sent.order.verb else { return };
    let Some(serial) = (5..=8).find(|serial| directory(*serial) == args.object) else { return };
    if tenure.root() != Some(sent.order.tier) {
        checks.expect(Invariant::DirectoryOfRoot, refused);
    }
    if serial == 8 {
        checks.expect(Invariant::DirectorySigned, refused);
    }
    if tenure.directory().is_some_and(|present| present.serial >= serial) {
        checks.expect(Invariant::DirectoryForward, refused);
    }
}

fn filters(checks: &mut Checks<'_>, tenure: &Tenure, sent: &Verified, refused: bool) {
    let s = sent.order.tier;
    let Some(tier) = tenure.tier(s) else { return };
    let everything_above = above(tenure, s).first().map_or(9, |parent| reach_of_line(tenure, *parent));
    let (set, upper) = match &sent.order.verb {
        Verb::Lease(args) => (args.boundary, reach_of_line(tenure, s)),
        Verb::Boundary(args) if args.tier.is_some_and(|tier| tier != s) => {
            (args.object, reach_of_line(tenure, s))
        }
        Verb::Boundary(args) => (args.object, everything_above.min(tier.given.map_or(9, reach))),
        Verb::TryBoundary(args) => (args.object, everything_above.min(tier.given.map_or(9, reach))),
        _ => return,
    };
    if reach(set) > upper {
        checks.expect(Invariant::FilterWithin, refused);
    }
}

/// For each tier that the order would keep: the consent that it needs, and whether none can help.
fn consents_needed(tenure: &Tenure, sent: &Verified) -> Vec<(TierId, Consent, bool)> {
    let s = sent.order.tier;
    let (target, keep, successor) = match &sent.order.verb {
        Verb::Renew(args) => (args.tier.unwrap_or(s), &args.keep, None),
        Verb::Reassign(args) => {
            let mut keys: Vec<_> = args.keys.iter().map(|key| key.key.id()).collect();
            keys.sort();
            (args.tier, &args.keep, Some(keys))
        }
        _ => return Vec::new(),
    };
    let Some(tier) = tenure.tier(target) else { return Vec::new() };
    let needed = Consent { tier: target, epoch: tier.epoch, successor };
    let forced = |kept: TierId| needed.successor.is_none() && kept == target && target != s;
    let of_others = keep.iter().filter(|kept| !(**kept == s && target == s));
    of_others.map(|kept| (*kept, needed.clone(), forced(*kept))).collect()
}

/// What an accepted order may and must have changed.
pub(in crate::model) fn accepted(checks: &mut Checks<'_>, before: &State, after: &State, sent: &Verified) {
    let s = sent.order.tier;
    untouched(checks, &before.tenure, &after.tenure, s);
    consoles(checks, &before.tenure, &after.tenure, sent);
    let target = match &sent.order.verb {
        Verb::Renew(args) => args.tier.unwrap_or(s),
        Verb::Reassign(args) => args.tier,
        Verb::Sever(args) => args.tier,
        _ => return,
    };
    let inside = subtree(&before.tenure, target);
    let of = |state: &State, tier: TierId| {
        state.tenure.tier(tier).map(|tier| (tier.epoch, tier.identity, tier.data))
    };
    for (tier, _) in before.tenure.tiers().filter(|(tier, _)| !inside.contains(tier)) {
        checks.expect(Invariant::ErasureLocal, of(before, tier) == of(after, tier));
    }
    if matches!(sent.order.verb, Verb::Renew(_)) {
        let renewed = of(before, target) != of(after, target);
        let upper = above(&before.tenure, target).iter().all(|tier| of(before, *tier) == of(after, *tier));
        if target != s || before.tenure.root() == Some(s) {
            checks.expect(Invariant::RenewsBoth, renewed);
        } else {
            checks.expect(Invariant::RenewsOwn, renewed && upper);
        }
    }
    erased(checks, before, after, sent, &inside);
}

/// Which consoles changed, and by whose word.
fn consoles(checks: &mut Checks<'_>, before: &Tenure, after: &Tenure, sent: &Verified) {
    for (id, new) in after.tiers().filter(|(_, tier)| !tier.ending) {
        let old = before.tier(id).map(|tier| &tier.consoles);
        match &sent.order.verb {
            Verb::Consoles(args) if id == sent.order.tier => {
                checks.expect(Invariant::OwnConsoles, new.consoles == args.consoles);
            }
            Verb::Reassign(args) if id == args.tier => {
                checks.expect(Invariant::NextConsoles, new.consoles == args.consoles);
            }
            Verb::Lease(args) if old.is_none() => {
                checks.expect(Invariant::OwnConsoles, new.consoles == args.consoles);
            }
            _ => checks.expect(Invariant::OwnConsoles, old == Some(&new.consoles)),
        }
    }
}

/// Nothing outside the signer's subtree, and nothing of its own lease.
fn untouched(checks: &mut Checks<'_>, before: &Tenure, after: &Tenure, s: TierId) {
    let inside = subtree(before, s);
    for (id, tier) in before.tiers().filter(|(id, _)| !inside.contains(id)) {
        checks.expect(Invariant::TierAbove, after.tier(id) == Some(tier));
    }
    if let (Some(old), Some(new)) = (before.tier(s), after.tier(s)) {
        let held = old.parent == new.parent
            && old.lease == new.lease
            && old.terms == new.terms
            && old.rights == new.rights
            && old.quota == new.quota
            && old.given == new.given
            && old.suspended_by == new.suspended_by;
        checks.expect(Invariant::OwnLease, held);
    }
}

/// What is not kept by consent must have new data; and a consent that was used is gone.
fn erased(checks: &mut Checks<'_>, before: &State, after: &State, sent: &Verified, inside: &[TierId]) {
    let keep = match &sent.order.verb {
        Verb::Renew(args) => args.keep.clone(),
        Verb::Reassign(args) => args.keep.clone(),
        _ => Vec::new(),
    };
    for tier in inside.iter().filter(|tier| !keep.contains(tier)) {
        let (Some(old), Some(new)) = (before.tenure.tier(*tier), after.tenure.tier(*tier)) else { continue };
        if !old.ending {
            checks.expect(Invariant::NewParty, old.data.life != new.data.life);
        }
    }
    for (tier, needed, _) in consents_needed(&before.tenure, sent) {
        let left = after.tenure.tier(tier).is_some_and(|tier| tier.consents.contains(&needed));
        checks.expect(Invariant::ConsentUsed, !left);
    }
}
