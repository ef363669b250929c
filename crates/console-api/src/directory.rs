//! The directory: what names mean, signed and pushed to every node.

use id::{NodeId, PublicKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Problem;

/// The directory in force here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Counts its versions.
    pub serial: u64,
    /// The key that signs it.
    #[schema(value_type = String)]
    pub signer: PublicKey,
    /// The file.
    pub text: String,
    /// The signed envelope, as nodes get it.
    pub envelope: String,
    /// Which nodes have it.
    pub nodes: Vec<DirectoryPush>,
}

/// A directory to sign and push. Its serial is the console's to count: left out, or above the one in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDirectory {
    /// The file.
    pub text: String,
}

/// What came of publishing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryPublished {
    /// The serial that it has.
    pub serial: u64,
    /// Which nodes have it.
    pub nodes: Vec<DirectoryPush>,
}

/// One node's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryPush {
    /// What this console calls the node.
    pub node_name: String,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The serial that the node has on record.
    pub serial: Option<u64>,
    /// Why it has not the newest.
    pub problem: Option<Problem>,
}
