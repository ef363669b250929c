//! A lease that was severed from above: its console is cut off, and learns it from the receipt alone.

use console_api::{Document, Exit, TierState};
use id::{Epoch, TierId};
use keys::{Fate, NodeRecord as _, Purpose, Receipt};
use store::Transaction;

use super::collect::document;
use crate::api::{No, not_found, usage};
use crate::records::{document_key, tier_key, value};
use crate::state::Console;

/// Keeps the receipt, and ends what it says has ended. The node's signature counts, not who brings it.
pub(super) async fn take(console: &Console, envelope: &str) -> Result<Document, No> {
    let envelope = envelope.trim_ascii();
    let unverified = Receipt::verify(envelope.as_bytes(), None)
        .map_err(|invalid| usage(format!("this is no receipt: {}", crate::statement::told(&invalid))))?;
    let node = console.node(&unverified.node.to_string())?;
    // The signature of the node that this console knows, and of no other that has its name.
    let receipt = Receipt::verify(envelope.as_bytes(), Some(&node.node_key)).map_err(|invalid| {
        No::new("not-authenticated", Exit::NotAuthenticated, crate::statement::told(&invalid))
    })?;
    // A later epoch than the last that is known here: the tier may have come back to this console since.
    let ended = |tier: TierId, epoch: Epoch| {
        let passed = receipt.purpose == Purpose::Reassignment && receipt.tier == tier;
        let over = |fate: Fate| fate == Fate::Ended || passed;
        receipt.parts.iter().any(|part| part.tier == tier && part.epoch > epoch && over(part.fate))
    };
    let mut of_ours = None;
    for tier in console.tiers_on(node.node)? {
        let Some(read) = console.tier((tier.node, tier.tier))?.filter(|_| ended(tier.tier, tier.epoch))
        else {
            continue;
        };
        let known =
            document(&node, envelope.as_bytes()).ok_or_else(|| usage("this is no receipt of a node"))?;
        let mut over = read.value.clone();
        over.state = TierState::Ended;
        let at = tier_key(tier.node, tier.tier);
        let about = Document { tier: tier.tier, ..known };
        let write = Transaction::new()
            .expect(&at, Some(&read.entry))
            .put(&at, value(&over))
            .put(&document_key(tier.tier, about.at, about.digest), value(&about));
        console.commit(write).await?;
        console.unpin(&over.identity);
        console.mind_the_window()?;
        of_ours = Some(about);
    }
    console.live.happen();
    of_ours.ok_or_else(|| not_found("the receipt ends nothing that this console holds"))
}
