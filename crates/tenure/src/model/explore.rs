//! The model as stateright explores it.

use std::sync::Arc;

use id::{Nonce, Time};
use stateright::{Model, Property};

use super::check::{Checks, Counters, Invariant, accepted, judged, standing_still, subtree};
use super::machine::Doom;
use super::scenario::Scenario;
use super::state::State;
use crate::rule::{Rule, broken};
use crate::tests::example::directory;
use crate::{
    Change, Freshness, Input, Made, Outcome, Procedure, Purpose, Step, Tenure, Verb, Verified, apply_all,
    decide,
};

/// One thing that may happen. Numbers point into the menu, the orders sent, the procedures under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A party signs an order of the menu, and it arrives.
    Send(usize),
    /// A party signs it, and it does not arrive yet.
    Withhold(usize),
    /// An order that was signed earlier arrives, for the first time or again.
    Deliver(usize),
    /// The next step of a procedure is done and told.
    Finish(usize),
    /// It is done, but BMonitor dies before it is recorded.
    Interrupt(usize),
    /// A step is told that was not done: an outcome out of order.
    Misreport(usize, Step),
    /// BMonitor dies and starts again from its journal.
    Crash,
    /// Custody dies, or comes back.
    Custody,
    /// The clock shows that time, and BMonitor wakes.
    Clock(u64),
    /// The node gives a tier a nonce.
    Nonce(u8),
}

/// A scenario, with one rule broken or none.
pub(super) struct Explored {
    pub(super) scenario: Scenario,
    pub(super) broken: Option<Rule>,
    pub(super) counters: Arc<Counters>,
}

impl Model for Explored {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new((self.scenario.begin)())]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.flaw.is_some() {
            return;
        }
        let scenario = &self.scenario;
        actions.extend((0..scenario.menu.len()).map(Action::Send));
        if state.sent.len() < scenario.sent_max {
            actions.extend((0..scenario.menu.len()).map(Action::Withhold));
        }
        actions.extend((0..state.sent.len()).map(Action::Deliver));
        for (at, procedure) in state.tenure.procedures().enumerate() {
            actions.extend([Action::Finish(at), Action::Interrupt(at)]);
            let later = Step::ALL.into_iter().filter(|step| *step > procedure.next);
            actions.extend(later.map(|step| Action::Misreport(at, step)));
        }
        if scenario.crashes {
            actions.extend([Action::Crash, Action::Custody]);
        }
        actions.extend(scenario.clock.iter().copied().map(Action::Clock));
        actions.extend(scenario.nonces.iter().copied().map(Action::Nonce));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        broken::with(self.broken, || self.step(last, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("every invariant holds", |model: &Self, state: &State| {
            model.flaw(state).is_none()
        })]
    }

    fn format_action(&self, action: &Action) -> String {
        match action {
            Action::Send(item) => self.scenario.menu[*item].label.to_owned(),
            Action::Withhold(item) => format!("{} (withheld)", self.scenario.menu[*item].label),
            Action::Deliver(sent) => format!("order {} arrives (again)", sent + 1),
            Action::Finish(at) => format!("procedure {}: next step done and told", at + 1),
            Action::Interrupt(at) => format!("procedure {}: next step done, then a crash", at + 1),
            Action::Misreport(at, step) => format!("procedure {}: {step} told, but not done", at + 1),
            Action::Crash => "crash and restart".to_owned(),
            Action::Custody => "custody dies, or comes back".to_owned(),
            Action::Clock(millis) => format!("the clock shows {millis}"),
            Action::Nonce(tier) => format!("the node gives tier {tier} a nonce"),
        }
    }
}

impl Explored {
    /// What does not hold: something about the last step, or about the state itself.
    pub(super) fn flaw(&self, state: &State) -> Option<Invariant> {
        let still = || {
            let mut checks = Checks::new(&self.counters);
            broken::with(self.broken, || standing_still(&mut checks, state));
            checks.flaw
        };
        state.flaw.or_else(still)
    }

    fn step(&self, last: &State, action: Action) -> Option<State> {
        let mut checks = Checks::new(&self.counters);
        let mut next = last.clone();
        match action {
            Action::Send(item) => {
                let sent = self.scenario.menu[item].sign(&mut next)?;
                if next.sent.len() < self.scenario.sent_max {
                    next.sent.push(sent.clone());
                }
                deliver(&mut checks, &mut next, &sent);
            }
            Action::Withhold(item) => {
                let sent = self.scenario.menu[item].sign(&mut next)?;
                next.sent.push(sent);
            }
            Action::Deliver(at) => {
                let sent = last.sent.get(at)?.clone();
                deliver(&mut checks, &mut next, &sent);
            }
            Action::Finish(at) => {
                let procedure = last.tenure.procedures().nth(at)?.clone();
                finish(&mut checks, &mut next, &procedure)?;
            }
            Action::Interrupt(at) => {
                let procedure = last.tenure.procedures().nth(at)?.clone();
                perform(&mut checks, &mut next, &procedure)?;
                restart(&mut next);
            }
            Action::Misreport(at, step) => {
                let procedure = last.tenure.procedures().nth(at)?.clone();
                tell(&mut checks, &mut next, &procedure, step);
            }
            Action::Crash => restart(&mut next),
            Action::Custody => next.machine.custody_dead = !last.machine.custody_dead,
            Action::Clock(millis) => {
                next.clock = Time::from_millis(millis);
                lapse(&mut checks, &mut next);
            }
            Action::Nonce(tier) => {
                next.past.nonces_drawn += 1;
                let nonce = Nonce::from_bytes([next.past.nonces_drawn; 16]);
                next.tenure.offer_nonce(crate::tests::example::tier_id(tier), nonce);
            }
        }
        if self.scenario.eager {
            settle(&mut checks, &mut next);
        }
        next.machine.follow(&next.tenure);
        if next == *last && checks.flaw.is_none() {
            return None;
        }
        next.flaw = checks.flaw;
        Some(next)
    }
}

/// Does all procedures to their end, where a scenario is not about their steps.
fn settle(checks: &mut Checks<'_>, state: &mut State) {
    loop {
        let next = state.tenure.procedures().next().cloned();
        let Some(procedure) = next else { return };
        if finish(checks, state, &procedure).is_none() {
            return;
        }
    }
}

fn deliver(checks: &mut Checks<'_>, state: &mut State, sent: &Verified) {
    let before = state.clone();
    let verified = Verified { fresh: state.fresh(), at: state.clock, ..sent.clone() };
    let result = decide(&state.tenure, &Input::Order(Box::new(verified.clone())));
    judged(checks, &before, &verified, result.is_err());
    let Ok(changes) = result else { return };
    commit(checks, state, &changes);
    remember(state, &before, &verified);
    accepted(checks, &before, state, &verified);
}

/// What the model itself keeps of an accepted order.
fn remember(state: &mut State, before: &State, verified: &Verified) {
    let order = &verified.order;
    let past = &mut state.past;
    past.accepted.insert((order.lease, verified.signer, order.seq));
    if let Freshness::Nonce(nonce) = order.freshness {
        past.nonces_used.insert(nonce);
    }
    let seen = past.terms_seen.entry(order.tier).or_default();
    *seen = (*seen).max(order.term.unwrap_or_default());
    match &order.verb {
        Verb::Lease(_) => past.drawn += 1,
        Verb::Consent(args) => {
            past.consents.insert((order.tier, args.clone()));
        }
        Verb::Sever(args) => doom(state, before, verified, (Purpose::Severing, args.tier, &[])),
        Verb::Renew(args) => {
            let target = args.tier.unwrap_or(order.tier);
            doom(state, before, verified, (Purpose::Renewal, target, &args.keep));
        }
        Verb::Reassign(args) => {
            past.drawn += 1;
            past.terms_seen.remove(&args.tier);
            doom(state, before, verified, (Purpose::Reassignment, args.tier, &args.keep));
        }
        Verb::EnrolKey(args) => {
            past.removed.remove(&(order.tier, args.key.id()));
        }
        Verb::RemoveKey(args) => {
            past.removed.insert((order.tier, args.key));
        }
        Verb::Directory(args) => {
            let obeyed = (5..=8).find(|serial| directory(*serial) == args.object).unwrap_or(0);
            past.directory = past.directory.max(obeyed);
        }
        Verb::Terms(_)
        | Verb::Boundary(_)
        | Verb::TryBoundary(_)
        | Verb::Consoles(_)
        | Verb::Suspend(_)
        | Verb::Resume(_)
        | Verb::Power(_)
        | Verb::Engine(_)
        | Verb::Volume(_)
        | Verb::RemoveVolume(_) => {}
    }
}

/// Reckons what must be gone now, from the tree and the machine as they were.
fn doom(
    state: &mut State,
    before: &State,
    verified: &Verified,
    (purpose, target, keep): (Purpose, id::TierId, &[id::TierId]),
) {
    let inside = subtree(&before.tenure, target);
    state.past.consents.retain(|(by, consent)| !(keep.contains(by) && consent.tier == target));
    let ending_already = before.tenure.tier(target).is_none_or(|tier| tier.ending);
    if ending_already {
        return;
    }
    for earlier in &mut state.past.doomed {
        earlier.data.retain(|tier, _| !inside.contains(tier));
    }
    let lost = inside.into_iter().filter(|tier| !keep.contains(tier));
    let data = lost.filter_map(|tier| Some((tier, before.machine.secrets.get(&tier)?.data))).collect();
    let grantor = before.tenure.tier(target).and_then(|tier| tier.parent);
    let procedure = crate::ProcedureId(verified.envelope);
    state.past.doomed.retain(|earlier| !earlier.data.is_empty());
    state.past.doomed.push(Doom { procedure, purpose, grantor, data });
}

/// Records and applies changes. The record goes through its text, is applied to a copy that has nothing but
/// what the journal has, and must lead to the same state.
fn commit(checks: &mut Checks<'_>, state: &mut State, changes: &[Change]) {
    let clock = state.tenure.clock();
    let mut replayed: Tenure = state.tenure.clone();
    replayed.aside = crate::tenure::Aside::default();
    apply_all(&mut state.tenure, changes);
    let text = serde_json::to_string(changes).unwrap();
    let read: Vec<Change> = serde_json::from_str(&text).unwrap();
    apply_all(&mut replayed, &read);
    checks.expect(Invariant::Replay, replayed == state.tenure);
    if state.clock < clock {
        checks.expect(Invariant::ClockForward, state.tenure.clock() >= clock);
    }
}

/// BMonitor starts again: what it has is the journal's snapshot and the objects.
fn restart(state: &mut State) {
    let text = serde_json::to_string(&state.tenure).unwrap();
    let mut read: Tenure = serde_json::from_str(&text).unwrap();
    read.aside.sets = state.tenure.aside.sets.clone();
    state.tenure = read;
}

fn lapse(checks: &mut Checks<'_>, state: &mut State) {
    let before = state.clone();
    if let Ok(changes) = decide(&state.tenure, &Input::Lapse { at: state.clock }) {
        commit(checks, state, &changes);
    }
    let passed = |until: Time| before.tenure.clock() < until && until <= state.tenure.clock();
    if before.tenure.tiers().any(|(_, tier)| passed(tier.terms.until)) {
        // What was only tried is over, as is right then.
        let over = |(id, tier): (id::TierId, &crate::Tier)| {
            let mut tier = tier.clone();
            if let Some(trial) = tier.trial.filter(|trial| trial.until <= state.tenure.clock()) {
                (tier.own, tier.trial) = (trial.before, None);
            }
            (id, tier)
        };
        let now = state.tenure.tiers().map(|(id, tier)| (id, tier.clone()));
        let same = before.tenure.tiers().map(over).eq(now);
        checks.expect(Invariant::LapseSuspends, same && before.machine == state.machine);
    }
}

/// Does the next step in the machine; nothing if it cannot be done now.
fn perform(checks: &mut Checks<'_>, state: &mut State, procedure: &Procedure) -> Option<()> {
    if procedure.next == Step::Receipt {
        receipt(checks, state, procedure);
    }
    let before = state.machine.clone();
    state.machine.perform(&state.tenure, procedure).then_some(())?;
    for (tier, secret) in before.secrets.iter().filter(|(tier, _)| procedure.part(**tier).is_none()) {
        checks.expect(Invariant::ErasureLocal, state.machine.secrets.get(tier) == Some(secret));
    }
    Some(())
}

fn finish(checks: &mut Checks<'_>, state: &mut State, procedure: &Procedure) -> Option<()> {
    perform(checks, state, procedure)?;
    tell(checks, state, procedure, procedure.next);
    Some(())
}

/// Tells a step, done or not. If the procedure counts as complete then, everything doomed must be gone.
fn tell(checks: &mut Checks<'_>, state: &mut State, procedure: &Procedure, step: Step) {
    let made = procedure.parts.iter().map(|part| {
        let identity = id::Digest::of(format!("{} {}", part.tier, part.epoch).as_bytes());
        Made { tier: part.tier, epoch: part.epoch, identity }
    });
    let outcome = Outcome { procedure: procedure.id, step, made: made.collect(), at: state.clock };
    let Ok(changes) = decide(&state.tenure, &Input::Outcome(outcome)) else { return };
    let before = state.tenure.tiers().count();
    commit(checks, state, &changes);
    if state.tenure.procedures().all(|left| left.id != procedure.id) {
        receipt(checks, state, procedure);
        state.past.doomed.retain(|doom| doom.procedure != procedure.id);
    }
    // A machine keeps nothing of tiers that are not there any more; what was to be gone was looked for above.
    if state.tenure.tiers().count() < before {
        let tenure = &state.tenure;
        state.machine.engines.retain(|tier, _| tenure.tier(*tier).is_some());
    }
}

fn receipt(checks: &mut Checks<'_>, state: &State, procedure: &Procedure) {
    for doom in
        state.past.doomed.iter().filter(|doom| doom.procedure == procedure.id && !doom.data.is_empty())
    {
        checks.expect(Invariant::ReceiptLast, !state.machine.has_any(&doom.all()));
    }
}
