//! The state: a node's whole tree of tiers, and what follows along its paths.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};

use id::{Digest, KeyId, Name, NodeId, Nonce, PublicKey, Sequence, TierId, Time};
use packet_set::PacketSet;
use serde::{Deserialize, Serialize};

use crate::lease::{Quota, Terms};
use crate::limits::NONCES_PER_TIER_MAX;
use crate::procedure::{Procedure, ProcedureId};
use crate::right::Grant;
use crate::rule::{Rule, holds};
use crate::tier::Tier;

/// A node's tree of tiers with their keys, boundaries, leases and epochs.
///
/// Its JSON form is the journal's snapshot. Nonces and the content of objects stand beside it (`Aside`):
/// they are no part of equality, hash or snapshot, and the shell gives them again after a start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenure {
    /// The node, once it is enrolled.
    pub(crate) node: Option<NodeId>,
    /// The root, once the node is enrolled.
    pub(crate) root: Option<TierId>,
    /// The latest time that an input carried. Never goes back.
    pub(crate) clock: Clock,
    /// All tiers, those that are being ended included.
    pub(crate) tiers: BTreeMap<TierId, Tier>,
    /// The last sequence of each controller key that the node ever knew. Nothing is ever taken out.
    pub(crate) sequences: BTreeMap<KeyId, Sequence>,
    /// The procedures under way.
    pub(crate) procedures: BTreeMap<ProcedureId, Procedure>,
    /// What names in sets mean; nothing before the first directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) directory: Option<DirectoryInForce>,
    #[serde(skip)]
    pub(crate) aside: Aside,
}

/// The directory in force on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryInForce {
    /// The signed directory.
    pub object: Digest,
    /// Its version, which never goes back.
    pub serial: u64,
}

/// The clock of a tenure; at first the beginning of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Clock(pub Time);

impl Default for Clock {
    fn default() -> Self {
        Self(Time::ZERO)
    }
}

/// What stands beside the recorded state: it takes part in decisions, but is lost with the process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Aside {
    /// What the objects mean; one that is missing means: nothing is admitted.
    pub(crate) sets: BTreeMap<Digest, PacketSet>,
    /// The signed directories that are held: under which key each was verified, and its version.
    pub(crate) directories: BTreeMap<Digest, (PublicKey, u64)>,
    /// The engines' specifications that are held, each with the engine that it names.
    pub(crate) specifications: BTreeMap<Digest, Name>,
    /// What every realm is denied, whatever the root's set says; nothing: no such deny.
    pub(crate) builtin: Option<PacketSet>,
    /// Per tier, those given and not used.
    pub(crate) nonces: BTreeMap<TierId, VecDeque<Nonce>>,
}

impl PartialEq for Aside {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Aside {}

impl Hash for Aside {
    fn hash<H: Hasher>(&self, _state: &mut H) {}
}

/// Whether a tier may act and its realm be open, as follows from its whole path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It may.
    InForce,
    /// Its keys are being made or replaced.
    Busy,
    /// An upper tier suspended it or one above it.
    Suspended,
    /// The terms of its path have not begun or have ended.
    NotInTerm,
    /// It is being ended.
    Ending,
}

impl Tenure {
    /// A node before its enrolment.
    #[must_use]
    pub fn unenrolled() -> Self {
        Self::default()
    }

    /// The node, once it is enrolled.
    #[must_use]
    pub const fn node(&self) -> Option<NodeId> {
        self.node
    }

    /// The root's tier, once the node is enrolled.
    #[must_use]
    pub const fn root(&self) -> Option<TierId> {
        self.root
    }

    /// The latest time that an input carried.
    #[must_use]
    pub const fn clock(&self) -> Time {
        self.clock.0
    }

    /// One tier.
    #[must_use]
    pub fn tier(&self, tier: TierId) -> Option<&Tier> {
        self.tiers.get(&tier)
    }

    /// The tier of that name.
    #[must_use]
    pub fn tier_named(&self, name: &str) -> Option<TierId> {
        self.tiers.iter().find(|(_, tier)| tier.name.as_str() == name).map(|(id, _)| *id)
    }

    /// The public key with which to verify an order that claims to be of that tier and key.
    #[must_use]
    pub fn public_key(&self, tier: TierId, key: KeyId) -> Option<PublicKey> {
        Some(self.tiers.get(&tier)?.keys.get(&key)?.key)
    }

    /// All tiers, in the order of their ids.
    pub fn tiers(&self) -> impl Iterator<Item = (TierId, &Tier)> {
        self.tiers.iter().map(|(id, tier)| (*id, tier))
    }

    /// The procedures under way.
    pub fn procedures(&self) -> impl Iterator<Item = &Procedure> {
        self.procedures.values()
    }

    /// The last sequence accepted under a key.
    #[must_use]
    pub fn last_sequence(&self, key: KeyId) -> Option<Sequence> {
        self.sequences.get(&key).copied()
    }

    /// Gives `tier` a nonce for one order. `nonce` is random; it is forgotten when the process ends, when it is
    /// used, and when [`NONCES_PER_TIER_MAX`] newer ones were given to the same tier.
    pub fn offer_nonce(&mut self, tier: TierId, nonce: Nonce) {
        if !self.tiers.contains_key(&tier) {
            return;
        }
        let nonces = self.aside.nonces.entry(tier).or_default();
        nonces.push_back(nonce);
        if nonces.len() > NONCES_PER_TIER_MAX {
            nonces.pop_front();
        }
    }

    /// Tells what a boundary object means, with its names resolved. An object that is not held admits nothing
    /// and cannot be named in an order. A new directory is told by holding the objects again.
    pub fn hold(&mut self, object: Digest, set: PacketSet) {
        self.aside.sets.insert(object, set);
    }

    /// Tells of an object that it is a directory of that version, with a signature that holds under `signer`.
    pub fn hold_directory(&mut self, object: Digest, signer: PublicKey, serial: u64) {
        self.aside.directories.insert(object, (signer, serial));
    }

    /// Tells of an object that it is the specification of the engine of that name.
    pub fn hold_specification(&mut self, object: Digest, engine: Name) {
        self.aside.specifications.insert(object, engine);
    }

    /// What names in sets mean; nothing before the first directory.
    #[must_use]
    pub const fn directory(&self) -> Option<DirectoryInForce> {
        self.directory
    }

    /// The key that signs the directories which this node takes, once it is enrolled and if it takes any.
    #[must_use]
    pub fn directory_signer(&self) -> Option<PublicKey> {
        self.tiers.get(&self.root?)?.directory
    }

    /// Every object that something in force names.
    #[must_use]
    pub fn named_objects(&self) -> BTreeSet<Digest> {
        let sets = self.tiers.values().flat_map(|tier| {
            // The set that may come back is kept as well.
            let before = tier.trial.and_then(|trial| trial.before);
            tier.given.into_iter().chain(tier.own).chain(before)
        });
        let engines = self.tiers.values().flat_map(|tier| tier.engines.values());
        let specifications = engines.map(|engine| engine.specification);
        sets.chain(specifications).chain(self.directory.map(|directory| directory.object)).collect()
    }

    /// What the object means, if it is held.
    #[must_use]
    pub fn held(&self, object: Digest) -> Option<&PacketSet> {
        self.aside.sets.get(&object)
    }

    /// Forgets every object that nothing in force names.
    pub fn release_unnamed(&mut self) {
        self.release_all_but(&self.named_objects());
    }

    /// Forgets every object but these.
    pub fn release_all_but(&mut self, named: &BTreeSet<Digest>) {
        self.aside.sets.retain(|object, _| named.contains(object));
        self.aside.specifications.retain(|object, _| named.contains(object));
        self.aside.directories.retain(|object, _| named.contains(object));
    }

    /// Sets what stands above the root's set: everything but the management addresses, consoles and BMCs.
    pub fn set_builtin(&mut self, set: PacketSet) {
        self.aside.builtin = Some(set);
    }

    /// The filter sets that bind a tier, from the top: along its path, what is given to each tier, then its own.
    #[must_use]
    pub fn sets_of(&self, tier: TierId) -> Vec<Digest> {
        self.sets_with_depth(tier).into_iter().map(|(_, set)| set).collect()
    }

    /// [`Tenure::sets_of`], each with its tier's depth; the root's is 0.
    pub(crate) fn sets_with_depth(&self, tier: TierId) -> Vec<(usize, Digest)> {
        let path = self.path(tier);
        let tiers = path.iter().filter_map(|id| self.tiers.get(id)).enumerate();
        let sets = tiers
            .flat_map(|(depth, tier)| tier.given.into_iter().chain(tier.own).map(move |set| (depth, set)));
        sets.collect()
    }

    /// What a tier may use itself: its quota less what it gave to its children. (What it used is not taken off.)
    #[must_use]
    pub fn own_share(&self, tier: TierId) -> Quota {
        let whole = self.effective_quota(tier);
        self.children(tier).fold(whole, |left, (_, child)| left.less(&child.quota))
    }

    /// A packet that a tier's sets admit and something above them refuses, as `exceeds-boundary` has it: what
    /// stands above was tightened, or names mean something else, since they were accepted. The lesser holds.
    #[must_use]
    pub fn beyond(&self, tier: TierId) -> Option<serde_json::Value> {
        crate::decide::boundary::beyond(self, tier)
    }

    /// The tiers from the root to `tier`, both included; empty for an unknown one. It ends also where tiers that
    /// nobody decided on, in the journal of a node that lies, stand above each other in a ring.
    #[must_use]
    pub fn path(&self, tier: TierId) -> Vec<TierId> {
        let mut path = Vec::new();
        let mut next = self.tiers.contains_key(&tier).then_some(tier);
        while let Some(here) = next.filter(|_| path.len() < self.tiers.len()) {
            path.push(here);
            next = self.tiers.get(&here).and_then(|tier| tier.parent);
        }
        path.reverse();
        path
    }

    /// Whether `lower` stands strictly below `upper`.
    #[must_use]
    pub fn is_below(&self, lower: TierId, upper: TierId) -> bool {
        lower != upper && self.path(lower).contains(&upper)
    }

    /// The direct children of a tier, those being ended included.
    pub fn children(&self, tier: TierId) -> impl Iterator<Item = (TierId, &Tier)> {
        self.tiers().filter(move |(_, child)| child.parent == Some(tier))
    }

    /// `tier` and everything below it, parents before children, each once.
    #[must_use]
    pub fn subtree(&self, tier: TierId) -> Vec<TierId> {
        let mut found = vec![tier];
        let mut at = 0;
        while let Some(here) = found.get(at).copied() {
            // Every other tier has one parent; this one may have one below it, if a node lies.
            found.extend(self.children(here).map(|(child, _)| child).filter(|child| *child != tier));
            at += 1;
        }
        found
    }

    /// What a tier may exercise and grant now: what its lease says, and every lease above it still lets be granted.
    #[must_use]
    pub fn effective_rights(&self, tier: TierId) -> Grant {
        let own = self.tiers.get(&tier).map(|tier| tier.rights).unwrap_or_default();
        if !holds(Rule::RightsAlongPath) {
            return own;
        }
        self.path(tier).iter().filter_map(|id| self.tiers.get(id)).fold(Grant::ALL, |upper, tier| Grant {
            exercise: tier.rights.exercise.and(upper.grant),
            grant: tier.rights.grant.and(upper.grant),
        })
    }

    /// When a tier's lease and all those above it run.
    #[must_use]
    pub fn effective_terms(&self, tier: TierId) -> Terms {
        if !holds(Rule::TermsAlongPath) {
            return self.tiers.get(&tier).map_or(Terms::ALWAYS, |tier| tier.terms);
        }
        self.path(tier)
            .iter()
            .filter_map(|id| self.tiers.get(id))
            .fold(Terms::ALWAYS, |terms, tier| terms.and(&tier.terms))
    }

    /// The least of a tier's quota and of those above it.
    #[must_use]
    pub fn effective_quota(&self, tier: TierId) -> Quota {
        self.path(tier)
            .iter()
            .filter_map(|id| self.tiers.get(id))
            .map(Tier::whole_quota)
            .reduce(|a, b| a.least(&b))
            .unwrap_or_default()
    }

    /// Whether a tier may act and its realm be open. What is wrong higher up and weighs more is named first.
    #[must_use]
    pub fn standing(&self, tier: TierId) -> Standing {
        self.standing_at(tier, self.clock())
    }

    pub(crate) fn standing_at(&self, tier: TierId, now: Time) -> Standing {
        let path = self.path(tier);
        let on_path = || path.iter().filter_map(|id| self.tiers.get(id));
        if path.is_empty() || on_path().any(|tier| tier.ending) {
            Standing::Ending
        } else if self.procedures.values().any(|procedure| procedure.part(tier).is_some()) {
            Standing::Busy
        } else if on_path().any(|tier| !tier.suspended_by.is_empty()) {
            Standing::Suspended
        } else if !self.effective_terms(tier).contains(now) {
            Standing::NotInTerm
        } else {
            Standing::InForce
        }
    }
}
