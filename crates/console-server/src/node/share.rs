//! The share without which a node's custody does not open its store (decision 17): drawn and kept here, before
//! the node has it, and given again at each of the node's starts. Nothing that this console says has it.

use std::time::Duration;

use console_api::{Exit, Lock};
use id::{NodeId, SealingKey};
use keys::{Envelope, NodeRecord as _, PayloadType, SHARE_BYTES, Statement, seal_share};
use node_protocol::call::{Answer, Call, Status};
use store::{Key, Transaction};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::live::Place;
use super::session::{call_failed, not_understood};
use crate::api::{No, refused};
use crate::records::{KnownNode, KnownTier, key, value};
use crate::state::Console;
use crate::statement::told;

/// How long a node has to show that it is locked: its status comes each second.
const PATIENCE: Duration = Duration::from_secs(10);

/// How soon a node that still waits is given its share again.
pub(super) const REST: Duration = Duration::from_secs(2);

/// What the node says of its store.
const UNPROTECTED: &str = "stolen-disk-unprotected";
const WAITS: &str = "waits-for-share";
/// Custody did not take what it was given.
const NOT_TAKEN: &str = "share";

type Share = Zeroizing<[u8; SHARE_BYTES]>;

/// The share itself, and nothing else: what is no JSON is in no buffer that a parser leaves behind.
fn share_key(node: NodeId) -> Key {
    key(format!("share/{node}"))
}

/// When the node was first seen locked by it.
fn locked_key(node: NodeId) -> Key {
    key(format!("share-locked/{node}"))
}

impl Console {
    /// Whether the node is locked by a share of this console's.
    pub(super) fn lock_of(&self, node: NodeId) -> Result<Lock, No> {
        if self.store().get(&locked_key(node))?.is_some() {
            return Ok(Lock::Share);
        }
        Ok(if self.share(node)?.is_some() { Lock::Given } else { Lock::None })
    }

    /// Locks the node's store by a share, which from then on this console must give.
    pub(super) async fn lock(&self, node: &KnownNode) -> Result<(), No> {
        let mut happenings = self.live.happenings();
        let tier = self.root_on(node).await?;
        let place = (node.node, tier.tier);
        let status = self.status(place).ok_or_else(|| crate::order::unreachable(&node.name))?;
        if !warns(&status, UNPROTECTED) {
            return Err(already_locked(node, self.lock_of(node.node)?));
        }
        // What cannot be sealed is not drawn.
        let sealing = sealing_key(node, &tier)?;
        let share = match self.share(node.node)? {
            // The node may have it: another one could lock it out for good.
            Some(share) => share,
            None => self.draw(node.node).await?,
        };
        self.give(node, place, &share, &sealing).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            happenings.mark_unchanged();
            let now = self.status(place);
            if now.as_ref().is_some_and(is_locked) {
                return self.seen_locked(node.node).await;
            }
            // What custody said of an earlier share stands there still.
            let refused = |now: &Status| warns(now, NOT_TAKEN) && !warns(&status, NOT_TAKEN);
            if now.as_ref().is_some_and(refused) {
                return Err(unconfirmed(node, now.as_ref()));
            }
            if tokio::time::timeout_at(deadline, happenings.changed()).await.is_err() {
                return Err(unconfirmed(node, now.as_ref()));
            }
        }
    }

    /// The tier by which this console is the node's root, by the node's own journal.
    async fn root_on(&self, node: &KnownNode) -> Result<KnownTier, No> {
        let root = self.turns(node)?.mirror.lock().await.tenure.root();
        let mut tiers = self.tiers_on(node.node)?.into_iter();
        let held = |tier: &KnownTier| tier.state != console_api::TierState::Ended && root == Some(tier.tier);
        tiers.find(held).ok_or_else(|| {
            refused("not-root", format!("this console is not the root of node {}", node.name)).hint(
                "the console of the party that enrolled the node locks it, once it has read its journal",
            )
        })
    }

    /// What the node said last on the connection that there is.
    fn status(&self, place: Place) -> Option<Status> {
        self.live.link(place)?;
        self.live.last_heard(place)?.status
    }

    fn share(&self, node: NodeId) -> Result<Option<Share>, No> {
        let Some(entry) = self.store().get(&share_key(node))? else { return Ok(None) };
        let bytes = Zeroizing::new(entry.value);
        let share = bytes.as_slice().try_into().map_err(|_length| {
            No::new("store-failed", Exit::Failed, format!("{} of the store is no share", entry.key))
        })?;
        Ok(Some(Zeroizing::new(share)))
    }

    /// A new share, once it is on the medium.
    async fn draw(&self, node: NodeId) -> Result<Share, No> {
        let share = Zeroizing::new(self.world.random()?);
        let key = share_key(node);
        // Of two who ask at once one gets its way, and the other is told to ask again.
        self.commit(Transaction::new().expect(&key, None).put(&key, share.to_vec())).await?;
        Ok(share)
    }

    async fn give(
        &self,
        node: &KnownNode,
        place: Place,
        share: &Share,
        sealing: &SealingKey,
    ) -> Result<(), No> {
        let link = self.live.link(place).ok_or_else(|| crate::order::unreachable(&node.name))?;
        let sealed = seal_share(share, node.node, sealing)
            .map_err(|unusable| refused("no-sealing-key", told(&unusable)).hint(MAKE_ONE))?;
        let signed = Envelope::sign(PayloadType::Share, sealed, &self.opened.keys.controller).to_json();
        match link.call(&Call::GiveShare {}, signed.as_bytes()).await.map_err(call_failed)? {
            (Answer::Handed {}, _) => Ok(()),
            (Answer::Refused(refused), _) => Err(No(Box::new(refused.into()))),
            (other, _) => Err(not_understood(&other)),
        }
    }

    async fn seen_locked(&self, node: NodeId) -> Result<(), No> {
        let key = locked_key(node);
        if self.store().get(&key)?.is_none() {
            self.commit(Transaction::new().put(&key, value(&self.world.now()))).await?;
            self.live.happen();
        }
        Ok(())
    }
}

/// Gives a node the share that it waits for; `given` is when that was done last. Whether it waits now.
pub(super) async fn mind(
    console: &Console,
    node: &KnownNode,
    place: Place,
    given: &mut Option<Instant>,
) -> Result<bool, No> {
    let Some(status) = console.status(place) else { return Ok(false) };
    let Some(share) = console.share(node.node)? else { return Ok(false) };
    if !warns(&status, WAITS) {
        // One that never waited for the share may be locked by something else.
        if given.is_some() && is_locked(&status) {
            console.seen_locked(node.node).await?;
        }
        return Ok(false);
    }
    let tier = console.root_on(node).await?;
    if tier.tier == place.1 && given.is_none_or(|given| given.elapsed() >= REST) {
        *given = Some(Instant::now());
        console.give(node, place, &share, &sealing_key(node, &tier)?).await?;
        console.tell(place, "it waited for its share, and has it");
    }
    Ok(true)
}

const MAKE_ONE: &str = "an order `renew` has the node make its root's keys anew; then enrol it again";

/// What the node's root opens sealed things with, by the node's own statement.
fn sealing_key(node: &KnownNode, tier: &KnownTier) -> Result<SealingKey, No> {
    let statement = Statement::verify(tier.statement.as_bytes(), Some(&node.node_key))
        .map_err(|invalid| refused("statement-refused", told(&invalid)))?;
    statement.sealing.ok_or_else(|| {
        refused("no-sealing-key", format!("the statement of node {} names no sealing key", node.name))
            .hint(MAKE_ONE)
    })
}

fn warns(status: &Status, code: &str) -> bool {
    status.warnings.iter().any(|warning| warning.code == code)
}

fn is_locked(status: &Status) -> bool {
    !warns(status, UNPROTECTED) && !warns(status, WAITS)
}

fn already_locked(node: &KnownNode, lock: Lock) -> No {
    let by = match lock {
        Lock::Share => "a share that this console gives at each start",
        Lock::Given => "a share that this console keeps, as its next start will show, or by a key file",
        Lock::None => "something that this console does not have: a key file, or another console's share",
    };
    refused("already-locked", format!("the store of node {} is locked by {by}", node.name))
        .hint("`leasehold node show` says how it is locked; nothing was changed")
}

/// The share is kept, whatever the node did with it.
fn unconfirmed(node: &KnownNode, status: Option<&Status>) -> No {
    let mut warnings = status.into_iter().flat_map(|status| &status.warnings);
    let why = warnings.find(|warning| warning.code == NOT_TAKEN);
    let why = why.map_or_else(String::new, |warning| format!(": {}", warning.message));
    let told = format!("node {} was given its share, and did not say that it is locked{why}", node.name);
    No::new("unconfirmed", Exit::TimedOut, told)
        .hint("the share is kept; the same command gives the same one again")
}
