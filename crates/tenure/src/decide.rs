//! `decide`: what an input changes, or why it is refused. Pure; a refusal changes nothing.
//!
//! A file per noun below; here what all have in common: the clock, and whether an order is to be heard.

pub(crate) mod boundary;
mod consoles;
mod directory;
mod engine;
mod enrolment;
mod keys;
mod lease;
mod outcome;
mod renewal;
mod severing;
mod suspension;
mod volume;

use id::{KeyId, TierId, Time};

use crate::change::Change;
use crate::input::{Input, Verified};
use crate::limits::QUOTA_WINDOW_MS;
use crate::order::{Freshness, Order, Verb};
use crate::refusal::{QuotaKind, Refusal};
use crate::right::Right;
use crate::rule::{Rule, holds};
use crate::tenure::{Standing, Tenure};
use crate::tier::Tier;

/// What `input` changes.
///
/// # Errors
/// The refusal, with its code, class and sentence.
pub fn decide(tenure: &Tenure, input: &Input) -> Result<Vec<Change>, Refusal> {
    match input {
        Input::Enrolment(enrolment) => enrolment::decide(tenure, enrolment),
        Input::Order(verified) => order(tenure, verified),
        Input::Lapse { at } => Ok(passed(tenure, *at)),
        Input::Outcome(outcome) => outcome::decide(tenure, outcome),
    }
}

/// The clock moves on to `at`, never back; terms that end thereby are put on record.
fn passed(tenure: &Tenure, at: Time) -> Vec<Change> {
    let before = tenure.clock();
    if at == before || (at < before && holds(Rule::ClockForward)) {
        return Vec::new();
    }
    let ended = |tier: &Tier| before < tier.terms.until && tier.terms.until <= at && !tier.ending;
    let mut changes = vec![Change::Passed { to: at }];
    changes.extend(tenure.tiers().filter(|(_, tier)| ended(tier)).map(|(id, _)| Change::Lapsed { tier: id }));
    let tried = |tier: &Tier| tier.trial.is_some_and(|trial| trial.until <= at) && holds(Rule::TrialEnds);
    changes
        .extend(tenure.tiers().filter(|(_, tier)| tried(tier)).map(|(id, _)| Change::TrialOver { tier: id }));
    changes
}

fn order(tenure: &Tenure, verified: &Verified) -> Result<Vec<Change>, Refusal> {
    let now = if holds(Rule::ClockForward) { tenure.clock().max(verified.at) } else { verified.at };
    let signer = Signer::authenticate(tenure, verified, now)?;
    signer.may(tenure, &verified.order.verb, now)?;
    let mut changes = passed(tenure, verified.at);
    changes.push(signer.accepted(&verified.order));
    changes.extend(match &verified.order.verb {
        Verb::Lease(args) => lease::grant(tenure, &signer, args, verified)?,
        Verb::Terms(args) => lease::change(tenure, &signer, args)?,
        Verb::Reassign(args) => renewal::reassign(tenure, &signer, args, verified)?,
        Verb::Boundary(args) => boundary::set(tenure, &signer, args)?,
        Verb::TryBoundary(args) => boundary::attempt(tenure, &signer, args, now)?,
        Verb::EnrolKey(args) => keys::enrol(tenure, &signer, args)?,
        Verb::RemoveKey(args) => keys::remove(tenure, &signer, args)?,
        Verb::Consoles(args) => consoles::set(&signer, args)?,
        Verb::Directory(args) => directory::set(tenure, &signer, args)?,
        Verb::Renew(args) => renewal::renew(tenure, &signer, args, verified)?,
        Verb::Consent(args) => renewal::consent(tenure, &signer, args)?,
        Verb::Suspend(args) => suspension::suspend(tenure, &signer, args)?,
        Verb::Resume(args) => suspension::resume(tenure, &signer, args)?,
        Verb::Power(args) => suspension::power(tenure, &signer, args)?,
        Verb::Engine(args) => engine::set(tenure, &signer, args)?,
        Verb::Volume(args) => volume::make(tenure, &signer, args)?,
        Verb::RemoveVolume(args) => volume::remove(&signer, args)?,
        Verb::Sever(args) => severing::sever(tenure, &signer, args, verified)?,
    });
    Ok(changes)
}

/// A signer whom the node knows, with an order that is fresh.
struct Signer<'a> {
    id: TierId,
    tier: &'a Tier,
    key: KeyId,
}

impl<'a> Signer<'a> {
    /// Who it is, and that this very order was not obeyed before and is not too old.
    fn authenticate(tenure: &'a Tenure, verified: &Verified, now: Time) -> Result<Self, Refusal> {
        let order = &verified.order;
        let node = tenure.node.ok_or(Refusal::NotEnrolled {})?;
        if order.node != node {
            return Err(Refusal::WrongNode {});
        }
        let tier = tenure.tiers.get(&order.tier).ok_or(Refusal::UnknownTier {})?;
        if order.lease != tier.lease && holds(Rule::Lease) {
            return Err(Refusal::WrongLease {});
        }
        if !tier.keys.contains_key(&verified.signer) {
            return Err(Refusal::UnknownKey {});
        }
        if order.epoch != tier.epoch && holds(Rule::Epoch) {
            return Err(Refusal::WrongEpoch { named: order.epoch, present: tier.epoch });
        }
        let last = tenure.sequences.get(&verified.signer).copied().unwrap_or_default();
        if order.seq <= last && holds(Rule::Sequence) {
            return Err(Refusal::UsedSequence { seq: order.seq, last });
        }
        fresh(tenure, order, now)?;
        match order.term {
            Some(term) if term < tier.term && holds(Rule::LeaderTerm) => {
                Err(Refusal::PastTerm { term, present: tier.term })
            }
            Some(_) | None => Ok(Self { id: order.tier, tier, key: verified.signer }),
        }
    }

    /// Whether the tier and the key may do this at all now.
    ///
    /// A severing asks for the right alone. Neither a term (the clock may be wrong), nor a suspension, nor a
    /// quota, nor a procedure that waits for custody stands between a tier and cutting what is below it.
    fn may(&self, tenure: &Tenure, verb: &Verb, now: Time) -> Result<(), Refusal> {
        if self.tier.ending {
            return Err(busy(tenure, self.id));
        }
        let right = verb.right();
        if right != Right::Sever || !holds(Rule::SeveringNeedsTheRightAlone) {
            self.in_force(tenure, now)?;
        }
        if right != Right::Sever || !holds(Rule::QuotaSparesSevering) {
            self.within_records(tenure, now)?;
        }
        let effective = tenure.effective_rights(self.id);
        let exercised = if holds(Rule::GrantableIsNotExercisable) {
            effective.exercise
        } else {
            effective.exercise.or(effective.grant)
        };
        if !exercised.has(right) {
            return Err(Refusal::TierLacksRight { right });
        }
        if !self.key_rights().has(right) && holds(Rule::KeyRights) {
            return Err(Refusal::KeyLacksRight { right });
        }
        Ok(())
    }

    fn in_force(&self, tenure: &Tenure, now: Time) -> Result<(), Refusal> {
        match tenure.standing_at(self.id, now) {
            Standing::InForce => Ok(()),
            Standing::Ending | Standing::Busy => Err(busy(tenure, self.id)),
            Standing::Suspended => {
                if holds(Rule::Suspension) {
                    Err(Refusal::Suspended {})
                } else {
                    Ok(())
                }
            }
            Standing::NotInTerm => {
                let terms = tenure.effective_terms(self.id);
                Err(Refusal::NotInTerm { not_before: terms.not_before, until: terms.until, now })
            }
        }
    }

    /// Whether the tier may have another order recorded in this hour.
    fn within_records(&self, tenure: &Tenure, now: Time) -> Result<(), Refusal> {
        let used = self.tier.used;
        let fresh_window = now.as_millis() >= used.window.as_millis().saturating_add(QUOTA_WINDOW_MS);
        let records = if fresh_window { 0 } else { used.records };
        if records < tenure.own_share(self.id).records_per_hour {
            Ok(())
        } else {
            Err(Refusal::ExceedsQuota { what: QuotaKind::RecordsPerHour, left: 0 })
        }
    }

    fn key_rights(&self) -> crate::right::Rights {
        self.tier.keys.get(&self.key).map(|entry| entry.rights).unwrap_or_default()
    }

    fn accepted(&self, order: &Order) -> Change {
        let nonce = match order.freshness {
            Freshness::Nonce(nonce) => Some(nonce),
            Freshness::NotAfter(_) => None,
        };
        let Order { lease, epoch, seq, term, .. } = *order;
        Change::Accepted { tier: self.id, lease, epoch, key: self.key, seq, nonce, term }
    }

    /// The target of a verb that reaches downward.
    fn below<'t>(&self, tenure: &'t Tenure, target: TierId) -> Result<&'t Tier, Refusal> {
        let refused = Refusal::NotBelow { tier: target };
        let tier = tenure.tiers.get(&target).ok_or_else(|| refused.clone())?;
        if tenure.is_below(target, self.id) || !holds(Rule::Tier) { Ok(tier) } else { Err(refused) }
    }

    /// The target of a verb that concerns the signer's own grants.
    fn child<'t>(&self, tenure: &'t Tenure, target: TierId) -> Result<&'t Tier, Refusal> {
        let refused = Refusal::NotChild { tier: target };
        let tier = tenure.tiers.get(&target).ok_or_else(|| refused.clone())?;
        if tier.ending || (tier.parent != Some(self.id) && holds(Rule::Tier)) {
            Err(refused)
        } else {
            Ok(tier)
        }
    }
}

/// Whether the order is not an old one.
fn fresh(tenure: &Tenure, order: &Order, now: Time) -> Result<(), Refusal> {
    match order.freshness {
        Freshness::NotAfter(not_after) if now >= not_after && holds(Rule::NotAfter) => {
            Err(Refusal::Expired { not_after, now })
        }
        Freshness::NotAfter(_) => Ok(()),
        Freshness::Nonce(nonce) => {
            let given = tenure.aside.nonces.get(&order.tier).is_some_and(|nonces| nonces.contains(&nonce));
            if given { Ok(()) } else { Err(Refusal::UnknownNonce { nonce }) }
        }
    }
}

fn busy(tenure: &Tenure, tier: TierId) -> Refusal {
    let next = tenure.procedures.values().find(|procedure| procedure.part(tier).is_some()).map(|p| p.next);
    next.map_or(Refusal::UnknownTier {}, |next| Refusal::Busy { next })
}
