//! What a set would drop of what passes now. The nodes tell which flows their realms had in the last hour, each only
//! the tier whose realm it is; they are judged here, rule by rule, by the oracle that explains packets.

use std::sync::Arc;
use std::time::Duration;

use boundary::{Decision, Packet, PacketJson, ResolvedSet};
use channel::CallFailed;
use console_api::{Exit, Replay, ReplayQuestion, ReplayedFlow, ReplayedRealm, TierState};
use id::NodeId;
use node_protocol::call::{Answer, Call, Passed, PassedFlows};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::explain::link;
use crate::api::No;
use crate::node::live::Place;
use crate::node::session::{call_failed, not_understood};
use crate::records::KnownNode;
use crate::state::Console;

/// So many nodes are asked at once: each answer may have some MiB, and is made shorter before the next is asked for.
const AT_ONCE: usize = 16;
/// The most kinds of flows that are listed, of all realms and of one. More than that nobody reads.
const DROPPED_MAX: usize = 10_000;
const DROPPED_OF_ONE_MAX: usize = 1_000;
/// A node that is silent for longer keeps its place among those that are asked no more.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn replay(console: &Arc<Console>, question: &ReplayQuestion) -> Result<Replay, No> {
    let proposed = Arc::new(console.rules(&question.text)?);
    let wanted: Vec<NodeId> = question
        .nodes
        .iter()
        .map(|node| console.node(node).map(|node| node.node))
        .collect::<Result<_, _>>()?;
    let mut places = Vec::new();
    for node in console.nodes()? {
        if !wanted.is_empty() && !wanted.contains(&node.node) {
            continue;
        }
        for held in console.tiers_on(node.node)?.into_iter().filter(|held| held.state != TierState::Ended) {
            places.push((node.clone(), held.tier));
        }
    }
    let (mut places, mut asking, mut realms) = (places.into_iter(), JoinSet::new(), Vec::new());
    let mut room = DROPPED_MAX;
    loop {
        for (node, tier) in places.by_ref().take(AT_ONCE - asking.len()) {
            let (console, proposed) = (Arc::clone(console), Arc::clone(&proposed));
            // A node in a task of its own: one that does not answer keeps no other waiting.
            asking.spawn(async move { realm(&console, &node, (node.node, tier), &proposed).await });
        }
        let Some(realm) = asking.join_next().await else { break };
        let mut realm =
            realm.map_err(|ended| No::new("failed", Exit::Failed, format!("a task ended: {ended}")))?;
        shorten(&mut realm, &mut room);
        realms.push(realm);
    }
    realms.sort_by(|one, other| (&one.node_name, one.tier).cmp(&(&other.node_name, other.tier)));
    Ok(Replay { realms })
}

/// Leaves off what there is no room for, and counts it.
fn shorten(realm: &mut ReplayedRealm, room: &mut usize) {
    let listed = realm.dropped.len().min(DROPPED_OF_ONE_MAX).min(*room);
    *room -= listed;
    realm.left_off = realm.dropped.drain(listed..).count() as u64;
    realm.dropped.shrink_to_fit();
}

async fn realm(
    console: &Arc<Console>,
    node: &KnownNode,
    place: Place,
    proposed: &ResolvedSet,
) -> ReplayedRealm {
    let mut replayed = ReplayedRealm {
        node_name: node.name.to_string(),
        tier: place.1,
        seconds: 0,
        kinds: 0,
        beyond: 0,
        dropped: Vec::new(),
        left_off: 0,
        problem: None,
    };
    match judged(console, node, place, proposed).await {
        Ok((passed, dropped)) => {
            (replayed.seconds, replayed.beyond) = (passed.seconds, passed.beyond);
            replayed.kinds = passed.kinds.len() as u64;
            replayed.dropped = dropped;
        }
        Err(no) => replayed.problem = Some(*no.0),
    }
    replayed
}

async fn judged(
    console: &Arc<Console>,
    node: &KnownNode,
    place: Place,
    proposed: &ResolvedSet,
) -> Result<(PassedFlows, Vec<ReplayedFlow>), No> {
    let present = {
        let turns = console.turns(node)?;
        let mirror = turns.mirror.lock().await;
        mirror.tenure.tier(place.1).and_then(|tier| tier.own)
    };
    // A set of which this console has no text is taken for admitting what has passed.
    let present = present.and_then(|name| console.rules(&console.set_text(&name)?).ok());
    let asked = link(console, node, place)?;
    let asked = timeout(PATIENCE, asked.call(&Call::Passed { tier: place.1 }, &[])).await;
    let passed = match asked.unwrap_or(Err(CallFailed::Late)) {
        Ok((Answer::Passed(passed), _)) => *passed,
        Ok((Answer::Refused(refused), _)) => return Err(No(Box::new(refused.into()))),
        Ok((other, _)) => return Err(not_understood(&other)),
        Err(failed) => return Err(call_failed(failed)),
    };
    let dropped = passed.kinds.iter().filter_map(|kind| newly_dropped(kind, present.as_ref(), proposed));
    let dropped = dropped.collect();
    Ok((passed, dropped))
}

/// A kind that the set in force admits and the proposed one does not. What had passed and is refused by now anyway is
/// no news, and no packet is no flow.
fn newly_dropped(
    kind: &Passed,
    present: Option<&ResolvedSet>,
    proposed: &ResolvedSet,
) -> Option<ReplayedFlow> {
    let json: PacketJson = serde_json::from_value(kind.packet.clone()).ok()?;
    let packet = Packet::try_from(json).ok()?;
    let rule = match proposed.decide(&packet) {
        Decision::Admitted(_) => return None,
        Decision::Denied(rule) => Some(rule.name.clone()),
        Decision::NotAllowed => None,
    };
    if present.is_some_and(|present| !present.decide(&packet).admits()) {
        return None;
    }
    let Passed { packet, flows, seconds_ago } = kind.clone();
    Some(ReplayedFlow { packet, flows, seconds_ago, rule })
}

#[cfg(test)]
mod tests {
    use boundary::FilterSet;
    use serde_json::json;

    use super::*;

    fn rules(text: &str) -> ResolvedSet {
        FilterSet::parse(format!("version = 1\n{text}").as_bytes()).unwrap().resolve(None).unwrap()
    }

    #[test]
    fn what_there_is_no_room_for_is_counted() {
        let flow = ReplayedFlow { packet: json!({}), flows: 1, seconds_ago: 0, rule: None };
        let realm = |dropped: usize| ReplayedRealm {
            node_name: "n1".to_owned(),
            tier: id::TierId::from_bytes([1; 16]),
            seconds: 1,
            kinds: dropped as u64,
            beyond: 0,
            dropped: vec![flow.clone(); dropped],
            left_off: 0,
            problem: None,
        };
        let mut room = DROPPED_OF_ONE_MAX + 5;
        let found = [DROPPED_OF_ONE_MAX + 3, 9, 2].map(|dropped| {
            let mut realm = realm(dropped);
            shorten(&mut realm, &mut room);
            (realm.dropped.len(), realm.left_off)
        });
        assert_eq!((found, room), ([(DROPPED_OF_ONE_MAX, 3), (5, 4), (0, 2)], 0));
    }

    #[test]
    fn only_what_passes_now_is_newly_dropped() {
        let web = json!({ "direction": "in", "protocol": 6, "remote": "10.1.0.7", "remote_port": 40_000,
            "local_port": 443 });
        let kind = Passed { packet: web, flows: 3, seconds_ago: 9 };
        let all = rules("[[allow]]\nremote = \"10.1.0.0/16\"\n");
        let deny = rules(
            "[[allow]]\nremote = \"10.1.0.0/16\"\n[[deny]]\nname = \"no\"\nlocal_port = 443\nprotocol = \"tcp\"\n",
        );
        let other = rules("[[allow]]\nremote = \"10.2.0.0/16\"\n");
        let dropped = |present: &ResolvedSet, proposed: &ResolvedSet| {
            newly_dropped(&kind, Some(present), proposed).map(|dropped| (dropped.flows, dropped.rule))
        };
        assert_eq!(dropped(&all, &deny), Some((3, Some("no".to_owned()))));
        assert_eq!(dropped(&all, &other), Some((3, None)));
        assert_eq!(dropped(&other, &deny), None, "it was cut off before");
        assert_eq!(dropped(&all, &all), None);
        assert!(newly_dropped(&kind, None, &deny).is_some(), "of a set that is not known here");
        let nonsense = Passed { packet: json!("a packet"), ..kind.clone() };
        assert!(newly_dropped(&nonsense, None, &other).is_none());
    }
}
