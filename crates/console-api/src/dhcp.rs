//! The console's DHCP server: what it gave, what it keeps for whom, what a person should know of it.

use std::net::Ipv4Addr;

use id::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What kind of client it says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DhcpClass {
    /// A node.
    Node,
    /// A realm on a node.
    Realm,
    /// Any other machine.
    Other,
}

/// How an address stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DhcpStanding {
    /// The client's until then.
    Leased,
    /// Given back.
    Released,
    /// Nobody's until then: a station uses it that was not given it.
    Declined,
}

/// An address that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DhcpLease {
    /// The address.
    #[schema(value_type = String)]
    pub address: Ipv4Addr,
    /// Who has it: a client identifier, in hexadecimal.
    pub client: String,
    /// Its hardware address.
    pub mac: String,
    /// What it says that it is.
    pub class: DhcpClass,
    /// Until when.
    #[schema(value_type = String)]
    pub until: Time,
    /// How it stands.
    pub standing: DhcpStanding,
}

/// What happened that a person should know, with the time when it last did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DhcpReport {
    /// `full`, `reserved-in-use`, `foreign-server`, `in-use`.
    pub code: String,
    /// The same for a person.
    pub message: String,
    /// When.
    #[schema(value_type = String)]
    pub at: Time,
}

/// The server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dhcp {
    /// The link that it serves.
    pub interface: String,
    /// Its address there.
    #[schema(value_type = String)]
    pub server: Ipv4Addr,
    /// How long leases are, in seconds.
    pub lease_s: u32,
    /// What a person should know, oldest first.
    pub reports: Vec<DhcpReport>,
}
