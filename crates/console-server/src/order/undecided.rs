//! Orders that nobody knows yet whether the node obeys, each with the lease that it is to make, if it makes
//! one.
//!
//! ```text
//!  order + undecided ─▶ sent ─▶ answered, or found in the journal ─▶ order decided, undecided gone, lease granted
//!  (one transaction)                                                 (one transaction)
//! ```
//!
//! Whoever learns first what became of an order writes it down; the other finds it written.

use console_api::{Accepted, Exit, Order as Kept, OrderState};
use id::{LeaseId, NodeId, Sequence, TierId};
use serde::{Deserialize, Serialize};
use store::{Entry, Key, Transaction};
use tenure::Tenure;
use tokio::sync::Mutex as Turn;

use super::submit::TRIES;
use crate::api::No;
use crate::node::mirror::{Mirror, Obeyed};
use crate::records::{self, GrantedLease, Intent, Read, grant_key, key, order_id_key, order_key, value};
use crate::state::Console;

/// An order that is undecided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Undecided {
    node: NodeId,
    seq: Sequence,
    /// The key of the order's own record.
    order: String,
    intent: Option<Intent>,
}

/// What is known of an order.
struct Fate {
    order: Kept,
    made: Option<(TierId, LeaseId)>,
    /// Whether the journal has no more to say of it.
    is_all: bool,
}

/// What the journal says of an order.
enum Word {
    Obeyed(Obeyed),
    /// A later number was obeyed: this one never will be. If it was, the lines that say so are gone, and what
    /// it made is in the tenure.
    Passed(Option<(TierId, LeaseId)>),
    Open,
}

/// By node and number, so that the journal's word finds its order.
fn undecided_key(node: NodeId, seq: Sequence) -> Key {
    key(format!("undecided/{node}/{:016}", seq.get()))
}

impl Console {
    /// Writes down an order that is about to be sent.
    pub(super) async fn keep_undecided(&self, order: &Kept, intent: Option<Intent>) -> Result<(), No> {
        let at = order_key(order.at, order.node, order.seq);
        let undecided = Undecided { node: order.node, seq: order.seq, order: at.as_str().to_owned(), intent };
        let transaction = Transaction::new()
            .put(&at, value(order))
            .put(&order_id_key(order.order), value(&at.as_str()))
            .put(&undecided_key(order.node, order.seq), value(&undecided));
        self.commit(transaction).await.map(drop)
    }

    /// Writes down what the node has answered to an order. What it made and did not name its journal tells.
    pub(super) async fn keep_answer(&self, order: &Kept) -> Result<(), No> {
        let made = order.accepted.as_ref().and_then(|accepted| accepted.tier.zip(accepted.lease));
        let is_all = order.state == OrderState::Refused || made.is_some();
        self.decide(&Fate { order: order.clone(), made, is_all }).await
    }

    /// Writes down what became of an order together with what follows from it.
    async fn decide(&self, fate: &Fate) -> Result<(), No> {
        for _ in 0..TRIES {
            let Some(decision) = self.decision(fate)? else { return Ok(()) };
            match self.commit(decision).await {
                Err(no) if no.0.code == "changed-meanwhile" => {}
                done => return done.map(drop),
            }
        }
        Err(No::new("changed-meanwhile", Exit::Failed, "others write to the same order all the time"))
    }

    /// None if nothing is left to be decided.
    fn decision(&self, Fate { order, made, is_all }: &Fate) -> Result<Option<Transaction>, No> {
        let at = order_key(order.at, order.node, order.seq);
        let undecided_at = undecided_key(order.node, order.seq);
        let kept = records::get::<Kept>(self.store(), &at)?;
        let undecided = records::get::<Undecided>(self.store(), &undecided_at)?;
        let mut write = Transaction::new().expect(&at, entry(&kept)).expect(&undecided_at, entry(&undecided));
        let is_open = kept.is_some_and(|kept| kept.value.state == OrderState::Unanswered);
        if is_open {
            write = write.put(&at, value(order));
        }
        let Some(undecided) = undecided else { return Ok(is_open.then_some(write)) };
        match (undecided.value.intent, made) {
            (Some(_), None) if !is_all => return Ok(Some(write)),
            (Some(intent), Some(made)) => write = self.granting(write, intent, order.node, *made)?,
            (Some(_), None) | (None, _) => {}
        }
        Ok(Some(write.remove(&undecided_at)))
    }

    /// The lease, unless it is known already, or has been severed since.
    fn granting(
        &self,
        write: Transaction,
        intent: Intent,
        node: NodeId,
        made: (TierId, LeaseId),
    ) -> Result<Transaction, No> {
        let key = grant_key(node, made.0);
        let present = records::get::<GrantedLease>(self.store(), &key)?;
        let write = write.expect(&key, entry(&present));
        let is_known =
            present.is_some_and(|present| present.value.lease == made.1 || present.value.severed.is_some());
        Ok(if is_known { write } else { write.put(&key, value(&intent.granted(node, made))) })
    }
}

fn entry<T>(read: &Option<Read<T>>) -> Option<&Entry> {
    read.as_ref().map(|read| &read.entry)
}

/// What came on record in a node's journal: orders that had no answer have one now. Orders that never came
/// are none any more once a later one was obeyed.
pub(crate) async fn settle(console: &Console, node: NodeId, turn: &Turn<Mirror>) -> Result<(), No> {
    for read in records::all::<Undecided>(console.store(), &format!("undecided/{node}/"))? {
        let undecided = read.value;
        let Some(kept) = records::get::<Kept>(console.store(), &key(undecided.order.clone()))? else {
            let key = &read.entry.key;
            console.commit(Transaction::new().expect(key, Some(&read.entry)).remove(key)).await?;
            continue;
        };
        let mut order = kept.value;
        let mirror = turn.lock().await;
        let made = match word(&mirror, console, &undecided) {
            Word::Open => continue,
            Word::Passed(made) => made,
            Word::Obeyed(Obeyed { record, digest, made }) => {
                let (tier, lease) = made.filter(|_| order.verb == "lease").unzip();
                order.state = OrderState::Accepted;
                order.accepted = Some(Accepted { record, digest, tier, lease });
                made
            }
        };
        // What has ended or was handed on since is nobody's to offer.
        let made = made.filter(|made| is_there(&mirror.tenure, *made));
        drop(mirror);
        console.decide(&Fate { order, made, is_all: true }).await?;
    }
    turn.lock().await.looked_at();
    Ok(())
}

fn word(mirror: &Mirror, console: &Console, undecided: &Undecided) -> Word {
    if let Some(obeyed) = mirror.obeyed(console.signer(), undecided.seq) {
        return Word::Obeyed(obeyed);
    }
    if mirror.tenure.last_sequence(console.signer()).is_none_or(|last| last < undecided.seq) {
        return Word::Open;
    }
    Word::Passed(undecided.intent.as_ref().and_then(|intent| found(&mirror.tenure, intent)))
}

/// What an order has made, by what there is. The salt of a boundary is drawn for one order alone.
fn found(tenure: &Tenure, intent: &Intent) -> Option<(TierId, LeaseId)> {
    let Some((id, before)) = intent.before else {
        let mut children = tenure.children(intent.by);
        let found = children.find(|(_, tier)| tier.given == Some(intent.boundary));
        return found.map(|(id, tier)| (id, tier.lease));
    };
    let tier = tenure.tier(id).filter(|tier| tier.lease != before)?;
    let contract = tier.contract.as_ref().map(ToString::to_string);
    (contract.as_ref() == Some(&intent.contract)).then_some((id, tier.lease))
}

fn is_there(tenure: &Tenure, (tier, lease): (TierId, LeaseId)) -> bool {
    tenure.tier(tier).is_some_and(|tier| tier.lease == lease && !tier.ending)
}

/// A node whose word on the lease of a contract is still awaited.
pub(crate) fn undecided_about(console: &Console, contract: &str) -> Result<Option<NodeId>, No> {
    let mut all =
        records::all::<Undecided>(console.store(), "undecided/")?.into_iter().map(|read| read.value);
    let is_about =
        |undecided: &Undecided| undecided.intent.as_ref().is_some_and(|intent| intent.contract == contract);
    Ok(all.find(is_about).map(|undecided| undecided.node))
}
