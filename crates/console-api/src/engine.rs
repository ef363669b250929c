//! Engines: what runs in the realms of a console's own tiers, and the images that they are made of.

use std::net::IpAddr;

use id::{Digest, Name, NodeId, TierId, Time};
use node_protocol::call::EngineStatus;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Order, Problem};

/// An engine to deploy. The answer may say that images are still on their way: then the same is asked again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineDeploy {
    /// Its name, as the specification says.
    #[schema(value_type = String)]
    pub name: Name,
    /// The specification: TOML.
    pub specification: String,
    /// On these nodes, by name or key id; all that are meant when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// In the tiers of this contract, lease, tier or name of a cluster; in all of the console's own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// What is to be done with an engine that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineAct {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// What.
    pub action: EngineAction,
    /// On these nodes, by name or key id; wherever it is when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// In the tiers of this contract, lease, tier or name of a cluster; in all of the console's own when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

/// What can be done with an engine that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EngineAction {
    /// It is to run.
    Start,
    /// It is not to run.
    Stop,
    /// It is ended and started once.
    Restart,
    /// The same, from its image unpacked anew.
    Reload,
    /// It is wanted no more. What it wrote stays on its volume.
    Remove,
}

/// What came of it, node by node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineDone {
    /// Each place.
    pub targets: Vec<EngineTarget>,
}

/// One place's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineTarget {
    /// What this console calls the node.
    pub node_name: String,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The tier.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// How much of the image is there.
    pub sent: u64,
    /// How much there is of it.
    pub bytes: u64,
    /// Nothing is left to be done: it is on the node's record, now or since before.
    pub done: bool,
    /// The order, if one was needed.
    pub order: Option<Order>,
    /// Why it was not done.
    pub problem: Option<Problem>,
}

/// An engine that is wanted somewhere, and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// Its name among the tier's engines.
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
    /// Whether it is to run.
    pub running: bool,
    /// What its specification is called on the node.
    #[schema(value_type = String)]
    pub specification: Digest,
    /// The specification, where it was asked for and this console has it.
    pub text: Option<String>,
    /// Its image, by the specification.
    #[schema(value_type = Option<String>)]
    pub image: Option<Digest>,
    /// Its volume, by the specification.
    #[schema(value_type = Option<String>)]
    pub volume: Option<Name>,
    /// Where it listens, by the specification.
    pub ports: Vec<u16>,
    /// The addresses of its realm.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
    /// How it is, as the node said last.
    #[schema(value_type = Option<Object>)]
    pub status: Option<EngineStatus>,
    /// When that was.
    #[schema(value_type = Option<String>)]
    pub status_at: Option<Time>,
}

/// The end of an engine's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineOutput {
    /// What this console calls the node.
    pub node_name: String,
    /// The engine.
    #[schema(value_type = String)]
    pub name: Name,
    /// As text; what is none is replaced.
    pub text: String,
}

/// An image that this console keeps, whole or in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Its digest.
    #[schema(value_type = String)]
    pub image: Digest,
    /// How much of it is there.
    pub bytes: u64,
    /// Whether that is all, and is what its name says.
    pub whole: bool,
    /// The engines that are made of it, as `web on n1`.
    pub engines: Vec<String>,
}

/// Which part of an image comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ImagePart {
    /// Where in the image the part begins; 0: the image begins anew.
    pub offset: u64,
    /// Whether it is the last one.
    #[serde(default)]
    pub last: bool,
}
