//! What stands in the store: one shape for each kind of key, in JSON.

use std::collections::BTreeSet;

use console_api::{TierState, Trust};
use id::{Digest, Epoch, KeyId, LeaseId, Name, NodeId, Nonce, PublicKey, Sequence, TierId, Time};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::{Entry, Key, PAGE_ENTRIES_MAX, Store};
use tenure::Terms;

use crate::api::No;

/// A node that a person or a grantor vouched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownNode {
    pub(crate) node: NodeId,
    pub(crate) node_key: PublicKey,
    pub(crate) name: Name,
    pub(crate) trust: Trust,
    pub(crate) at: Time,
}

/// A tier that this console holds, or is taking over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownTier {
    pub(crate) node: NodeId,
    pub(crate) tier: TierId,
    pub(crate) lease: LeaseId,
    pub(crate) contract: Option<String>,
    pub(crate) terms: Option<Terms>,
    pub(crate) epoch: Epoch,
    pub(crate) identity: PublicKey,
    pub(crate) state: TierState,
    /// What the next statement must carry, once the renewal is ordered.
    pub(crate) nonce: Option<Nonce>,
    pub(crate) boundary: Option<Digest>,
    pub(crate) directory: Option<PublicKey>,
    /// The newest statement, as the node signed it.
    pub(crate) statement: String,
    /// Taking it over may erase the data of tiers below that have not consented.
    #[serde(default)]
    pub(crate) erase_below: bool,
}

/// A lease that this console granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GrantedLease {
    pub(crate) node: NodeId,
    pub(crate) tier: TierId,
    pub(crate) lease: LeaseId,
    /// By which of the console's tiers.
    pub(crate) by: TierId,
    pub(crate) contract: String,
    pub(crate) name: Name,
    pub(crate) party: String,
    pub(crate) terms: Terms,
    pub(crate) boundary: Digest,
    /// The node's first statement about it.
    pub(crate) statement: Option<String>,
    /// The order that severed it.
    pub(crate) severed: Option<Digest>,
    /// Somebody further below granted it; this console has severed it, and remembers it for its receipt.
    #[serde(default)]
    pub(crate) below: bool,
    /// The party's keys that the lease named; further ones are the party's own business. Of leases that are older than
    /// this record: none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) keys: BTreeSet<KeyId>,
}

/// What an order is to make: a lease, granted anew or handed on. It becomes a [`GrantedLease`] once the node
/// has obeyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) by: TierId,
    pub(crate) contract: String,
    pub(crate) name: Name,
    pub(crate) party: String,
    pub(crate) terms: Terms,
    pub(crate) boundary: Digest,
    pub(crate) keys: BTreeSet<KeyId>,
    /// The tier that is handed on, and the lease under which it was; none: a new tier.
    pub(crate) before: Option<(TierId, LeaseId)>,
}

impl Intent {
    pub(crate) fn granted(self, node: NodeId, (tier, lease): (TierId, LeaseId)) -> GrantedLease {
        let Self { by, contract, name, party, terms, boundary, keys, before: _ } = self;
        let (statement, severed, below) = (None, None, false);
        GrantedLease {
            node,
            tier,
            lease,
            by,
            contract,
            name,
            party,
            terms,
            boundary,
            statement,
            severed,
            below,
            keys,
        }
    }
}

/// A record and the entry that it was read from: what a commit is guarded by.
#[derive(Debug, Clone)]
pub(crate) struct Read<T> {
    pub(crate) entry: Entry,
    pub(crate) value: T,
}

pub(crate) fn node_key(node: NodeId) -> Key {
    key(format!("node/{node}"))
}

pub(crate) fn tier_key(node: NodeId, tier: TierId) -> Key {
    key(format!("tier/{node}/{tier}"))
}

pub(crate) fn grant_key(node: NodeId, tier: TierId) -> Key {
    key(format!("grant/{node}/{tier}"))
}

/// The last number that a controller key used for a node.
pub(crate) fn sequence_key(signer: KeyId, node: NodeId) -> Key {
    key(format!("sequence/{signer}/{node}"))
}

/// Orders by the time of their signing; of one millisecond by node and number.
pub(crate) fn order_key(at: Time, node: NodeId, seq: Sequence) -> Key {
    key(format!("order/{:015}/{node}/{:016}", at.as_millis(), seq.get()))
}

pub(crate) fn order_id_key(order: Digest) -> Key {
    key(format!("order-id/{order}"))
}

/// By the tier, then by the node's time.
pub(crate) fn document_key(tier: TierId, at: Time, digest: Digest) -> Key {
    key(format!("document/{tier}/{:015}/{digest}", at.as_millis()))
}

/// A key made of ids, numbers and words of ours.
pub(crate) fn key(text: String) -> Key {
    text.parse().unwrap_or_else(|malformed| panic!("{text:?} made of ids: {malformed}"))
}

/// The value of a record.
pub(crate) fn value(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_else(|error| panic!("a record without a text: {error}"))
}

/// One record.
pub(crate) fn get<T: DeserializeOwned>(store: &dyn Store, key: &Key) -> Result<Option<Read<T>>, No> {
    store.get(key)?.map(read).transpose()
}

/// All records under a prefix; for nouns of which a console has some thousands at the most.
pub(crate) fn all<T: DeserializeOwned>(store: &dyn Store, prefix: &str) -> Result<Vec<Read<T>>, No> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.range(prefix, after.as_ref(), PAGE_ENTRIES_MAX)?;
        after = page.entries.last().map(|entry| entry.key.clone());
        for entry in page.entries {
            all.push(read(entry)?);
        }
        if !page.more {
            return Ok(all);
        }
    }
}

pub(crate) fn read<T: DeserializeOwned>(entry: Entry) -> Result<Read<T>, No> {
    match serde_json::from_slice(&entry.value) {
        Ok(value) => Ok(Read { entry, value }),
        Err(error) => Err(No::new(
            "store-failed",
            console_api::Exit::Failed,
            format!("{} of the store is not understood: {error}", entry.key),
        )),
    }
}
