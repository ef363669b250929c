//! A tier's view: what its consoles are shown of the node.
//!
//! It has the tier's own content, and of its children what it granted them itself. It does not depend on the
//! content of any other tier: not on their sets, keys, consents or use, and not on whether there are siblings.

use id::{Digest, Epoch, KeyId, LeaseId, Name, NodeId, PublicKey, TierId, Time};
use serde::Serialize;

use crate::console::Console;
use crate::engine::EngineDemand;
use crate::lease::{Contract, Quota, Terms};
use crate::order::Consent;
use crate::procedure::{Purpose, Step};
use crate::right::Grant;
use crate::rule::{Rule, holds};
use crate::tenure::{DirectoryInForce, Standing, Tenure};
use crate::tier::{Data, KeyEntry, Power, Used};
use crate::volume::Volume;

/// What a tier sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// The node.
    pub node: Option<NodeId>,
    /// The tier.
    pub tier: TierId,
    /// Its name on this node.
    pub name: Name,
    /// Its lease.
    pub lease: LeaseId,
    /// Its contract.
    pub contract: Option<Contract>,
    /// When its lease and those above run.
    pub terms: Terms,
    /// What it may exercise and grant now.
    pub rights: Grant,
    /// What it may use, what it gave to its children included.
    pub quota: Quota,
    /// What it used.
    pub used: Used,
    /// The filter sets that bind it and are its to see: the one given to it, its own.
    pub sets: Vec<Digest>,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its identity.
    pub identity: Option<Digest>,
    /// Its data.
    pub data: Data,
    /// Its controller keys.
    pub keys: Vec<(KeyId, KeyEntry)>,
    /// Its consoles.
    pub consoles: Vec<Console>,
    /// The key that signs the directories by which names in its sets are resolved.
    pub directory: Option<PublicKey>,
    /// The highest leader term seen.
    pub term: u64,
    /// What it consented to.
    pub consents: Vec<Consent>,
    /// Whether it may act.
    pub standing: Standing,
    /// What is being done to its keys, and the next step.
    pub procedure: Option<(Purpose, Step)>,
    /// How its realm is switched.
    pub power: Power,
    /// The engines that it wants.
    pub engines: Vec<(Name, EngineDemand)>,
    /// Its volumes.
    pub volumes: Vec<(Name, Volume)>,
    /// The tiers above it, from the root, with the epochs that a consent must name.
    pub above: Vec<(TierId, Epoch)>,
    /// What it granted.
    pub granted: Vec<Granted>,
    /// The directory in force on the node, the same for all.
    pub directory_in_force: Option<DirectoryInForce>,
    /// The node's clock.
    pub clock: Time,
}

/// What a tier sees of a child: its own grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// The child.
    pub tier: TierId,
    /// Its name.
    pub name: Name,
    /// Its lease.
    pub lease: LeaseId,
    /// Its contract.
    pub contract: Option<Contract>,
    /// Its terms.
    pub terms: Terms,
    /// Its rights.
    pub rights: Grant,
    /// Its quota.
    pub quota: Quota,
    /// The filter set given to it.
    pub given: Option<Digest>,
    /// Its epoch.
    pub epoch: Epoch,
    /// Whether it may act.
    pub standing: Standing,
}

/// What `tier` sees; nothing if there is no such tier.
#[must_use]
pub fn view(tenure: &Tenure, tier: TierId) -> Option<View> {
    let own = tenure.tier(tier)?;
    let sets =
        if holds(Rule::View) { own.given.into_iter().chain(own.own).collect() } else { tenure.sets_of(tier) };
    let mut above = tenure.path(tier);
    above.pop();
    Some(View {
        node: tenure.node(),
        tier,
        name: own.name.clone(),
        lease: own.lease,
        contract: own.contract.clone(),
        terms: tenure.effective_terms(tier),
        rights: tenure.effective_rights(tier),
        quota: tenure.effective_quota(tier),
        used: own.used,
        sets,
        epoch: own.epoch,
        identity: own.identity,
        data: own.data,
        keys: own.keys.iter().map(|(id, entry)| (*id, *entry)).collect(),
        consoles: own.consoles.clone(),
        directory: own.directory,
        term: own.term,
        consents: own.consents.iter().cloned().collect(),
        standing: tenure.standing(tier),
        procedure: tenure.procedures().find(|p| p.part(tier).is_some()).map(|p| (p.purpose, p.next)),
        power: own.power,
        engines: own.engines.iter().map(|(name, engine)| (name.clone(), engine.clone())).collect(),
        volumes: own.volumes.iter().map(|(name, volume)| (name.clone(), *volume)).collect(),
        above: above.iter().filter_map(|id| Some((*id, tenure.tier(*id)?.epoch))).collect(),
        granted: tenure.children(tier).map(|(id, _)| granted(tenure, id)).collect::<Option<_>>()?,
        directory_in_force: tenure.directory(),
        clock: tenure.clock(),
    })
}

fn granted(tenure: &Tenure, id: TierId) -> Option<Granted> {
    let tier = tenure.tier(id)?;
    Some(Granted {
        tier: id,
        name: tier.name.clone(),
        lease: tier.lease,
        contract: tier.contract.clone(),
        terms: tier.terms,
        rights: tier.rights,
        quota: tier.quota,
        given: tier.given,
        epoch: tier.epoch,
        standing: tenure.standing(id),
    })
}
