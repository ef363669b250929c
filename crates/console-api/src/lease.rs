//! Leases: granting them, taking them over, severing them.

use id::{Epoch, LeaseId, NodeId, PublicKey, TierId, Time};
use serde::{Deserialize, Serialize};
use tenure::{Quota, Rights, Terms};
use utoipa::ToSchema;

use crate::{Identity, Offer, Order, Problem, TierState};

/// A lease that this console holds or granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The lease.
    #[schema(value_type = String)]
    pub lease: LeaseId,
    /// Over which node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// What this console calls the node.
    pub node_name: String,
    /// The tier that it makes.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// The tier's name.
    pub name: String,
    /// The contract; none for an enrolment.
    pub contract: Option<String>,
    /// Whose it is, seen from here.
    pub direction: Direction,
    /// From when until when, where this console knows.
    #[schema(value_type = Option<Object>)]
    pub terms: Option<Terms>,
    /// The tier's epoch.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    /// By the node's journal: `in-force`, `busy`, `suspended`, `not-in-term`, `ending`, `ended`; `severing-queued`
    /// while the node was not reached yet.
    pub standing: String,
    /// Of one that is held: how far the taking over has come.
    pub state: Option<TierState>,
    /// Of one that is held: why N is believed.
    pub trust: Option<Trust>,
    /// How many receipts the console has about it.
    pub receipts: u64,
}

/// On which end of a lease this console stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Its own enrolment as root.
    Root,
    /// Granted to it.
    Held,
    /// Granted by it.
    Granted,
    /// Further below: granted by somebody to whom it granted.
    Below,
}

/// Why a console believes that N is the computer that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trust {
    /// A person compared N with the node's own screen.
    Confirmed,
    /// The grantor said so, and nobody else: it could have handed out a node of its own making.
    Grantor,
}

/// Lease nodes to another party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The contract: `L-9`.
    pub contract: String,
    /// To whom: the file that the party gave.
    pub to: Identity,
    /// The tiers' name on the nodes; the party's when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which nodes, by their names here or their keys' ids.
    pub nodes: Vec<String>,
    /// From when until when.
    #[schema(value_type = Object)]
    pub terms: Terms,
    /// What the tiers may do themselves.
    #[schema(value_type = Vec<String>)]
    pub exercise: Rights,
    /// What the tiers may grant on.
    #[schema(value_type = Vec<String>)]
    pub grant: Rights,
    /// What each tier may use.
    #[schema(value_type = Object)]
    pub quota: Quota,
    /// The filter set given to each tier (the cluster boundary): a boundary file.
    pub boundary: String,
}

/// What came of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Granted {
    /// To be handed to the party: the nodes that granted, with their statements.
    pub offer: Offer,
    /// The others.
    pub failed: Vec<NotGranted>,
}

/// A node that granted nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotGranted {
    /// What this console calls the node.
    pub node_name: String,
    /// Why.
    pub problem: Problem,
}

/// Take over what another party leased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// The file that the grantor gave.
    pub offer: Offer,
    /// The nodes' keys, learnt from somebody else than the grantor: key ids or public keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_keys: Vec<String>,
}

/// What came of taking over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// The contract.
    pub contract: String,
    /// Each lease of the offer.
    pub leases: Vec<TakenLease>,
}

/// One lease of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TakenLease {
    /// What the grantor calls the node.
    pub node_name: String,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The tier.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// The lease.
    #[schema(value_type = String)]
    pub lease: LeaseId,
    /// Why N is believed.
    pub trust: Trust,
    /// Whether the statement was taken: then the renewal follows when the node dials.
    pub accepted: bool,
    /// Each thing that was checked.
    pub checks: Vec<Check>,
    /// The tier's identity by the statement; the renewal makes another.
    #[schema(value_type = Option<String>)]
    pub identity: Option<PublicKey>,
}

/// One thing that was checked of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Stable: `signature`, `node-key`, `controllers`, `lease`, `epoch`, `boundary`, `directory`, `identity`.
    pub check: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was found.
    pub found: String,
}

/// End leases, with everything below them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sever {
    /// A contract, a lease's id or a tier's id.
    pub what: String,
    /// On these nodes only; all when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// The plan that was looked at: without it nothing is severed, and the plan is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
}

/// What a severing would mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeasePlan {
    /// To be given back as `if_match`. It changes when anything changes that the plan rests on.
    pub plan: String,
    /// What cannot be made good: `destroy-data`. A command wants each of them accepted by name.
    pub risks: Vec<String>,
    /// For each lease: what it means.
    pub leases: Vec<SeveredLease>,
}

/// One lease that is severed, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeveredLease {
    /// What this console calls the node.
    pub node_name: String,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The tier that ends.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// Its name.
    pub name: String,
    /// Its lease.
    #[schema(value_type = String)]
    pub lease: LeaseId,
    /// Whether the node is connected now: else it hears of it when it comes.
    pub connected: bool,
    /// What of it cannot be made good: `destroy-data`.
    pub risks: Vec<String>,
    /// What it means, by the console's mirror of the node: `tenant-a: ends`.
    pub consequences: Vec<String>,
    /// The order, once it was signed.
    pub order: Option<Order>,
    /// Why the node has not done it yet.
    pub problem: Option<Problem>,
    /// Whether this console does it by itself as soon as the node comes.
    pub queued: bool,
    /// Until then the tier may act where the node is not reached: its lease, or one above it, ends there.
    #[schema(value_type = Option<String>)]
    pub lapses: Option<Time>,
}

/// What came of a severing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Severed {
    /// The plan that it followed.
    pub plan: String,
    /// Each lease.
    pub leases: Vec<SeveredLease>,
}

/// Hand leases to another party: the tiers stay in their places, with what is below them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reassign {
    /// A contract, a lease's id or a tier's id.
    pub what: String,
    /// On these nodes only; all when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// The contract with the next party.
    pub contract: String,
    /// The next party: the file that it gave.
    pub to: Identity,
    /// The tiers whose data is kept, by name or id: each has consented to this party. All other data is erased.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
    /// The plan that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
}

/// Have the node make new keys for tiers below: who had them before is cut off, and the data is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    /// A contract, a lease's id or a tier's id.
    pub what: String,
    /// On these nodes only; all when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// The plan that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
}

/// Let one renewal or re-assignment of a tier above, or a re-assignment of one's own, keep one's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// The tier that is renewed or handed on: its name, its id, or the id or contract of its lease.
    pub what: String,
    /// On these nodes only; all when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// To whom it is handed: the file that the party gave. Left out: it is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Identity>,
}

/// Take leases over though tiers below have not consented: their data is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseBelow {
    /// Under this contract.
    pub contract: String,
}

/// The leases of which that is so now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasesBelow {
    /// Their ids.
    #[schema(value_type = Vec<String>)]
    pub leases: Vec<LeaseId>,
}

/// What came of a consent: an order a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Consented {
    /// The orders that the nodes have on record.
    pub orders: Vec<Order>,
    /// The nodes that have none.
    pub failed: Vec<NotGranted>,
}

/// A tier in a node's tree, by the console's mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TreeTier {
    /// What this console calls the node.
    pub node_name: String,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The tier.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// The tier above it.
    #[schema(value_type = Option<String>)]
    pub parent: Option<TierId>,
    /// Its name.
    pub name: String,
    /// Its contract.
    pub contract: Option<String>,
    /// How far below the root.
    pub depth: u32,
    /// Whether this console holds it.
    pub held: bool,
    /// Whether it may act.
    pub standing: String,
}
