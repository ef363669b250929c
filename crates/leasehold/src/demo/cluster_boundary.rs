//! Fig. 7: the landlord gives each cluster its boundary. Inside a cluster a connection works, to the other
//! tenant none does, and it can be told which tier and which rule stands against it.

use console_api::{BoundaryChange, BoundaryPlan};
use id::Name;
use lab::Failed;
use node_protocol::call::{Denials, Explained, StoppedBy, Way};
use serde_json::json;

use super::show::Evidence;
use super::world::{CLUSTERS, CONSOLE_A, LANDLORD, PATIENCE, SILENCE, TENANT_A, TENANT_B, World};

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let landlord = world.desk(LANDLORD)?;
    for cluster in CLUSTERS {
        let change = BoundaryChange {
            text: cluster.boundary.to_owned(),
            of: Some(cluster.contract.to_owned()),
            nodes: Vec::new(),
            if_match: None,
            try_seconds: None,
        };
        let done: BoundaryPlan = landlord.post("/v1/boundaries", &change)?;
        let obeyed = done.targets.iter().filter(|target| target.problem.is_none()).count();
        cluster.places().try_for_each(|place| world.settled(place).map(drop))?;
        evidence.check(
            format!("{obeyed} nodes of {} obey the landlord's boundary", cluster.contract),
            obeyed == cluster.places().len(),
        );
    }
    inside_and_outside(world, evidence)?;
    explained(world, evidence)
}

fn inside_and_outside(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let (n1, n4) = (world.engine(0, TENANT_A)?, world.engine(3, TENANT_B)?);
    let inside = world.at(1, TENANT_A, 5432)?;
    let connected = n1.connect(inside, PATIENCE)?;
    evidence.check(format!("n1 reaches {inside}, its own cluster's n2"), connected.is_ok());
    if let Ok(connection) = connected {
        let back = n1.exchange(connection, PATIENCE)?;
        let micros = back.map_or(0, |span| u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
        evidence.fact("round_trip_us", micros);
    }
    let other = world.at(3, TENANT_B, 5432)?;
    evidence.check(
        format!("n1 does not reach {other}, the other tenant's n4"),
        n1.connect(other, SILENCE)?.is_err(),
    );
    let back = n4.connect(world.at(0, TENANT_A, 80)?, SILENCE)?;
    evidence.check("nor does n4 reach n1", back.is_err());
    let heard: u64 = n4.heard()?.iter().map(|heard| heard.count).sum();
    evidence.check("n4 heard nothing of it", heard == 0);
    let web = world.reach(world.at(0, TENANT_A, 80)?, PATIENCE)?;
    evidence.check("the outside client reaches n1's web server", web.is_ok());
    evidence.check("and not its database", world.reach(world.at(0, TENANT_A, 5432)?, SILENCE)?.is_err());
    Ok(())
}

/// What stood against the connection from n1 to n4, as the tenant is told by its console.
fn explained(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let to = world.at(3, TENANT_B, 5432)?.to_string();
    let asked = ["boundary", "explain", "n1", &to, "--direction", "out"];
    let said = world.console(CONSOLE_A)?.run(&asked)?;
    evidence
        .check(format!("`leasehold {}` says that it is stopped (exit 3)", asked.join(" ")), said.exit == 3);
    let told_by = |key: &str| said.answer.get(key).cloned().unwrap_or_default();
    let unread = |error| Failed::new("read what was explained", error);
    let explained: Explained = serde_json::from_value(told_by("explained")).map_err(unread)?;
    let denials: Denials = serde_json::from_value(told_by("denials")).map_err(unread)?;
    let stopped = explained.stopped_by.clone().map(|by| told(&by)).unwrap_or_default();
    let expected = "tenant-a's set that was given to it, by its rule \"neighbours\"";
    evidence.check(format!("by {stopped}"), stopped == expected);
    let out =
        denials.refused.iter().find(|refused| refused.direction == Way::Out && told(&refused.by) == expected);
    let packets = out.map_or(0, |refused| refused.packets);
    evidence.check(format!("and n1 counts the packets that it dropped for that: {packets}"), packets > 0);
    evidence.fact("explained", json!(explained));
    evidence.fact("dropped", packets);
    Ok(())
}

fn told(by: &StoppedBy) -> String {
    let whose = by.name.as_ref().map_or("the node", Name::as_str);
    let set = if by.set == "given" { "set that was given to it" } else { "own set" };
    let rule = by.rule.as_ref().map(|rule| format!("its rule {rule:?}")).unwrap_or("no rule".to_owned());
    format!("{whose}'s {set}, by {rule}")
}
