//! The console itself, and what another party must know of it.

use id::{PublicKey, Time};
use serde::{Deserialize, Serialize};
use tenure::ControllerKey;
use utoipa::ToSchema;

use crate::Version;

/// What runs here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Console {
    /// The party's name.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// The console's clock.
    #[schema(value_type = String)]
    pub at: Time,
    /// Where nodes reach it.
    pub channel: ConsoleAt,
    /// The key that signs its directories.
    #[schema(value_type = String)]
    pub directory: PublicKey,
    /// How many nodes it knows.
    pub nodes: u64,
    /// How many of them speak to it now.
    pub connected: u64,
}

/// A console that nodes dial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsoleAt {
    /// Its channel key. It gives no right but being dialled.
    #[schema(value_type = String)]
    pub key: PublicKey,
    /// Where it listens: `10.0.0.2:7443`.
    pub addresses: Vec<String>,
}

/// What a party hands to the one that is to lease it nodes (PROTOCOL, "Lease and Fig. 6", step 1). A file:
/// nothing in it is secret, and whoever takes it should make sure whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// 1.
    #[schema(value_type = u64)]
    pub version: Version,
    /// The party's name; also of its tiers, where the grantor does not choose otherwise.
    pub name: String,
    /// All its controller keys, each with the rights that it is to have at the most.
    #[schema(value_type = Vec<Object>)]
    pub controllers: Vec<ControllerKey>,
    /// Its consoles.
    pub consoles: Vec<ConsoleAt>,
    /// The key that signs its directories, for leases that it grants itself.
    #[schema(value_type = String)]
    pub directory: PublicKey,
}
