//! A spare takes a node's place: the same leases to the same parties under the same boundaries, and the node's
//! addresses if the node can no longer use them.
//!
//! ```text
//!  failed node switched off, and that read back? ── yes ─▶ its addresses move
//!        │ no, or nobody can tell                            │
//!        ▼                                                   ▼
//!  the spare gets new addresses ──▶ spare chosen, on record ─▶ leased ─▶ directory ─▶ (the tenant takes over)
//! ```
//!
//! Everything can be done again from any point: a spare that was chosen stays chosen, a lease that is there is not
//! made twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use console_api::{Exit, TierState};
use id::{Digest, KeyId, LeaseId, Name, NodeId, TierId};
use incident::Fence;
use serde_json::json;
use store::Transaction;
use tenure::{ControllerKey, Tier};

use super::{Spare, spare_key};
use crate::api::{No, not_found, refused};
use crate::node::session::read_journal;
use crate::order::Wanted;
use crate::records::{self, GrantedLease, KnownNode, KnownTier, grant_key, value};
use crate::state::Console;

/// A lease of the failed node, as its journal has it.
struct Placed {
    tier: TierId,
    lease: Tier,
}

/// Has a spare take the node's place. What was done, in words.
pub(crate) async fn activate(console: &Arc<Console>, failed: &KnownNode, fence: Fence) -> Result<String, No> {
    let leases = leases_of(console, failed).await?;
    if leases.is_empty() {
        return Err(refused("nothing-leased", format!("nothing on node {} is leased", failed.name)));
    }
    let cluster = leases.first().map(|placed| placed.lease.name.clone());
    // Chosen before anything is switched off: without a spare the node is left as it is.
    let spare = choose(console, failed, cluster.as_ref()).await?;
    console.must_have_fence(failed.node, fence)?;
    let off = match console.switched_off(failed).await {
        Ok(told) => Ok(told),
        Err(no) => Err(no.0.message),
    };
    let mut told = Vec::new();
    for placed in &leases {
        console.must_have_fence(failed.node, fence)?;
        let moved = place(console, failed, &spare, placed, off.is_ok()).await?;
        let name = &placed.lease.name;
        told.push(if moved {
            format!("{name} with its address")
        } else {
            format!("{name} with a new address")
        });
    }
    console.live.happen();
    let off = match off {
        Ok(told) => told,
        Err(why) => format!("{} was not confirmed off ({why}), so that no address moved", failed.name),
    };
    Ok(format!("spare {} takes the place of {}: {}; {off}", spare.name, failed.name, told.join(", ")))
}

/// The leases that this console granted on a node, by the node's own journal.
async fn leases_of(console: &Arc<Console>, failed: &KnownNode) -> Result<Vec<Placed>, No> {
    let root = console.acting(failed, None)?;
    let turns = console.turns(failed)?;
    let mirror = turns.mirror.lock().await;
    if mirror.tenure.root() != Some(root.tier) {
        return Err(refused("not-root", format!("this console is not the root of node {}", failed.name)));
    }
    let children = mirror.tenure.children(root.tier).filter(|(_, tier)| !tier.ending);
    Ok(children.map(|(tier, lease)| Placed { tier, lease: lease.clone() }).collect())
}

/// The spare that has this node's place already, or one that is ready; from then on it is on record.
async fn choose(console: &Arc<Console>, failed: &KnownNode, cluster: Option<&Name>) -> Result<KnownNode, No> {
    let spares = console.spares()?;
    let taking = spares.iter().find(|read| read.value.place_of == Some(failed.node));
    if let Some(taking) = taking {
        return console.node(&taking.value.node.to_string());
    }
    for read in spares {
        let Spare { node, cluster: kept_for, place_of, .. } = &read.value;
        let fits = kept_for.is_none() || kept_for.as_ref() == cluster;
        if place_of.is_some() || !fits || *node == failed.node {
            continue;
        }
        let known = console.node(&node.to_string())?;
        if !is_ready(console, &known).await? {
            continue;
        }
        let now =
            Spare { place_of: Some(failed.node), since: Some(console.world.now()), ..read.value.clone() };
        let key = spare_key(*node);
        console.commit(Transaction::new().expect(&key, Some(&read.entry)).put(&key, value(&now))).await?;
        return Ok(known);
    }
    Err(not_found("no spare is ready").hint("`leasehold spare add NODE` keeps a node for this"))
}

/// Whether it is connected, and free.
pub(super) async fn is_ready(console: &Arc<Console>, node: &KnownNode) -> Result<bool, No> {
    let Ok(root) = console.acting(node, None) else { return Ok(false) };
    let turns = console.turns(node)?;
    let mirror = turns.mirror.lock().await;
    let free = mirror.tenure.root() == Some(root.tier) && mirror.tenure.children(root.tier).next().is_none();
    Ok(free && root.state == TierState::Held && console.live.link((node.node, root.tier)).is_some())
}

/// Makes one lease on the spare as it is on the failed node. Whether the address moved along.
async fn place(
    console: &Arc<Console>,
    failed: &KnownNode,
    spare: &KnownNode,
    placed: &Placed,
    off: bool,
) -> Result<bool, No> {
    let by = console.acting(spare, None)?;
    // Nobody gives the new tier an address before it is known which.
    let turn = console.addressing.lock().await;
    let keys = keys_of(console, failed, placed)?;
    let (tier, lease) = match there(console, spare, &by, &placed.lease.name).await? {
        Some(there) => there,
        None => order(console, spare, &by, &placed.lease, &keys).await?,
    };
    let granted = granted(console, spare, &by, placed, tier, lease, keys);
    let key = grant_key(spare.node, tier);
    if console.store().get(&key)?.is_none() {
        console.commit(Transaction::new().put(&key, value(&granted))).await?;
    }
    // What follows the node's tiers shall see the new one, and keep its address.
    if let Some(link) = console.live.link((spare.node, by.tier)) {
        read_journal(console, spare, &link).await?;
    }
    let moved = off && {
        let from = (failed.node, placed.tier);
        crate::directory::move_address(console, from, (spare.node, tier), &placed.lease.name).await?
    };
    if moved {
        crate::directory::publish_addresses(console).await?;
    }
    drop(turn);
    Ok(moved)
}

/// The tier of that name, if it is there already.
async fn there(
    console: &Arc<Console>,
    spare: &KnownNode,
    by: &KnownTier,
    name: &Name,
) -> Result<Option<(TierId, LeaseId)>, No> {
    let turns = console.turns(spare)?;
    let mirror = turns.mirror.lock().await;
    let mut children = mirror.tenure.children(by.tier);
    let found = children.find(|(_, tier)| !tier.ending && tier.name == *name);
    Ok(found.map(|(id, tier)| (id, tier.lease)))
}

/// The keys that the spare's lease names: those of the lease that its party still has. What the party has enrolled
/// since is its own business, and its console's to bring: of a lease with keys that nobody told it of it takes nothing.
fn keys_of(console: &Console, failed: &KnownNode, placed: &Placed) -> Result<BTreeSet<KeyId>, No> {
    let key = grant_key(failed.node, placed.tier);
    let granted = records::get::<GrantedLease>(console.store(), &key)?;
    let granted = granted.map(|read| read.value.keys).unwrap_or_default();
    let present: BTreeSet<KeyId> = placed.lease.keys.keys().copied().collect();
    let both: BTreeSet<KeyId> = granted.intersection(&present).copied().collect();
    // A party that has none of them any more, or whose lease is older than such records, has told its console so.
    Ok(if both.is_empty() { present } else { both })
}

async fn order(
    console: &Arc<Console>,
    spare: &KnownNode,
    by: &KnownTier,
    lease: &Tier,
    named: &BTreeSet<KeyId>,
) -> Result<(TierId, LeaseId), No> {
    let given = lease.given.ok_or_else(|| not_found("the lease has no boundary"))?;
    // The very object: by its name the tenant knows that the boundary is the one that it has accepted.
    let object = console.object(&given).ok_or_else(|| {
        No::new("store-failed", Exit::Failed, format!("the object {given} of the boundary is gone"))
    })?;
    let keys: Vec<_> = lease
        .keys
        .iter()
        .filter(|(id, _)| named.contains(id))
        .map(|(_, entry)| ControllerKey { key: entry.key, rights: entry.rights })
        .collect();
    let args = json!({
        "name": lease.name,
        "contract": lease.contract,
        "terms": lease.terms,
        "rights": lease.rights,
        "quota": lease.quota,
        "keys": keys,
        "consoles": lease.consoles,
        "boundary": given,
    });
    let objects = vec![object.as_bytes().to_vec()];
    let order = Wanted { node: spare, tier: by, verb: "lease", args, objects }.submit(console).await?;
    let made = order.accepted.and_then(|accepted| Some((accepted.tier?, accepted.lease?)));
    made.ok_or_else(|| {
        No::new("not-understood", Exit::Failed, "the node accepted the lease and named no tier")
    })
}

fn granted(
    console: &Console,
    spare: &KnownNode,
    by: &KnownTier,
    Placed { tier: before, lease: was }: &Placed,
    tier: TierId,
    lease: LeaseId,
    keys: BTreeSet<KeyId>,
) -> GrantedLease {
    let party = console.granted_party(*before).unwrap_or_else(|| was.name.to_string());
    GrantedLease {
        node: spare.node,
        tier,
        lease,
        by: by.tier,
        contract: was.contract.as_ref().map(ToString::to_string).unwrap_or_default(),
        name: was.name.clone(),
        party,
        terms: was.terms,
        boundary: was.given.unwrap_or_else(|| Digest::of(b"")),
        statement: None,
        severed: None,
        below: false,
        keys,
    }
}

impl Console {
    /// To whom a tier was leased.
    fn granted_party(&self, tier: TierId) -> Option<String> {
        let all = records::all::<GrantedLease>(self.store(), "grant/").ok()?;
        all.into_iter().map(|read| read.value).find(|lease| lease.tier == tier).map(|lease| lease.party)
    }

    /// Switches a node off, and reads back that it is: then nothing of it can use its addresses.
    async fn switched_off(&self, node: &KnownNode) -> Result<String, No> {
        self.power(node)?.off(node).await?;
        Ok(format!("{} is switched off", node.name))
    }

    /// Has a spare take a node's place on a person's word.
    pub(super) async fn activate_by_hand(self: &Arc<Self>, node: NodeId) -> Result<String, No> {
        let known = self.node(&node.to_string())?;
        let fence = self.incidents.next_fence(self, node).await?;
        activate(self, &known, fence).await
    }
}
