//! Severing: first what it would mean, by the console's mirror of each node; then, if that is still so, by order. A
//! node that is not there is severed when it comes: that it is to be is on the medium before anybody is told so.

use std::collections::BTreeSet;
use std::sync::Arc;

use console_api::{Exit, LeasePlan, Sever, Severed};
use id::{Digest, LeaseId, NodeId, TierId, Time};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Key, Transaction};
use tenure::{Target, Verb};

use super::deed::{Meant, below, checked, plan_of, planned};
use crate::api::No;
use crate::node::live::Place;
use crate::order::Wanted;
use crate::records::{self, GrantedLease, KnownNode, KnownTier, grant_key, key, value};
use crate::state::Console;

/// A severing that waits for its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Queued {
    node: NodeId,
    tier: TierId,
    /// A tier that has another lease by then is another party's.
    lease: LeaseId,
    by: TierId,
    at: Time,
}

fn queue_key(node: NodeId, tier: TierId) -> Key {
    key(format!("queued-sever/{node}/{tier}"))
}

/// What it would mean. Nothing is changed.
pub(super) async fn plan(console: &Arc<Console>, sever: &Sever) -> Result<LeasePlan, No> {
    let mut leases = Vec::new();
    for meant in below(console, &sever.what, &sever.nodes).await? {
        leases.push(planned(console, &meant, |tier| Verb::Sever(Target { tier })).await?);
    }
    Ok(plan_of("sever", leases))
}

/// Severs, if the plan is the one that was looked at.
pub(super) async fn sever(console: &Arc<Console>, sever: &Sever) -> Result<Severed, No> {
    let all = below(console, &sever.what, &sever.nodes).await?;
    let mut leases = Vec::new();
    for meant in &all {
        leases.push(planned(console, meant, |tier| Verb::Sever(Target { tier })).await?);
    }
    let LeasePlan { plan, mut leases, .. } = checked(plan_of("sever", leases), sever.if_match.as_ref())?;
    // All at once, and each in a task of its own: a node that does not answer keeps no other from severing, nor
    // does a client that goes away.
    let ordered: Vec<_> =
        all.into_iter().map(|meant| tokio::spawn(order_or_queue(Arc::clone(console), meant))).collect();
    for (ordered, lease) in ordered.into_iter().zip(&mut leases) {
        match ordered.await {
            Ok(Ok(order)) => lease.order = Some(order),
            Ok(Err((no, queued))) => {
                lease.problem = Some(*no.0);
                lease.queued = queued;
            }
            Err(ended) => {
                let no = No::new("failed", Exit::Failed, format!("the severing's task ended: {ended}"));
                lease.problem = Some(*no.0);
            }
        }
    }
    Ok(Severed { plan, leases })
}

/// Whoever is not reached is written down, to be severed later.
async fn order_or_queue(console: Arc<Console>, meant: Meant) -> Result<console_api::Order, (No, bool)> {
    match order(&console, &meant.node, &meant.by, meant.tier).await {
        Ok(order) => Ok(order),
        Err(no) if waits(&no) => {
            let queued = Queued {
                node: meant.node.node,
                tier: meant.tier,
                lease: meant.lease,
                by: meant.by.tier,
                at: console.world.now(),
            };
            let write = Transaction::new().put(&queue_key(queued.node, queued.tier), value(&queued));
            match console.commit(write).await {
                Ok(_) => {
                    let hint = "it is severed as soon as it comes; until then it refuses by itself when the lease lapses";
                    // It may have come back in the meantime.
                    console.live.happen();
                    Err((no.hint(hint), true))
                }
                Err(failed) => Err((failed, false)),
            }
        }
        Err(no) => Err((no, false)),
    }
}

/// Whether the node did not say no, but nothing.
fn waits(no: &No) -> bool {
    ["node-unreachable", "unanswered", "timed-out"].contains(&no.0.code.as_str())
}

async fn order(
    console: &Console,
    node: &KnownNode,
    by: &KnownTier,
    tier: TierId,
) -> Result<console_api::Order, No> {
    // Afterwards nothing tells any more what it was.
    let lease = remembered(console, node, by, tier).await?;
    let wanted = Wanted { node, tier: by, verb: "sever", args: json!({ "tier": tier }), objects: Vec::new() };
    let order = wanted.submit(console).await?;
    if let Some(lease) = lease {
        let severed = GrantedLease { severed: Some(order.order), ..lease };
        let key = grant_key(node.node, tier);
        console.commit(Transaction::new().put(&key, value(&severed))).await?;
    }
    // The node may have been quicker than this: whoever collects receipts looks again.
    console.live.happen();
    Ok(order)
}

/// What this console granted; of what somebody further below granted, what its mirror knows. None for what is gone.
async fn remembered(
    console: &Console,
    node: &KnownNode,
    by: &KnownTier,
    tier: TierId,
) -> Result<Option<GrantedLease>, No> {
    if let Some(read) = records::get::<GrantedLease>(console.store(), &grant_key(node.node, tier))? {
        return Ok(Some(read.value));
    }
    let turns = console.turns(node)?;
    let mirror = turns.mirror.lock().await;
    let Some(state) = mirror.tenure.tier(tier) else { return Ok(None) };
    Ok(Some(GrantedLease {
        node: node.node,
        tier,
        lease: state.lease,
        by: by.tier,
        contract: state.contract.as_ref().map(ToString::to_string).unwrap_or_default(),
        name: state.name.clone(),
        party: String::new(),
        terms: state.terms,
        boundary: state.given.unwrap_or_else(|| Digest::of(b"")),
        statement: None,
        severed: None,
        below: true,
        keys: BTreeSet::new(),
    }))
}

/// Severs what waited for this node. Its journal was read when it came: what is over already is not ordered again.
pub(crate) async fn mind(console: &Arc<Console>, node: &KnownNode, place: Place) -> Result<(), No> {
    for read in records::all::<Queued>(console.store(), &format!("queued-sever/{}/", node.node))? {
        let queued = read.value;
        if queued.by != place.1 {
            continue;
        }
        let turns = console.turns(node)?;
        let state = {
            let mirror = turns.mirror.lock().await;
            mirror.tenure.tier(queued.tier).map(|tier| (tier.lease, tier.ending))
        };
        if state == Some((queued.lease, false)) {
            let Some(by) = console.tier(place)? else { return Ok(()) };
            match order(console, node, &by.value, queued.tier).await {
                Ok(_) => console.tell(place, "severed what had waited for this node"),
                Err(no) if waits(&no) => return Err(no),
                // The node has said no: that is its answer, and a person's to look at.
                Err(no) => {
                    console.tell(place, &format!("a severing that had waited is refused: {}", no.0.message))
                }
            }
        }
        let write = Transaction::new().expect(&read.entry.key, Some(&read.entry)).remove(&read.entry.key);
        console.commit(write).await?;
    }
    Ok(())
}

impl Console {
    /// Whether a severing waits for the node.
    pub(super) fn is_queued(&self, node: NodeId, tier: TierId, lease: LeaseId) -> Result<bool, No> {
        let queued = records::get::<Queued>(self.store(), &queue_key(node, tier))?;
        Ok(queued.is_some_and(|queued| queued.value.lease == lease))
    }
}
