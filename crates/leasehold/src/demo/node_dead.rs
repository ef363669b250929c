//! A node is cut dead, which nobody at its console did: its landlord's console notices, tells people by mail, and has a spare take its place, with the
//! address that it had. Its tenant's console takes the spare over by itself, and nobody was asked.

use std::time::{Instant, SystemTime};

use console_api::{Incident, Node, NodeState, Page, Spare, SpareState, TierState};
use id::Time;
use incident::Kind;
use lab::Failed;
use serde_json::json;

use super::power_cut::reset;
use super::show::Evidence;
use super::world::{CLUSTERS, CONSOLE_A, LANDLORD, OPERATORS, PATIENCE, SPARE, TENANT_A, World};

/// The node that dies, and its place in the plan.
const NAME: &str = "n3";
const PLACE: usize = 2;
/// The node that takes its place.
const SPARE_NAME: &str = "n7";

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    stand_by(world, evidence)?;
    let to = world.web(PLACE)?;
    world.page_served(to)?;
    evidence.check(format!("{NAME} serves the tenant's page at {to}"), true);
    reset(world, NAME, "ForceOff")?;
    let (died, since) = (now(), Instant::now());
    world.engines.retain(|(of, _)| *of != (PLACE, TENANT_A));
    let landlord = world.desk(LANDLORD)?;
    let about = format!("node {NAME}");
    let is_it = |incident: &&Incident| incident.cause == Kind::NodeDead && incident.about == about;
    let incidents: Page<Incident> =
        landlord.until("/v1/incidents", |all: &Page<Incident>| all.items.iter().any(|one| is_it(&one)))?;
    let incident = incidents.items.iter().find(is_it).cloned();
    let incident = incident.ok_or_else(|| Failed::new("read an incident", "it is gone"))?;
    let known = seconds(died, incident.opened);
    evidence.check(
        format!("the power of {NAME} is cut; after {known} s {} says: {}", incident.number, incident.detail),
        known < PATIENCE.as_secs_f64(),
    );
    let mail = world.post()?.received(OPERATORS, &[&incident.number, &about, "node-dead"])?;
    evidence.check(format!("a mail server receives for {OPERATORS}: {}", mail.subject), true);
    let first = mail.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
    evidence.tell(first);
    if let Err(failed) = world.realm_up(SPARE, TENANT_A) {
        let path = format!("/v1/incidents/{}", incident.number.trim_start_matches("INC-"));
        let tried: Incident = landlord.get(&path)?;
        evidence.fact("tried", json!(tried.timeline));
        tried.timeline.iter().for_each(|entry| evidence.tell(json!(entry).to_string()));
        return Err(failed);
    }
    let at = world.web(SPARE)?;
    evidence.check(format!("{SPARE_NAME} takes its place, at the same address {at}"), at == to);
    world.page_served(to)?;
    let spare_s = rounded(since.elapsed().as_secs_f64());
    evidence.check(format!("the same page is served there, {spare_s} s after the death"), true);
    taken_over(world, evidence)?;
    comes_back(world, evidence)?;
    evidence.fact("dead_known_s", known);
    evidence.fact("dead_to_served_s", spare_s);
    evidence.fact("incident", json!(incident));
    evidence.fact("mail", mail.subject);
    Ok(())
}

/// By day: the landlord keeps a spare, and the tenant says that this one may take a place, after a look at its screen.
fn stand_by(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let kept = world.console(LANDLORD)?.run(&["spare", "add", SPARE_NAME])?;
    evidence.check(format!("the landlord keeps {SPARE_NAME} as a spare"), kept.exit == 0);
    let screen = world.settled(SPARE)?.node.map(|node| node.to_string()).unwrap_or_default();
    let arguments = ["lease", "standby", CLUSTERS[0].contract, "--node-key", &screen, "--name", SPARE_NAME];
    let stands = world.console(CONSOLE_A)?.run(&arguments)?;
    evidence.check(
        format!("{TENANT_A} has compared its screen, and lets it take a place in {}", CLUSTERS[0].contract),
        stands.exit == 0,
    );
    let ready = |spares: &Page<Spare>| spares.items.iter().any(|spare| spare.state == SpareState::Ready);
    let _: Page<Spare> = world.desk(LANDLORD)?.until("/v1/spares", ready)?;
    Ok(())
}

/// The tenant's console has checked the spare's statement, and made the keys of its tier anew.
fn taken_over(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let is_held = |node: &Node| {
        node.state == NodeState::Up && node.tiers.iter().any(|tier| tier.state == TierState::Held)
    };
    let _: Node = world.desk(CONSOLE_A)?.until(&format!("/v1/nodes/{SPARE_NAME}"), is_held)?;
    evidence.check("the tenant's console took it over by itself: the landlord knows no key of it", true);
    Ok(())
}

/// What comes back from the dead has lost its place.
fn comes_back(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    reset(world, NAME, "On")?;
    let is_up = |node: &Node| node.state == NodeState::Up;
    let _: Node = world.desk(LANDLORD)?.until(&format!("/v1/nodes/{NAME}"), is_up)?;
    world.realm_up(PLACE, TENANT_A)?;
    let (other, at) = (world.web(PLACE)?, world.web(SPARE)?);
    evidence
        .check(format!("{NAME} has power again: its realm came up at another address, {other}"), other != at);
    world.page_served(at)?;
    evidence.check(format!("and {SPARE_NAME} serves on"), true);
    Ok(())
}

fn now() -> Time {
    Time::ZERO.plus(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

fn seconds(from: Time, to: Time) -> f64 {
    rounded(std::time::Duration::from_millis(to.as_millis().saturating_sub(from.as_millis())).as_secs_f64())
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}
