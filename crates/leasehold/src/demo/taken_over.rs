//! Fig. 6: the tenants take their nodes over. What the landlord knows of their identities works no more.

use console_api::{DocumentKind, Documents, Node, NodeState, Offer, Page, Take, Taken, TierState, Trust};
use id::PublicKey;
use keys::{NodeRecord, Statement};
use lab::Failed;
use serde_json::{Value, json};

use super::show::Evidence;
use super::world::{CLUSTERS, Cluster, LANDLORD, TENANT_A, World};

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let mut taken = Vec::new();
    for cluster in CLUSTERS {
        let offer = world.offer(cluster.tenant)?.clone();
        if cluster.contract == CLUSTERS[0].contract {
            other_nodes_key(world, &cluster, &offer, evidence)?;
        }
        taken.push((cluster, take(world, &cluster, &offer, evidence)?));
    }
    for (cluster, taken) in &taken {
        renewed(world, cluster, taken, evidence)?;
    }
    let facts =
        taken.iter().map(|(_, taken)| json!({ "contract": taken.contract, "taken": taken.leases.len() }));
    let facts: Vec<Value> = facts.collect();
    the_landlord_knows_the_old_ones(world, evidence)?;
    let ended = world.engine(0, TENANT_A)?.heard().is_err();
    evidence.check("what ran on n1 before belonged to the old epoch, and was ended", ended);
    CLUSTERS.iter().try_for_each(|cluster| world.start_engines(cluster))?;
    evidence.fact("contracts", Value::from(facts));
    Ok(())
}

/// A landlord that hands out another node than the one that the tenant looked at.
fn other_nodes_key(
    world: &World<'_>,
    cluster: &Cluster,
    offer: &Offer,
    evidence: &mut Evidence,
) -> Result<(), Failed> {
    let other = lab::Party::new()?.key().public().id().to_string();
    let wrong = Take { offer: offer.clone(), node_keys: vec![other] };
    let taken: Taken = world.desk(cluster.console)?.post("/v1/leases/take", &wrong)?;
    let accepted = taken.leases.iter().any(|lease| lease.accepted);
    evidence.check("an offer for other nodes than the tenant has looked at is not taken", !accepted);
    Ok(())
}

/// Takes an offer: each statement in it is checked before anything of it counts.
pub(crate) fn take(
    world: &World<'_>,
    cluster: &Cluster,
    offer: &Offer,
    evidence: &mut Evidence,
) -> Result<Taken, Failed> {
    // The tenant has seen the nodes' own screens.
    let places = (0..).take(world.facility()?.nodes().len());
    let screens = places.map(|place| world.settled(place)).collect::<Result<Vec<_>, _>>()?;
    let offered = |node| offer.leases.iter().any(|lease| lease.node == node);
    let node_keys = screens.iter().filter_map(|status| status.node).filter(|node| offered(*node));
    let wanted = Take { offer: offer.clone(), node_keys: node_keys.map(|node| node.to_string()).collect() };
    let taken: Taken = world.desk(cluster.console)?.post("/v1/leases/take", &wanted)?;
    let good = taken.leases.iter().filter(|lease| lease.accepted && lease.trust == Trust::Confirmed).count();
    evidence.check(
        format!(
            "{} checks {} statements: its keys alone, and the nodes that it has seen",
            cluster.tenant, good
        ),
        good == offer.leases.len(),
    );
    for check in taken.leases.iter().flat_map(|lease| &lease.checks).filter(|check| !check.holds) {
        evidence.tell(format!("{} does not hold: {}", check.check, check.found));
    }
    Ok(taken)
}

/// Waits until the console has had all that was taken renewed, as it does by itself when a node dials: then
/// nobody else knows the identities.
pub(crate) fn renewed(
    world: &World<'_>,
    cluster: &Cluster,
    taken: &Taken,
    evidence: &mut Evidence,
) -> Result<(), Failed> {
    let is_taken = |node| taken.leases.iter().any(|lease| lease.node == node);
    let held = |nodes: &Page<Node>| {
        let is_held = |node: &&Node| {
            node.state == NodeState::Up
                && is_taken(node.node)
                && node.tiers.iter().any(|tier| tier.state == TierState::Held && tier.connected)
        };
        nodes.items.iter().filter(is_held).count() == taken.leases.len()
    };
    let nodes: Page<Node> = world.desk(cluster.console)?.until("/v1/nodes", held)?;
    let identities: Vec<PublicKey> =
        nodes.items.iter().flat_map(|node| &node.tiers).map(|tier| tier.identity).collect();
    let first: Vec<PublicKey> = taken.leases.iter().filter_map(|lease| lease.identity).collect();
    evidence.check(
        format!("each node made a new identity for {}, and dials its console with it", cluster.tenant),
        first.len() == taken.leases.len() && first.iter().all(|old| !identities.contains(old)),
    );
    Ok(())
}

/// The landlord's statements name identities that no node has any more.
fn the_landlord_knows_the_old_ones(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let landlord = world.desk(LANDLORD)?;
    for cluster in CLUSTERS {
        let documents: Documents = landlord.get(&format!("/v1/documents/{}", cluster.contract))?;
        let statements =
            documents.documents.iter().filter(|document| document.kind == DocumentKind::Statement);
        let known: Vec<PublicKey> = statements
            .filter_map(|document| Statement::verify(document.envelope.as_bytes(), None).ok())
            .filter_map(|statement| statement.identity)
            .collect();
        let nodes: Page<Node> = world.desk(cluster.console)?.get("/v1/nodes")?;
        let now = nodes.items.iter().flat_map(|node| &node.tiers).map(|tier| tier.identity);
        let works = now.filter(|identity| known.contains(identity)).count();
        evidence.check(
            format!(
                "of the {} identities of {} that the landlord knows, {works} work",
                known.len(),
                cluster.tenant
            ),
            works == 0 && known.len() == cluster.places().len(),
        );
    }
    Ok(())
}
