//! What nodes signed: statements and receipts, as they came, to be verified without this console.

use id::{Digest, NodeId, TierId, Time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the console has about a lease or a tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Documents {
    /// Oldest first.
    pub documents: Vec<Document>,
}

/// A receipt that another party handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeReceipt {
    /// The envelope, as the node signed it.
    pub envelope: String,
}

/// One signed document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The digest of the envelope.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// What it is.
    pub kind: DocumentKind,
    /// Who signed.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// About which tier.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// When, by the node's clock.
    #[schema(value_type = String)]
    pub at: Time,
    /// The envelope, as it came: `leasehold receipt verify` takes it.
    pub envelope: String,
}

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// That a thing was done.
    Receipt,
    /// Who controls a tier.
    Statement,
}
