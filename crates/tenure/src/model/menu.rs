//! The orders that the parties of the model may sign.
//!
//! Not all are good ones: most scenarios have orders that reach above, beside or beyond what the signer has.

use super::state::{Fresher, State};
use crate::order::{
    Boundary, Consent, Consoles, Directory, NewTerms, Power, PowerAction, Reassign, RemoveKey, Renew, Target,
    TryBoundary,
};
use crate::tests::example::{console, controller, directory, key, lease, object, tier_id};
use crate::{Grant, Right, Rights, Tenure, Terms, Verb, Verified};
use id::{Sequence, Time};

/// An order that a party may sign in any state, with the ids and epochs of that state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) label: &'static str,
    tier: u8,
    signer: u8,
    fresher: Fresher,
    term: Option<u64>,
    /// The tier whose lease it names, if not its own.
    lease_of: Option<u8>,
    /// The sequence that it names, if not the key's next.
    sequence: Option<u64>,
    verb: fn(&Tenure) -> Verb,
}

impl Item {
    /// The tier's key of the same number signs.
    pub(super) const fn new(label: &'static str, tier: u8, verb: fn(&Tenure) -> Verb) -> Self {
        Self {
            label,
            tier,
            signer: tier,
            fresher: Fresher::Long,
            term: None,
            lease_of: None,
            sequence: None,
            verb,
        }
    }

    pub(super) const fn by(mut self, signer: u8) -> Self {
        self.signer = signer;
        self
    }

    pub(super) const fn fresh(mut self, fresher: Fresher) -> Self {
        self.fresher = fresher;
        self
    }

    pub(super) const fn leader(mut self, term: u64) -> Self {
        self.term = Some(term);
        self
    }

    pub(super) const fn under_lease_of(mut self, tier: u8) -> Self {
        self.lease_of = Some(tier);
        self
    }

    pub(super) const fn numbered(mut self, sequence: u64) -> Self {
        self.sequence = Some(sequence);
        self
    }

    pub(super) fn sign(&self, state: &mut State) -> Option<Verified> {
        let verb = (self.verb)(&state.tenure);
        let mut sent = state.sign(self.tier, self.signer, self.fresher, self.term, verb)?;
        if let Some(other) = self.lease_of {
            sent.order.lease = state.tenure.tier(tier_id(other))?.lease;
        }
        if let Some(number) = self.sequence {
            sent.order.seq = Sequence::new(number)?;
        }
        Some(sent)
    }
}

pub(super) fn sever(tier: u8) -> Verb {
    Verb::Sever(Target { tier: tier_id(tier) })
}

pub(super) fn suspend(tier: u8) -> Verb {
    Verb::Suspend(Target { tier: tier_id(tier) })
}

pub(super) fn resume(tier: u8) -> Verb {
    Verb::Resume(Target { tier: tier_id(tier) })
}

pub(super) fn renew(tier: Option<u8>, keep: &[u8]) -> Verb {
    let keep = keep.iter().copied().map(tier_id).collect();
    Verb::Renew(Renew { tier: tier.map(tier_id), keep, nonce: None })
}

pub(super) fn reassign(tier: u8, party: u8, keep: &[u8]) -> Verb {
    Verb::Reassign(Reassign {
        tier: tier_id(tier),
        contract: "L-10".to_owned().try_into().unwrap(),
        keys: vec![controller(party, Rights::ALL)],
        keep: keep.iter().copied().map(tier_id).collect(),
        consoles: vec![console(party)],
    })
}

/// Consent to the renewal of `tier` in its present epoch, or to its passing to the party with that key.
pub(super) fn consent(tenure: &Tenure, tier: u8, party: Option<u8>) -> Verb {
    let epoch = tenure.tier(tier_id(tier)).map(|tier| tier.epoch).unwrap_or_default();
    let successor = party.map(|party| vec![key(party).id()]);
    Verb::Consent(Consent { tier: tier_id(tier), epoch, successor })
}

pub(super) fn boundary(tier: Option<u8>, last: u8) -> Verb {
    Verb::Boundary(Boundary { tier: tier.map(tier_id), object: object(last) })
}

pub(super) fn attempt(last: u8) -> Verb {
    let seconds = std::num::NonZeroU32::new(2).unwrap();
    Verb::TryBoundary(TryBoundary { object: object(last), seconds })
}

pub(super) fn power(tier: Option<u8>) -> Verb {
    Verb::Power(Power { tier: tier.map(tier_id), action: PowerAction::Off })
}

pub(super) fn enrol(number: u8, rights: Rights) -> Verb {
    Verb::EnrolKey(controller(number, rights))
}

/// The directory of that version is in force.
pub(super) fn names(serial: u64) -> Verb {
    Verb::Directory(Directory { object: directory(serial) })
}

/// The signer's tier has the console of that number and no other.
pub(super) fn consoles(number: u8) -> Verb {
    Verb::Consoles(Consoles { consoles: vec![console(number)] })
}

pub(super) fn remove(number: u8) -> Verb {
    Verb::RemoveKey(RemoveKey { key: key(number).id() })
}

pub(super) fn until(tier: u8, millis: u64) -> Verb {
    let terms = Terms { not_before: Time::ZERO, until: Time::from_millis(millis) };
    Verb::Terms(NewTerms {
        tier: tier_id(tier),
        contract: None,
        terms: Some(terms),
        rights: None,
        quota: None,
    })
}

/// Changes what a child may do to everything but `right`.
pub(super) fn without(tier: u8, right: Right) -> Verb {
    let rights = Grant { exercise: Rights::ALL.without(right), grant: Rights::ALL.without(right) };
    Verb::Terms(NewTerms {
        tier: tier_id(tier),
        contract: None,
        terms: None,
        rights: Some(rights),
        quota: None,
    })
}

/// A lease with everything, to the party with that key.
pub(super) fn grant(number: u8) -> Verb {
    Verb::Lease(lease(number, Grant::ALL, 1))
}

/// A lease with those rights and a quota of one.
pub(super) fn grant_of(number: u8, rights: Rights) -> Verb {
    Verb::Lease(lease(number, Grant { exercise: rights, grant: rights }, 1))
}
