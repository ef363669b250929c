//! The landlord leases two clusters: n1 to n3 to tenant-a, n4 to n6 to tenant-b, through its console. Their
//! realms come up closed.

use console_api::{Grant, Granted, Identity};
use lab::Failed;
use serde_json::json;
use tenure::{Quota, Rights, Terms};

use super::boundaries;
use super::show::Evidence;
use super::world::{CLUSTERS, Cluster, LANDLORD, SILENCE, TENANT_A, TENANT_B, World};

/// What each tenant may use of a node.
const QUOTA: Quota = Quota { tiers: 4, keys: 16, objects: 64, records_per_hour: 1000, space_mib: 256 };

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let mut facts = Vec::new();
    for cluster in CLUSTERS {
        let granted = grant(world, &cluster, cluster.contract, &cluster.node_names())?;
        let offered = granted.offer.leases.len();
        evidence.check(
            format!("{}: {offered} nodes obey the landlord's lease to {}", cluster.contract, cluster.tenant),
            granted.failed.is_empty() && offered == cluster.places().len(),
        );
        for failed in &granted.failed {
            evidence.tell(format!("{}: {}", failed.node_name, failed.problem.message));
        }
        facts.push(json!({ "contract": cluster.contract, "tenant": cluster.tenant, "nodes": offered }));
        world.offers.push((cluster.tenant, granted.offer));
    }
    CLUSTERS.iter().try_for_each(|cluster| world.start_engines(cluster))?;
    // By now every realm stands in the directory; from here on, nodes speak of each other by it.
    world.directory_spread(|_| true)?;
    nothing_passes(world, evidence)?;
    evidence.fact("contracts", serde_json::Value::from(facts));
    Ok(())
}

/// The landlord leases nodes under a contract to a cluster's tenant, with an empty boundary.
pub(crate) fn grant(
    world: &World<'_>,
    cluster: &Cluster,
    contract: &str,
    nodes: &[String],
) -> Result<Granted, Failed> {
    // The tenant's file: its controller keys, its console, its directory key.
    let to: Identity = world.desk(cluster.console)?.get("/v1/console/identity")?;
    let wanted = Grant {
        contract: contract.to_owned(),
        to,
        name: Some(cluster.tenant.to_owned()),
        nodes: nodes.to_vec(),
        terms: Terms::ALWAYS,
        exercise: Rights::ALL,
        grant: Rights::ALL,
        quota: QUOTA,
        boundary: boundaries::NOTHING.to_owned(),
    };
    world.desk(LANDLORD)?.post("/v1/leases", &wanted)
}

/// Engines listen in all realms by now.
fn nothing_passes(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let from_outside = world.reach(world.at(0, TENANT_A, 80)?, SILENCE)?;
    evidence.check("the outside client reaches nothing in a realm", from_outside.is_err());
    let across = world.engine(1, TENANT_A)?.connect(world.at(0, TENANT_A, 80)?, SILENCE)?;
    evidence.check("neither does the tenant's other realm", across.is_err());
    let datagram = world.engine(3, TENANT_B)?.datagram(world.at(0, TENANT_A, 53)?, SILENCE)?;
    evidence.check("nor a datagram of the other tenant's", datagram.is_err());
    let heard: u64 = world.engine(0, TENANT_A)?.heard()?.iter().map(|heard| heard.count).sum();
    evidence.check("the engine in n1's realm heard nothing at all", heard == 0);
    evidence.fact("heard", heard);
    Ok(())
}
