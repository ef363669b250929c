//! Nodes, as this console knows them, and how they come to be known.

use id::{Digest, Epoch, LeaseId, NodeId, PublicKey, TierId, Time};
use node_protocol::call::Status;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Trust;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// The node: its key's id.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Its public key N.
    #[schema(value_type = String)]
    pub node_key: PublicKey,
    /// What this console calls it.
    pub name: String,
    /// Why this console believes that N is this computer's.
    pub trust: Trust,
    /// Whether its secrets are locked by a share of this console's.
    pub lock: Lock,
    /// Whether it speaks to this console.
    pub state: NodeState,
    /// Since when.
    #[schema(value_type = Option<String>)]
    pub since: Option<Time>,
    /// The tiers that this console holds on it.
    pub tiers: Vec<NodeTier>,
    /// The newest record of its journal that this console has and has verified.
    pub record: Option<u64>,
}

/// Whether a node's secrets are locked by a share that this console gives at each of its starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Lock {
    /// This console has no share for it.
    None,
    /// This console keeps a share for it; the node did not show yet that it is locked by that.
    Given,
    /// It is locked: it opens nothing before this console has given the share.
    Share,
}

/// Whether a node speaks to this console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// It says how it is, each second.
    Up,
    /// It said nothing for some seconds: nothing is known of how it is.
    Unknown,
    /// It has not dialled since this console started.
    Awaited,
}

/// A tier that this console holds on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeTier {
    /// The tier.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// Its name on the node.
    pub name: String,
    /// Its lease; the root's is its enrolment.
    #[schema(value_type = String)]
    pub lease: LeaseId,
    /// Its contract; none for the root.
    pub contract: Option<String>,
    /// Its epoch, by the newest statement.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    /// Its identity U: whoever dials with it is taken for this tier on this node.
    #[schema(value_type = String)]
    pub identity: PublicKey,
    /// How far this console has come in making it its own.
    pub state: TierState,
    /// Whether its courier is connected.
    pub connected: bool,
    /// The last status that came, with the node's own words for it.
    #[schema(value_type = Option<Object>)]
    pub status: Option<Status>,
    /// When it came.
    #[schema(value_type = Option<String>)]
    pub status_at: Option<Time>,
    /// The filter set given to it.
    #[schema(value_type = Option<String>)]
    pub boundary: Option<Digest>,
}

/// How far a console has come in making a tier its own (Fig. 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TierState {
    /// The statement is checked; the renewal waits for the node to dial.
    Taking,
    /// The renewal is ordered; the new statement is awaited.
    Renewing,
    /// Nobody but the node knows its identity's secret, and nobody but the console the path to it.
    Held,
    /// The lease was severed, or its keys went to somebody else.
    Ended,
}

/// The window in which unknown nodes may introduce themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// Until when it is open; none: closed.
    #[schema(value_type = Option<String>)]
    pub open_until: Option<Time>,
    /// Who introduced themselves and was not confirmed yet.
    pub strangers: Vec<Stranger>,
}

/// Opens the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenWindow {
    /// For how long: 1 to 1440 minutes.
    pub minutes: u16,
}

/// A node that nobody confirmed yet. Everything here is what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Stranger {
    /// The node that it says it is: compare this with what stands on the node's own screen.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The tier's identity, which it proved to have.
    #[schema(value_type = String)]
    pub identity: PublicKey,
    /// The tier.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// Its epoch.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    /// From where it dialled.
    pub from: String,
    /// When.
    #[schema(value_type = String)]
    pub at: Time,
    /// Why it cannot be confirmed, whoever says so.
    pub fault: Option<String>,
}

/// A person's word that a stranger is the computer that they stand before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// The fingerprint, read from the node's own screen.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// What to call it.
    pub name: String,
}
