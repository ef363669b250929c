//! Versions: counted, signed, kept, and given to nodes that have an older one.

use std::sync::Arc;

use console_api::{DirectoryPush, Exit, TierState};
use id::{Digest, Name, TierId};
use keys::sign_directory;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Transaction;

use super::compile::{Known, compile};
use super::reserve::follow_tiers;
use crate::api::No;
use crate::node::live::Place;
use crate::order::Wanted;
use crate::records::{self, KnownNode, Read, key, value};
use crate::state::Console;

/// One version a second for longer than anything runs.
const COUNTED_MAX: u64 = 1 << 40;

/// The version that nodes are to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Current {
    pub(super) serial: u64,
    /// What a person published; without the serial.
    pub(super) base: String,
    /// The whole text.
    pub(super) text: String,
    /// The object that nodes are given: salt and signed envelope.
    pub(super) object: Digest,
}

pub(super) fn current(console: &Console) -> Result<Option<Read<Current>>, No> {
    records::get(console.store(), &current_key())
}

/// The directory that nodes are to have.
pub(crate) fn text(console: &Console) -> Result<Option<String>, No> {
    Ok(current(console)?.map(|read| read.value.text))
}

fn current_key() -> store::Key {
    key("directory/current".to_owned())
}

/// A chore: addresses follow the node's tiers, the directory follows the addresses, the node follows the directory.
pub(crate) async fn mind(console: &Arc<Console>, node: &KnownNode, place: Place) -> Result<(), No> {
    let pool = console.opened.settings.realms.as_ref();
    let turns = console.turns(node)?;
    // Whoever gives a tier its address has the turn until the tier is seen here.
    let turn = console.addressing.lock().await;
    let (root, tiers) = {
        let mirror = turns.mirror.lock().await;
        let tiers: Vec<(TierId, Name)> = mirror
            .tenure
            .tiers()
            .filter(|(id, tier)| mirror.tenure.root() != Some(*id) && !tier.ending)
            .map(|(id, tier)| (id, tier.name.clone()))
            .collect();
        (mirror.tenure.root(), tiers)
    };
    if root != Some(place.1) {
        return Ok(());
    }
    let changed = follow_tiers(console, pool, node, &tiers).await?;
    if changed {
        console.live.happen();
    }
    if changed || (pool.is_some() && current(console)?.is_none()) {
        publish(console, None).await?;
    }
    drop(turn);
    push(console, node, place).await
}

/// Has the directory follow addresses that moved. The caller holds the turn in which addresses are given out.
pub(crate) async fn publish_addresses(console: &Console) -> Result<(), No> {
    publish(console, None).await.map(drop)
}

/// Makes a new version, if anything in it is new. The caller holds the turn in which addresses are given out.
pub(super) async fn publish(console: &Console, base: Option<String>) -> Result<Current, No> {
    let before = current(console)?;
    let old = before.as_ref().map(|read| &read.value);
    let base = base.or_else(|| old.map(|old| old.base.clone())).unwrap_or_default();
    let (nodes, reservations) = (console.nodes()?, console.reservations()?);
    let (mut known, mut counted) = (Vec::new(), Vec::new());
    for node in &nodes {
        let turns = console.turns(node)?;
        let mirror = turns.mirror.lock().await;
        let Some(root) = mirror.tenure.root() else { continue };
        let ours = console.tier((node.node, root))?.is_some_and(|read| read.value.state == TierState::Held);
        if ours {
            counted.extend(mirror.tenure.directory().map(|directory| directory.serial));
            let cluster = mirror.tenure.children(root).next().map(|(_, tier)| tier.name.clone());
            let reservations = reservations.iter().filter(|one| one.node == node.node).collect();
            known.push(Known { node, cluster, reservations });
        }
    }
    let newest = newest_of(&counted);
    if let Some(old) = old
        && compile(&base, old.serial, &known)? == old.text
        && old.serial >= newest
    {
        return Ok(old.clone());
    }
    let serial = old.map_or(0, |old| old.serial).max(newest).checked_add(1);
    let serial = serial.ok_or_else(|| No::new("exhausted", Exit::Refused, "no serial is left"))?;
    let text = compile(&base, serial, &known)?;
    let envelope = sign_directory(&text, &console.opened.keys.directory);
    let object = Digest::of(&console.make_object(envelope.as_bytes())?);
    let next = Current { serial, base, text, object };
    let write = Transaction::new().expect(&current_key(), before.as_ref().map(|read| &read.entry));
    console.commit(write.put(&current_key(), value(&next))).await?;
    console.world.tell(&format!("directory {serial} is published"));
    console.live.happen();
    Ok(next)
}

/// How far the console had counted, by what its own nodes have: for one that lost its store. A node may lie: what
/// no console counts to is not believed, so that it cannot use up the serials of all.
fn newest_of(serials: &[u64]) -> u64 {
    serials.iter().copied().filter(|serial| *serial <= COUNTED_MAX).max().unwrap_or(0)
}

/// Gives a node the newest version, if it has an older one.
async fn push(console: &Console, node: &KnownNode, place: Place) -> Result<(), No> {
    let Some(current) = current(console)?.map(|read| read.value) else { return Ok(()) };
    let turns = console.turns(node)?;
    let (has, signer) = {
        let mirror = turns.mirror.lock().await;
        (mirror.tenure.directory().map(|directory| directory.serial), mirror.tenure.directory_signer())
    };
    if has >= Some(current.serial) || signer != Some(*console.opened.keys.directory.public()) {
        return Ok(());
    }
    let Some(read) = console.tier(place)? else { return Ok(()) };
    let object = console.object(&current.object).ok_or_else(|| {
        No::new("store-failed", Exit::Failed, format!("the object {} is gone", current.object))
    })?;
    let args = json!({ "object": current.object });
    let objects = vec![object.as_bytes().to_vec()];
    Wanted { node, tier: &read.value, verb: "directory", args, objects }.submit(console).await.map(drop)
}

/// Which node has which version.
pub(super) async fn pushes(console: &Console, current: &Current) -> Result<Vec<DirectoryPush>, No> {
    let mut pushes = Vec::new();
    for node in console.nodes()? {
        let turns = console.turns(&node)?;
        let mirror = turns.mirror.lock().await;
        let held = console.tiers_on(node.node)?;
        if !held.iter().any(|tier| mirror.tenure.root() == Some(tier.tier)) {
            continue;
        }
        let serial = mirror.tenure.directory().map(|directory| directory.serial);
        let ours = mirror.tenure.directory_signer() == Some(*console.opened.keys.directory.public());
        let problem = if !ours {
            Some(No::new(
                "wrong-directory",
                Exit::Refused,
                "the node was enrolled with another key for directories",
            ))
        } else if serial < Some(current.serial) {
            Some(No::new("not-yet", Exit::Failed, "the node gets it when it is connected"))
        } else {
            None
        };
        pushes.push(DirectoryPush {
            node_name: node.name.to_string(),
            node: node.node,
            serial,
            problem: problem.map(|no| *no.0),
        });
    }
    Ok(pushes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_lies_does_not_use_up_the_serials() {
        assert_eq!(newest_of(&[3, 7, u64::MAX, 5]), 7);
        assert_eq!(newest_of(&[COUNTED_MAX + 1]), 0);
        assert_eq!(newest_of(&[]), 0);
    }
}
