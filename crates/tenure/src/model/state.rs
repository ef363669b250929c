//! One state of the model, and the parties' part in it: signing, sending, remembering what was sent.

use std::collections::{BTreeMap, BTreeSet};

use id::{Digest, KeyId, LeaseId, Nonce, Sequence, TierId, Time};

use super::check::Invariant;
use super::machine::{Doom, Machine};
use crate::order::Consent;
use crate::tests::example::{Example, key, lease_id, node, tier_id};
use crate::{Fresh, Freshness, Order, Tenure, Verb, Verified};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) tenure: Tenure,
    pub(super) machine: Machine,
    /// The clock as the node reads it; it may go back.
    pub(super) clock: Time,
    /// Every order that was sent or withheld; any may arrive, again or for the first time.
    pub(super) sent: Vec<Verified>,
    pub(super) past: Past,
    pub(super) flaw: Option<Invariant>,
}

/// What happened: kept by the model for its checks, unknown to the node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Past {
    pub(super) next_sequence: BTreeMap<KeyId, u64>,
    pub(super) accepted: BTreeSet<(LeaseId, KeyId, Sequence)>,
    pub(super) nonces_used: BTreeSet<Nonce>,
    pub(super) terms_seen: BTreeMap<TierId, u64>,
    /// Consents that were given and not used: by whom, to what.
    pub(super) consents: BTreeSet<(TierId, Consent)>,
    /// Keys that were removed from a tier and not enrolled again.
    pub(super) removed: BTreeSet<(TierId, KeyId)>,
    /// The highest version of a directory that was obeyed.
    pub(super) directory: u64,
    pub(super) doomed: Vec<Doom>,
    pub(super) drawn: u8,
    pub(super) nonces_drawn: u8,
}

/// How an order is to be fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fresher {
    /// Until the time 1_000_000.
    Long,
    /// Until that time.
    Until(u64),
    /// By the nonce that the node gave last.
    Nonce,
}

impl State {
    pub(super) fn new(example: Example) -> Self {
        let drawn = example.drawn;
        let mut machine = Machine::default();
        for (tier, _) in example.tenure.tiers() {
            machine.settle(tier);
        }
        machine.follow(&example.tenure);
        let past = Past { next_sequence: example.next_sequence, drawn, ..Past::default() };
        Self { tenure: example.tenure, machine, clock: example.now, sent: Vec::new(), past, flaw: None }
    }

    /// The order that `signer` signs for `tier` now; nothing if there is no such tier.
    pub(super) fn sign(
        &mut self,
        tier: u8,
        signer: u8,
        fresher: Fresher,
        term: Option<u64>,
        verb: Verb,
    ) -> Option<Verified> {
        let signer = key(signer).id();
        let present = self.tenure.tier(tier_id(tier))?;
        let freshness = match fresher {
            Fresher::Long => Freshness::NotAfter(Time::from_millis(1_000_000)),
            Fresher::Until(millis) => Freshness::NotAfter(Time::from_millis(millis)),
            Fresher::Nonce => Freshness::Nonce(Nonce::from_bytes([self.past.nonces_drawn; 16])),
        };
        let next = self.past.next_sequence.entry(signer).or_default();
        *next += 1;
        let order = Order {
            node: node(),
            lease: present.lease,
            tier: tier_id(tier),
            epoch: present.epoch,
            seq: Sequence::new(*next)?,
            freshness,
            term,
            verb,
        };
        let envelope = Digest::of(order.to_json().as_bytes());
        Some(Verified { order, signer, envelope, fresh: self.fresh(), at: self.clock })
    }

    /// The ids that the node would draw now.
    pub(super) fn fresh(&self) -> Fresh {
        let number = self.past.drawn + 1;
        Fresh { tier: tier_id(number), lease: lease_id(number) }
    }
}
