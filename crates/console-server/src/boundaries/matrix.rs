//! Who may reach whom. Both nodes of a pair are asked what their sets in force say to the first packet: the one whose
//! realm sends it, and the one whose realm is called. Nobody knows better, and each tells of the sets above what is
//! its tier's to see.

use std::net::IpAddr;
use std::sync::Arc;

use console_api::{Exit, Matrix, MatrixPair, MatrixQuestion, MatrixRealm, TierState};
use id::NodeId;
use node_protocol::call::Explained;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::explain::asked;
use crate::api::No;
use crate::node::live::Place;
use crate::records::KnownNode;
use crate::state::Console;

/// More realms make more questions than anybody looks at.
const REALMS_MAX: usize = 64;
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
    let realms = realms(console, question)?;
    let mut asking = JoinSet::new();
    for (from, begins) in realms.iter().enumerate() {
        // A node in a task of its own: one that does not answer holds up its own row and no other's.
        let (console, question) = (Arc::clone(console), question.clone());
        let (begins, realms) = (begins.clone(), realms.clone());
        asking.spawn(async move {
            let mut row = Vec::new();
            for (to, called) in realms.iter().enumerate().filter(|(to, _)| *to != from) {
                row.push(pair(&console, &question, (from, &begins), (to, called)).await);
            }
            row
        });
    }
    let mut pairs: Vec<MatrixPair> = Vec::new();
    while let Some(row) = asking.join_next().await {
        let failed = |ended| No::new("failed", Exit::Failed, format!("a task ended: {ended}"));
        pairs.append(&mut row.map_err(failed)?);
    }
    pairs.sort_by_key(|pair| (pair.from, pair.to));
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

async fn pair(
    console: &Console,
    question: &MatrixQuestion,
    (from, begins): (usize, &Realm),
    (to, called): (usize, &Realm),
) -> MatrixPair {
    let out = packet(question, "out", called.address);
    let sent = asked(console, &begins.node, begins.place, out).await.ok();
    let inward = packet(question, "in", begins.address);
    let received = asked(console, &called.node, called.place, inward).await.ok();
    let passes = |said: &Explained| said.pass && said.open;
    let both = sent.as_ref().zip(received.as_ref());
    let stops = |said: &Option<Explained>| said.as_ref().filter(|said| !passes(said)).cloned();
    let stopped = stops(&sent).map(|said| ("from", said)).or(stops(&received).map(|said| ("to", said)));
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
