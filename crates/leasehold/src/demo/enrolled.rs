//! Each node dials the landlord's console; a person compares what it says of itself with what stands on the
//! node's own screen.

use console_api::{Confirm, DhcpLease, Enrolment, Node, NodeState, Page, Stranger};
use id::NodeId;
use lab::Failed;
use serde_json::{Value, json};

use super::desk::Desk;
use super::show::Evidence;
use super::world::{LANDLORD, NODES, World};

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let landlord = world.desk(LANDLORD)?;
    let known: Page<Node> = landlord.get("/v1/nodes")?;
    evidence.check("before, the landlord's console knows no node", known.items.is_empty());
    let mut facts = Vec::new();
    for place in 0..usize::from(NODES) {
        let name = world.node(place)?.name().to_owned();
        let screen =
            world.settled(place)?.node.ok_or_else(|| Failed::new("read a screen", "it shows no key"))?;
        let is_it = |stranger: &&Stranger| stranger.node == screen && stranger.fault.is_none();
        let window: Enrolment = landlord
            .until("/v1/enrolment", |window: &Enrolment| window.strangers.iter().any(|one| is_it(&one)))?;
        let from = window.strangers.iter().find(is_it).map(|stranger| stranger.from.clone());
        if place == 0 {
            let nobody = Confirm { node: nobody()?, name: "n0".to_owned() };
            let refused = landlord.refused("/v1/enrolment/confirm", &nobody)?;
            evidence.check("a fingerprint that no stranger has confirms nobody", refused.is_some());
        }
        let _: Node =
            landlord.post("/v1/enrolment/confirm", &Confirm { node: screen, name: name.clone() })?;
        facts.push(json!({ "name": name, "node": screen.to_string(), "from": from }));
    }
    let up = |nodes: &Page<Node>| {
        let up = nodes.items.iter().filter(|node| node.state == NodeState::Up && node.record.is_some());
        up.count() == usize::from(NODES)
    };
    let nodes: Page<Node> = landlord.until("/v1/nodes", up)?;
    let named = nodes.items.iter().all(|node| node.state == NodeState::Up);
    evidence.check(
        format!("{NODES} nodes dialled, were compared with their screens, and say each second how they are"),
        named,
    );
    evidence.check("each from the address that it leased", from_leased_addresses(&landlord, &facts)?);
    evidence.tell("TLS 1.3, raw keys pinned both ways, X25519MLKEM768; the node dials and is the TLS client");
    evidence.fact("nodes", Value::from(facts));
    let second = &world.parties()?.landlord;
    (0..usize::from(NODES)).try_for_each(|place| world.enrol_second_key(place, LANDLORD, second))?;
    evidence.check("each obeys an order of the landlord's that came over its channel", true);
    Ok(())
}

/// Whether the console gave the addresses that the nodes dialled from.
fn from_leased_addresses(landlord: &Desk, facts: &[Value]) -> Result<bool, Failed> {
    let leases: Page<DhcpLease> = landlord.get("/v1/dhcp/leases")?;
    let is_leased = |fact: &Value| {
        let from = fact.get("from").and_then(Value::as_str).unwrap_or_default();
        leases.items.iter().any(|lease| from.split(':').next() == Some(&lease.address.to_string()))
    };
    Ok(facts.iter().all(is_leased))
}

/// The fingerprint of a key that was made just now.
fn nobody() -> Result<NodeId, Failed> {
    Ok(NodeId(lab::Party::new()?.key().public().id()))
}
