//! The calls of clients: what an order must be before the core sees it, and what is answered.

use id::{Digest, KeyId, Nonce, TierId};
use keys::{Envelope, PayloadType, PublicKey};
use node_protocol::call::{Answer, Call, Refused, code};
use tenure::{Change, Class, Fresh, Input, Order, Refusal, Right, Verb, Verified};

use super::Supervisor;
use super::custodian::Purpose;
use super::objects::Ticket;
use super::world::brace;
use crate::custody::Protection;
use crate::failure::{Exit, chain};
use crate::node::Submitted;
use crate::step::Step;

/// The newest head that custody has signed, in the state folder.
pub(super) const HEAD: &str = "head.json";
/// Bytes of journal in one answer.
const LINES_BYTES: usize = 4 * 1024 * 1024;

impl Supervisor {
    /// Answers a call, of a tier's consoles or of the node's own socket; nothing: it is answered later. An error
    /// ends the supervisor.
    pub(super) fn answer(
        &mut self,
        call: Call,
        attachment: Vec<u8>,
        ticket: Ticket,
    ) -> Result<Option<(Answer, Vec<u8>)>, journal::Error> {
        let plain = |answer| Some((answer, Vec::new()));
        Ok(match call {
            Call::SubmitOrder {} => plain(self.order(ticket.by(), &attachment)?),
            Call::PutObject { name } => return Ok(self.object(ticket, name, attachment).and_then(plain)),
            Call::ReadJournal { from } => Some(self.lines(from)),
            Call::Status { settled: true } => None,
            Call::Status { settled: false } => plain(self.status()),
            Call::Receipts { about } => Some(self.receipts(&about, None)),
            Call::GiveShare {} => plain(self.share(&attachment)),
            Call::FreshNonce { tier } => plain(self.nonce(tier)),
            Call::Explain { tier, packet } => plain(self.explain(tier, None, packet)),
            Call::Denials { tier } => plain(self.denials(tier, None)),
            Call::PutImage { tier, volume, image, offset } => {
                plain(self.put_image((tier, &volume, image), offset, &attachment))
            }
            Call::Image { tier, volume, image } => plain(self.image_state(tier, &volume, image)),
            // What an engine says is its tier's alone.
            Call::EngineOutput { .. } => {
                plain(refused(code::NOT_FOUND, Exit::NotFound, "a tier's consoles read its engines' output"))
            }
            // So is whom its realm speaks to.
            Call::Passed { .. } => plain(refused(
                code::NOT_FOUND,
                Exit::NotFound,
                "a tier's consoles hear what passed at its realm",
            )),
            Call::Attach { .. } => plain(refused(code::NOT_YET, Exit::Failed, "engines ask for nothing yet")),
        })
    }

    /// Obeys an order or refuses it; a sealed one is handed on. `by` is the tier whose courier brings it.
    pub(super) fn order(&mut self, by: Option<TierId>, bytes: &[u8]) -> Result<Answer, journal::Error> {
        let envelope = match Envelope::parse(bytes) {
            Ok(envelope) => envelope,
            Err(error) => {
                let malformed = || refused(code::MALFORMED_ENVELOPE, Exit::Usage, chain(&error));
                return Ok(self.sealed_order(by, bytes).unwrap_or_else(malformed));
            }
        };
        let Some((signer, payload)) = self.authenticate(&envelope) else {
            // Forged input costs no record: whoever can reach the node could fill the disk with it.
            self.forged += 1;
            let why = "no key that this node knows has signed this order";
            return Ok(refused(code::NOT_AUTHENTICATED, Exit::NotAuthenticated, why));
        };
        self.steps.reach(Step::OrderVerified);
        let order = match Order::parse(&payload) {
            Ok(order) => order,
            Err(why) => {
                self.node.record_no_order(signer, why.clone())?;
                return Ok(refused(code::MALFORMED_ORDER, Exit::Usage, why));
            }
        };
        if !self.store.open && !matches!(order.verb, Verb::Sever(_)) {
            // What it would be decided by is not known yet.
            return Ok(refused(
                code::NOT_YET,
                Exit::Failed,
                "the node waits for its share: it takes severings alone",
            ));
        }
        if self.would_lock_itself_out(&order) {
            return Ok(refused(
                code::NOT_YET,
                Exit::Failed,
                "a share opens this node's store, and is sealed for the root's keys: they cannot be renewed yet \
                 (where a key file locks the store, they can)",
            ));
        }
        let Ok(fresh) = os::random::bytes() else {
            return Ok(refused(code::FAILED, Exit::Failed, "the kernel gives no random bytes"));
        };
        let fresh = Fresh::from_bytes(fresh);
        let at = self.node.now();
        let verified = Verified { order, signer, envelope: Digest::of(bytes), fresh, at };
        let (filters, observed) = (&mut self.filters, &mut self.observed);
        let input = Input::Order(Box::new(verified));
        match self.node.submit_braced(input, &self.steps, |coming| brace(filters, observed, at, coming)) {
            Ok(Submitted::Accepted { record, digest, changes }) => {
                self.steps.reach(Step::OrderApplied);
                let made = changes.iter().find_map(leased);
                let (tier, lease) = made.unzip();
                Ok(Answer::Accepted { record, digest, tier, lease })
            }
            Ok(Submitted::Refused(refusal)) => Ok(as_answer(&refusal)),
            Err(error) => not_recorded(error),
        }
    }

    /// Whether an order renews the root where a share opens the store, or is about to. Its old keys go before
    /// there are new ones; custody that had to be started again between the two could open no share, for good.
    fn would_lock_itself_out(&self, order: &Order) -> bool {
        let by_share = self.store.protection == Protection::Share
            || self.custodian.asks(|purpose| *purpose == Purpose::Share);
        let Verb::Renew(args) = &order.verb else { return false };
        by_share && self.node.tenure.root() == Some(args.tier.unwrap_or(order.tier))
    }

    /// The only signer and the payload, if a controller key of some tier has signed it.
    fn authenticate(&self, envelope: &Envelope) -> Option<(KeyId, Vec<u8>)> {
        let key = self.known_key(envelope.only_signer()?)?;
        let verified = envelope.verify(&key).ok()?;
        (verified.payload_type == PayloadType::Order).then(|| (verified.signer, verified.payload.to_vec()))
    }

    fn known_key(&self, signer: KeyId) -> Option<PublicKey> {
        let tiers = self.node.tenure.tiers();
        let mut known = tiers.filter_map(|(_id, tier)| tier.keys.get(&signer));
        Some(known.next()?.key)
    }

    fn lines(&self, from: u64) -> (Answer, Vec<u8>) {
        let journal = &self.node.journal;
        let read = journal.oldest().and_then(|oldest| {
            let from = if from == 0 { oldest } else { from };
            Ok((oldest, journal.lines_from(from, LINES_BYTES)?))
        });
        match read {
            Ok((oldest, lines)) => {
                (Answer::Lines { oldest, newest: journal.head().0, head: self.signed_head() }, lines)
            }
            Err(error @ journal::Error::Missing) => (self.forgotten(&error), Vec::new()),
            Err(error) => (refused(code::FAILED, Exit::Failed, chain(&error)), Vec::new()),
        }
    }

    /// Where to begin instead, for whoever mirrors the journal.
    fn forgotten(&self, error: &journal::Error) -> Answer {
        Answer::Refused(Refused {
            code: code::NOT_FOUND.to_owned(),
            exit: Exit::NotFound as u8,
            message: chain(error),
            hint: None,
            details: self.node.journal.oldest().ok().map(|first| serde_json::json!({ "first": first })),
        })
    }

    /// The newest head that custody has signed; none where there is none that can be read.
    fn signed_head(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.config.state(HEAD)).ok()?;
        Some(text.trim_end().to_owned()).filter(|head| !head.is_empty() && !head.contains('\n'))
    }

    /// What is signed about something; with a reader, what that tier may have.
    pub(super) fn receipts(&self, about: &str, reader: Option<TierId>) -> (Answer, Vec<u8>) {
        match self.documents.about(about, reader) {
            Ok((0, _none)) => {
                let why = format!("nothing is signed about {about:?}");
                (refused(code::NOT_FOUND, Exit::NotFound, why), Vec::new())
            }
            Ok((number, lines)) => (Answer::Signed { number }, lines),
            Err(error) => (refused(code::FAILED, Exit::Failed, chain(&error)), Vec::new()),
        }
    }

    /// Hands a share on to custody, which alone can read it. A key of the root's must have signed it: the first one
    /// locks the store, and whoever can call, or has the root's courier, could lock it for good.
    pub(super) fn share(&mut self, bytes: &[u8]) -> Answer {
        let envelope = match Envelope::parse(bytes) {
            Ok(envelope) => envelope,
            Err(error) => return refused(code::MALFORMED_ENVELOPE, Exit::Usage, chain(&error)),
        };
        let Some(sealed) = self.roots_share(&envelope) else {
            let why = "no key of the root's that may renew keys has signed this share";
            return refused(code::NOT_AUTHENTICATED, Exit::NotAuthenticated, why);
        };
        match self.hand_share(&sealed) {
            Ok(()) => Answer::Handed {},
            Err(why) => refused(code::FAILED, Exit::Failed, why),
        }
    }

    fn roots_share(&self, envelope: &Envelope) -> Option<Vec<u8>> {
        let root = self.node.tenure.tier(self.node.tenure.root()?)?;
        let entry = root.keys.get(&envelope.only_signer()?)?;
        let verified = envelope.verify(&entry.key).ok()?;
        let may = entry.rights.has(Right::Renew) && verified.payload_type == PayloadType::Share;
        may.then(|| verified.payload.to_vec())
    }

    pub(super) fn nonce(&mut self, tier: TierId) -> Answer {
        if self.node.tenure.tier(tier).is_none() {
            return refused(code::NOT_FOUND, Exit::NotFound, format!("there is no tier {tier}"));
        }
        match os::random::bytes() {
            Ok(bytes) => {
                let nonce = Nonce::from_bytes(bytes);
                self.node.tenure.offer_nonce(tier, nonce);
                Answer::Nonce { nonce }
            }
            Err(error) => refused(code::FAILED, Exit::Failed, chain(&error)),
        }
    }
}

fn leased(change: &Change) -> Option<(TierId, id::LeaseId)> {
    if let Change::Leased { tier, lease, .. } = change { Some((*tier, *lease)) } else { None }
}

pub(super) fn as_answer(refusal: &Refusal) -> Answer {
    Answer::Refused(Refused {
        code: refusal.code(),
        exit: refusal.exit_code(),
        message: refusal.to_string(),
        hint: hint(refusal.class()).map(str::to_owned),
        details: serde_json::to_value(refusal).ok(),
    })
}

fn hint(class: Class) -> Option<&'static str> {
    match class {
        Class::Stale => Some("ask the node for its status and sign the order anew"),
        Class::NotAuthenticated => Some("`bmonitor status` shows the node's tiers and their leases"),
        Class::Refused | Class::Shell => None,
    }
}

/// A full disk refuses the order; a medium that fails ends the supervisor, which knows nothing any more.
fn not_recorded(error: journal::Error) -> Result<Answer, journal::Error> {
    match error {
        error @ (journal::Error::Full(_) | journal::Error::SegmentFull) => {
            Ok(refused(code::DISK_FULL, Exit::Failed, chain(&error)))
        }
        error @ journal::Error::Record(_) => Ok(refused(code::FAILED, Exit::Failed, chain(&error))),
        error @ (journal::Error::Exists
        | journal::Error::Missing
        | journal::Error::Broken { .. }
        | journal::Error::Medium(_)
        | journal::Error::Unsure(_)) => Err(error),
    }
}

pub(super) fn refused(code: &str, exit: Exit, message: impl Into<String>) -> Answer {
    let message = message.into();
    Answer::Refused(Refused { code: code.to_owned(), exit: exit as u8, message, hint: None, details: None })
}
