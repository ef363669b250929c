//! The landlord severs a lease through its console: open connections die, old orders are refused, and the
//! receipt verifies without anybody's help.

use std::time::Duration;

use console_api::{DocumentKind, Documents, LeasePlan, Node, Page, Sever, Severed};
use lab::Failed;
use serde_json::json;

use super::show::Evidence;
use super::web::Stolen;
use super::world::{CLUSTERS, CONSOLE_A, LANDLORD, PATIENCE, SILENCE, TENANT_A, World};

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let (to, other) = (world.at(0, TENANT_A, 80)?, world.at(1, TENANT_A, 80)?);
    let refused = |why| Failed::new("connect", why);
    let open = world.reach(to, PATIENCE)?.map_err(refused)?;
    let elsewhere = world.reach(other, PATIENCE)?.map_err(refused)?;
    let internet = &world.facility()?.internet;
    internet.exchange(open, PATIENCE)?.map_err(refused)?;
    internet.stream(open)?;
    let own = world.standing(0, TENANT_A)?;
    let page = world.web(0)?;
    let stolen = Stolen::take(world)?;
    let landlord = world.desk(LANDLORD)?;
    let contract = CLUSTERS[0].contract;
    let mut wanted = Sever { what: contract.to_owned(), nodes: vec!["n1".to_owned()], if_match: None };
    let plan: LeasePlan = landlord.post("/v1/leases/sever/plan", &wanted)?;
    let consequences: Vec<&str> =
        plan.leases.iter().flat_map(|lease| &lease.consequences).map(String::as_str).collect();
    evidence
        .check(format!("the plan says what it means: {}", consequences.join("; ")), plan.leases.len() == 1);
    wanted.if_match = Some("another plan".to_owned());
    let stale = landlord.refused("/v1/leases/sever", &wanted)?.is_some_and(|problem| problem.exit == 6);
    evidence.check("severing by another plan than the present one is refused", stale);
    wanted.if_match = Some(plan.plan);
    let ordered = os::clock::monotonic();
    let severed: Severed = landlord.post("/v1/leases/sever", &wanted)?;
    let status = world.settled(0)?;
    let obeyed = severed.leases.iter().all(|lease| lease.problem.is_none());
    evidence.check(format!("n1 obeys the landlord's severing of {contract}"), obeyed);
    let streamed = internet.streamed(open)?;
    let cut = Duration::from_nanos(streamed.last_ns).saturating_sub(ordered);
    let ms = (cut.as_secs_f64() * 1e4).round() / 10.0;
    evidence.check(
        format!(
            "the open connection carried {} answers; the last came {ms} ms after the order was asked for",
            streamed.answers
        ),
        streamed.answers > 0,
    );
    evidence.check("it carries nothing any more", internet.exchange(open, SILENCE)?.is_err());
    evidence.check("nothing new connects", world.reach(to, SILENCE)?.is_err());
    let gone = !world.facility()?.path_of(&format!("n1-{TENANT_A}")).exists();
    evidence.check("its realm is gone", gone);
    let ended = world.engine(0, TENANT_A)?.heard().is_err();
    evidence.check("what ran in it was killed", ended && world.page_served_once(page)?.is_none());
    stolen.is_all_that_is_left(world, evidence)?;
    evidence.check("the tier is gone", !status.tiers.iter().any(|tier| tier.tier == own.tier));
    evidence.check("n2, which was not severed, serves on", internet.exchange(elsewhere, PATIENCE)?.is_ok());
    the_console_hears_no_more(world, evidence)?;
    old_order(world, evidence)?;
    receipt(world, &own, evidence)?;
    evidence.fact("sever_ms", ms);
    evidence.fact("answers", streamed.answers);
    world.engines.retain(|(of, _)| *of != (0, TENANT_A));
    world.stolen = Some(stolen);
    Ok(())
}

/// n1's channel to the tenant's console is cut with the lease.
fn the_console_hears_no_more(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let connected = |nodes: &Page<Node>| -> Vec<String> {
        let tiers = |node: &&Node| node.tiers.iter().any(|tier| tier.connected);
        let mut names: Vec<String> = nodes.items.iter().filter(tiers).map(|node| node.name.clone()).collect();
        names.sort();
        names
    };
    let nodes: Page<Node> =
        world.desk(CONSOLE_A)?.until("/v1/nodes", |nodes| !connected(nodes).contains(&"n1".to_owned()))?;
    let left = connected(&nodes);
    evidence.check(
        format!("the tenant's console hears of {} and of n1 no more", left.join(", ")),
        left == ["n2", "n3", "n7"],
    );
    Ok(())
}

fn old_order(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let (old, object) = world.old_order.as_ref().ok_or_else(|| Failed::new("replay", "there is no order"))?;
    let replayed = world.node(0)?.submit(old, &[object])?;
    let code = replayed.code().unwrap_or("none").to_owned();
    evidence
        .check(format!("an order of the tenant's is refused ({code})"), [3, 4, 6].contains(&replayed.exit));
    evidence.fact("replayed", code);
    Ok(())
}

/// The node signed that the tenant's secrets are gone; anybody can check that, without network or console.
fn receipt(world: &World<'_>, severed: &lab::Standing, evidence: &mut Evidence) -> Result<(), Failed> {
    let path = format!("/v1/documents/{}", severed.lease);
    let is_receipt = |documents: &Documents| {
        documents.documents.last().is_some_and(|document| document.kind == DocumentKind::Receipt)
    };
    let documents: Documents = world.desk(LANDLORD)?.until(&path, is_receipt)?;
    let envelope = documents.documents.last().map(|document| document.envelope.as_str()).unwrap_or_default();
    let landlord = world.console(LANDLORD)?;
    let file = landlord.write("receipt.json", envelope)?.display().to_string();
    let said = landlord.run(&["receipt", "verify", &file])?;
    let field = |name: &str| said.answer.get(name).cloned().unwrap_or_default();
    evidence.check("`leasehold receipt verify` says that the node signed it", said.exit == 0);
    let tier = said.answer.pointer("/receipt/tier").cloned().unwrap_or_default();
    let own = field("node") == json!(severed.node) && tier == json!(severed.tier);
    evidence.check("it is about this node and this tier", own);
    let destroyed =
        said.answer.pointer("/receipt/destroyed").and_then(|all| all.as_array()).map_or(0, Vec::len);
    evidence.check(
        format!("and names {destroyed} secrets that are destroyed, the salt of the volume's key among them"),
        destroyed >= 2,
    );
    evidence.tell(format!("grade {}: what the word rests on", field("grade")));
    evidence.fact("receipt", said.answer);
    Ok(())
}
