//! Seven nodes come up for the first time: each enrols the landlord as its root and makes its own key.

use std::fs;

use console_api::{DhcpClass, DhcpLease, DhcpStanding, Enrolment, OpenWindow, Page};
use lab::{Failed, Node};
use node_protocol::call::Warning;
use serde_json::{Value, json};

use super::show::Evidence;
use super::world::{LANDLORD, NODES, World};

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    // Who dials before the window is open comes again only after a pause.
    let _: Enrolment = world.desk(LANDLORD)?.post("/v1/enrolment", &OpenWindow { minutes: 5 })?;
    let places = 0..usize::from(NODES);
    places.clone().try_for_each(|place| world.node_mut(place)?.start_supervisor(&[], true).map(drop))?;
    let mut facts = Vec::new();
    for place in places {
        let status = world.settled(place)?;
        let node = world.node(place)?;
        let name = node.name();
        let id = status.node.map(|id| id.to_string()).unwrap_or_default();
        evidence.check(format!("{name} made its key: {id}"), status.node.is_some());
        let root = status.tiers.first();
        let root_only = root.is_some_and(|root| root.name.as_str() == LANDLORD) && status.tiers.len() == 1;
        evidence.check(format!("{name} knows one tier, the landlord's"), root_only);
        let shed = shed_rights(node)?;
        evidence.check(
            format!("{name}'s supervisor cannot gain rights and is confined to its system calls"),
            shed,
        );
        let unprotected = status.warnings.iter().any(|warning| warning.code == "stolen-disk-unprotected");
        evidence.check(format!("{name}'s disk alone opens nothing: its key file is elsewhere"), !unprotected);
        facts.push(json!({ "name": name, "node": id, "record": status.record, "confined": shed }));
    }
    leased(world, evidence)?;
    evidence
        .tell("a node's id is the fingerprint of its key; a tenant checks it by another way than this one");
    evidence.fact("nodes", Value::from(facts));
    Ok(())
}

/// Each has an address by now, which nobody told it but the landlord's console.
fn leased(world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let has_none = |warning: &Warning| warning.code == "no-address";
    for place in 0..usize::from(NODES) {
        world.node_becomes(place, "an address come", |status| !status.warnings.iter().any(has_none))?;
    }
    let leases: Page<DhcpLease> = world.desk(LANDLORD)?.get("/v1/dhcp/leases")?;
    let given: Vec<String> = leases.items.iter().map(|lease| lease.address.to_string()).collect();
    let nodes_alone = leases
        .items
        .iter()
        .all(|lease| (lease.class, lease.standing) == (DhcpClass::Node, DhcpStanding::Leased));
    evidence.check(
        format!("the landlord's console leased {} by DHCP", given.join(", ")),
        nodes_alone && given.len() == usize::from(NODES),
    );
    evidence.fact("leased", given);
    Ok(())
}

/// Whether the children of the node's first process, the supervisor, run under seccomp without new
/// privileges (proc_pid_status(5)).
fn shed_rights(node: &Node) -> Result<bool, Failed> {
    let first = node.first_process();
    let read =
        |path: String| fs::read_to_string(path).map_err(|error| Failed::new("look at a process", error));
    let children = read(format!("/proc/{first}/task/{first}/children"))?;
    let mut confined = 0;
    for child in children.split_whitespace() {
        let status = read(format!("/proc/{child}/status"))?;
        let has = |line: &str| status.lines().any(|found| found == line);
        confined += usize::from(has("NoNewPrivs:\t1") && has("Seccomp:\t2"));
    }
    Ok(confined > 0)
}
