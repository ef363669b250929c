//! Encrypted volumes of a console's own tiers.

use id::{Name, NodeId, TierId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Order, Problem};

/// A volume to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVolume {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// Its size; it is taken out of the space that the lease gives.
    pub size_mib: u32,
    /// On these nodes, by name or key id; all that are meant when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// In the tiers of this contract, lease, tier or name of a cluster; in all of the console's own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// A volume to remove: what is in it is unreadable for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeRemove {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// On these nodes, by name or key id; wherever it is when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// In the tiers of this contract, lease, tier or name of a cluster; in all of the console's own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// The plan that was looked at; without it nothing is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
}

/// What it means, node by node, or came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumePlan {
    /// To be given back as `if_match`.
    pub plan: String,
    /// What cannot be made good.
    pub risks: Vec<String>,
    /// Each place.
    pub targets: Vec<VolumeTarget>,
}

/// One place's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeTarget {
    /// What this console calls the node.
    pub node_name: String,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The tier.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// What it means there.
    pub consequences: Vec<String>,
    /// Whether the node is connected now.
    pub connected: bool,
    /// The order, once it was signed.
    pub order: Option<Order>,
    /// Why it was not done.
    pub problem: Option<Problem>,
}

/// A volume of one of the console's own tiers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// What this console calls the node.
    pub node_name: String,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The tier.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// The tier's name.
    pub tier_name: String,
    /// Its size.
    pub size_mib: u32,
    /// `open`, `opening`, `closed`, or `held` (shut, and somebody still holds it), as the node said last.
    pub state: Option<String>,
    /// What is used of it, while it is open.
    pub used_mib: Option<u64>,
    /// The engines that lie on it.
    #[schema(value_type = Vec<String>)]
    pub engines: Vec<Name>,
}
