//! Whose rule stops a packet: the node is asked, which alone knows what is in force. It tells a tier whose rule
//! it is, and of other tiers' sets nothing else.

use console_api::{BoundaryExplained, BoundaryQuestion, Exit};
use node_protocol::call::{Answer, Call};
use serde_json::{Value, json};

use crate::api::{No, not_found, usage};
use crate::node::session::{call_failed, not_understood};
use crate::state::Console;

pub(super) async fn explain(console: &Console, question: BoundaryQuestion) -> Result<BoundaryExplained, No> {
    let node = console.node(&question.node)?;
    let tier = console.acting(&node, question.tier)?.tier;
    let packet = resolved(console, question.packet)?;
    let link = console.live.link((node.node, tier)).ok_or_else(|| {
        No::new("node-unreachable", Exit::Failed, format!("node {} is not connected", node.name))
    })?;
    let call = Call::Explain { tier, packet: packet.clone() };
    let explained = match link.call(&call, &[]).await.map_err(call_failed)? {
        (Answer::Explained(explained), _) => *explained,
        (Answer::Refused(refused), _) => return Err(No(Box::new(refused.into()))),
        (other, _) => return Err(not_understood(&other)),
    };
    let denials = match link.call(&Call::Denials { tier }, &[]).await.map_err(call_failed)? {
        (Answer::Denials(denials), _) => *denials,
        (Answer::Refused(refused), _) => return Err(No(Box::new(refused.into()))),
        (other, _) => return Err(not_understood(&other)),
    };
    Ok(BoundaryExplained { node_name: node.name.to_string(), tier, packet, explained, denials })
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
