//! What is done to leases below: which are meant, and what it would mean.

use std::collections::BTreeSet;
use std::sync::Arc;

use console_api::{Exit, LeasePlan, SeveredLease, TierState};
use id::{Digest, Digester, LeaseId, NodeId, Sequence, TierId};
use tenure::{Fresh, Freshness, Input, Order, Plan, Verb, Verified, What};

use crate::api::{No, not_found};
use crate::records::{KnownNode, KnownTier};
use crate::state::Console;

/// The risk that must be accepted by name.
const DESTROY_DATA: &str = "destroy-data";

/// One lease that is meant.
pub(super) struct Meant {
    pub(super) node: KnownNode,
    pub(super) by: KnownTier,
    pub(super) tier: TierId,
    pub(super) lease: LeaseId,
    pub(super) name: String,
}

/// All leases below this console's tiers that the words mean: a contract, a lease, a tier.
pub(super) async fn below(console: &Arc<Console>, what: &str, nodes: &[String]) -> Result<Vec<Meant>, No> {
    let wanted: Vec<NodeId> =
        nodes.iter().map(|node| console.node(node).map(|node| node.node)).collect::<Result<_, _>>()?;
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
            for (tier, state) in mirror.tenure.tiers() {
                let is_meant = tier.to_string() == what
                    || state.lease.to_string() == what
                    || state.contract.as_ref().is_some_and(|contract| contract.to_string() == what);
                if is_meant && !state.ending && mirror.tenure.is_below(tier, by.tier) {
                    let (lease, name) = (state.lease, state.name.to_string());
                    found.push(Meant { node: node.clone(), by: by.clone(), tier, lease, name });
                }
            }
        }
    }
    if found.is_empty() {
        let what: String = what.chars().take(80).collect();
        return Err(not_found(format!("no lease below this console's tiers is {what:?}"))
            .hint("`leasehold lease list` shows contracts, leases and tiers"));
    }
    Ok(found)
}

/// What an order about one of them would mean on its node, by the mirror.
pub(super) async fn planned(
    console: &Console,
    meant: &Meant,
    verb: impl FnOnce(TierId) -> Verb,
) -> Result<SeveredLease, No> {
    let turns = console.turns(&meant.node)?;
    let mirror = turns.mirror.lock().await;
    let last = mirror.tenure.last_sequence(console.signer());
    let input = input(console, meant, verb(meant.tier), last);
    let (consequences, risky, problem) = match tenure::plan(&mirror.tenure, &input) {
        Ok(Plan { consequences, .. }) => {
            let risky = consequences.iter().any(|one| matches!(one.what, What::Ends | What::DataLost));
            (consequences.iter().map(ToString::to_string).collect(), risky, None)
        }
        Err(refusal) => {
            let problem = console_api::Problem {
                code: refusal.code(),
                message: refusal.to_string(),
                hint: None,
                request_id: None,
                exit: refusal.exit_code(),
                details: serde_json::to_value(&refusal).ok(),
            };
            (Vec::new(), false, Some(problem))
        }
    };
    let until = mirror.tenure.effective_terms(meant.tier).until;
    Ok(SeveredLease {
        node_name: meant.node.name.to_string(),
        node: meant.node.node,
        tier: meant.tier,
        name: meant.name.clone(),
        lease: meant.lease,
        risks: if risky { vec![DESTROY_DATA.to_owned()] } else { Vec::new() },
        connected: console.live.link((meant.node.node, meant.by.tier)).is_some(),
        consequences,
        order: None,
        problem,
        queued: false,
        lapses: (until != id::Time::MAX).then_some(until),
    })
}

/// The order as it would be given, for the mirror alone: it is signed by nobody.
fn input(console: &Console, meant: &Meant, verb: Verb, last: Option<Sequence>) -> Input {
    let order = Order {
        node: meant.node.node,
        lease: meant.by.lease,
        tier: meant.by.tier,
        epoch: meant.by.epoch,
        seq: last.unwrap_or_default().next().unwrap_or_default(),
        freshness: Freshness::NotAfter(id::Time::MAX),
        term: None,
        verb,
    };
    Input::Order(Box::new(Verified {
        order,
        signer: console.signer(),
        envelope: Digest::of(b""),
        fresh: Fresh::from_bytes([0; 32]),
        at: console.world.now(),
    }))
}

/// The plan and its name: another one when anything that was shown is otherwise. Who is connected comes and goes, and
/// changes nothing of what it means.
pub(super) fn plan_of(deed: &str, leases: Vec<SeveredLease>) -> LeasePlan {
    let mut digester = Digester::new("leasehold plan").part(deed.as_bytes());
    for lease in &leases {
        digester = digester.part(lease.node.to_string().as_bytes()).part(lease.tier.as_bytes());
        digester = digester.part(lease.lease.as_bytes());
        for consequence in &lease.consequences {
            digester = digester.part(consequence.as_bytes());
        }
    }
    let risks: BTreeSet<String> = leases.iter().flat_map(|lease| lease.risks.clone()).collect();
    LeasePlan { plan: short(&digester.finish()), risks: risks.into_iter().collect(), leases }
}

/// The plan, if it is the one that was looked at.
pub(super) fn checked(plan: LeasePlan, if_match: Option<&String>) -> Result<LeasePlan, No> {
    if if_match == Some(&plan.plan) {
        return Ok(plan);
    }
    Err(No::new("plan-stale", Exit::Stale, format!("the plan is {} now", plan.plan))
        .hint("look at it anew with --plan"))
}

/// The first twelve digits of a digest.
pub(crate) fn short(digest: &Digest) -> String {
    digest.to_string().trim_start_matches("sha256:").chars().take(12).collect()
}
