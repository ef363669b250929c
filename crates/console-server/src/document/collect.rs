//! Asks nodes for receipts until they are there.

use std::sync::Arc;

use console_api::{Document, DocumentKind};
use id::{Digest, TierId};
use keys::{NodeRecord as _, Receipt, Statement};
use node_protocol::call::{Answer, Call, code};
use store::Transaction;

use crate::api::No;
use crate::node::live::Place;
use crate::node::session::{call_failed, not_understood};
use crate::records::{self, GrantedLease, KnownNode, document_key, value};
use crate::state::Console;

/// Asks for whatever should be there and is not: the receipts of leases that were severed.
pub(crate) async fn collect(console: &Arc<Console>, node: &KnownNode, place: Place) -> Result<(), No> {
    for read in records::all::<GrantedLease>(console.store(), &format!("grant/{}/", node.node))? {
        let granted = read.value;
        let wanted = granted.by == place.1 && granted.severed.is_some();
        if wanted && console.receipts_about(granted.tier)? == 0 {
            fetch(console, node, place, &granted.tier.to_string()).await?;
        }
    }
    Ok(())
}

/// Fetches what a node signed about a tier or a lease, and keeps what verifies. Gives how many there are.
pub(crate) async fn fetch(
    console: &Console,
    node: &KnownNode,
    place: Place,
    about: &str,
) -> Result<usize, No> {
    let Some(link) = console.live.link(place) else { return Ok(0) };
    let call = Call::Receipts { about: about.to_owned() };
    let lines = match link.call(&call, &[]).await.map_err(call_failed)? {
        (Answer::Signed { .. }, lines) => lines,
        (Answer::Refused(refused), _) if refused.code == code::NOT_FOUND => return Ok(0),
        (Answer::Refused(refused), _) => return Err(No(Box::new(refused.into()))),
        (other, _) => return Err(not_understood(&other)),
    };
    let documents: Vec<Document> =
        lines.split(|byte| *byte == b'\n').filter_map(|line| document(node, line)).collect();
    for document in &documents {
        let key = document_key(document.tier, document.at, document.digest);
        if console.store().get(&key)?.is_none() {
            console.commit(Transaction::new().put(&key, value(document))).await?;
        }
    }
    Ok(documents.len())
}

/// What one line is, if the node has signed it.
pub(super) fn document(node: &KnownNode, line: &[u8]) -> Option<Document> {
    let envelope = || String::from_utf8_lossy(line).into_owned();
    let digest = Digest::of(line);
    if let Ok(receipt) = Receipt::verify(line, Some(&node.node_key)) {
        let kind = DocumentKind::Receipt;
        return Some(Document {
            digest,
            kind,
            node: node.node,
            tier: receipt.tier,
            at: receipt.at,
            envelope: envelope(),
        });
    }
    let statement = Statement::verify(line, Some(&node.node_key)).ok()?;
    let kind = DocumentKind::Statement;
    Some(Document {
        digest,
        kind,
        node: node.node,
        tier: statement.tier,
        at: statement.at,
        envelope: envelope(),
    })
}

impl Console {
    /// All documents about a tier, oldest first.
    pub(crate) fn documents_about(&self, tier: TierId) -> Result<Vec<Document>, No> {
        let all = records::all::<Document>(self.store(), &format!("document/{tier}/"))?;
        Ok(all.into_iter().map(|read| read.value).collect())
    }

    pub(crate) fn receipts_about(&self, tier: TierId) -> Result<u64, No> {
        let all = self.documents_about(tier)?;
        Ok(all.iter().filter(|document| document.kind == DocumentKind::Receipt).count() as u64)
    }
}
