//! Who may reach whom. Both nodes of a pair are asked what their sets in force say to the first packet: the one whose
//! realm sends it, and the one whose realm is called. Nobody knows better, and each tells of the sets above what is
//! its tier's to see.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use console_api::{Exit, Matrix, MatrixPair, MatrixQuestion, MatrixRealm, TierState};
use id::NodeId;
use node_protocol::call::Explained;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::explain::asked;
use crate::api::No;
use crate::node::live::Place;
use crate::records::KnownNode;
use crate::state::Console;

/// More realms make more questions than anybody looks at.
const REALMS_MAX: usize = 64;
/// A node that lives answers within milliseconds. One that takes longer is asked nothing more.
const PATIENCE: Duration = Duration::from_secs(3);
/// Any high port: what a client has.
const CLIENT_PORT: u16 = 40_000;

/// A realm that has an address.
#[derive(Debug, Clone)]
struct Realm {
    node: KnownNode,
    place: Place,
    address: IpAddr,
}

pub(super) async fn matrix(console: &Arc<Console>, question: &MatrixQuestion) -> Result<Matrix, No> {
    let realms = Arc::new(realms(console, question)?);
    let mut asking = JoinSet::new();
    for own in 0..realms.len() {
        let (console, question, realms) = (Arc::clone(console), question.clone(), Arc::clone(&realms));
        // Each in a task of its own, and asked no more once it was silent: it holds up nobody but once.
        asking.spawn(async move { (own, said(&console, &question, &realms, own).await) });
    }
    let mut all: BTreeMap<usize, Vec<Said>> = BTreeMap::new();
    while let Some(said) = asking.join_next().await {
        let (own, said) =
            said.map_err(|ended| No::new("failed", Exit::Failed, format!("a task ended: {ended}")))?;
        all.insert(own, said);
    }
    let said = |own: usize, of: usize| all.get(&own).and_then(|said| said.get(of));
    let mut pairs = Vec::new();
    for from in 0..realms.len() {
        for to in (0..realms.len()).filter(|to| *to != from) {
            let sent = said(from, to).and_then(|said| said.sends.as_ref());
            let received = said(to, from).and_then(|said| said.receives.as_ref());
            pairs.push(pair((from, sent), (to, received)));
        }
    }
    let shown = |realm: &Realm| MatrixRealm {
        node_name: realm.node.name.to_string(),
        tier: realm.place.1,
        address: realm.address,
    };
    Ok(Matrix { realms: realms.iter().map(shown).collect(), pairs })
}

/// The console's own realms that the nodes say have addresses.
fn realms(console: &Console, question: &MatrixQuestion) -> Result<Vec<Realm>, No> {
    let wanted: Vec<NodeId> = question
        .nodes
        .iter()
        .map(|node| console.node(node).map(|node| node.node))
        .collect::<Result<_, _>>()?;
    let mut realms = Vec::new();
    for node in console.nodes()? {
        if !wanted.is_empty() && !wanted.contains(&node.node) {
            continue;
        }
        for held in console.tiers_on(node.node)?.into_iter().filter(|held| held.state != TierState::Ended) {
            let place = (node.node, held.tier);
            let status = console.live.last_heard(place).and_then(|heard| heard.status);
            let said = status.iter().flat_map(|status| &status.tiers).find(|said| said.tier == held.tier);
            let address = said.and_then(|said| said.realm.as_ref()?.addresses.first().copied());
            realms.extend(address.map(|address| Realm { node: node.clone(), place, address }));
        }
    }
    if realms.len() > REALMS_MAX {
        let told = format!("{} realms are more than {REALMS_MAX}", realms.len());
        return Err(No::new("usage", Exit::Usage, told).hint("name the nodes that are meant"));
    }
    Ok(realms)
}

/// What a node says to the packets between one of its realms and another: to those that the realm sends, and to those
/// that come to it.
#[derive(Debug, Default)]
struct Said {
    sends: Option<Explained>,
    receives: Option<Explained>,
}

/// What a realm's node says of each other realm, in their order.
async fn said(console: &Console, question: &MatrixQuestion, realms: &[Realm], own: usize) -> Vec<Said> {
    let mut all = Vec::new();
    let (Some(realm), mut is_silent) = (realms.get(own), false) else { return all };
    for (place, other) in realms.iter().enumerate() {
        let mut said = Said::default();
        let directions = [("out", &mut said.sends), ("in", &mut said.receives)];
        for (direction, answer) in directions.into_iter().filter(|_| place != own) {
            if is_silent {
                continue;
            }
            let packet = packet(question, direction, other.address);
            match timeout(PATIENCE, asked(console, &realm.node, realm.place, packet)).await {
                Ok(Ok(explained)) => *answer = Some(explained),
                // What it has no answer to, it may have for another.
                Ok(Err(no)) if no.0.code != "node-unreachable" => {}
                Ok(Err(_)) | Err(_) => is_silent = true,
            }
        }
        all.push(said);
    }
    all
}

fn pair(
    (from, sent): (usize, Option<&Explained>),
    (to, received): (usize, Option<&Explained>),
) -> MatrixPair {
    let passes = |said: &Explained| said.pass && said.open;
    let both = sent.zip(received);
    let stops = |said: Option<&Explained>| said.filter(|said| !passes(said)).cloned();
    let stopped = stops(sent).map(|said| ("from", said)).or(stops(received).map(|said| ("to", said)));
    MatrixPair {
        from,
        to,
        pass: stopped.is_some().then_some(false).or(both.map(|_pass| true)),
        stopped_at: stopped.as_ref().map(|(at, _)| (*at).to_owned()),
        stopped_by: stopped.and_then(|(_, said)| said.stopped_by),
    }
}

/// The first packet of a flow, as one of the realms sees it.
fn packet(question: &MatrixQuestion, direction: &str, remote: IpAddr) -> Value {
    let mut packet = json!({ "direction": direction, "protocol": question.protocol, "remote": remote });
    match question.protocol {
        6 | 17 | 132 => {
            let (called, client) = (json!(question.port), json!(CLIENT_PORT));
            let (local, far) = if direction == "in" { (called, client) } else { (client, called) };
            (packet["local_port"], packet["remote_port"]) = (local, far);
        }
        // An echo request.
        1 => (packet["icmp_type"], packet["icmp_code"]) = (json!(8), json!(0)),
        58 => (packet["icmp_type"], packet["icmp_code"]) = (json!(128), json!(0)),
        _ => {}
    }
    packet
}
