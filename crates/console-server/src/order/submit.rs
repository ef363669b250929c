//! One order, from its number to the node's answer.
//!
//! ```text
//!  number, on the medium ─▶ signed ─▶ kept as undecided ─▶ sent ─▶ accepted | refused | unanswered
//!                                                                     the journal tells later ┘
//! ```
//!
//! A number that was taken is never given out again, whether its order went or not. A store that was lost,
//! or put back older, is no exception: the node's journal says which number it saw last, and a gap is left above
//! it for orders that were signed and never came.

use std::sync::PoisonError;

use channel::{CallFailed, Link};
use console_api::{Accepted, Exit, Order as Kept, OrderState};
use data_encoding::BASE64;
use id::{Digest, KeyId, NodeId, Nonce, Sequence, TierId};
use keys::{Envelope, PayloadType};
use node_protocol::call::{Answer, Call};
use serde_json::{Value, json};
use store::Transaction;
use tenure::Order;
use tokio::sync::MutexGuard;

use crate::api::{No, usage};
use crate::node::session::{call_failed, not_understood};
use crate::records::{Intent, KnownNode, KnownTier, sequence_key, value};
use crate::state::{Console, NodeTurns};

/// What is left above the highest number in the node's journal when the store knows none.
const GAP: u64 = 1024;

/// How often two who count at once are tried: each time one of them gets on.
pub(super) const TRIES: usize = 64;

/// An order that somebody wants.
pub(crate) struct Wanted<'a> {
    pub(crate) node: &'a KnownNode,
    pub(crate) tier: &'a KnownTier,
    pub(crate) verb: &'a str,
    pub(crate) args: Value,
    /// Salt and content of what the order names.
    pub(crate) objects: Vec<Vec<u8>>,
}

impl Wanted<'_> {
    /// Has the node do it. What the node refuses comes as the problem that it says.
    pub(crate) async fn submit(self, console: &Console) -> Result<Kept, No> {
        self.send(console, None).await
    }

    /// The same for an order that makes a lease: to whom is written down with the order, before the node
    /// hears of it, and becomes what was granted together with the node's answer, or with its journal's.
    pub(crate) async fn submit_for(self, console: &Console, intent: Intent) -> Result<Kept, No> {
        self.send(console, Some(intent)).await
    }

    async fn send(self, console: &Console, intent: Option<Intent>) -> Result<Kept, No> {
        let (node, place) = (self.node, (self.node.node, self.tier.tier));
        // One after the other: a node takes a number only if it is above the one before.
        let turns = console.turns(node)?;
        let mut link = console.dialled(node, place, None).await?;
        let (_turn, nonce) = match prepared(&link, &turns, place.1, &self.objects).await {
            // Nothing was ordered yet, and the node may be back in a moment.
            Err(NotPrepared::Failed(CallFailed::Ended(_))) => {
                link = console.dialled(node, place, Some(&link)).await?;
                prepared(&link, &turns, place.1, &self.objects).await
            }
            prepared => prepared,
        }?;
        let last = {
            let mirror = turns.mirror.lock().await;
            mirror.is_known().then(|| mirror.tenure.last_sequence(console.signer()))
        };
        let seq = console.next_sequence(node, last).await?;
        let (envelope, kept) = self.signed(console, seq, nonce)?;
        console.keep_undecided(&kept, intent).await?;
        answered(console, &link, &envelope, kept).await
    }

    /// The order as it is sent, and as it is kept.
    fn signed(self, console: &Console, seq: Sequence, nonce: Nonce) -> Result<(String, Kept), No> {
        let Self { node, tier, verb, args, objects: _ } = self;
        let order = payload(node.node, tier, seq, nonce, verb, &args)?;
        let key = &console.opened.keys.controller;
        let envelope = Envelope::sign(PayloadType::Order, order.into_bytes(), key).to_json();
        let kept = Kept {
            order: Digest::of(envelope.as_bytes()),
            node: node.node,
            tier: tier.tier,
            seq,
            at: console.world.now(),
            verb: verb.to_owned(),
            args,
            state: OrderState::Unanswered,
            accepted: None,
            refused: None,
        };
        Ok((envelope, kept))
    }
}

/// Sends an order, and keeps what the node says.
async fn answered(console: &Console, link: &Link, envelope: &str, mut kept: Kept) -> Result<Kept, No> {
    let problem = match link.call(&Call::SubmitOrder {}, envelope.as_bytes()).await {
        Ok((Answer::Accepted { record, digest, tier, lease }, _)) => {
            kept.state = OrderState::Accepted;
            kept.accepted = Some(Accepted { record, digest, tier, lease });
            None
        }
        Ok((Answer::Refused(refused), _)) => {
            kept.state = OrderState::Refused;
            kept.refused = Some(refused.into());
            kept.refused.clone()
        }
        Ok((other, _)) => return Err(not_understood(&other)),
        Err(failed) => return Err(unanswered(&kept, call_failed(failed))),
    };
    console.keep_answer(&kept).await?;
    problem.map_or(Ok(kept), |problem| Err(problem.into()))
}

/// Why an order was not even sent.
enum NotPrepared {
    Failed(CallFailed),
    No(No),
}

impl From<NotPrepared> for No {
    fn from(not: NotPrepared) -> Self {
        match not {
            NotPrepared::Failed(failed) => call_failed(failed),
            NotPrepared::No(no) => no,
        }
    }
}

/// The turn in which an order is sent, and the nonce that it carries: the node has all that it names.
async fn prepared<'a>(
    link: &Link,
    turns: &'a NodeTurns,
    tier: TierId,
    objects: &[Vec<u8>],
) -> Result<(MutexGuard<'a, ()>, Nonce), NotPrepared> {
    let refused = |answer| {
        NotPrepared::No(if let Answer::Refused(refused) = answer {
            No(Box::new(refused.into()))
        } else {
            not_understood(&answer)
        })
    };
    for object in objects {
        let call = Call::PutObject { name: Digest::of(object) };
        match link.call(&call, object).await.map_err(NotPrepared::Failed)? {
            (Answer::Stored { .. }, _) => {}
            (other, _) => return Err(refused(other)),
        }
    }
    let turn = turns.orders.lock().await;
    match link.call(&Call::FreshNonce { tier }, &[]).await.map_err(NotPrepared::Failed)? {
        (Answer::Nonce { nonce }, _) => Ok((turn, nonce)),
        (other, _) => Err(refused(other)),
    }
}

/// The payload, read back as the node will read it: what is no order is told here.
fn payload(
    node: NodeId,
    tier: &KnownTier,
    seq: Sequence,
    nonce: Nonce,
    verb: &str,
    args: &Value,
) -> Result<String, No> {
    let payload = json!({
        "node": node,
        "lease": tier.lease,
        "tier": tier.tier,
        "epoch": tier.epoch,
        "seq": seq,
        "nonce": nonce,
        "verb": verb,
        "args": args,
    });
    let order = Order::parse(payload.to_string().as_bytes()).map_err(|why| {
        usage(format!("this is no order: {why}")).hint("docs/orders.md has an example of each verb")
    })?;
    Ok(order.to_json())
}

pub(crate) fn unreachable(name: &id::Name) -> No {
    No::new("node-unreachable", Exit::Failed, format!("node {name} is not connected"))
        .hint("it dials by itself; `leasehold node show` says since when it is away")
}

/// The node may have obeyed: its journal will tell.
fn unanswered(kept: &Kept, mut no: No) -> No {
    no.0.code = "unanswered".to_owned();
    no.0.message = format!("the node did not answer to order {}: {}", kept.order, no.0.message);
    no.hint("whether it obeyed is in its journal; `leasehold journal fetch` has it once it was read")
}

impl Console {
    pub(crate) fn signer(&self) -> KeyId {
        self.opened.keys.controller.public().id()
    }

    /// Takes the next number of the controller key for a node, and gives it once it is on the medium.
    /// `last`: the highest one in the node's journal, if that was read.
    async fn next_sequence(&self, node: &KnownNode, last: Option<Option<Sequence>>) -> Result<Sequence, No> {
        let key = sequence_key(self.signer(), node.node);
        for _ in 0..TRIES {
            let entry = self.store().get(&key)?;
            let next = match (&entry, last) {
                (Some(entry), last) => {
                    let taken: u64 = serde_json::from_slice(&entry.value)
                        .map_err(|error| No::new("store-failed", Exit::Failed, format!("{key}: {error}")))?;
                    let last = last.flatten().map_or(0, Sequence::get);
                    // The node saw a number that the store does not know: an older store was put back.
                    if last > taken { last + GAP } else { taken + 1 }
                }
                // The node knows the key, and has never seen an order under it.
                (None, Some(last)) if last.is_none_or(|last| last.get() == 0) => 1,
                (None, Some(last)) => last.map_or(0, Sequence::get) + GAP,
                (None, None) => return Err(unread(node)),
            };
            let write = Transaction::new().expect(&key, entry.as_ref()).put(&key, value(&next));
            match self.commit(write).await {
                Ok(_) => {
                    return Sequence::new(next)
                        .ok_or_else(|| No::new("exhausted", Exit::Failed, "the key's numbers are used up"));
                }
                Err(no) if no.0.code == "changed-meanwhile" => {}
                Err(no) => return Err(no),
            }
        }
        Err(No::new("changed-meanwhile", Exit::Failed, "others take numbers all the time"))
    }

    /// The content of an object that the console has made: salt and content.
    pub(crate) fn object(&self, name: &Digest) -> Option<journal::Object> {
        self.opened.objects.lock().unwrap_or_else(PoisonError::into_inner).get(name).ok()
    }

    /// The same as text, where it is one.
    pub(crate) fn object_text(&self, name: &Digest) -> Option<String> {
        String::from_utf8(self.object(name)?.content().to_vec()).ok()
    }

    /// Salts a content, and keeps it under its name.
    pub(crate) fn make_object(&self, content: &[u8]) -> Result<Vec<u8>, No> {
        let object = journal::Object::new(self.world.random_16()?, content)
            .map_err(|error| usage(error.to_string()))?;
        self.keep_object(&object)?;
        Ok(object.as_bytes().to_vec())
    }

    pub(crate) fn keep_object(&self, object: &journal::Object) -> Result<(), No> {
        let mut objects = self.opened.objects.lock().unwrap_or_else(PoisonError::into_inner);
        objects
            .put(&object.name(), object)
            .map_err(|error| No::new("store-failed", Exit::Failed, crate::statement::told(&error)))
    }
}

fn unread(node: &KnownNode) -> No {
    No::new("journal-unread", Exit::Failed, format!("the journal of node {} was not read yet", node.name))
        .hint("without it no number is known that was not used; it is read when the node dials")
}

/// Objects as they come over the API.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, No> {
    BASE64
        .decode(text.as_bytes())
        .map_err(|_not_base64| usage("an object is not base64 (standard alphabet, padded)"))
}
