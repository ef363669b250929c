//! Fig. 8: a tenant sets a boundary of its own inside its cluster's, through its console; a wider one is
//! refused, with a packet that shows why.

use console_api::{Order, Problem};
use lab::{Failed, Object};
use serde_json::json;

use super::boundaries::{TENANT, TENANT_WIDE};
use super::desk::Desk;
use super::show::Evidence;
use super::world::{CLUSTERS, CONSOLE_A, PATIENCE, SILENCE, TENANT_A, World};

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let tenant = world.desk(CONSOLE_A)?;
    let before = world.settled(0)?;
    let wide = own(&tenant, "n1", TENANT_WIDE)?;
    let problem = wide.err().ok_or_else(|| Failed::new("see a refusal", "the node obeyed"))?;
    evidence.check(format!("n1 refuses the wider boundary: {}", problem.message), problem.exit == 3);
    let details = problem.details.unwrap_or_default();
    let text = details.to_string();
    evidence.check("and names a packet that shows why", text.contains("203.0.113") && text.contains("22"));
    evidence.tell(details.get("witness").unwrap_or(&details).to_string());
    evidence.fact("code", problem.code);
    evidence.fact("details", details);
    evidence.check("the refusal is in the journal", world.settled(0)?.record > before.record);
    let open =
        |port| -> Result<bool, Failed> { Ok(world.reach(world.at(0, TENANT_A, port)?, SILENCE)?.is_ok()) };
    evidence.check("port 22 stays closed, port 8080 open", !open(22)? && open(8080)?);
    for place in 0..2 {
        let name = world.node(place)?.name();
        let narrow = own(&tenant, name, TENANT)?;
        evidence.check(format!("{name} obeys a narrower one: two ports, from outside"), narrow.is_ok());
        world.settled(place)?;
    }
    let web = world.reach(world.at(0, TENANT_A, 80)?, PATIENCE)?.is_ok();
    evidence.check("port 80 answers the outside client", web);
    evidence.check("port 8080 answers nobody any more", !open(8080)?);
    let n1 = world.engine(0, TENANT_A)?;
    let across = n1.connect(world.at(1, TENANT_A, 5432)?, SILENCE)?;
    evidence.check("nor does n1 reach n2's database: the tenant itself gave that up", across.is_err());
    second_keys(world, evidence)
}

/// A tier orders its own boundary through its console.
fn own(tenant: &Desk, node: &str, boundary: &str) -> Result<Result<Order, Problem>, Failed> {
    let object = Object::new(boundary)?;
    tenant.order(node, "boundary", json!({ "object": object.name() }), &[&object])
}

/// Some of the steps to come sign orders by hand.
fn second_keys(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    // n3 keeps the keys that it was leased under alone: another node is to take its place.
    for place in CLUSTERS[0].places().take(2) {
        world.enrol_second_key(place, CONSOLE_A, &world.parties()?.tenant_a)?;
    }
    let parties = world.parties()?;
    let (said, order, object) = world.order_boundary(0, (&parties.tenant_a, TENANT_A), TENANT)?;
    evidence.check("an order signed by hand is obeyed like any other", said.exit == 0);
    world.old_order = Some((order, object));
    world.settled(0).map(drop)
}
