//! The node's memory: its tenure, the journal that it follows from, the objects that it names, its clock.
//! Every input goes through [`Node::submit`]: decided, recorded, synced, applied, in this order.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};

use boundary::PacketSet;
use id::{Digest, KeyId, Time};
use journal::{Folder, Journal, Object, ObjectError, Objects};
use tenure::{Change, Input, Refusal, Tenure, Verb, apply_all, decide};
use thiserror::Error;

use crate::clock::Clock;
use crate::entry::{Entry, Snapshot};
use crate::ration::Ration;
use crate::sets;
use crate::step::{Step, Steps};

/// Segments that are kept, of 4 MiB and a little more each: what the journal may take of the disk.
const SEGMENTS_KEPT: usize = 16;
/// Objects that are kept before an order names them.
const PENDING_MAX: usize = 32;

/// What a node knows.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) journal: Journal<Folder>,
    pub(crate) objects: Objects<Folder>,
    pub(crate) tenure: Tenure,
    pub(crate) clock: Clock,
    ration: Ration,
    /// Objects that no tier names yet, the oldest first.
    pending: VecDeque<(Digest, PacketSet)>,
}

/// What came of an input.
#[derive(Debug)]
pub(crate) enum Submitted {
    /// It is on record, and applied.
    Accepted { record: u64, digest: Digest, changes: Vec<Change> },
    /// It was refused.
    Refused(Refusal),
}

/// Why an object was not taken.
#[derive(Debug, Error)]
pub(crate) enum NotStored {
    #[error("it is no boundary that this node can use: {0}")]
    NoBoundary(String),
    #[error("it cannot be stored")]
    Object(#[from] ObjectError),
}

impl Node {
    /// A node that knows what was recorded. The sets of the objects are read from `objects`; gives what
    /// is missing or damaged: it admits nothing.
    pub(crate) fn new(
        journal: Journal<Folder>,
        objects: Objects<Folder>,
        tenure: Tenure,
        boot: std::time::Duration,
    ) -> (Self, Vec<(Digest, String)>) {
        let clock = Clock::starting(journal.time(Time::ZERO), boot);
        let mut node =
            Self { journal, objects, tenure, clock, ration: Ration::default(), pending: VecDeque::new() };
        let mut missing = Vec::new();
        for name in node.named() {
            let read = node.objects.get(&name).map_err(|error| error.to_string());
            match read.and_then(|object| sets::packet_set(object.content())) {
                Ok(set) => node.tenure.hold(name, set),
                Err(why) => missing.push((name, why)),
            }
        }
        (node, missing)
    }

    /// The time now.
    pub(crate) fn now(&mut self) -> Time {
        self.clock.now(os::clock::wall(), os::clock::boot())
    }

    /// Decides, records, applies. A refusal of a signer whom the node knows is recorded, within its ration.
    pub(crate) fn submit(&mut self, input: Input, steps: &Steps) -> Result<Submitted, journal::Error> {
        self.submit_braced(input, steps, |_coming| ())
    }

    /// The same; `brace` is given the tenure that comes before it is put on record.
    pub(crate) fn submit_braced(
        &mut self,
        input: Input,
        steps: &Steps,
        brace: impl FnOnce(&Tenure),
    ) -> Result<Submitted, journal::Error> {
        let decided = decide(&self.tenure, &input);
        steps.reach(Step::OrderDecided);
        match decided {
            // Nothing to record, as with a lapse that changes nothing.
            Ok(changes) if changes.is_empty() => {
                let (record, digest) = self.journal.head();
                Ok(Submitted::Accepted { record, digest, changes })
            }
            Ok(changes) => self.accept(input, changes, steps, brace),
            Err(refusal) => {
                self.record_refusal(input, &refusal)?;
                Ok(Submitted::Refused(refusal))
            }
        }
    }

    fn accept(
        &mut self,
        input: Input,
        changes: Vec<Change>,
        steps: &Steps,
        brace: impl FnOnce(&Tenure),
    ) -> Result<Submitted, journal::Error> {
        let mut coming = self.tenure.clone();
        apply_all(&mut coming, &changes);
        brace(&coming);
        steps.reach(Step::Braced);
        let at = self.journal.time(input.at());
        let reserved = ends_something(&input);
        let entry = Entry::Decided { input, changes };
        let (record, digest) = if reserved {
            self.journal.append_reserved(at, &entry)?
        } else {
            self.journal.append(at, &entry)?
        };
        steps.reach(Step::RecordSynced);
        let Entry::Decided { changes, .. } = entry else { unreachable!("made above") };
        self.tenure = coming;
        if self.journal.wants_snapshot() {
            self.begin_segment(at, SEGMENTS_KEPT)?;
        }
        Ok(Submitted::Accepted { record, digest, changes })
    }

    /// Begins a segment, and lets go of the oldest where there are more than `keep`: first it is put on record.
    /// Whatever becomes of it, what was recorded is in force: without a snapshot the segment goes on, without
    /// room for the record the old ones stay.
    fn begin_segment(&mut self, at: Time, keep: usize) -> Result<(), journal::Error> {
        let snapshot = Snapshot { tenure: self.tenure.clone() };
        if unless_undone(self.journal.snapshot(at, &snapshot))?.is_none() {
            return Ok(());
        }
        let Some(before) = self.journal.oldest_after_forgetting(keep)? else { return Ok(()) };
        if unless_undone(self.journal.append(at, &Entry::Forgotten { before }))?.is_some() {
            self.journal.forget(keep)?;
        }
        Ok(())
    }

    fn record_refusal(&mut self, input: Input, refusal: &Refusal) -> Result<(), journal::Error> {
        let signer = match &input {
            Input::Order(verified) => verified.signer,
            Input::Enrolment(_) | Input::Lapse { .. } | Input::Outcome(_) => return Ok(()),
        };
        let Some(unrecorded) = self.ration.take(signer, os::clock::boot()) else { return Ok(()) };
        let at = self.journal.time(input.at());
        let entry = Entry::Refused { input, refusal: refusal.clone(), unrecorded };
        self.append_refusal(at, &entry, signer, unrecorded)
    }

    /// Records that a known key signed something that is no order.
    pub(crate) fn record_no_order(&mut self, signer: KeyId, why: String) -> Result<(), journal::Error> {
        let Some(unrecorded) = self.ration.take(signer, os::clock::boot()) else { return Ok(()) };
        let now = self.now();
        let at = self.journal.time(now);
        self.append_refusal(at, &Entry::NoOrder { signer, why, unrecorded }, signer, unrecorded)
    }

    /// A refusal that cannot be recorded is counted: on a full disk the signer still hears why.
    fn append_refusal(
        &mut self,
        at: Time,
        entry: &Entry,
        signer: KeyId,
        unrecorded: u64,
    ) -> Result<(), journal::Error> {
        let appended = unless_undone(self.journal.append(at, entry))?;
        if appended.is_none() {
            self.ration.give_back(signer, unrecorded);
        }
        Ok(())
    }

    /// Stores an object until an order names it, and learns what it means.
    pub(crate) fn store(&mut self, name: Digest, bytes: Vec<u8>) -> Result<(), NotStored> {
        let object = Object::from_bytes(bytes)?;
        let set = sets::packet_set(object.content()).map_err(NotStored::NoBoundary)?;
        self.objects.put(&name, &object)?;
        self.tenure.hold(name, set.clone());
        self.pending.retain(|(pending, _)| *pending != name);
        self.pending.push_back((name, set));
        if self.pending.len() > PENDING_MAX {
            self.pending.pop_front();
            self.sweep_objects()?;
        }
        Ok(())
    }

    /// Removes the objects that no tier names any more and no order is awaited for, and forgets their sets.
    pub(crate) fn sweep_objects(&mut self) -> Result<(), ObjectError> {
        let named = self.named();
        self.pending.retain(|(pending, _)| !named.contains(pending));
        self.tenure.release_unnamed();
        for (name, set) in &self.pending {
            self.tenure.hold(*name, set.clone());
        }
        for name in self.objects.names()? {
            if !named.contains(&name) && !self.pending.iter().any(|(pending, _)| *pending == name) {
                self.objects.remove(&name)?;
            }
        }
        Ok(())
    }

    fn named(&self) -> BTreeSet<Digest> {
        self.tenure.tiers().flat_map(|(_id, tier)| tier.given.into_iter().chain(tier.own)).collect()
    }
}

/// What was not written leaves the journal as it was, and the node can go on; what nobody knows cannot.
fn unless_undone<T>(written: Result<T, journal::Error>) -> Result<Option<T>, journal::Error> {
    match written {
        Ok(done) => Ok(Some(done)),
        Err(journal::Error::Full(_) | journal::Error::SegmentFull | journal::Error::Record(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the record may take of the space that is kept for severings: an order that ends a tier, and
/// what follows from it.
fn ends_something(input: &Input) -> bool {
    match input {
        Input::Order(verified) => match &verified.order.verb {
            Verb::Sever(_) => true,
            Verb::Lease(_)
            | Verb::Terms(_)
            | Verb::Reassign(_)
            | Verb::Boundary(_)
            | Verb::EnrolKey(_)
            | Verb::RemoveKey(_)
            | Verb::Consoles(_)
            | Verb::Renew(_)
            | Verb::Consent(_)
            | Verb::Suspend(_)
            | Verb::Resume(_)
            | Verb::Power(_) => false,
        },
        Input::Outcome(_) | Input::Lapse { .. } => true,
        Input::Enrolment(_) => false,
    }
}
