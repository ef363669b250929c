//! What stands in the store of incidents: they themselves, the newest first, how many there were, the fences.

use std::collections::BTreeMap;

use console_api::Exit;
use id::{INTEGER_MAX, NodeId};
use incident::{Fence, Incident, Kept, Ladders, Number};
use store::{Key, Store, Transaction};

use crate::api::No;
use crate::records::{self, key, value};
use crate::state::Console;

/// The most incidents that are kept; the oldest make room.
const INCIDENTS_MAX: u64 = 10_000;

pub(super) const INCIDENTS: &str = "incident/";

/// The newest is the first.
pub(super) fn incident_key(number: Number) -> Key {
    key(format!("{INCIDENTS}{:016}", INTEGER_MAX - number.0))
}

fn fence_key(node: NodeId) -> Key {
    key(format!("fence/{node}"))
}

fn ladders_key() -> Key {
    key("ladders".to_owned())
}

/// Writes an incident, and forgets one that is long past.
pub(super) fn put(transaction: Transaction, incident: &Incident) -> Transaction {
    let transaction = transaction.put(&incident_key(incident.number), value(incident));
    match incident.number.0.checked_sub(INCIDENTS_MAX) {
        Some(old) if old > 0 => transaction.remove(&incident_key(Number(old))),
        Some(_) | None => transaction,
    }
}

pub(super) fn put_fence(transaction: Transaction, node: NodeId, fence: Fence) -> Transaction {
    transaction.put(&fence_key(node), value(&fence))
}

/// What a desk has to find again.
pub(super) fn kept(store: &dyn Store) -> Result<Kept, No> {
    let all = records::all::<Incident>(store, INCIDENTS)?;
    let newest = all.first().map_or(0, |read| read.value.number.0);
    let open = all.into_iter().map(|read| read.value).filter(|incident| !incident.is_resolved()).collect();
    let mut fences = BTreeMap::new();
    for read in records::all::<Fence>(store, "fence/")? {
        let node = read.entry.key.as_str().trim_start_matches("fence/").parse();
        let node: NodeId = node.map_err(|malformed: id::Malformed| {
            No::new("store-failed", Exit::Failed, format!("{}: {malformed}", read.entry.key))
        })?;
        fences.insert(node, read.value);
    }
    Ok(Kept { open, newest, fences })
}

impl Console {
    /// An incident, open or over.
    pub(crate) fn incident(&self, number: Number) -> Result<Option<Incident>, No> {
        Ok(records::get(self.store(), &incident_key(number))?.map(|read| read.value))
    }

    /// The highest fence that was given for a node: who acts under a lower one stops.
    pub(crate) fn fence(&self, node: NodeId) -> Result<Fence, No> {
        let read = records::get::<Fence>(self.store(), &fence_key(node))?;
        Ok(read.map(|read| read.value).unwrap_or_default())
    }

    /// Whether no later remedy has begun on the node. Whoever does something there under a fence asks again before
    /// each act: a remedy may take minutes, and by then the node may be another remedy's, or a person's.
    pub(crate) fn must_have_fence(&self, node: NodeId, fence: Fence) -> Result<(), No> {
        if self.fence(node)? == fence {
            Ok(())
        } else {
            Err(No::new("fenced-off", Exit::Failed, "a later remedy has begun"))
        }
    }

    /// The ladders that a person applied.
    pub(super) fn ladders(&self) -> Result<Option<String>, No> {
        Ok(records::get(self.store(), &ladders_key())?.map(|read| read.value))
    }

    pub(super) async fn keep_ladders(&self, text: Option<&str>) -> Result<Ladders, No> {
        let wrong = |malformed: incident::MalformedLadders| crate::api::usage(malformed.to_string());
        let (ladders, transaction) = match text {
            Some(text) => {
                (Ladders::parse(text).map_err(wrong)?, Transaction::new().put(&ladders_key(), value(&text)))
            }
            None => (Ladders::default(), Transaction::new().remove(&ladders_key())),
        };
        self.commit(transaction).await?;
        Ok(ladders)
    }
}
