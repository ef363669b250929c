//! Signed heads of the journal: custody signs them after the records, asynchronously, and keeps the newest behind
//! which an epoch changed. A record is on the medium before its head is asked for, so that a head is never
//! ahead of the journal; and custody does one thing after the other, so that whatever it signs about a
//! change comes after the head of that change was kept.

use std::collections::BTreeMap;
use std::fs;

use id::{Epoch, NodeId, TierId};
use journal::Held;
use keys::{Grade, Head, Version};

use super::Supervisor;
use super::calls::HEAD;
use super::custodian::{self, Purpose};
use super::start::Halt;
use crate::custody::{KeptHead, Reply, Request};
use crate::failure::chain;
use crate::node::Node;

/// Which heads were asked for and signed.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// The newest record whose head was asked for.
    asked: u64,
    /// The newest record whose head is signed.
    signed: u64,
    /// The tiers and their epochs when a head was last kept.
    kept: Option<BTreeMap<TierId, Epoch>>,
}

/// What a head is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeadAsked {
    record: u64,
    /// It is kept, as the head of these epochs.
    epochs: Option<BTreeMap<TierId, Epoch>>,
}

/// Whether the journal is the one that custody knows: the kept record is in it, or was behind it already.
pub(super) fn is_own(node: &Node, kept: Option<&KeptHead>) -> Result<(), Halt> {
    let Some(kept) = kept else { return Ok(()) };
    match node.journal.holds(kept.record, kept.digest)? {
        Held::There | Held::Forgotten => Ok(()),
        Held::Otherwise => Err(Halt::ForkedJournal(kept.record)),
        Held::Ahead => Err(Halt::OlderJournal(kept.record)),
    }
}

impl Supervisor {
    /// Has the journal's head signed, if that was not asked for.
    pub(super) fn have_head_signed(&mut self) {
        let (record, digest) = self.node.journal.head();
        if record == self.heads.asked || !self.store.open {
            return;
        }
        if !custodian::is_there(&mut self.services, &mut self.custodian, &self.config, &self.steps) {
            return;
        }
        let epochs: BTreeMap<TierId, Epoch> =
            self.node.tenure.tiers().map(|(id, tier)| (id, tier.epoch)).collect();
        let keep = self.heads.kept.as_ref() != Some(&epochs);
        let head = Head {
            version: Version,
            node: NodeId(self.node_key.id()),
            node_key: self.node_key,
            grade: Grade::HostRoot,
            at: self.node.now(),
            record,
            record_digest: digest,
        };
        let purpose = Purpose::Head(HeadAsked { record, epochs: keep.then_some(epochs) });
        let request = Request::Head { head: Box::new(head), keep };
        // Custody that takes nothing is asked with the next record, or when it is started again.
        if self.custodian.ask(&mut self.services, purpose, request, None).is_ok() {
            self.heads.asked = record;
        }
    }

    /// Takes in a signed head, for exports.
    pub(super) fn take_head(&mut self, asked: HeadAsked, reply: Reply) -> Result<(), String> {
        let Reply::Signed { envelope } = reply else {
            return Err(format!("custody does not sign the journal's head: {reply:?}"));
        };
        if asked.epochs.is_some() {
            self.heads.kept = asked.epochs;
        }
        self.heads.signed = self.heads.signed.max(asked.record);
        // Not synced: the next start has a head signed anew.
        let (path, unfinished) = (self.config.state(HEAD), self.config.state("head.json.new"));
        let written = fs::write(&unfinished, envelope).and_then(|()| fs::rename(&unfinished, path));
        written.map_err(|error| format!("cannot write the signed head: {}", chain(&error)))
    }

    /// Custody is dead: what it had not signed is asked for again.
    pub(super) const fn forget_heads_asked(&mut self) {
        self.heads.asked = self.heads.signed;
    }
}
