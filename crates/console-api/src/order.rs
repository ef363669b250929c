//! Orders that this console signed and sent, and what the nodes said.

use id::{Digest, LeaseId, NodeId, Sequence, TierId, Time};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::Problem;

/// An order to sign and to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// The node: its name here, or its key's id.
    pub node: String,
    /// Which of the console's tiers there gives it; may be left out where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tier: Option<TierId>,
    /// What is to be done: `boundary`, `sever`, … (docs/orders.md).
    pub verb: String,
    /// The verb's arguments.
    #[schema(value_type = Object)]
    pub args: Value,
    /// Contents that the order names by digest: salt and content, base64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<String>,
}

/// An order that was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The digest of its envelope.
    #[schema(value_type = String)]
    pub order: Digest,
    /// For which node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// By which tier.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// Its number under the console's key.
    #[schema(value_type = u64)]
    pub seq: Sequence,
    /// When it was signed.
    #[schema(value_type = String)]
    pub at: Time,
    /// What it asks for.
    pub verb: String,
    /// The verb's arguments.
    #[schema(value_type = Object)]
    pub args: Value,
    /// What became of it.
    pub state: OrderState,
    /// The node's answer, where it accepted.
    pub accepted: Option<Accepted>,
    /// The node's answer, where it refused.
    pub refused: Option<Problem>,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OrderState {
    /// It was signed, and the node has not answered: whether it obeyed is seen in its journal.
    Unanswered,
    /// The node has it on record.
    Accepted,
    /// The node refused.
    Refused,
}

/// Where an order stands in the node's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The record's number.
    pub record: u64,
    /// The record's digest.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// The tier that the order made.
    #[schema(value_type = Option<String>)]
    pub tier: Option<TierId>,
    /// The lease that the order made.
    #[schema(value_type = Option<String>)]
    pub lease: Option<LeaseId>,
}
