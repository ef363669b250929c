//! Closes the gap between what should be and what is: at once what is quick, by helpers and custody what
//! may block.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use datapath::{Filter, Fitting, Program, Settings};
use id::{Digest, Epoch, Name, TierId, Time};
use os::link::Links;
use tenure::{Input, Outcome, Procedure, ProcedureId, Step as ProcedureStep, Tenure, effects};

use super::custodian::{self, Purpose};
use super::documents::{self, Standpoint};
use super::services::Service;
use super::volumes::volume_of;
use super::{Supervisor, jobs};
use crate::clock::deadline;
use crate::config::host_link;
use crate::custody::{self, Gone, Reply, Request};
use crate::failure::chain;
use crate::helper::{self, Place, Task};
use crate::node::Submitted;
use crate::reconcile::volumes::VolumeState;
use crate::reconcile::{Effect, Observed, Seal, Seen, as_made, braced, reconcile};
use crate::rights::Role;
use crate::step::Step;

/// How long each kind of work may take.
const REALM_AT_MOST: Duration = Duration::from_secs(20);
const POLICY_AT_MOST: Duration = Duration::from_secs(60);
/// How long the data path may take to follow a record: ten times what a helper takes for 10,000 prefixes.
const BRACE: Duration = Duration::from_secs(2);

impl Supervisor {
    /// Does what is to be done, until only work under way is left.
    pub(super) fn advance(&mut self) -> Result<(), journal::Error> {
        custodian::is_there(&mut self.services, &mut self.custodian, &self.config, &self.steps);
        self.wish_for_addresses();
        loop {
            self.have_head_signed();
            self.have_objects_sealed();
            let wanted = self.wanted();
            self.jobs.forget_all_but(&wanted);
            self.settled =
                wanted.is_empty() && self.jobs.is_idle() && self.custodian.is_idle() && self.study.is_idle();
            let mut changed = false;
            for effect in wanted {
                changed |= self.perform(effect)?;
                if changed {
                    break;
                }
            }
            if !changed {
                return Ok(());
            }
        }
    }

    fn wanted(&self) -> Vec<Effect> {
        let (world, observed) = self.addressed();
        let names = world.realms.iter().map(|realm| &realm.name);
        let configured: BTreeSet<Name> = names.filter(|name| self.can_have_realm(name)).cloned().collect();
        reconcile(&world, &observed, &configured, documents::number)
    }

    /// Does one effect or begins it. Gives whether the world is known to have changed.
    fn perform(&mut self, effect: Effect) -> Result<bool, journal::Error> {
        if !self.jobs.may_try(&effect) || self.waits_for_its_share(&effect) {
            return Ok(false);
        }
        match &effect {
            Effect::Cut(realm) => {
                let cut = self.cut(realm);
                return Ok(self.done_at_once(effect, cut));
            }
            Effect::Open(realm, until) => {
                let opened = self.open(realm, *until);
                return Ok(self.done_at_once(effect, opened));
            }
            Effect::UnlinkSecrets(tier, last, gone) => {
                let (tier, last, gone) = (*tier, *last, *gone);
                return Ok(self.unlink(effect, tier, last, gone));
            }
            Effect::UnlinkVolume(key) => {
                let unlinked = self.unlink_volume(*key);
                return Ok(self.done_at_once(effect, unlinked));
            }
            Effect::EndCourier(tier) => {
                self.end_courier(*tier);
                return Ok(false);
            }
            Effect::StartCourier(tier, epoch) => {
                let (tier, epoch) = (*tier, *epoch);
                return Ok(self.start_courier(effect, tier, epoch));
            }
            Effect::TellConsoles(tier) => {
                let told = self.tell_consoles(*tier);
                return Ok(self.done_at_once(effect, told));
            }
            Effect::Tell(procedure, ..) if self.still_makes(*procedure) => return Ok(false),
            Effect::Tell(_, step, _) if self.still_forgets(*step) => return Ok(false),
            Effect::Tell(procedure, step, made) => return self.tell(*procedure, *step, made),
            Effect::Kill(..)
            | Effect::RealmDown(_)
            | Effect::RealmUp(_)
            | Effect::Policy(..)
            | Effect::CloseVolume(_)
            | Effect::RemoveVolume(_)
            | Effect::AttachVolume(..)
            | Effect::GiveKey(_)
            | Effect::OpenVolume(..)
            | Effect::Rewrap(..)
            | Effect::MakeIdentity(..)
            | Effect::Sign(..) => {}
        }
        if !self.in_the_way(&effect) && self.jobs.may_start(&effect) {
            self.begin(effect);
        }
        Ok(false)
    }

    /// Before the store is open nothing is opened, made or signed; what closes is done, and the root's identity
    /// is there, with which the console is dialled that has the share.
    fn waits_for_its_share(&self, effect: &Effect) -> bool {
        let waits = match effect {
            Effect::Open(..)
            | Effect::RealmUp(_)
            | Effect::Policy(..)
            | Effect::AttachVolume(..)
            | Effect::GiveKey(_)
            | Effect::OpenVolume(..)
            | Effect::Rewrap(..)
            | Effect::Sign(..) => true,
            Effect::MakeIdentity(tier, _) => self.node.tenure.root() != Some(*tier),
            Effect::Cut(_)
            | Effect::UnlinkSecrets(..)
            | Effect::EndCourier(_)
            | Effect::StartCourier(..)
            | Effect::TellConsoles(_)
            | Effect::Tell(..)
            | Effect::Kill(..)
            | Effect::UnlinkVolume(_)
            | Effect::CloseVolume(_)
            | Effect::RemoveVolume(_)
            | Effect::RealmDown(_) => false,
        };
        waits && !self.store.open
    }

    pub(super) fn done_at_once(&mut self, effect: Effect, done: Result<(), String>) -> bool {
        match done {
            Ok(()) => self.jobs.succeed(&effect),
            Err(why) => {
                self.jobs.fail(effect, why);
                return false;
            }
        }
        true
    }

    /// Sets the cut bit. Where that fails, the link goes: nothing passes either.
    fn cut(&mut self, name: &Name) -> Result<(), String> {
        let cut = match self.filters.get_mut(name) {
            Some(filter) => filter.cut().map_err(|error| chain(&error)),
            None => Err("the filter is not there".to_owned()),
        };
        let seen = self.observed.realms.entry(name.clone()).or_default();
        if let Err(why) = cut {
            seen.whole = false;
            match Links::open().and_then(|mut links| links.delete(&host_link(name))) {
                Err(failed) if !failed.not_found() => return Err(format!("{why}; {}", chain(&failed))),
                Ok(()) | Err(_) => {}
            }
        }
        seen.gate = Some(Seal::Cut);
        self.steps.reach(Step::CutFlipped);
        Ok(())
    }

    fn open(&mut self, name: &Name, until: Time) -> Result<(), String> {
        let now = self.node.now();
        let filter = self.filters.get_mut(name).ok_or("the filter is not there")?;
        let closes = deadline(now, os::clock::boot(), until);
        filter.set_deadline(closes).and_then(|()| filter.admit()).map_err(|error| chain(&error))?;
        if let Some(seen) = self.observed.realms.get_mut(name) {
            seen.gate = Some(Seal::OpenUntil(until));
        }
        Ok(())
    }

    /// Unlinks secrets, custody or no custody: one that may be writing such a secret is killed first. What it
    /// has of them it lets go of afterwards, or it is killed.
    fn unlink(&mut self, effect: Effect, tier: TierId, last: Option<Epoch>, gone: Gone) -> bool {
        let makes = |effect: &Effect| {
            matches!(effect, Effect::MakeIdentity(of, _) if *of == tier)
                || matches!(effect, Effect::GiveKey(key) | Effect::Rewrap(key, _) if key.tier == tier)
        };
        if self.custodian.asks(|purpose| matches!(purpose, Purpose::Effect(effect) if makes(effect))) {
            self.services.end(&Service::Custody);
            return false;
        }
        let folder = self.config.state("custody");
        let steps = &self.steps;
        let unlinked = custody::gone_up_to(&folder, tier, last, gone, || steps.reach(Step::SecretUnlinked));
        let done = unlinked.and_then(|()| self.observed.look_at_custody(&folder));
        self.steps.reach(Step::SecretGone);
        if done.is_ok() && gone == Gone::Secrets {
            self.have_forgotten(tier, last);
        }
        self.done_at_once(effect, done.map_err(|error| chain(&error)))
    }

    fn tell(
        &mut self,
        procedure: ProcedureId,
        step: ProcedureStep,
        made: &[(TierId, Epoch, Digest)],
    ) -> Result<bool, journal::Error> {
        let at = self.node.now();
        let outcome = Outcome { procedure, step, made: as_made(made), at };
        let effect = Effect::Tell(procedure, step, made.to_vec());
        match self.node.submit(Input::Outcome(outcome), &self.steps) {
            Ok(Submitted::Accepted { .. }) => {
                self.jobs.succeed(&effect);
                self.steps.reach(Step::OutcomeRecorded);
                Ok(true)
            }
            Ok(Submitted::Refused(refusal)) => {
                self.jobs.fail(effect, refusal.to_string());
                Ok(false)
            }
            Err(error @ (journal::Error::Full(_) | journal::Error::SegmentFull)) => {
                self.jobs.fail(effect, chain(&error));
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether something under way must end first. What a severing waits for is killed.
    fn in_the_way(&self, effect: &Effect) -> bool {
        let concerned = realms_of(effect);
        let same = |running: &Effect| realms_of(running).iter().any(|realm| concerned.contains(realm));
        if matches!(effect, Effect::Kill(..) | Effect::RealmDown(_)) {
            let makes = |running: &Effect| matches!(running, Effect::RealmUp(_) | Effect::Policy(..));
            self.jobs.kill(|running| makes(running) && same(running));
        }
        let volume = volume_of(effect);
        let same_volume = |running: &Effect| volume.is_some() && volume_of(running) == volume;
        if matches!(effect, Effect::CloseVolume(_)) {
            self.jobs.kill(|running| same_volume(running) && running != effect);
        }
        // Each signed document names the one before it: one at a time.
        let signs = |effect: &Effect| matches!(effect, Effect::Sign(..));
        let asked = |purpose: &Purpose| match purpose {
            Purpose::Effect(asked) => {
                asked == effect || same_volume(asked) || (signs(asked) && signs(effect))
            }
            Purpose::Forget(_)
            | Purpose::Courier(..)
            | Purpose::Node
            | Purpose::Open
            | Purpose::Share
            | Purpose::Order(_)
            | Purpose::Head(_)
            | Purpose::Seal(_)
            | Purpose::Recall(_) => false,
        };
        self.jobs.running().any(|running| same(running) || same_volume(running)) || self.custodian.asks(asked)
    }

    /// Whether custody has yet to let go of what was unlinked. It has a deadline for that, and is killed then.
    fn still_forgets(&self, step: ProcedureStep) -> bool {
        matches!(step, ProcedureStep::SecretGone | ProcedureStep::Remade)
            && self.custodian.asks(|purpose| matches!(purpose, Purpose::Forget(_)))
    }

    /// Whether a helper is still making a realm that the procedure closes. It is killed; what it leaves is
    /// found when it has ended.
    fn still_makes(&self, id: ProcedureId) -> bool {
        let Some(procedure) = self.procedure(id) else { return false };
        let parts = procedure.parts.iter().filter(|part| part.fate.destroys());
        let closes: Vec<Name> =
            parts.filter_map(|part| Some(self.node.tenure.tier(part.tier)?.name.clone())).collect();
        let makes = |running: &Effect| {
            let makes = matches!(running, Effect::RealmUp(_) | Effect::Policy(..));
            let volume = volume_of(running)
                .is_some_and(|key| procedure.part(key.tier).is_some_and(|part| part.fate.destroys()));
            volume || makes && realms_of(running).iter().any(|name| closes.contains(name))
        };
        let closing = procedure.next < ProcedureStep::Remade && self.jobs.running().any(makes);
        if closing {
            self.jobs.kill(makes);
        }
        closing
    }

    fn begin(&mut self, effect: Effect) {
        if let Some(task) = self.task(&effect) {
            if let (Effect::RealmUp(name), Task::RealmUp { place, .. }) = (&effect, &task) {
                self.building(name, &place.addresses);
            }
            if let Effect::AttachVolume(key, _) = &effect {
                self.volume_is(*key, VolumeState::Unknown);
            }
            let passes = |step| task.passes(step);
            let command = jobs::command(Role::Helper, self.steps.for_child(Role::Helper, passes));
            let at_most = if matches!(task, Task::Policy { .. }) { POLICY_AT_MOST } else { REALM_AT_MOST };
            self.jobs.start(effect, command, &task, at_most);
        } else if let Some(request) = self.request(&effect) {
            let descriptor =
                if let Effect::GiveKey(key) = &effect { self.volume_descriptor(*key) } else { Ok(None) };
            match descriptor {
                Ok(descriptor) => self.ask_for(effect, request, descriptor),
                Err(why) => self.after_failure(effect, why),
            }
        } else {
            self.jobs.fail(effect, "what it is about is gone".to_owned());
        }
    }

    fn task(&self, effect: &Effect) -> Option<Task> {
        match effect {
            Effect::Kill(_, realms) => {
                let namespaces = realms.iter().map(|name| self.config.namespace(name)).collect();
                Some(Task::Kill { namespaces })
            }
            Effect::RealmDown(name) => Some(Task::RealmDown { place: self.place(name) }),
            Effect::RealmUp(name) => Some(Task::RealmUp {
                place: self.place(name),
                bridge: self.config.bridge.clone(),
                gateways: self.realm(name)?.gateways,
            }),
            Effect::Policy(name, _) => {
                let tier = self.node.tenure.tier_named(name.as_str())?;
                Some(Task::Policy { place: self.place(name), sets: self.node.stack(tier) })
            }
            Effect::Cut(_)
            | Effect::UnlinkSecrets(..)
            | Effect::EndCourier(_)
            | Effect::Tell(..)
            | Effect::Open(..)
            | Effect::MakeIdentity(..)
            | Effect::StartCourier(..)
            | Effect::TellConsoles(_)
            | Effect::UnlinkVolume(_)
            | Effect::GiveKey(_)
            | Effect::Rewrap(..)
            | Effect::Sign(..) => None,
            Effect::AttachVolume(key, bytes) => {
                Some(Task::VolumeAttach { place: self.volume_place(*key)?, bytes: *bytes })
            }
            Effect::OpenVolume(key, id) => {
                Some(Task::VolumeOpen { place: self.volume_place(*key)?, key: id.clone() })
            }
            Effect::CloseVolume(key) => Some(Task::VolumeClose { place: self.volume_place(*key)? }),
            Effect::RemoveVolume(key) => Some(Task::VolumeRemove { place: self.volume_place(*key)? }),
        }
    }

    fn request(&mut self, effect: &Effect) -> Option<Request> {
        if let Effect::MakeIdentity(tier, epoch) = effect {
            let root = self.node.tenure.root() == Some(*tier);
            return Some(Request::Tier { tier: *tier, epoch: *epoch, root });
        }
        if let Effect::GiveKey(key) | Effect::Rewrap(key, _) = effect {
            return self.volume_request(*key, matches!(effect, Effect::Rewrap(..)));
        }
        let Effect::Sign(procedure, number) = effect else { return None };
        let procedure = self.procedure(*procedure)?;
        let standpoint = Standpoint {
            at: self.node.now(),
            tenure: &self.node.tenure,
            node_key: self.node_key,
            head: self.node.journal.head(),
            identities: &self.identities,
            sealing_keys: &self.sealing_keys,
            previous: self.documents.newest().ok()?,
        };
        standpoint.request(&procedure, *number)
    }

    fn procedure(&self, id: ProcedureId) -> Option<Procedure> {
        self.node.tenure.procedures().find(|procedure| procedure.id == id).cloned()
    }

    /// Takes in what became of the processes that have ended.
    pub(super) fn take_in(&mut self, ended: Vec<jobs::Ended>) {
        for (effect, reply) in ended {
            let taken = reply.and_then(|reply| self.take(&effect, &reply));
            match taken {
                Ok(()) => self.jobs.succeed(&effect),
                Err(why) => self.after_failure(effect, why),
            }
        }
    }

    fn take(&mut self, effect: &Effect, reply: &[u8]) -> Result<(), String> {
        let outcome = serde_json::from_slice(reply).map_err(|error| error.to_string())?;
        let generation = match outcome {
            helper::Outcome::Done { generation } => generation,
            helper::Outcome::Failed { why } => return Err(why),
        };
        self.steps.reach(Step::EffectDone);
        match effect {
            Effect::Kill(procedure, _) => drop(self.observed.killed.insert(*procedure)),
            Effect::RealmDown(name) => {
                self.filters.remove(name);
                self.generations.remove(name);
                self.observed.realms.remove(name);
            }
            Effect::RealmUp(name) => {
                self.built(name);
                self.look_at(name)?;
                // The helper has cut it.
                if let Some(seen) = self.observed.realms.get_mut(name) {
                    *seen = Seen { gate: Some(Seal::Cut), policy: None, ..*seen };
                }
            }
            Effect::Policy(name, policy) => {
                if let Some(seen) = self.observed.realms.get_mut(name) {
                    seen.policy = Some(*policy);
                }
                self.generations.extend(generation.map(|generation| (name.clone(), generation)));
                self.enforces_anew(name);
            }
            Effect::Cut(_)
            | Effect::UnlinkSecrets(..)
            | Effect::EndCourier(_)
            | Effect::Tell(..)
            | Effect::Open(..)
            | Effect::MakeIdentity(..)
            | Effect::StartCourier(..)
            | Effect::TellConsoles(_)
            | Effect::UnlinkVolume(_)
            | Effect::GiveKey(_)
            | Effect::Rewrap(..)
            | Effect::Sign(..) => {}
            Effect::AttachVolume(key, _) => self.volume_is(*key, VolumeState::Attached),
            Effect::OpenVolume(key, _) => self.volume_is(*key, VolumeState::Open),
            Effect::CloseVolume(key) => self.volume_is(*key, VolumeState::Closed),
            Effect::RemoveVolume(key) => drop(self.observed.volumes.remove(key)),
        }
        Ok(())
    }

    /// Takes in what custody has done for an effect.
    pub(super) fn take_from_custody(&mut self, effect: &Effect, reply: Reply) -> Result<(), String> {
        match (effect, reply) {
            (Effect::MakeIdentity(tier, epoch), Reply::Tier { identity, sealing }) => {
                self.observed.identities.insert((*tier, *epoch), Digest::of(identity.as_bytes()));
                self.identities.insert(*tier, identity);
                self.sealing_keys.insert(*tier, *sealing);
                self.observed.look_at_custody(&self.config.state("custody")).map_err(|error| chain(&error))
            }
            (Effect::Sign(id, number), Reply::Signed { envelope }) => {
                self.steps.reach(Step::ReceiptSigned);
                let procedure = self.procedure(*id).ok_or("the procedure is over")?;
                let (record, _digest) = self.node.journal.head();
                let stored = self.documents.store(record, &self.node.tenure, &procedure, *number, &envelope);
                stored.map_err(|error| format!("cannot store a signed document: {error}"))?;
                self.observed.signed.insert(*id, number + 1);
                self.steps.reach(Step::ReceiptStored);
                Ok(())
            }
            (Effect::GiveKey(key), Reply::Key { id }) => {
                self.volume_is(*key, VolumeState::Keyed(id));
                self.observed.look_at_custody(&self.config.state("custody")).map_err(|error| chain(&error))
            }
            (Effect::Rewrap(key, path), Reply::Done {}) => {
                self.observed.wrapped.insert(*key, path.clone());
                self.observed.look_at_custody(&self.config.state("custody")).map_err(|error| chain(&error))
            }
            (_, Reply::Refused { why }) => Err(why),
            (
                _,
                Reply::Store(_)
                | Reply::Shut { .. }
                | Reply::Public { .. }
                | Reply::Tier { .. }
                | Reply::Signed { .. }
                | Reply::Opened { .. }
                | Reply::Key { .. }
                | Reply::Done {},
            ) => Err("custody answered something else".to_owned()),
        }
    }

    /// What a broken-off process may have left is looked at anew.
    pub(super) fn after_failure(&mut self, effect: Effect, why: String) {
        let mut why = why;
        for name in realms_of(&effect) {
            if let Err(error) = self.look_at(&name) {
                why = format!("{why}; {error}");
            }
        }
        let wraps = matches!(effect, Effect::Rewrap(..));
        if let Some(key) = volume_of(&effect).filter(|_| !wraps) {
            self.volume_is(key, if why == helper::HELD { VolumeState::Held } else { VolumeState::Unknown });
        }
        self.look_at_secrets();
        self.jobs.fail(effect, why);
    }

    /// Looks at custody's folder.
    pub(super) fn look_at_secrets(&mut self) {
        // What cannot be looked at is as it was known.
        self.observed.look_at_custody(&self.config.state("custody")).unwrap_or_default();
    }

    /// Looks at a realm in the kernel. What was known of its gate and policy stays, if its filter does.
    pub(super) fn look_at(&mut self, name: &Name) -> Result<(), String> {
        let place = self.place(name);
        let known = self.observed.realms.remove(name).unwrap_or_default();
        self.filters.remove(name);
        let filter = Filter::open(&place.pins, &Program::embedded(), &Settings::default()).ok().flatten();
        let link = Links::open().and_then(|mut links| links.find(&place.link)).ok();
        let fits = match &filter {
            Some(filter) => filter.fitting(&place.link).map_err(|error| chain(&error))? == Fitting::Both,
            None => false,
        };
        let trace = filter.is_some() || link.is_some() || place.pins.exists() || place.namespace.exists();
        let whole = fits && link.is_some_and(|link| link.up) && place.namespace.exists();
        if let Some(filter) = filter {
            self.filters.insert(name.clone(), filter);
        }
        if trace {
            let policy = known.policy.filter(|_| whole);
            self.observed.realms.insert(name.clone(), Seen { whole, policy, gate: known.gate });
        }
        Ok(())
    }

    fn place(&self, name: &Name) -> Place {
        let addresses = self.realm(name).map(|realm| realm.addresses).or_else(|| self.built_with(name));
        Place {
            namespace: self.config.namespace(name),
            link: host_link(name),
            pins: self.config.pins(name),
            mac: self.config.mac(name),
            addresses: addresses.unwrap_or_default(),
        }
    }
}

/// Before a record that takes back what some realms pass now: the kernel will close those realms by itself
/// after [`BRACE`], unless the data path follows the record until then. So nothing goes on for long that the
/// journal refuses, though the supervisor dies between the two and none comes after it.
pub(super) fn brace(
    filters: &mut BTreeMap<Name, Filter>,
    observed: &mut Observed,
    now: Time,
    coming: &Tenure,
) {
    for (name, latest) in braced(&effects(coming), observed, now.plus(BRACE)) {
        let Some((filter, seen)) = filters.get_mut(&name).zip(observed.realms.get_mut(&name)) else {
            continue;
        };
        let closes = deadline(now, os::clock::boot(), latest);
        // A gate that could not be set is of unknown state, and is set anew once the record is there.
        seen.gate = filter.set_deadline(closes).ok().map(|()| Seal::OpenUntil(latest));
    }
}

/// The realms that an effect works on.
fn realms_of(effect: &Effect) -> Vec<Name> {
    match effect {
        Effect::Cut(name)
        | Effect::Open(name, _)
        | Effect::RealmDown(name)
        | Effect::RealmUp(name)
        | Effect::Policy(name, _) => vec![name.clone()],
        Effect::Kill(_, names) => names.clone(),
        Effect::UnlinkSecrets(..)
        | Effect::EndCourier(_)
        | Effect::Tell(..)
        | Effect::MakeIdentity(..)
        | Effect::StartCourier(..)
        | Effect::TellConsoles(_)
        | Effect::UnlinkVolume(_)
        | Effect::CloseVolume(_)
        | Effect::RemoveVolume(_)
        | Effect::AttachVolume(..)
        | Effect::GiveKey(_)
        | Effect::OpenVolume(..)
        | Effect::Rewrap(..)
        | Effect::Sign(..) => Vec::new(),
    }
}
