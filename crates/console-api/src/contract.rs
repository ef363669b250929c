//! A contract groups leases over several nodes, and an offer is the file by which they change hands.

use id::{LeaseId, NodeId, PublicKey, TierId};
use serde::{Deserialize, Serialize};
use tenure::Terms;
use utoipa::ToSchema;

use crate::Lease;

/// Leases that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Its id: `L-9`.
    pub contract: String,
    /// Its leases, held or granted by this console.
    pub leases: Vec<Lease>,
}

/// What the grantor hands to the party that it leased nodes to (PROTOCOL, "Lease and Fig. 6", step 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// 1.
    #[schema(value_type = u64)]
    pub version: Version,
    /// The contract.
    pub contract: String,
    /// The grantor's name.
    pub from: String,
    /// One for each node.
    pub leases: Vec<OfferedLease>,
}

/// One node of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferedLease {
    /// What the grantor calls the node.
    pub name: String,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The new tier.
    #[schema(value_type = String)]
    pub tier: TierId,
    /// Its lease.
    #[schema(value_type = String)]
    pub lease: LeaseId,
    /// From when until when.
    #[schema(value_type = Object)]
    pub terms: Terms,
    /// The object of the filter set given to the tier: salt and text, base64.
    pub boundary: String,
    /// The key that signs directories for this lease, where the node knows one.
    #[schema(value_type = Option<String>)]
    pub directory: Option<PublicKey>,
    /// The node's signed statement about the tier: an envelope.
    pub statement: String,
}

/// The version of a file: 1, the only one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Version;

impl From<Version> for u64 {
    fn from(Version: Version) -> Self {
        1
    }
}

impl TryFrom<u64> for Version {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        if number == 1 { Ok(Self) } else { Err("version 1 is wanted") }
    }
}
