//! The boundaries of the demo's parties, as they would stand in their files.

/// What the landlord says of the facility. Its console fills in nodes, keys, clusters and addresses as they come.
pub(crate) const DIRECTORY: &str = r#"version = 1
facility   = ["10.0.0.0/8"]
management = ["10.0.0.0/16"]
"#;

/// The same for a slip of the pen: whoever lists a node's addresses says all of them, here none.
pub(crate) const DIRECTORY_WITHOUT_N6: &str = r#"version = 1
facility   = ["10.0.0.0/8"]
management = ["10.0.0.0/16"]

[node.n6]
addresses = []
"#;

/// What the landlord has in mind before there is a node: boundaries can be compared by it already.
pub(crate) const DRAFT: &str = r#"version = 1
facility = ["10.0.0.0/8"]

[node.n1]
cluster   = "tenant-a"
addresses = ["10.1.0.10"]

[node.n4]
cluster   = "tenant-b"
addresses = ["10.1.0.13"]
"#;

/// What a tenant gets with the lease in the tour: nothing yet.
pub(crate) const NOTHING: &str = "version = 1\n";

/// What the landlord's cluster boundary leaves to tenant-a: web servers for everybody, and all that stays
/// inside its cluster.
pub(crate) const CLUSTER_A: &str = r#"version = 1

[[allow]]
name       = "web"
direction  = "in"
protocol   = "tcp"
remote     = ["internet", "cluster:tenant-a"]
local_port = [80, 443, "8000-8099"]

[[allow]]
name   = "inside"
remote = ["cluster:tenant-a"]

[[deny]]
name   = "neighbours"
remote = ["cluster:tenant-b"]

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
remote     = ["internet", "cluster:tenant-b"]
local_port = [80, 443, "8000-8099"]

[[allow]]
name   = "inside"
remote = ["cluster:tenant-b"]

[[deny]]
name   = "neighbours"
remote = ["cluster:tenant-a"]
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

/// What it then orders: two ports, from outside.
pub(crate) const TENANT: &str = r#"version = 1

[[allow]]
name       = "web"
direction  = "in"
protocol   = "tcp"
remote     = ["203.0.113.0/25"]
local_port = [80, 8000]
"#;
