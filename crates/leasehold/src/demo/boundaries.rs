//! The boundaries of the demo's parties, as they would stand in their files.

/// What a tenant gets with the lease in the tour: nothing yet.
pub(crate) const NOTHING: &str = "version = 1\n";

/// What the landlord's cluster boundary leaves to tenant-a: web servers for everybody, and all that stays
/// inside its cluster.
pub(crate) const CLUSTER_A: &str = r#"version = 1

[[allow]]
name       = "web"
direction  = "in"
protocol   = "tcp"
remote     = ["internet", "10.1.0.0/16"]
local_port = [80, 443, "8000-8099"]

[[allow]]
name   = "inside"
remote = ["10.1.0.0/16"]

[[deny]]
name   = "neighbours"
remote = ["10.2.0.0/16"]

[[deny]]
name   = "testers"
remote = ["203.0.113.128/25"]
"#;

/// The same for tenant-b.
pub(crate) const CLUSTER_B: &str = r#"version = 1

[[allow]]
name       = "web"
direction  = "in"
protocol   = "tcp"
remote     = ["internet", "10.2.0.0/16"]
local_port = [80, 443, "8000-8099"]

[[allow]]
name   = "inside"
remote = ["10.2.0.0/16"]

[[deny]]
name   = "neighbours"
remote = ["10.1.0.0/16"]
"#;

/// What the tenant wants at first: shells from outside, too. More than it may.
pub(crate) const TENANT_WIDE: &str = r#"version = 1

[[allow]]
name       = "web-and-shell"
direction  = "in"
protocol   = "tcp"
remote     = ["internet"]
local_port = [22, 80]
"#;

/// What it then orders: one port, from outside.
pub(crate) const TENANT: &str = r#"version = 1

[[allow]]
name       = "web"
direction  = "in"
protocol   = "tcp"
remote     = ["203.0.113.0/25"]
local_port = [80]
"#;
