//! Custody: the process that holds every key. It has no network, no capability and a folder of its own;
//! it lives as long as the supervisor, answers its numbered requests, and signs for couriers the one thing
//! that opens a connection.
//!
//! The folder has `node.key` (N, made once), and for each tier and epoch `TIER.EPOCH.secret` (its identity U,
//! the key that orders are sealed for, its secret K), `TIER.EPOCH.salt` (S) and `TIER.EPOCH.commitment`, a
//! digest of S and K that outlives them. All but the last are sealed under the storage key ([`lock`]). The
//! supervisor can unlink a secret without custody; nothing hands one out. Custody reads a secret anew for
//! each use and keeps none: what is unlinked is of no use any more at once.

mod lock;
mod secrets;
mod serve;
mod signers;
mod store;
#[cfg(test)]
mod tests;

use std::io;

use id::{Digest, Epoch, NodeId, TierId};
use keys::{Fate, Head, NodeRecord, Part, PublicKey, Receipt, SealingKey, SigningKey, Statement};
use os::secret::Hiding;
use serde::{Deserialize, Serialize};

pub(crate) use self::lock::Protection;
pub(crate) use self::serve::run;
pub(crate) use self::store::{Store, StoreError, gone_up_to, has_node_key, has_storage_key, secrets};
use crate::failure::chain;
use crate::step::Step;

/// A request with its number; the reply has the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Numbered<T> {
    pub(crate) number: u64,
    pub(crate) body: T,
}

/// All that can be asked of custody. Nothing here gives a secret away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Opens the store, or makes it; with a key file if one comes along. The first request.
    Open { key_file: bool },
    /// Opens the store by a share of the root's console, or locks it by one. Attachment: the share, sealed for
    /// the root.
    Share { node: NodeId, root: TierId, epoch: Epoch },
    /// Makes N, if there is none; gives its public key.
    Node {},
    /// Makes a tier's secrets of an epoch, if there are none; gives the public keys.
    Tier { tier: TierId, epoch: Epoch, root: bool },
    /// Signs a receipt, after looking whether the secrets that it speaks of are gone.
    Receipt(Box<Receipt>),
    /// Signs a statement.
    Statement(Box<Statement>),
    /// Signs a journal's head, if it is not older than the one that was kept; keeps it, if wanted.
    Head { head: Box<Head>, keep: bool },
    /// Serves a courier on the stream that comes along: signs its handshakes with the tier's identity of
    /// that epoch, and nothing else.
    Courier { tier: TierId, epoch: Epoch },
    /// Lets go of all that belongs to a tier up to an epoch (none: all of it).
    Forget { tier: TierId, last: Option<Epoch> },
}

/// What custody answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Reply {
    /// How the store is now.
    Store(StoreState),
    /// The store does not open: no key file, or another one.
    Shut { why: String },
    /// The node's public key.
    Public { key: PublicKey },
    /// A tier's public keys.
    Tier { identity: PublicKey, sealing: Box<SealingKey> },
    /// A signed envelope.
    Signed { envelope: String },
    /// It is done.
    Done {},
    /// It was not done.
    Refused { why: String },
}

/// How custody's store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreState {
    /// What keeps a stolen disk shut.
    pub(crate) protection: Protection,
    /// Whether it is open; else it waits for its share.
    pub(crate) open: bool,
    /// Whether not even root reads the storage key in custody's memory.
    pub(crate) hidden: bool,
    /// The newest head of the journal that custody kept: an older or another journal is not this node's.
    pub(crate) kept: Option<KeptHead>,
}

/// A head that custody keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptHead {
    /// The record's number.
    pub(crate) record: u64,
    /// Its digest.
    pub(crate) digest: Digest,
}

impl Reply {
    /// The step that custody passes when it has this to say.
    const fn step(&self) -> Option<Step> {
        match self {
            Self::Signed { .. } => Some(Step::CustodySigned),
            Self::Store(_)
            | Self::Shut { .. }
            | Self::Public { .. }
            | Self::Tier { .. }
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
        // What they are about is kept by the loop; it has done its part.
        Request::Open { .. } | Request::Share { .. } => state(store),
        Request::Courier { .. } | Request::Forget { .. } => Ok(Reply::Done {}),
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
