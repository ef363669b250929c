//! What this console had on a node that is dead, brought to the one that took its place in the contract: its own
//! boundary first, then its keys, its volumes, empty, and its engines. What it was stands in the mirror of the dead node's
//! journal.
//!
//! Each part is ordered where the spare's own journal does not have it yet, and is written down once it is there: so
//! the rest can be done from any point, also by a console that was started anew, and what people change on the spare
//! meanwhile stays as they want it.

use std::collections::BTreeSet;
use std::sync::Arc;

use console_api::{EngineAction, Trust};
use id::{Digest, Name, NodeId, TierId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Transaction;
use tenure::{EngineDemand, KeyEntry, Tier};

use crate::api::{No, not_found, refused};
use crate::engine::{act_on, deploy_at, span, to_the_end};
use crate::node::live::Place as Key;
use crate::order::Wanted;
use crate::places::Place;
use crate::records::{self, KnownNode, KnownTier, key, value};
use crate::state::Console;

/// Whose place a tier has taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct From {
    node: NodeId,
    tier: TierId,
    /// Keys, volumes and engines that it has, or had.
    #[serde(default)]
    brought: BTreeSet<String>,
    /// It has all. Whose place it is stays known.
    #[serde(default)]
    whole: bool,
}

impl From {
    fn is_of(&self, other: &Self) -> bool {
        (self.node, self.tier) == (other.node, other.tier)
    }
}

fn bring_key((node, tier): Key) -> store::Key {
    key(format!("bring/{node}/{tier}"))
}

/// Writes down that a tier has taken the place of another.
pub(super) async fn remember(console: &Console, place: Key, from: &KnownTier) -> Result<(), No> {
    let from = From { node: from.node, tier: from.tier, brought: BTreeSet::new(), whole: false };
    console.commit(Transaction::new().put(&bring_key(place), value(&from))).await.map(drop)
}

/// Whose place a tier has taken, if any's.
pub(super) fn whose_place(console: &Console, place: Key) -> Result<Option<Key>, No> {
    let read = records::get::<From>(console.store(), &bring_key(place))?;
    Ok(read.map(|read| (read.value.node, read.value.tier)))
}

/// Brings what is still missing, if a tier has taken another's place.
pub(crate) async fn mind(console: &Arc<Console>, node: &KnownNode, place: Key) -> Result<(), No> {
    let Some(read) = records::get::<From>(console.store(), &bring_key(place))? else { return Ok(()) };
    if read.value.whole {
        return Ok(());
    }
    let Some(tier) = console.tier(place)? else { return Ok(()) };
    let to = Place { node: node.clone(), tier: tier.value };
    let before = {
        let failed = console.node(&read.value.node.to_string())?;
        let turns = console.turns(&failed)?;
        let mirror = turns.mirror.lock().await;
        mirror.tenure.tier(read.value.tier).cloned()
    };
    // Of a tier that was severed meanwhile nothing is left to bring.
    if let Some(before) = before {
        bring(console, &before, &to, &read.value).await?;
        let engines = before.engines.keys().map(Name::as_str).collect::<Vec<_>>().join(", ");
        console.tell(place, &format!("it has what its place had; engines: {engines}"));
    }
    // Unless it has taken another's place since.
    let Some(now) = records::get::<From>(console.store(), &bring_key(place))? else { return Ok(()) };
    if !now.value.is_of(&read.value) {
        return Ok(());
    }
    let whole = From { whole: true, ..now.value };
    let key = &now.entry.key;
    console.commit(Transaction::new().expect(key, Some(&now.entry)).put(key, value(&whole))).await.map(drop)
}

async fn bring(console: &Arc<Console>, before: &Tier, to: &Place, from: &From) -> Result<(), No> {
    boundary(console, before, to).await?;
    // What cannot be brought keeps nothing else from it.
    let mut failed = keys(console, before, to, from).await;
    for (name, volume) in &before.volumes {
        let what = format!("volume/{name}");
        if from.brought.contains(&what) {
            continue;
        }
        if !to.recorded(console).await?.volumes.contains_key(name) {
            crate::volume::make_at(console, to, name, volume.size_mib.get()).await?;
        }
        note(console, to, from, what).await?;
    }
    for (name, demand) in &before.engines {
        let what = format!("engine/{name}");
        if from.brought.contains(&what) {
            continue;
        }
        match engine(console, name, demand, to).await {
            Ok(()) => note(console, to, from, what).await?,
            Err(no) => failed = failed.and(Err(no)),
        }
    }
    failed
}

/// Writes down that the spare has a part.
async fn note(console: &Console, to: &Place, from: &From, what: String) -> Result<(), No> {
    let key = bring_key((to.node.node, to.tier.tier));
    let Some(read) = records::get::<From>(console.store(), &key)? else { return Ok(()) };
    let mut noted = read.value;
    if !noted.is_of(from) {
        return Ok(());
    }
    noted.brought.insert(what);
    console
        .commit(Transaction::new().expect(&key, Some(&read.entry)).put(&key, value(&noted)))
        .await
        .map(drop)
}

/// The tier's own set comes before anything runs: nothing is to be reached that was not on the dead node.
async fn boundary(console: &Arc<Console>, before: &Tier, to: &Place) -> Result<(), No> {
    // What was only tried there is not tried here: the clock that was to end it died with the node.
    let Some(own) = before.trial.map_or(before.own, |trial| trial.before) else { return Ok(()) };
    if to.recorded(console).await?.own.is_some() {
        return Ok(());
    }
    let text = console.object_text(&own).ok_or_else(|| {
        not_found(format!(
            "the text of the boundary {own} is not here, and so it is not brought to the spare"
        ))
    })?;
    let object = console.make_object(text.as_bytes())?;
    let args = json!({ "object": Digest::of(&object) });
    let wanted = Wanted { node: &to.node, tier: &to.tier, verb: "boundary", args, objects: vec![object] };
    wanted.submit(console).await?;
    to.kept(console).await
}

/// Keys that the tier enrolled itself: its landlord gave the spare those that it knows from the lease. Only the journal
/// of a node that a person has confirmed is believed about who may give orders here.
async fn keys(console: &Arc<Console>, before: &Tier, to: &Place, from: &From) -> Result<(), No> {
    let trusted = console.node(&from.node.to_string())?.trust == Trust::Confirmed;
    let present = to.recorded(console).await?.keys;
    for (id, KeyEntry { key, rights }) in before.keys.iter().filter(|(id, _)| !present.contains_key(id)) {
        let what = format!("key/{id}");
        if from.brought.contains(&what) {
            continue;
        }
        if !trusted {
            let told = format!(
                "the key {id} is not brought: nobody has confirmed the node that says it is the tier's"
            );
            return Err(refused("not-confirmed", told));
        }
        let args = json!({ "key": key, "rights": rights });
        let wanted = Wanted { node: &to.node, tier: &to.tier, verb: "enrol-key", args, objects: Vec::new() };
        wanted.submit(console).await?;
        to.kept(console).await?;
        note(console, to, from, what).await?;
    }
    Ok(())
}

async fn engine(console: &Arc<Console>, name: &Name, demand: &EngineDemand, to: &Place) -> Result<(), No> {
    let present = to.recorded(console).await?;
    if let Some(present) = present.engines.get(name) {
        // Deployed, and then this console died before it was stopped.
        let runs_on = present.running && !demand.running;
        return if runs_on { act_on(console, to, name, EngineAction::Stop).await.map(drop) } else { Ok(()) };
    }
    let text = console
        .object_text(&demand.specification)
        .ok_or_else(|| not_found(format!("the specification of engine {name} is not here")))?;
    to_the_end(|| deploy_at(console, to, &text, span())).await?;
    if !demand.running {
        act_on(console, to, name, EngineAction::Stop).await?;
    }
    Ok(())
}
