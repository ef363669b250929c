//! Severing: first what it would mean, by the console's mirror of each node; then, if that is still so, by order.

use std::sync::Arc;

use console_api::{Exit, LeasePlan, Sever, Severed, SeveredLease};
use id::{Digest, Digester, LeaseId, NodeId, Sequence, TierId};
use serde_json::json;
use store::Transaction;
use tenure::{Fresh, Freshness, Input, Order, Plan, Target, Verb, Verified};

use crate::api::{No, not_found};
use crate::order::Wanted;
use crate::records::{self, GrantedLease, KnownNode, KnownTier, Read, grant_key, value};
use crate::state::Console;

/// One lease that is meant.
struct Meant {
    node: KnownNode,
    by: KnownTier,
    tier: TierId,
    lease: LeaseId,
    name: String,
    grant: Option<Read<GrantedLease>>,
}

/// What it would mean. Nothing is changed.
pub(super) async fn plan(console: &Arc<Console>, sever: &Sever) -> Result<LeasePlan, No> {
    let mut leases = Vec::new();
    for meant in meant(console, sever).await? {
        leases.push(planned(console, &meant).await?);
    }
    Ok(LeasePlan { plan: plan_id(&leases), leases })
}

/// Severs, if the plan is the one that was looked at.
pub(super) async fn sever(console: &Arc<Console>, sever: &Sever) -> Result<Severed, No> {
    let all = meant(console, sever).await?;
    let mut leases = Vec::new();
    for meant in &all {
        leases.push(planned(console, meant).await?);
    }
    let plan = plan_id(&leases);
    if sever.if_match.as_ref() != Some(&plan) {
        return Err(No::new("plan-stale", Exit::Stale, format!("the plan is {plan} now"))
            .hint("look at it anew with --plan"));
    }
    // All at once, and each in a task of its own: a node that does not answer keeps no other from severing, nor
    // does a client that goes away.
    let ordered: Vec<_> =
        all.into_iter().map(|meant| tokio::spawn(order(Arc::clone(console), meant))).collect();
    for (ordered, lease) in ordered.into_iter().zip(&mut leases) {
        match ordered.await {
            Ok(Ok(order)) => lease.order = Some(order),
            Ok(Err(no)) => lease.problem = Some(*no.0),
            Err(ended) => {
                let no = No::new("failed", Exit::Failed, format!("the severing's task ended: {ended}"));
                lease.problem = Some(*no.0);
            }
        }
    }
    Ok(Severed { plan, leases })
}

async fn order(console: Arc<Console>, meant: Meant) -> Result<console_api::Order, No> {
    let Meant { node, by, tier, .. } = &meant;
    let args = json!({ "tier": tier });
    let wanted = Wanted { node, tier: by, verb: "sever", args, objects: Vec::new() };
    let order = wanted.submit(&console).await?;
    remember(&console, &meant, order.order).await?;
    Ok(order)
}

async fn remember(console: &Console, meant: &Meant, order: Digest) -> Result<(), No> {
    let Some(read) = &meant.grant else { return Ok(()) };
    let granted = GrantedLease { severed: Some(order), ..read.value.clone() };
    let key = grant_key(granted.node, granted.tier);
    console.commit(Transaction::new().put(&key, value(&granted))).await?;
    // The node may have been quicker than this: whoever collects receipts looks again.
    console.live.happen();
    Ok(())
}

/// All leases below this console's tiers that the words mean: a contract, a lease, a tier.
async fn meant(console: &Arc<Console>, sever: &Sever) -> Result<Vec<Meant>, No> {
    let wanted: Vec<NodeId> =
        sever.nodes.iter().map(|node| console.node(node).map(|node| node.node)).collect::<Result<_, _>>()?;
    let mut found = Vec::new();
    for node in console.nodes()? {
        if !wanted.is_empty() && !wanted.contains(&node.node) {
            continue;
        }
        let turns = console.turns(&node)?;
        let mirror = turns.mirror.lock().await;
        for by in console.tiers_on(node.node)? {
            for (tier, state) in mirror.tenure.tiers() {
                let is_meant = tier.to_string() == sever.what
                    || state.lease.to_string() == sever.what
                    || state.contract.as_ref().is_some_and(|contract| contract.to_string() == sever.what);
                if is_meant && !state.ending && mirror.tenure.is_below(tier, by.tier) {
                    let grant = records::get(console.store(), &grant_key(node.node, tier))?;
                    let (lease, name) = (state.lease, state.name.to_string());
                    found.push(Meant { node: node.clone(), by: by.clone(), tier, lease, name, grant });
                }
            }
        }
    }
    if found.is_empty() {
        let what: String = sever.what.chars().take(80).collect();
        return Err(not_found(format!("no lease below this console's tiers is {what:?}"))
            .hint("`leasehold lease list` shows contracts, leases and tiers"));
    }
    Ok(found)
}

async fn planned(console: &Console, meant: &Meant) -> Result<SeveredLease, No> {
    let turns = console.turns(&meant.node)?;
    let mirror = turns.mirror.lock().await;
    let input = sever_order(console, meant, mirror.tenure.last_sequence(console.signer()));
    let (consequences, problem) = match tenure::plan(&mirror.tenure, &input) {
        Ok(Plan { consequences, .. }) => (consequences.iter().map(ToString::to_string).collect(), None),
        Err(refusal) => {
            let code = refusal.code();
            let problem = console_api::Problem {
                code,
                message: refusal.to_string(),
                hint: None,
                request_id: None,
                exit: refusal.exit_code(),
                details: serde_json::to_value(&refusal).ok(),
            };
            (Vec::new(), Some(problem))
        }
    };
    Ok(SeveredLease {
        node_name: meant.node.name.to_string(),
        node: meant.node.node,
        tier: meant.tier,
        name: meant.name.clone(),
        lease: meant.lease,
        consequences,
        order: None,
        problem,
    })
}

/// The order as it would be given, for the mirror alone: it is signed by nobody.
fn sever_order(console: &Console, meant: &Meant, last: Option<Sequence>) -> Input {
    let order = Order {
        node: meant.node.node,
        lease: meant.by.lease,
        tier: meant.by.tier,
        epoch: meant.by.epoch,
        seq: last.unwrap_or_default().next().unwrap_or_default(),
        freshness: Freshness::NotAfter(id::Time::MAX),
        term: None,
        verb: Verb::Sever(Target { tier: meant.tier }),
    };
    Input::Order(Box::new(Verified {
        order,
        signer: console.signer(),
        envelope: Digest::of(b""),
        fresh: Fresh::from_bytes([0; 32]),
        at: console.world.now(),
    }))
}

/// The plan's name: another one when anything that was shown is otherwise.
fn plan_id(leases: &[SeveredLease]) -> String {
    let mut digester = Digester::new("leasehold plan");
    for lease in leases {
        digester = digester.part(lease.node.to_string().as_bytes()).part(lease.tier.as_bytes());
        digester = digester.part(lease.lease.as_bytes());
        for consequence in &lease.consequences {
            digester = digester.part(consequence.as_bytes());
        }
    }
    short(&digester.finish())
}

/// The first twelve digits of a digest.
pub(crate) fn short(digest: &Digest) -> String {
    digest.to_string().trim_start_matches("sha256:").chars().take(12).collect()
}
