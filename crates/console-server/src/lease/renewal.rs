//! The second half of Fig. 6: the tier's keys are made anew, so that whoever handed them over knows them no more.
//!
//! ```text
//!  Taking ── ordered, nonce kept ─▶ Renewing ── a stranger shows U' with a statement ─▶ Held
//!                                      │           that carries the nonce
//!                                      └─ the node dials with the old U: ordered again, with the same nonce, so
//!                                         that whichever order it obeyed, its statement is known
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use console_api::{Check, TierState};
use id::{Nonce, PublicKey, TierId};
use serde_json::json;
use store::Transaction;

use crate::api::{No, refused};
use crate::node::live::Place;
use crate::order::Wanted;
use crate::records::{KnownNode, KnownTier, Read, tier_key, value};
use crate::state::Console;
use crate::statement::{Expect, Expected, check};

/// How long the new statement is waited for on this connection before the renewal is ordered again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Orders the renewal of a tier that dials with the identity of which others may know.
pub(crate) async fn order(console: &Arc<Console>, node: &KnownNode, place: Place) -> Result<(), No> {
    let Some(read) = console.tier(place)? else { return Ok(()) };
    let mut tier = read.value;
    let keep = kept(console, node, &tier).await?;
    let nonce = match tier.nonce {
        Some(nonce) => nonce,
        None => Nonce::from_bytes(console.world.random_16()?),
    };
    // First the nonce is on the medium, and the door open: the answer may be there before the order's is.
    (tier.state, tier.nonce) = (TierState::Renewing, Some(nonce));
    let key = tier_key(place.0, place.1);
    let write = Transaction::new().expect(&key, Some(&read.entry)).put(&key, value(&tier));
    console.commit(write).await?;
    console.mind_the_window()?;
    console.tell(place, "a renewal is ordered");
    let args = json!({ "nonce": nonce, "keep": keep });
    let wanted = Wanted { node, tier: &tier, verb: "renew", args, objects: Vec::new() };
    wanted.submit(console).await?;
    // The node replaces the identity, and comes back with the new one.
    let deadline = Instant::now() + PATIENCE;
    let mut happenings = console.live.happenings();
    while Instant::now() < deadline {
        if console.tier(place)?.is_none_or(|read| read.value.state != TierState::Renewing) {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        drop(tokio::time::timeout(left, happenings.changed()).await);
    }
    Ok(())
}

/// The tiers below whose data the renewal keeps: those that have consented. A tier that was handed on with others below
/// it waits for all of them, unless somebody has said that theirs may be erased.
async fn kept(console: &Console, node: &KnownNode, own: &KnownTier) -> Result<Vec<TierId>, No> {
    let turns = console.turns(node)?;
    let mirror = turns.mirror.lock().await;
    let Some(epoch) = mirror.tenure.tier(own.tier).map(|tier| tier.epoch) else { return Ok(Vec::new()) };
    let (mut keep, mut missing) = (Vec::new(), Vec::new());
    for id in mirror.tenure.subtree(own.tier).into_iter().filter(|id| *id != own.tier) {
        let Some(tier) = mirror.tenure.tier(id).filter(|tier| !tier.ending) else { continue };
        let consented = |consent: &tenure::Consent| {
            consent.tier == own.tier && consent.epoch == epoch && consent.successor.is_none()
        };
        if tier.consents.iter().any(consented) {
            keep.push(id);
        } else {
            missing.push(tier.name.to_string());
        }
    }
    if missing.is_empty() || own.erase_below {
        return Ok(keep);
    }
    let why = format!(
        "the keys are made anew once {} consented: else its data would be erased",
        missing.join(", ")
    );
    Err(refused("waits-for-consent", why))
}

/// A stranger came with a statement about a tier under renewal, and has shown the identity in it.
pub(crate) async fn complete(
    console: &Console,
    read: Read<KnownTier>,
    identity: PublicKey,
    envelope: &str,
) -> Result<(), No> {
    let before = read.value;
    let expected = renewed(console, &before, identity);
    let checked = check(envelope.as_bytes(), &expected);
    let Some(statement) = checked.statement.as_ref().filter(|_| before.nonce.is_some()) else {
        let why = checked.fault().map(|Check { check, found, .. }| format!("{check}: {found}"));
        return Err(refused("statement-refused", why.unwrap_or_else(|| "no renewal was ordered".to_owned())));
    };
    let tier = KnownTier {
        epoch: statement.epoch,
        identity,
        state: TierState::Held,
        nonce: None,
        boundary: statement.boundary,
        statement: envelope.to_owned(),
        ..before.clone()
    };
    let key = tier_key(tier.node, tier.tier);
    console.commit(Transaction::new().expect(&key, Some(&read.entry)).put(&key, value(&tier))).await?;
    // From now on the new one alone: who still speaks under the old one is cut off.
    console.pin(identity, (tier.node, tier.tier));
    console.unpin(&before.identity);
    console.mind_the_window()?;
    console.live.happen();
    Ok(())
}

/// What the statement after a renewal must say: the same lease and the same keys, a new identity in a later
/// epoch, and the nonce.
pub(super) fn renewed(console: &Console, before: &KnownTier, identity: PublicKey) -> Expected {
    Expected {
        node: before.node,
        node_key: Some(before.node.0),
        controllers: console.controller_keys(),
        tier: before.tier,
        lease: before.lease,
        epoch: Expect::After(before.epoch),
        boundary: Expect::Any,
        directory: Expect::Is(before.directory),
        nonce: before.nonce,
        not_identity: Some(before.identity),
        identity: Some(identity),
    }
}
