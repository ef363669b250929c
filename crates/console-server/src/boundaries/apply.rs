//! Planning and applying: first what each node would say, then, if that is still so, the orders.

use std::num::NonZeroU32;
use std::sync::Arc;

use boundary::PacketSet;
use console_api::{BoundaryChange, BoundaryPlan, BoundaryTarget, Exit, Problem, TierState};
use id::{Digest, Digester, NodeId, TierId};
use serde_json::{Value, json};
use tenure::{Boundary, Fresh, Freshness, Input, Order, Tenure, Verb, Verified};

use super::sets::NewSet;
use crate::api::{No, not_found, usage};
use crate::lease::short;
use crate::order::Wanted;
use crate::records::{KnownNode, KnownTier};
use crate::state::Console;

/// One set that is meant.
struct Meant {
    node: KnownNode,
    by: KnownTier,
    /// Whose set: the child's given one, or one's own.
    tier: TierId,
    /// The set in force.
    present: Option<Digest>,
}

/// What it would mean. Nothing is changed.
pub(super) async fn plan(console: &Arc<Console>, change: &BoundaryChange) -> Result<BoundaryPlan, No> {
    Ok(planned(console, change).await?.1)
}

/// Sets the set wherever it differs, if the plan is the one that was looked at.
pub(super) async fn apply(console: &Arc<Console>, change: &BoundaryChange) -> Result<BoundaryPlan, No> {
    let (all, mut plan) = planned(console, change).await?;
    if change.if_match.as_ref().is_some_and(|wanted| *wanted != plan.plan) {
        return Err(No::new("plan-stale", Exit::Stale, format!("the plan is {} now", plan.plan))
            .hint("look at it anew with `leasehold boundary plan`"));
    }
    // All at once, each in a task of its own: a node that does not answer keeps no other waiting.
    let mut ordered = Vec::new();
    for (meant, target) in all.into_iter().zip(&mut plan.targets) {
        if target.changes && target.problem.is_none() {
            let ordering = order(Arc::clone(console), meant, change.text.clone(), change.try_seconds);
            ordered.push((target, tokio::spawn(ordering)));
        }
    }
    for (target, ordered) in ordered {
        match ordered.await {
            Ok(Ok((name, order))) => {
                target.object = Some(name);
                target.order = Some(order);
            }
            Ok(Err(no)) => target.problem = Some(*no.0),
            Err(ended) => {
                let no = No::new("failed", Exit::Failed, format!("the order's task ended: {ended}"));
                target.problem = Some(*no.0);
            }
        }
    }
    Ok(plan)
}

async fn order(
    console: Arc<Console>,
    meant: Meant,
    text: String,
    seconds: Option<NonZeroU32>,
) -> Result<(Digest, console_api::Order), No> {
    // A set of its own for each node: who sees two names cannot tell that they say the same.
    let object = console.make_object(text.as_bytes())?;
    let name = Digest::of(&object);
    let child = (meant.tier != meant.by.tier).then_some(meant.tier);
    let mut args = json!({ "object": name });
    if let (Some(child), Value::Object(args)) = (child, &mut args) {
        args.insert("tier".to_owned(), json!(child));
    }
    let verb = if let (Some(seconds), Value::Object(args)) = (seconds, &mut args) {
        args.insert("seconds".to_owned(), json!(seconds));
        "try-boundary"
    } else {
        "boundary"
    };
    let wanted = Wanted { node: &meant.node, tier: &meant.by, verb, args, objects: vec![object] };
    Ok((name, wanted.submit(&console).await?))
}

async fn planned(console: &Arc<Console>, change: &BoundaryChange) -> Result<(Vec<Meant>, BoundaryPlan), No> {
    if change.try_seconds.is_some() && change.of.is_some() {
        return Err(usage("only one's own set can be tried").hint("leave `of` out, or apply it for good"));
    }
    let set = console.new_set(&change.text)?;
    let all = meant(console, change).await?;
    let mut targets = Vec::new();
    let mut digester = Digester::new("leasehold boundary plan").part(change.text.as_bytes());
    for meant in &all {
        let turns = console.turns(&meant.node)?;
        let mirror = turns.mirror.lock().await;
        let target = target(console, meant, &mirror.tenure, &set)?;
        digester = digester.part(target.node.to_string().as_bytes()).part(target.tier.as_bytes());
        digester = digester.part(target.object.map_or_else(String::new, |name| name.to_string()).as_bytes());
        digester = digester.part(target.tried_until.map_or_else(String::new, |at| at.to_string()).as_bytes());
        targets.push(target);
    }
    let changes = targets.iter().any(|target| target.changes);
    Ok((all, BoundaryPlan { plan: short(&digester.finish()), changes, targets }))
}

fn target(console: &Console, meant: &Meant, tenure: &Tenure, set: &NewSet) -> Result<BoundaryTarget, No> {
    let mut tenure = console.with_sets(tenure, meant.tier)?;
    let same = match (&set.packets, meant.present.and_then(|name| tenure.held(name))) {
        (Some(new), Some(present)) => {
            meant.present.is_some_and(|name| console.set_text(&name).is_some()) && new == present
        }
        (None, _) | (_, None) => false,
    };
    let own = tenure.tier(meant.tier).filter(|_| meant.tier == meant.by.tier);
    let tried_until = own.and_then(|tier| tier.trial).map(|trial| trial.until);
    // What is only tried is confirmed by an order.
    let same = same && tried_until.is_none();
    let refusal = set.packets.as_ref().and_then(|packets| refusal(console, meant, &mut tenure, packets));
    Ok(BoundaryTarget {
        node_name: meant.node.name.to_string(),
        node: meant.node.node,
        tier: meant.tier,
        changes: !same,
        tried_until,
        object: meant.present,
        order: None,
        problem: if same { None } else { refusal },
    })
}

/// What the node would say, as far as this console can tell.
fn refusal(console: &Console, meant: &Meant, tenure: &mut Tenure, packets: &PacketSet) -> Option<Problem> {
    let object = Digest::of(b"the set that is planned");
    tenure.hold(object, packets.clone());
    let order = Order {
        node: meant.node.node,
        lease: meant.by.lease,
        tier: meant.by.tier,
        // Of the mirror's: right after a renewal it has not read the record of it yet, and a boundary is no matter of
        // epochs.
        epoch: tenure.tier(meant.by.tier).map_or(meant.by.epoch, |tier| tier.epoch),
        seq: tenure.last_sequence(console.signer()).unwrap_or_default().next().unwrap_or_default(),
        freshness: Freshness::NotAfter(id::Time::MAX),
        term: None,
        verb: Verb::Boundary(Boundary { tier: (meant.tier != meant.by.tier).then_some(meant.tier), object }),
    };
    let input = Input::Order(Box::new(Verified {
        order,
        signer: console.signer(),
        envelope: Digest::of(b""),
        fresh: Fresh::from_bytes([0; 32]),
        at: console.world.now(),
    }));
    let refusal = tenure::decide(tenure, &input).err()?;
    Some(Problem {
        code: refusal.code(),
        message: refusal.to_string(),
        hint: None,
        request_id: None,
        exit: refusal.exit_code(),
        details: serde_json::to_value(&refusal).ok(),
    })
}

/// The sets that the words mean: the console's own tiers', or those given to the tiers of a contract.
async fn meant(console: &Arc<Console>, change: &BoundaryChange) -> Result<Vec<Meant>, No> {
    let wanted: Vec<NodeId> =
        change.nodes.iter().map(|node| console.node(node).map(|node| node.node)).collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for node in console.nodes()? {
        if !wanted.is_empty() && !wanted.contains(&node.node) {
            continue;
        }
        let turns = console.turns(&node)?;
        let mirror = turns.mirror.lock().await;
        for by in console.tiers_on(node.node)? {
            if by.state == TierState::Ended {
                continue;
            }
            let Some(what) = &change.of else {
                let present = mirror.tenure.tier(by.tier).and_then(|tier| tier.own);
                found.push(Meant { node: node.clone(), tier: by.tier, by, present });
                continue;
            };
            for (tier, child) in mirror.tenure.children(by.tier) {
                let is_meant = tier.to_string() == *what
                    || child.lease.to_string() == *what
                    || child.contract.as_ref().is_some_and(|contract| contract.to_string() == *what);
                if is_meant && !child.ending {
                    found.push(Meant { node: node.clone(), by: by.clone(), tier, present: child.given });
                }
            }
        }
    }
    if found.is_empty() {
        return Err(not_found("no such tier is on the nodes of this console")
            .hint("`leasehold lease list` shows contracts, leases and tiers"));
    }
    Ok(found)
}
