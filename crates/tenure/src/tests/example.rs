//! Parties with keys, and the orders that they sign. Signatures are the caller's part, so none are made.

use std::collections::BTreeMap;

use id::{Digest, KeyId, LeaseId, NodeId, PublicKey, Sequence, TierId, Time};
use packet_set::{Budget, Field, PacketSet, Ranges, Region};

use crate::{
    Change, Console, ControllerKey, Enrolment, Fresh, Freshness, Grant, Input, Lease, Made, Order, Outcome,
    Quota, Refusal, Right, Rights, Step, Tenure, Terms, Verb, Verified, apply_all, decide,
};

pub(crate) const NODE: [u8; 32] = [7; 32];

/// The public key with that number.
pub(crate) fn key(number: u8) -> PublicKey {
    PublicKey::from_bytes([number; 32]).unwrap()
}

pub(crate) fn tier_id(number: u8) -> TierId {
    TierId::from_bytes([number; 16])
}

pub(crate) fn lease_id(number: u8) -> LeaseId {
    LeaseId::from_bytes([number; 16])
}

pub(crate) fn node() -> NodeId {
    NodeId(KeyId::of_public_key(&NODE))
}

pub(crate) fn at(millis: u64) -> Time {
    Time::from_millis(millis)
}

/// The object of the set that admits remote addresses 0 to `last`.
pub(crate) fn object(last: u8) -> Digest {
    Digest::of(&[last])
}

fn set(last: u8) -> PacketSet {
    let mut region = Region::everything();
    region.remote = Ranges::of(vec![(0, u128::from(last))]);
    assert!(!region.values(Field::Remote).is_empty());
    PacketSet::union_of(&[region], &mut Budget::for_tier()).unwrap()
}

pub(crate) fn controller(number: u8, rights: Rights) -> ControllerKey {
    ControllerKey { key: key(number), rights }
}

/// The object of the directory of that version; that of 8 is signed by another key.
pub(crate) fn directory(serial: u64) -> Digest {
    Digest::of(format!("directory {serial}").as_bytes())
}

/// The specification of the engine of that name.
pub(crate) fn specification(engine: &str) -> Digest {
    Digest::of(format!("engine {engine}").as_bytes())
}

/// The console with that number.
pub(crate) fn console(number: u8) -> Console {
    Console { key: key(100 + number), addresses: vec![format!("10.0.0.{number}:7443").parse().unwrap()] }
}

/// A node with its shell's part: sequences, fresh ids and outcomes.
#[derive(Debug, Clone)]
pub(crate) struct Example {
    pub(crate) tenure: Tenure,
    pub(crate) record: Vec<Change>,
    pub(crate) next_sequence: BTreeMap<KeyId, u64>,
    pub(crate) drawn: u8,
    pub(crate) now: Time,
}

impl Example {
    /// A node that holds the objects 0 to 9, enrolled for a root with key 1.
    pub(crate) fn enrolled() -> Self {
        let mut tenure = Tenure::unenrolled();
        for last in 0..10 {
            tenure.hold(object(last), set(last));
        }
        for serial in [5, 6, 7] {
            tenure.hold_directory(directory(serial), key(90), serial);
        }
        tenure.hold_directory(directory(8), key(91), 8);
        let mut example =
            Self { tenure, record: Vec::new(), next_sequence: BTreeMap::new(), drawn: 0, now: at(1_000) };
        let enrolment = Enrolment {
            node: node(),
            document: Digest::of(b"enrolment"),
            name: "owner".parse().unwrap(),
            controllers: vec![controller(1, Rights::ALL)],
            consoles: vec![console(1)],
            directory: Some(key(90)),
            fresh: example.draw(),
            at: example.now,
        };
        for engine in ["web", "till"] {
            example.tenure.hold_specification(specification(engine), engine.parse().unwrap());
        }
        example.input(&Input::Enrolment(enrolment)).unwrap();
        example.finish();
        example
    }

    /// Root 1, below it tier 2 (key 2), below that the siblings 3 and 4 (keys 3 and 4).
    pub(crate) fn four_tiers() -> Self {
        let mut example = Self::enrolled();
        for (grantor, new, quota) in [(1, 2, 8), (2, 3, 2), (2, 4, 2)] {
            example.order(grantor, Verb::Lease(lease(new, Grant::ALL, quota))).unwrap();
            example.finish();
        }
        example
    }

    fn draw(&mut self) -> Fresh {
        self.drawn += 1;
        Fresh { tier: tier_id(self.drawn), lease: lease_id(self.drawn) }
    }

    pub(crate) fn input(&mut self, input: &Input) -> Result<Vec<Change>, Refusal> {
        let changes = decide(&self.tenure, input)?;
        apply_all(&mut self.tenure, &changes);
        self.record.extend(changes.iter().cloned());
        Ok(changes)
    }

    /// The order that the tier's key of the same number would sign now.
    pub(crate) fn sign(&mut self, tier: u8, verb: Verb) -> Verified {
        self.sign_as(tier, tier, verb)
    }

    pub(crate) fn sign_as(&mut self, tier: u8, signer: u8, verb: Verb) -> Verified {
        let signer = key(signer).id();
        let next = self.next_sequence.entry(signer).or_default();
        *next += 1;
        let seq = Sequence::new(*next).unwrap();
        let present = self.tenure.tier(tier_id(tier)).unwrap();
        let order = Order {
            node: node(),
            lease: present.lease,
            tier: tier_id(tier),
            epoch: present.epoch,
            seq,
            freshness: Freshness::NotAfter(at(1_000_000_000)),
            term: None,
            verb,
        };
        let envelope = Digest::of(order.to_json().as_bytes());
        Verified { order, signer, envelope, fresh: self.draw(), at: self.now }
    }

    pub(crate) fn order(&mut self, tier: u8, verb: Verb) -> Result<Vec<Change>, Refusal> {
        let verified = self.sign(tier, verb);
        self.input(&Input::Order(Box::new(verified)))
    }

    /// Tells the next step of every procedure, until none is under way.
    pub(crate) fn finish(&mut self) {
        while self.step() {}
    }

    /// The next step of the first procedure.
    pub(crate) fn next_step(&self) -> Option<Step> {
        self.tenure.procedures().next().map(|procedure| procedure.next)
    }

    /// Tells the next step of one procedure; whether there was one.
    pub(crate) fn step(&mut self) -> bool {
        let Some(outcome) = self.outcome() else { return false };
        self.input(&Input::Outcome(outcome)).unwrap();
        true
    }

    /// The outcome of the next step of the first procedure.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        let procedure = self.tenure.procedures().next()?;
        let made = Self::make(&procedure.parts);
        Some(Outcome { procedure: procedure.id, step: procedure.next, made, at: self.now })
    }

    fn make(parts: &[crate::Part]) -> Vec<Made> {
        parts
            .iter()
            .map(|part| {
                let text = format!("{} {}", part.tier, part.epoch);
                Made { tier: part.tier, epoch: part.epoch, identity: Digest::of(text.as_bytes()) }
            })
            .collect()
    }
}

/// The lease to a new tier with the key of that number: set 9, quota of `tiers` and ten times as much else.
pub(crate) fn lease(number: u8, rights: Grant, tiers: u32) -> Lease {
    Lease {
        name: format!("tier-{number}").parse().unwrap(),
        contract: "L-9".to_owned().try_into().unwrap(),
        terms: Terms::ALWAYS,
        rights,
        quota: Quota {
            tiers,
            keys: tiers * 10,
            objects: tiers * 10,
            records_per_hour: tiers * 10,
            space_mib: tiers * 100,
        },
        keys: vec![controller(number, rights.exercise.or(rights.grant))],
        boundary: object(9),
        consoles: vec![console(number)],
        directory: None,
    }
}

/// A set of rights.
pub(crate) fn rights(list: &[Right]) -> Rights {
    list.iter().copied().collect()
}
