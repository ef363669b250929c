//! Whose rule stops a packet: the node is asked, which alone knows what is in force. It tells a tier whose rule
//! it is, and of other tiers' sets nothing else.

use std::sync::Arc;

use channel::Link;
use console_api::{BoundaryDenials, BoundaryExplained, BoundaryQuestion, DenialsQuestion, Exit};
use node_protocol::call::{Answer, Call, Denials, Explained};
use serde_json::{Value, json};

use crate::api::{No, not_found, usage};
use crate::node::live::Place;
use crate::node::session::{call_failed, not_understood};
use crate::records::KnownNode;
use crate::state::Console;

pub(super) async fn explain(console: &Console, question: BoundaryQuestion) -> Result<BoundaryExplained, No> {
    let node = console.node(&question.node)?;
    let tier = console.acting(&node, question.tier)?.tier;
    let packet = resolved(console, question.packet)?;
    let place = (node.node, tier);
    let explained = asked(console, &node, place, packet.clone()).await?;
    let denials = dropped(console, &node, place).await?;
    Ok(BoundaryExplained { node_name: node.name.to_string(), tier, packet, explained, denials })
}

/// What was dropped at a realm so far.
pub(super) async fn denials(console: &Console, question: &DenialsQuestion) -> Result<BoundaryDenials, No> {
    let node = console.node(&question.node)?;
    let tier = console.acting(&node, question.tier)?.tier;
    let denials = dropped(console, &node, (node.node, tier)).await?;
    Ok(BoundaryDenials { node_name: node.name.to_string(), tier, denials })
}

/// Asks a node about a packet of a realm.
pub(super) async fn asked(
    console: &Console,
    node: &KnownNode,
    place: Place,
    packet: Value,
) -> Result<Explained, No> {
    let call = Call::Explain { tier: place.1, packet };
    match link(console, node, place)?.call(&call, &[]).await.map_err(call_failed)? {
        (Answer::Explained(explained), _) => Ok(*explained),
        (Answer::Refused(refused), _) => Err(No(Box::new(refused.into()))),
        (other, _) => Err(not_understood(&other)),
    }
}

async fn dropped(console: &Console, node: &KnownNode, place: Place) -> Result<Denials, No> {
    let call = Call::Denials { tier: place.1 };
    match link(console, node, place)?.call(&call, &[]).await.map_err(call_failed)? {
        (Answer::Denials(denials), _) => Ok(*denials),
        (Answer::Refused(refused), _) => Err(No(Box::new(refused.into()))),
        (other, _) => Err(not_understood(&other)),
    }
}

pub(super) fn link(console: &Console, node: &KnownNode, place: Place) -> Result<Arc<Link>, No> {
    let gone = || No::new("node-unreachable", Exit::Failed, format!("node {} is not connected", node.name));
    console.live.link(place).ok_or_else(gone)
}

/// The packet with an address in the place of a node's name.
fn resolved(console: &Console, mut packet: Value) -> Result<Value, No> {
    let remote = packet.get_mut("remote").ok_or_else(|| usage("the packet has no `remote`"))?;
    let text = remote.as_str().ok_or_else(|| usage("the packet's `remote` is no text"))?.to_owned();
    if text.parse::<std::net::IpAddr>().is_err() {
        *remote = json!(address_of(console, &text)?);
    }
    Ok(packet)
}

/// A realm's address of a node that is known here: by its own word, or by the directory that this console signs.
fn address_of(console: &Console, name: &str) -> Result<std::net::IpAddr, No> {
    let node = console.node(name)?;
    for tier in console.tiers_on(node.node)? {
        let status = console.live.last_heard((node.node, tier.tier)).and_then(|heard| heard.status);
        let realm = status.iter().flat_map(|status| &status.tiers).find_map(|shown| shown.realm.as_ref());
        if let Some(address) = realm.and_then(|realm| realm.addresses.first()) {
            return Ok(*address);
        }
    }
    let reserved = console.reservations()?.into_iter().find(|one| one.node == node.node);
    reserved.map(|one| one.address.into()).ok_or_else(|| {
        not_found(format!("no realm's address on node {name} is known here")).hint("give the address itself")
    })
}
