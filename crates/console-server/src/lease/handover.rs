//! Handing a tier to another party without taking anything below it down; renewing one by force; and the consent of
//! those whose data is to be kept.

use std::sync::Arc;

use console_api::{
    Consent, Consented, Granted, Identity, LeasePlan, NotGranted, Offer, OfferedLease, Reassign, Renew,
    Severed, TierState, Version,
};
use id::{KeyId, NodeId, TierId};
use serde_json::{Value, json};
use tenure::{ControllerKey, Tenure, Verb};

use super::deed::{Meant, below, checked, plan_of, planned};
use super::grant;
use crate::api::{No, not_found, usage};
use crate::node::session::read_journal;
use crate::order::{Wanted, unreachable};
use crate::records::{self, GrantedLease, Intent, KnownNode, KnownTier, grant_key};
use crate::state::Console;

/// What handing over would mean. Nothing is changed.
pub(super) async fn reassign_plan(console: &Arc<Console>, wanted: &Reassign) -> Result<LeasePlan, No> {
    Ok(reassignments(console, wanted).await?.1)
}

/// Hands over, if the plan is the one that was looked at; gives the offer for the next party.
pub(super) async fn reassign(console: &Arc<Console>, wanted: &Reassign) -> Result<Granted, No> {
    let (all, plan) = reassignments(console, wanted).await?;
    checked(plan, wanted.if_match.as_ref())?;
    let (mut leases, mut failed) = (Vec::new(), Vec::new());
    for (meant, args) in all {
        match hand_over(console, wanted, &meant, args).await {
            Ok(lease) => leases.push(lease),
            Err(no) => failed.push(NotGranted { node_name: meant.node.name.to_string(), problem: *no.0 }),
        }
    }
    if let (true, Some(first)) = (leases.is_empty(), failed.first()) {
        return Err(first.problem.clone().into());
    }
    let from = console.opened.settings.name.to_string();
    Ok(Granted { offer: Offer { version: Version, contract: wanted.contract.clone(), from, leases }, failed })
}

async fn reassignments(
    console: &Arc<Console>,
    wanted: &Reassign,
) -> Result<(Vec<(Meant, Value)>, LeasePlan), No> {
    let (mut all, mut leases) = (Vec::new(), Vec::new());
    for meant in below(console, &wanted.what, &wanted.nodes).await? {
        let args = {
            let turns = console.turns(&meant.node)?;
            let mirror = turns.mirror.lock().await;
            reassignment(&mirror.tenure, &meant, wanted)?
        };
        let parsed: tenure::Reassign = serde_json::from_value(args.clone())
            .map_err(|error| usage(format!("this is no order: {error}")))?;
        leases.push(planned(console, &meant, |_| Verb::Reassign(parsed)).await?);
        all.push((meant, args));
    }
    let plan = plan_of(&format!("reassign {}", json!(wanted.to)), leases);
    Ok((all, plan))
}

/// The order's arguments on one node.
fn reassignment(tenure: &Tenure, meant: &Meant, wanted: &Reassign) -> Result<Value, No> {
    let Some(tier) = tenure.tier(meant.tier) else { return Err(not_found("the tier is gone")) };
    // A key gets what it asks for, within what its tier may do or grant on.
    let may = tier.rights.exercise.or(tier.rights.grant);
    let keys: Vec<ControllerKey> = wanted
        .to
        .controllers
        .iter()
        .map(|controller| ControllerKey { key: controller.key, rights: controller.rights.and(may) })
        .collect();
    let subtree = tenure.subtree(meant.tier);
    let keep = wanted.keep.iter().map(|text| named(tenure, &subtree, text)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({
        "tier": meant.tier,
        "contract": wanted.contract,
        "keys": keys,
        "keep": keep,
        "consoles": wanted.to.consoles,
    }))
}

/// The tier among these that has this name or id.
fn named(tenure: &Tenure, among: &[TierId], text: &str) -> Result<TierId, No> {
    let is_it = |id: &&TierId| {
        id.to_string() == text || tenure.tier(**id).is_some_and(|tier| tier.name.as_str() == text)
    };
    let short: String = text.chars().take(80).collect();
    among.iter().find(is_it).copied().ok_or_else(|| not_found(format!("no tier there is {short:?}")))
}

async fn hand_over(
    console: &Arc<Console>,
    wanted: &Reassign,
    meant: &Meant,
    args: Value,
) -> Result<OfferedLease, No> {
    let key = grant_key(meant.node.node, meant.tier);
    let granted = records::get::<GrantedLease>(console.store(), &key)?
        .ok_or_else(|| not_found("this console did not grant that lease, and cannot offer it anew"))?
        .value;
    let order = Wanted { node: &meant.node, tier: &meant.by, verb: "reassign", args, objects: Vec::new() };
    let intent = Intent {
        by: meant.by.tier,
        contract: wanted.contract.clone(),
        name: granted.name,
        party: wanted.to.name.clone(),
        terms: granted.terms,
        boundary: granted.boundary,
        keys: successor(&wanted.to).into_iter().collect(),
        before: Some((meant.tier, granted.lease)),
    };
    order.submit_for(console, intent).await?;
    // The node names the tier's new lease in its journal alone.
    let link = console.live.link((meant.node.node, meant.by.tier));
    read_journal(console, &meant.node, &*link.ok_or_else(|| unreachable(&meant.node.name))?).await?;
    grant::offer_of(console, &meant.node, &meant.by, meant.tier).await
}

/// What a renewal by force would mean. Nothing is changed.
pub(super) async fn renew_plan(console: &Arc<Console>, wanted: &Renew) -> Result<LeasePlan, No> {
    Ok(renewals(console, wanted).await?.1)
}

/// Renews by force, if the plan is the one that was looked at. The tiers' parties see it: their identities are gone.
pub(super) async fn renew(console: &Arc<Console>, wanted: &Renew) -> Result<Severed, No> {
    let (all, plan) = renewals(console, wanted).await?;
    let LeasePlan { plan, mut leases, .. } = checked(plan, wanted.if_match.as_ref())?;
    for (meant, lease) in all.iter().zip(&mut leases) {
        let args = json!({ "tier": meant.tier });
        let order = Wanted { node: &meant.node, tier: &meant.by, verb: "renew", args, objects: Vec::new() };
        match order.submit(console).await {
            Ok(order) => lease.order = Some(order),
            Err(no) => lease.problem = Some(*no.0),
        }
    }
    Ok(Severed { plan, leases })
}

async fn renewals(console: &Arc<Console>, wanted: &Renew) -> Result<(Vec<Meant>, LeasePlan), No> {
    let all = below(console, &wanted.what, &wanted.nodes).await?;
    let mut leases = Vec::new();
    for meant in &all {
        let renew = |tier| Verb::Renew(tenure::Renew { tier: Some(tier), keep: Vec::new(), nonce: None });
        leases.push(planned(console, meant, renew).await?);
    }
    Ok((all, plan_of("renew", leases)))
}

/// Consents on each node where this console has a tier under the one that is meant.
pub(super) async fn consent(console: &Arc<Console>, wanted: &Consent) -> Result<Consented, No> {
    let (mut orders, mut failed) = (Vec::new(), Vec::new());
    for (node, by, args) in consents(console, wanted).await? {
        let order = Wanted { node: &node, tier: &by, verb: "consent", args, objects: Vec::new() };
        match order.submit(console).await {
            Ok(order) => orders.push(order),
            Err(no) => failed.push(NotGranted { node_name: node.name.to_string(), problem: *no.0 }),
        }
    }
    if let (true, Some(first)) = (orders.is_empty(), failed.first()) {
        return Err(first.problem.clone().into());
    }
    Ok(Consented { orders, failed })
}

async fn consents(
    console: &Arc<Console>,
    wanted: &Consent,
) -> Result<Vec<(KnownNode, KnownTier, Value)>, No> {
    let only: Vec<NodeId> =
        wanted.nodes.iter().map(|node| console.node(node).map(|node| node.node)).collect::<Result<_, _>>()?;
    let successor = wanted.to.as_ref().map(successor);
    let mut found = Vec::new();
    for node in console.nodes()?.into_iter().filter(|node| only.is_empty() || only.contains(&node.node)) {
        let turns = console.turns(&node)?;
        let mirror = turns.mirror.lock().await;
        for by in console.tiers_on(node.node)?.into_iter().filter(|by| by.state == TierState::Held) {
            for (id, tier) in mirror.tenure.tiers() {
                let is_meant = tier.name.as_str() == wanted.what
                    || id.to_string() == wanted.what
                    || tier.lease.to_string() == wanted.what
                    || tier.contract.as_ref().is_some_and(|contract| contract.to_string() == wanted.what);
                if is_meant && (id == by.tier || mirror.tenure.is_below(by.tier, id)) {
                    let mut args = json!({ "tier": id, "epoch": tier.epoch });
                    if let (Some(successor), Value::Object(args)) = (&successor, &mut args) {
                        args.insert("successor".to_owned(), json!(successor));
                    }
                    found.push((node.clone(), by.clone(), args));
                }
            }
        }
    }
    if found.is_empty() {
        let what: String = wanted.what.chars().take(80).collect();
        return Err(not_found(format!("no tier above this console's is {what:?}"))
            .hint("`leasehold lease tree` shows them"));
    }
    Ok(found)
}

/// The ids of all the party's keys.
fn successor(to: &Identity) -> Vec<KeyId> {
    let mut keys: Vec<KeyId> = to.controllers.iter().map(|controller| controller.key.id()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
