//! Backup nodes.

use id::{Name, NodeId, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A node that is kept to take another's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Spare {
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// What it is called.
    pub node_name: String,
    /// The cluster that it is for; none: any.
    #[schema(value_type = Option<String>)]
    pub cluster: Option<Name>,
    /// Whether it could take a place now.
    pub state: SpareState,
    /// Whose place it takes.
    #[schema(value_type = Option<String>)]
    pub place_of: Option<NodeId>,
    /// What that one is called.
    pub place_of_name: Option<String>,
    /// Since when.
    #[schema(value_type = Option<String>)]
    pub since: Option<Time>,
}

/// Whether a spare could take a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SpareState {
    /// It is connected, and nothing on it is leased.
    Ready,
    /// It is away, or something on it is leased.
    NotReady,
    /// It takes a node's place.
    Used,
}

/// A node that is to be kept as a spare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSpare {
    /// Its name, or its key's id.
    pub node: String,
    /// The cluster that it is for; none: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub cluster: Option<Name>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpareActivated {
    /// In words.
    pub told: String,
    /// The spare.
    pub spare: Spare,
}

/// Nodes that may take a place in a contract without another offer: the tenant confirmed their keys before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Standby {
    /// The contract.
    pub contract: String,
    /// The node's key, learnt from somebody else than the grantor: its id.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// What to call it.
    #[schema(value_type = String)]
    pub name: Name,
}
