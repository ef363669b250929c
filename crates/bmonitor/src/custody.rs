//! Custody: the process that holds every key. It has no network, no capability and a folder of its own;
//! it is started for one request, answers it and ends.
//!
//! The folder has `node.key` (N, made once), and for each tier and epoch `TIER.EPOCH.secret` (the seed of
//! its identity U, then its salt S) with `TIER.EPOCH.commitment`, a digest of S that outlives it. The
//! supervisor can unlink a secret without custody; nothing hands one out.

mod store;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::path::Path;

use id::{Epoch, TierId};
use keys::{Fate, Head, NodeRecord, Part, PublicKey, Receipt, SigningKey, Statement};
use serde::{Deserialize, Serialize};

pub(crate) use self::store::{Store, StoreError, gone_up_to, has_node_key, secrets};
use crate::failure::chain;
use crate::rights::{self, Begin, Role};
use crate::step::{Step, Steps};

/// The longest request and the longest reply.
pub(crate) const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// All that can be asked of custody. Nothing here gives a secret away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Makes N, if there is none; gives its public key.
    Node {},
    /// Makes a tier's identity and salt of an epoch, if there are none; gives the public key.
    Tier { tier: TierId, epoch: Epoch },
    /// Signs a receipt, after looking whether the secrets that it speaks of are gone.
    Receipt(Box<Receipt>),
    /// Signs a statement.
    Statement(Box<Statement>),
    /// Signs a journal's head.
    Head(Box<Head>),
}

impl Request {
    /// Whether the process that does this passes the step.
    pub(crate) const fn passes(&self, step: Step) -> bool {
        match self {
            Self::Node {} | Self::Tier { .. } => matches!(step, Step::CustodyWritten | Step::CustodyKept),
            Self::Receipt(_) | Self::Statement(_) | Self::Head(_) => matches!(step, Step::CustodySigned),
        }
    }
}

/// What custody answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Reply {
    /// A public key: of the node or of a tier.
    Public { key: PublicKey },
    /// A signed envelope.
    Signed { envelope: String },
    /// It was not done.
    Refused { why: String },
}

/// The role: `bmonitor custody`.
pub(crate) fn run(folder: &Path, parent: u32, steps: &Steps) -> io::Result<()> {
    // Before the right to walk there is given up: paths are relative from here on.
    std::env::set_current_dir(folder)?;
    rights::enforce(Begin { role: Role::Custody, parent: Some(parent) }).map_err(io::Error::other)?;
    let request = read_request(io::stdin().lock())?;
    let store = Store::new(Path::new("."), steps);
    let reply = answer(&store, request, os::random::bytes)
        .unwrap_or_else(|error| Reply::Refused { why: chain(&error) });
    if matches!(reply, Reply::Signed { .. }) {
        steps.reach(Step::CustodySigned);
    }
    let mut reply = serde_json::to_vec(&reply)?;
    reply.push(b'\n');
    io::stdout().lock().write_all(&reply)
}

fn read_request(from: impl Read) -> io::Result<Request> {
    let mut bytes = Vec::new();
    from.take(MESSAGE_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Answers a request; randomness is an argument.
fn answer(
    store: &Store<'_>,
    request: Request,
    random: impl Fn() -> io::Result<[u8; 32]>,
) -> Result<Reply, StoreError> {
    match request {
        Request::Node {} => Ok(Reply::Public { key: *store.node_key_or_new(random)?.public() }),
        Request::Tier { tier, epoch } => {
            Ok(Reply::Public { key: *store.tier_key_or_new(tier, epoch, random)?.public() })
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
        Request::Head(head) => sign(&store.node_key()?, *head, |head, key| head.node_key = key),
    }
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
