//! Custody: the process that holds every key. It has no network, no capability and a folder of its own;
//! it lives as long as the supervisor, answers its numbered requests, and signs for couriers the one thing
//! that opens a connection.
//!
//! The folder has `node.key` (N, made once), and for each tier and epoch `TIER.EPOCH.secret` (its identity U,
//! the key that orders are sealed for, its secret K), `TIER.EPOCH.salt` (S) and `TIER.EPOCH.commitment`, a
//! digest of S and K that outlives them; and for each volume `TIER.EPOCH.NUMBER.volume` (its own S, its header) with a
//! commitment. All but the last are sealed under the storage key ([`lock`]). The
//! supervisor can unlink a secret without custody; nothing hands one out. Custody reads a secret anew for
//! each use and keeps none: what is unlinked is of no use any more at once.

mod forms;
mod lock;
mod messages;
mod secrets;
mod serve;
mod signers;
mod store;
#[cfg(test)]
mod tests;
mod volumes;

use std::io;

use id::Epoch;
use keys::{Fate, NodeRecord, Part, PublicKey, SigningKey};
use os::secret::Hiding;

pub(crate) use self::messages::{KeptHead, Numbered, Path, Protection, Reply, Request, StoreState};
pub(crate) use self::serve::run;
pub(crate) use self::store::{
    Gone, Store, StoreError, gone_up_to, has_node_key, has_storage_key, salts, secrets, volume_gone, volumes,
};
use crate::failure::chain;
use crate::step::Step;

impl Reply {
    /// The step that custody passes when it has this to say.
    const fn step(&self) -> Option<Step> {
        match self {
            Self::Signed { .. } => Some(Step::CustodySigned),
            Self::Store(_)
            | Self::Shut { .. }
            | Self::Public { .. }
            | Self::Tier { .. }
            | Self::Opened { .. }
            | Self::Key { .. }
            | Self::Done {}
            | Self::Refused { .. } => None,
        }
    }
}

/// Answers a request; randomness is an argument.
fn answer(
    store: &Store<'_>,
    request: Request,
    random: impl Fn() -> io::Result<[u8; 32]>,
) -> Result<Reply, StoreError> {
    match request {
        Request::Node {} => Ok(Reply::Public { key: *store.node_key_or_new(random)?.public() }),
        Request::Tier { tier, epoch, root } => {
            let public = store.tier_or_new(tier, epoch, root, random)?;
            let identity = *public.identity.public();
            Ok(Reply::Tier { identity, sealing: Box::new(public.sealing) })
        }
        Request::Receipt(mut receipt) => {
            receipt.destroyed = Vec::new();
            for part in &receipt.parts {
                receipt.destroyed.extend(store.destroyed(part.tier, last_gone(part))?);
            }
            sign(&store.node_key()?, *receipt, |receipt, key| receipt.node_key = key)
        }
        Request::Statement(statement) => {
            sign(&store.node_key()?, *statement, |statement, key| statement.node_key = key)
        }
        Request::Head { head, keep } => {
            let newest = KeptHead { record: head.record, digest: head.record_digest };
            store.follows_kept(&newest)?;
            let signed = sign(&store.node_key()?, *head, |head, key| head.node_key = key)?;
            if keep {
                store.keep_head(&newest, random)?;
            }
            Ok(signed)
        }
        Request::Rewrap { node, path, number } => {
            store.rewrap_volume(node, &path, number, random)?;
            Ok(Reply::Done {})
        }
        // What they are about is kept by the loop; it has done its part.
        Request::Open { .. } | Request::Share { .. } => state(store),
        Request::Seal { .. }
        | Request::Unseal { .. }
        | Request::Order { .. }
        | Request::Courier { .. }
        | Request::Volume { .. }
        | Request::Forget { .. } => Ok(Reply::Done {}),
    }
}

/// How the store is; that it was not opened is custody's own to notice.
fn state(store: &Store<'_>) -> Result<Reply, StoreError> {
    let hiding = store.hiding();
    let open = hiding.is_some();
    let kept = if open { store.kept_head()? } else { None };
    Ok(match store.protection() {
        Some(protection) => {
            let hidden = hiding == Some(Hiding::FromTheKernel);
            Reply::Store(StoreState { protection, open, hidden, kept })
        }
        None => Reply::Refused { why: "the store was not opened".to_owned() },
    })
}

/// The last epoch of a part whose secret a receipt says is gone; none: all.
fn last_gone(part: &Part) -> Option<Epoch> {
    match part.fate {
        Fate::Ended => None,
        Fate::Erased | Fate::Kept => Some(Epoch::new(part.epoch.get().saturating_sub(1)).unwrap_or_default()),
    }
}

/// Signs in the name of the key that custody really has, whatever the request said.
fn sign<T: NodeRecord>(
    key: &SigningKey,
    mut record: T,
    name: impl FnOnce(&mut T, PublicKey),
) -> Result<Reply, StoreError> {
    name(&mut record, *key.public());
    if record.node().0 != key.public().id() {
        return Err(StoreError::OtherNode);
    }
    Ok(Reply::Signed { envelope: record.sign(key).to_json() })
}
