//! Filter sets, planned on the console's mirror and applied by order.

use std::net::IpAddr;
use std::num::NonZeroU32;

use id::{Digest, NodeId, TierId, Time};
use node_protocol::call::{Denials, Explained, StoppedBy};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{Order, Problem};

/// A filter set to set on nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundaryChange {
    /// The boundary file.
    pub text: String,
    /// The tier, lease or contract whose given set it is to be; left out: the console's own tier's own set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// On these nodes, by name or key id; all that are meant when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// The plan that was looked at; left out: apply whatever is so now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
    /// For so many seconds only, one's own set alone: unless it is applied again without this, each node goes back
    /// to the set before by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    pub try_seconds: Option<NonZeroU32>,
}

/// What setting a filter set means, node by node, or came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundaryPlan {
    /// To be given back as `if_match`.
    pub plan: String,
    /// Whether any node would have another set than now.
    pub changes: bool,
    /// Each node.
    pub targets: Vec<BoundaryTarget>,
}

/// One node's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundaryTarget {
    /// What this console calls the node.
    pub node_name: String,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The tier whose set it is.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// Whether the set differs from the one in force, or is only tried so far.
    pub changes: bool,
    /// Until when the set in force is only tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tried_until: Option<Time>,
    /// What the set is called on the node.
    #[schema(value_type = Option<String>)]
    pub object: Option<Digest>,
    /// The order, once it was signed.
    pub order: Option<Order>,
    /// Why it is refused, by the mirror or by the node.
    pub problem: Option<Problem>,
}

/// A filter set that this console set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundaryShown {
    /// What this console calls the node.
    pub node_name: String,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The tier.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// The tier's name.
    pub name: String,
    /// `given` by the grantor, or the tier's `own`.
    pub which: String,
    /// What it is called.
    #[schema(value_type = String)]
    pub object: Digest,
    /// The boundary file, where this console has it.
    pub text: Option<String>,
    /// Until when it is only tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tried_until: Option<Time>,
    /// A packet that the tier's sets admit and something above them refuses, since what stands above was tightened or
    /// names mean something else: the lesser holds. Of another tier `true` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub beyond: Option<Value>,
    /// The directory with which names in the tier's sets last came to mean something else, since the node's monitor
    /// started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names_since: Option<u64>,
}

/// Who may reach whom?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MatrixQuestion {
    /// Between these nodes, by name or key id; all of the console's when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// The protocol's number.
    pub protocol: u8,
    /// The port that is called, for protocols that have ports.
    pub port: u16,
}

/// Who may reach whom, by the word of the nodes themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Matrix {
    /// The realms, in the order of the rows and columns.
    pub realms: Vec<MatrixRealm>,
    /// Each pair of different realms.
    pub pairs: Vec<MatrixPair>,
}

/// A realm of this console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MatrixRealm {
    /// What this console calls the node.
    pub node_name: String,
    /// Whose realm.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// Its address.
    #[schema(value_type = String)]
    pub address: IpAddr,
}

/// Whether one realm may begin a flow to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MatrixPair {
    /// The place of the realm that begins.
    pub from: usize,
    /// The place of the realm that is called.
    pub to: usize,
    /// Whether both let it pass; nothing: a node did not say.
    pub pass: Option<bool>,
    /// Where it is stopped first: `from` or `to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<String>,
    /// By which set and rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub stopped_by: Option<StoppedBy>,
}

/// What was dropped at a realm so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundaryDenials {
    /// What this console calls the node.
    pub node_name: String,
    /// Whose realm.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// By reason and by rule, and how many were not read in time.
    #[schema(value_type = Object)]
    pub denials: Denials,
}

/// What would a filter set drop of what passes now?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayQuestion {
    /// The boundary file, as the console's own tiers' own set.
    pub text: String,
    /// On these nodes, by name or key id; all of the console's when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
}

/// What a filter set would drop of what realms had in the last hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Each of the console's own realms.
    pub realms: Vec<ReplayedRealm>,
}

/// One realm's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayedRealm {
    /// What this console calls the node.
    pub node_name: String,
    /// Whose realm.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// For how long the node has recorded what passed, 3600 at most.
    pub seconds: u64,
    /// Kinds of flows that were judged: flows that differ in nothing but the caller's port are one kind.
    pub kinds: u64,
    /// Flows of kinds that the node had no room for: they were not judged.
    pub beyond: u64,
    /// What the set would drop and the set in force admits.
    pub dropped: Vec<ReplayedFlow>,
    /// Kinds that the set would drop, too, and that are too many to be listed.
    #[serde(default)]
    pub left_off: u64,
    /// Why the realm's flows were not judged.
    pub problem: Option<Problem>,
}

/// A kind of flows that would be dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayedFlow {
    /// The first packet of the newest one, as FORMATS writes a packet.
    #[schema(value_type = Object)]
    pub packet: Value,
    /// How many there were.
    pub flows: u64,
    /// How long ago their last packet was seen.
    pub seconds_ago: u64,
    /// The deny that drops it; nothing: no allow admits it.
    pub rule: Option<String>,
}

/// At which realm?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DenialsQuestion {
    /// At which node: its name here, or its key's id.
    pub node: String,
    /// At the realm of which of the console's tiers there; may be left out where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tier: Option<TierId>,
}

/// Why would a packet not pass?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundaryQuestion {
    /// At which node: its name here, or its key's id.
    pub node: String,
    /// At the realm of which of the console's tiers there; may be left out where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tier: Option<TierId>,
    /// The packet, as FORMATS writes one. Its `remote` may be the name of a node that this console knows.
    #[schema(value_type = Object)]
    pub packet: Value,
}

/// What the sets in force say to a packet, by the node itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BoundaryExplained {
    /// What this console calls the node.
    pub node_name: String,
    /// Whose realm.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// The packet, with the address that its remote has.
    #[schema(value_type = Object)]
    pub packet: Value,
    /// Whether it passes, and else whose set and which rule stops it.
    #[schema(value_type = Object)]
    pub explained: Explained,
    /// What was dropped there so far, by reason and by rule.
    #[schema(value_type = Object)]
    pub denials: Denials,
}
