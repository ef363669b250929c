//! `apply`: the one place where a tenure changes. It asks nothing and refuses nothing: what is in the journal
//! was decided. Applied to the same state, the same change gives the same state, on every version.

use id::{Epoch, Sequence, TierId};

use crate::change::Change;
use crate::engine::EngineDemand;
use crate::lease::Terms;
use crate::limits::{NODE_QUOTA, QUOTA_WINDOW_MS};
use crate::order::ControllerKey;
use crate::procedure::{Fate, Part, Procedure, ProcedureId, Purpose};
use crate::right::Grant;
use crate::rule::{Rule, holds};
use crate::tenure::{Clock, DirectoryInForce, Tenure};
use crate::tier::{Data, KeyEntry, Power, Tier, Trial, Used};
use crate::volume::Volume;

/// Makes one change.
pub fn apply(tenure: &mut Tenure, change: &Change) {
    match change {
        Change::Passed { to } => tenure.clock = Clock(*to),
        Change::Lapsed { tier } => {
            // What a term's end means follows from the clock; the change is there to be read.
            if !holds(Rule::LapseOnlySuspends)
                && let Some(tier) = tenure.tiers.get_mut(tier)
            {
                replace_salt(tier, Fate::Erased);
            }
        }
        Change::Enrolled { node, tier, lease, name, keys, consoles, directory } => {
            tenure.node = Some(*node);
            tenure.root = Some(*tier);
            let root = Tier {
                parent: None,
                name: name.clone(),
                lease: *lease,
                contract: None,
                terms: Terms::ALWAYS,
                rights: Grant::ALL,
                quota: NODE_QUOTA,
                consoles: consoles.clone(),
                directory: *directory,
                ..blank(name.clone(), *lease)
            };
            tenure.tiers.insert(*tier, root);
            set_keys(tenure, *tier, keys);
        }
        Change::Accepted { tier, key, seq, nonce, term, .. } => {
            let known = tenure.sequences.entry(*key).or_default();
            *known = (*known).max(*seq);
            use_up(tenure, *tier, *nonce, *term);
        }
        Change::Leased {
            parent,
            tier,
            lease,
            name,
            contract,
            terms,
            rights,
            quota,
            keys,
            given,
            consoles,
            directory,
        } => {
            let new = Tier {
                parent: Some(*parent),
                contract: Some(contract.clone()),
                terms: *terms,
                rights: *rights,
                quota: *quota,
                given: Some(*given),
                consoles: consoles.clone(),
                directory: *directory,
                ..blank(name.clone(), *lease)
            };
            tenure.tiers.insert(*tier, new);
            set_keys(tenure, *tier, keys);
        }
        Change::TermsChanged { tier, contract, terms, rights, quota } => on(tenure, *tier, |tier| {
            tier.contract = Some(contract.clone());
            tier.terms = *terms;
            tier.rights = *rights;
            tier.quota = *quota;
        }),
        Change::OwnBoundarySet { tier, object } => on(tenure, *tier, |tier| {
            tier.own = Some(*object);
            tier.trial = None;
        }),
        Change::BoundaryTried { tier, object, until } => on(tenure, *tier, |tier| {
            // A trial in the midst of another goes back to what was there before both.
            let before = tier.trial.map_or(tier.own, |trial| trial.before);
            tier.own = Some(*object);
            tier.trial = Some(Trial { until: *until, before });
        }),
        Change::TrialOver { tier } => on(tenure, *tier, |tier| {
            if let Some(trial) = tier.trial.take() {
                tier.own = trial.before;
            }
        }),
        Change::GivenBoundarySet { tier, object } => on(tenure, *tier, |tier| tier.given = Some(*object)),
        Change::KeyEnrolled { tier, key } => {
            remember(tenure, *tier, key);
            on(tenure, *tier, |tier| {
                tier.keys.insert(key.key.id(), KeyEntry { key: key.key, rights: key.rights });
            });
        }
        Change::KeyRemoved { tier, key } => {
            on(tenure, *tier, |tier| {
                tier.keys.retain(|id, _| id != key || !holds(Rule::RemovalRemoves));
            });
            if !holds(Rule::SequenceSurvives) {
                tenure.sequences.remove(key);
            }
        }
        Change::ConsolesSet { tier, consoles } => {
            on(tenure, *tier, |tier| tier.consoles.clone_from(consoles));
        }
        Change::DirectorySet { object, serial } => {
            tenure.directory = Some(DirectoryInForce { object: *object, serial: *serial });
        }
        Change::Consented { tier, consent } => on(tenure, *tier, |tier| {
            tier.consents.insert(consent.clone());
        }),
        Change::ConsentUsed { tier, consent } => on(tenure, *tier, |tier| {
            tier.consents.remove(consent);
        }),
        Change::Suspended { tier, by } => on(tenure, *tier, |tier| {
            tier.suspended_by.insert(*by);
        }),
        Change::Resumed { tier, by } => on(tenure, *tier, |tier| {
            tier.suspended_by.remove(by);
        }),
        Change::Switched { tier, action } => on(tenure, *tier, |tier| tier.power.switch(*action)),
        Change::EngineSet { tier, name, action } => {
            on(tenure, *tier, |tier| match EngineDemand::after(tier.engines.get(name), action) {
                Some(demand) => drop(tier.engines.insert(name.clone(), demand)),
                None => drop(tier.engines.remove(name)),
            })
        }
        Change::VolumeMade { tier, name, number, size_mib } => on(tenure, *tier, |tier| {
            tier.volumes_made = *number;
            tier.volumes.insert(name.clone(), Volume { number: *number, size_mib: *size_mib });
        }),
        Change::VolumeRemoved { tier, name } => on(tenure, *tier, |tier| {
            tier.volumes.remove(name);
        }),
        Change::Reassigned { tier, lease, contract, keys, consoles } => {
            on(tenure, *tier, |tier| {
                tier.lease = *lease;
                tier.contract = Some(contract.clone());
                tier.term = 0;
                if holds(Rule::NextPartyOwnConsoles) {
                    tier.consoles.clone_from(consoles);
                }
                tier.consents.clear();
            });
            if !holds(Rule::SequenceSurvivesLease) {
                tenure.sequences.retain(|known, _| keys.iter().all(|key| key.key.id() != *known));
            }
            set_keys(tenure, *tier, keys);
        }
        Change::Begun { procedure } => begin(tenure, procedure),
        Change::IdentityMade(made) => on(tenure, made.tier, |tier| tier.identity = Some(made.identity)),
        Change::StepDone { procedure, step } => {
            if let Some(procedure) = tenure.procedures.get_mut(procedure)
                && let Some(next) = procedure.step_after(*step)
            {
                procedure.next = next;
            }
        }
        Change::Completed { procedure } => complete(tenure, *procedure),
    }
}

/// Makes changes, one after the other.
pub fn apply_all(tenure: &mut Tenure, changes: &[Change]) {
    for change in changes {
        apply(tenure, change);
    }
}

fn on(tenure: &mut Tenure, tier: TierId, act: impl FnOnce(&mut Tier)) {
    if let Some(tier) = tenure.tiers.get_mut(&tier) {
        act(tier);
    }
}

/// A nonce serves once, a leader term leaves the earlier ones behind, and a record counts.
fn use_up(tenure: &mut Tenure, tier: TierId, nonce: Option<id::Nonce>, term: Option<u64>) {
    let now = tenure.clock.0;
    let asked_for_nonces = tenure.aside.nonces.contains_key(&tier);
    if let (Some(nonce), Some(given)) = (nonce, tenure.aside.nonces.get_mut(&tier)) {
        given.retain(|given| *given != nonce || !holds(Rule::NonceOnce));
    }
    on(tenure, tier, |tier| {
        tier.term = tier.term.max(term.unwrap_or_default());
        if now.as_millis() >= tier.used.window.as_millis().saturating_add(QUOTA_WINDOW_MS) {
            tier.used.window = now;
            tier.used.records = 0;
        }
        if holds(Rule::AppliesRecordAlone) || asked_for_nonces {
            tier.used.records = tier.used.records.saturating_add(1);
        }
    });
}

/// A tier that may nothing yet.
fn blank(name: id::Name, lease: id::LeaseId) -> Tier {
    Tier {
        parent: None,
        name,
        lease,
        contract: None,
        terms: Terms::ALWAYS,
        rights: Grant::default(),
        quota: crate::lease::Quota::default(),
        given: None,
        own: None,
        trial: None,
        epoch: Epoch::default(),
        identity: None,
        data: Data::default(),
        keys: std::collections::BTreeMap::new(),
        consoles: Vec::new(),
        directory: None,
        term: 0,
        suspended_by: std::collections::BTreeSet::new(),
        power: Power::ON,
        engines: std::collections::BTreeMap::new(),
        volumes: std::collections::BTreeMap::new(),
        volumes_made: 0,
        consents: std::collections::BTreeSet::new(),
        used: Used::NONE,
        ending: false,
    }
}

fn set_keys(tenure: &mut Tenure, tier: TierId, keys: &[ControllerKey]) {
    for key in keys {
        remember(tenure, tier, key);
    }
    on(tenure, tier, |tier| tier.set_keys(keys));
}

/// The first time that the node hears of a key it counts on the tier's account; then it is never forgotten.
fn remember(tenure: &mut Tenure, tier: TierId, key: &ControllerKey) {
    let id = key.key.id();
    if let std::collections::btree_map::Entry::Vacant(vacant) = tenure.sequences.entry(id) {
        vacant.insert(Sequence::default());
        on(tenure, tier, |tier| tier.used.keys = tier.used.keys.saturating_add(1));
    }
}

/// Every part enters its new epoch, and leaves the procedure that held it.
fn begin(tenure: &mut Tenure, procedure: &Procedure) {
    for other in tenure.procedures.values_mut() {
        other.parts.retain(|part| procedure.part(part.tier).is_none());
    }
    tenure.procedures.retain(|_, other| !other.parts.is_empty());
    for part in &procedure.parts {
        on(tenure, part.tier, |tier| enter(tier, part, procedure.purpose));
    }
    tenure.procedures.insert(procedure.id, procedure.clone());
}

fn enter(tier: &mut Tier, part: &Part, purpose: Purpose) {
    if part.epoch != tier.epoch {
        tier.epoch = part.epoch;
        tier.identity = None;
        tier.consents.clear();
    }
    tier.ending = purpose == Purpose::Severing;
    if tier.ending && holds(Rule::SeveredHasNoConsole) {
        tier.consoles.clear();
    }
    if part.fate.destroys() {
        // Their images and all that they wrote are gone; the next party wants none of the one before.
        tier.engines.clear();
        tier.volumes.clear();
    }
    replace_salt(tier, part.fate);
}

fn replace_salt(tier: &mut Tier, fate: Fate) {
    match fate {
        Fate::New => {}
        Fate::Kept => tier.data.salt += 1,
        Fate::Erased | Fate::Ended => {
            if holds(Rule::ErasureReplacesSalt) {
                tier.data.salt += 1;
            }
            tier.data.life += 1;
        }
    }
}

/// Ended tiers leave the tree. Their keys stay remembered, on the account of whoever granted the lease.
fn complete(tenure: &mut Tenure, id: ProcedureId) {
    let Some(procedure) = tenure.procedures.remove(&id) else { return };
    for part in procedure.parts.iter().rev().filter(|part| part.fate == Fate::Ended) {
        let Some(ended) = tenure.tiers.remove(&part.tier) else { continue };
        tenure.aside.nonces.remove(&part.tier);
        if let Some(parent) = ended.parent {
            on(tenure, parent, |parent| parent.used.keys = parent.used.keys.saturating_add(ended.used.keys));
        }
    }
}
