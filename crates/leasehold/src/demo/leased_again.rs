//! The node goes to the next tenant. What the one before it signed means nothing any more.

use lab::{Failed, Object, Transport};
use serde_json::json;

use super::boundaries;
use super::show::Evidence;
use super::world::{CLUSTERS, LANDLORD, PATIENCE, TENANT_B, World};
use super::{leased, taken_over};

const CONTRACT: &str = "L-C";

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let cluster = CLUSTERS[1];
    let granted = leased::grant(world, &cluster, CONTRACT, &["n1".to_owned()])?;
    evidence.check("n1 obeys the lease to the next tenant", granted.failed.is_empty());
    let taken = taken_over::take(world, &cluster, &granted.offer, evidence)?;
    taken_over::renewed(world, &cluster, &taken, evidence)?;
    // Its address is another one, and every node knows it by the directory.
    world.realm_up(0, TENANT_B)?;
    world.directory_spread(|_| true)?;
    let object = Object::new(boundaries::CLUSTER_B)?;
    let tier = world.standing(0, TENANT_B)?.tier;
    let args = json!({ "tier": tier, "object": object.name() });
    let order = world.desk(LANDLORD)?.order("n1", "boundary", args, &[&object])?;
    evidence.check("and the boundary of its new cluster", order.is_ok());
    let now = world.standing(0, TENANT_B)?;
    let (old, object) = world.old_order.as_ref().ok_or_else(|| Failed::new("replay", "there is no order"))?;
    let replayed = world.node(0)?.submit(old, &[object])?;
    let code = |said: &lab::Said| said.code().unwrap_or("none").to_owned();
    evidence.check(
        format!("an order of the tenant before is refused ({})", code(&replayed)),
        [3, 4, 6].contains(&replayed.exit),
    );
    let verb = tenure::Verb::Boundary(tenure::Boundary { tier: None, object: object.name() });
    let posing = world.node(0)?.submit(&world.parties()?.tenant_a.order(&now, verb), &[object])?;
    evidence.check(
        format!("and so is a new one by its key in the next tenant's name ({})", code(&posing)),
        [3, 4].contains(&posing.exit),
    );
    evidence.fact("replayed", code(&replayed));
    evidence.fact("posing", code(&posing));
    world.start_engine(0, TENANT_B)?.listen(Transport::Tcp, 80)?;
    let to = world.at(0, TENANT_B, 80)?;
    let open = world.reach(to, PATIENCE)?;
    evidence.check(format!("the next tenant's engine answers at {to}"), open.is_ok());
    let inside = world.engine(3, TENANT_B)?.connect(to, PATIENCE)?;
    evidence.check("and to its own cluster's n4", inside.is_ok());
    // Its node has new secrets by now, and the next tenant's.
    let stolen = world.stolen.take().ok_or_else(|| Failed::new("go on", "no volume was copied"))?;
    stolen.opens_with_no_key(world, evidence)?;
    stolen.remove()
}
