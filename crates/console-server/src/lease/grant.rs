//! The landlord's half of Fig. 6: a lease is ordered on each node, and what the nodes say of it goes into a file
//! for the other party.

use std::sync::Arc;
use std::time::{Duration, Instant};

use console_api::{Exit, Grant, Granted, NotGranted, Offer, OfferedLease, Version};
use data_encoding::BASE64;
use id::{Digest, LeaseId, Name, TierId};
use keys::{NodeRecord as _, Statement};
use node_protocol::call::{Answer, Call, code};
use serde_json::json;
use store::Transaction;
use tenure::ControllerKey;

use crate::api::{No, not_found, usage};
use crate::node::live::Place;
use crate::node::session::{call_failed, not_understood};
use crate::order::{Wanted, undecided_about};
use crate::records::{self, GrantedLease, Intent, KnownNode, KnownTier, Read, grant_key, value};
use crate::state::Console;

/// How long a node may take to make the new tier's identity and to sign.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is asked meanwhile: nothing tells of a document.
const AGAIN: Duration = Duration::from_millis(50);

/// The most nodes of one grant.
const NODES_MAX: usize = 1000;

/// Leases the nodes; those that refuse are told, and keep nobody else from granting.
pub(super) async fn grant(console: &Arc<Console>, grant: &Grant) -> Result<Granted, No> {
    if grant.nodes.is_empty() || grant.nodes.len() > NODES_MAX {
        return Err(usage(format!("1 to {NODES_MAX} nodes are leased at once")));
    }
    let name = grant.name.as_ref().unwrap_or(&grant.to.name);
    let name: Name = name.parse().map_err(|malformed: id::Malformed| usage(malformed.to_string()))?;
    boundary::FilterSet::parse(grant.boundary.as_bytes())
        .map_err(|problems| usage(format!("the boundary is no boundary file: {problems}")))?;
    let nodes = grant.nodes.iter().map(|node| console.node(node)).collect::<Result<Vec<_>, _>>()?;
    let (mut leases, mut failed) = (Vec::new(), Vec::new());
    // Side by side: a node that does not answer takes its patience once, and nobody else's.
    let asked = nodes.into_iter().map(|node| {
        let (console, grant, name) = (Arc::clone(console), grant.clone(), name.clone());
        let node_name = node.name.to_string();
        (node_name, tokio::spawn(async move { one(&console, &grant, &name, &node).await }))
    });
    for (node_name, asked) in asked.collect::<Vec<_>>() {
        match asked.await {
            Ok(Ok(lease)) => leases.push(lease),
            Ok(Err(no)) => failed.push(NotGranted { node_name, problem: *no.0 }),
            Err(ended) => {
                let no = No::new("failed", Exit::Failed, format!("the grant's task ended: {ended}"));
                failed.push(NotGranted { node_name, problem: *no.0 });
            }
        }
    }
    if let (true, Some(first)) = (leases.is_empty(), failed.first()) {
        return Err(first.problem.clone().into());
    }
    let offer = Offer {
        version: Version,
        contract: grant.contract.clone(),
        from: console.opened.settings.name.to_string(),
        leases,
    };
    Ok(Granted { offer, failed })
}

async fn one(
    console: &Arc<Console>,
    grant: &Grant,
    name: &Name,
    node: &KnownNode,
) -> Result<OfferedLease, No> {
    let by = console.acting(node, None)?;
    let object = console.make_object(grant.boundary.as_bytes())?;
    // A key gets what it asks for, within what its tier may do or grant on.
    let may = grant.exercise.or(grant.grant);
    let keys: Vec<ControllerKey> = grant
        .to
        .controllers
        .iter()
        .map(|controller| ControllerKey { key: controller.key, rights: controller.rights.and(may) })
        .collect();
    let args = json!({
        "name": name,
        "contract": grant.contract,
        "terms": grant.terms,
        "rights": { "exercise": grant.exercise, "grant": grant.grant },
        "quota": grant.quota,
        "keys": &keys,
        "consoles": grant.to.consoles,
        "boundary": Digest::of(&object),
    });
    let intent = Intent {
        by: by.tier,
        contract: grant.contract.clone(),
        name: name.clone(),
        party: grant.to.name.clone(),
        terms: grant.terms,
        boundary: Digest::of(&object),
        keys: keys.iter().map(|key| key.key.id()).collect(),
        before: None,
    };
    let wanted = Wanted { node, tier: &by, verb: "lease", args, objects: vec![object] };
    let order = wanted.submit_for(console, intent).await?;
    let Some(tier) = order.accepted.and_then(|accepted| accepted.tier) else {
        return Err(No::new("not-understood", Exit::Failed, "the node accepted the lease and named no tier"));
    };
    offer_of(console, node, &by, tier).await
}

/// What the other party is given about a tier that was granted.
pub(super) async fn offer_of(
    console: &Console,
    node: &KnownNode,
    by: &KnownTier,
    tier: TierId,
) -> Result<OfferedLease, No> {
    let granted = records::get::<GrantedLease>(console.store(), &grant_key(node.node, tier))?
        .ok_or_else(|| not_found(format!("this console granted no lease of tier {tier}")))?;
    offered(console, node, by, granted).await
}

fn verified(envelope: &str, node: &KnownNode) -> Result<Statement, No> {
    Statement::verify(envelope.as_bytes(), Some(&node.node_key))
        .map_err(|invalid| No::new("store-failed", Exit::Failed, crate::statement::told(&invalid)))
}

/// What the other party is given about one node; the statement is asked for if it is not there yet.
async fn offered(
    console: &Console,
    node: &KnownNode,
    by: &KnownTier,
    granted: Read<GrantedLease>,
) -> Result<OfferedLease, No> {
    let Read { entry, value: granted } = granted;
    let envelope = match &granted.statement {
        Some(envelope) => envelope.clone(),
        None => {
            let envelope = first_statement(console, node, by, (granted.tier, granted.lease)).await?;
            let signed = GrantedLease { statement: Some(envelope.clone()), ..granted.clone() };
            let write = Transaction::new().expect(&entry.key, Some(&entry)).put(&entry.key, value(&signed));
            match console.commit(write).await {
                // It was severed or handed on meanwhile, or somebody else has asked: that stays as it is.
                Err(no) if no.0.code == "changed-meanwhile" => {}
                done => drop(done?),
            }
            envelope
        }
    };
    let statement = verified(&envelope, node)?;
    let object = console.object(&granted.boundary).ok_or_else(|| {
        No::new("store-failed", Exit::Failed, format!("the object {} is gone", granted.boundary))
    })?;
    Ok(OfferedLease {
        name: node.name.to_string(),
        node: node.node,
        tier: granted.tier,
        lease: granted.lease,
        terms: granted.terms,
        boundary: BASE64.encode(object.as_bytes()),
        directory: statement.directory,
        statement: envelope,
    })
}

/// The offer of a contract once more, with the statements that came since.
pub(super) async fn offer(console: &Arc<Console>, contract: &str) -> Result<Offer, No> {
    let mut leases = Vec::new();
    for read in records::all::<GrantedLease>(console.store(), "grant/")? {
        let granted = &read.value;
        if granted.contract == contract && granted.severed.is_none() {
            let node = console.node(&granted.node.to_string())?;
            let by = console.acting(&node, Some(granted.by))?;
            leases.push(offered(console, &node, &by, read).await?);
        }
    }
    if leases.is_empty() {
        if let Some(node) = undecided_about(console, contract)? {
            let node = console.node_name(node);
            let told = format!("node {node} has not said yet whether it leases under contract {contract:?}");
            return Err(not_found(told).hint("its journal tells as soon as it was read"));
        }
        return Err(not_found(format!("this console granted no lease under contract {contract:?}")));
    }
    let from = console.opened.settings.name.to_string();
    Ok(Offer { version: Version, contract: contract.to_owned(), from, leases })
}

/// The node's statement about a tier that was just made or handed on, under the lease that it has since, once
/// custody has made its identity.
async fn first_statement(
    console: &Console,
    node: &KnownNode,
    by: &KnownTier,
    (tier, lease): (TierId, LeaseId),
) -> Result<String, No> {
    let place: Place = (node.node, by.tier);
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let link = console.live.link(place);
        let link = link
            .ok_or_else(|| No::new("node-unreachable", Exit::Failed, "the node is not connected any more"))?;
        match link.call(&Call::Receipts { about: tier.to_string() }, &[]).await.map_err(call_failed)? {
            (Answer::Signed { .. }, lines) => {
                let found = lines.split(|byte| *byte == b'\n').find_map(|line| {
                    let statement = Statement::verify(line, Some(&node.node_key)).ok()?;
                    let fits =
                        statement.tier == tier && statement.lease == lease && statement.identity.is_some();
                    fits.then(|| String::from_utf8_lossy(line).into_owned())
                });
                if let Some(found) = found {
                    return Ok(found);
                }
            }
            (Answer::Refused(refused), _) if refused.code == code::NOT_FOUND => {}
            (Answer::Refused(refused), _) => return Err(No(Box::new(refused.into()))),
            (other, _) => return Err(not_understood(&other)),
        }
        tokio::time::sleep(AGAIN).await;
    }
    Err(No::new(
        "timed-out",
        Exit::TimedOut,
        "the lease is made, and the node has not signed a statement yet",
    )
    .hint("`leasehold lease offer` asks for it again"))
}
