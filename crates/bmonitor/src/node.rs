//! The node's memory: its tenure, the journal that it follows from, the objects that it names, its clock.
//! Every input goes through [`Node::submit`]: decided, recorded, synced, applied, in this order.

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use boundary::ResolvedSet;
use id::{Digest, KeyId, TierId, Time};
use journal::{Folder, Journal, Object, ObjectError, Objects};
use serde_json::Value;
use tenure::{Change, Input, Refusal, Tenure, Verb, apply_all, decide};
use thiserror::Error;

use crate::clock::Clock;
use crate::entry::{Entry, Snapshot};
use crate::ration::Ration;
use crate::sets::{Learned, NoMeaning, Question, Sets};
use crate::step::{Step, Steps};

/// Segments that are kept, of 4 MiB and a little more each: what the journal may take of the disk.
const SEGMENTS_KEPT: usize = 16;
/// Objects that are kept before an order names them: of those who speak to the node's own socket, and of each
/// tier whose consoles send some. So no tier pushes out what another has sent.
const PENDING_MAX: usize = 32;
const PENDING_OF_A_TIER: usize = 8;
/// And their bytes; one alone may have more. In memory each takes some twenty times that.
const PENDING_BYTES_MAX: usize = 4 * 1024 * 1024;
const PENDING_BYTES_OF_A_TIER: usize = 2 * 1024 * 1024;

/// An object that nothing in force names yet.
#[derive(Debug)]
struct Pending {
    name: Digest,
    by: Option<TierId>,
    bytes: usize,
}

/// What a node knows.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) journal: Journal<Folder>,
    pub(crate) objects: Objects<Folder>,
    pub(crate) tenure: Tenure,
    pub(crate) clock: Clock,
    ration: Ration,
    pub(crate) sets: Sets,
    /// Objects that nothing in force names yet, the oldest first, and by whose consoles they came.
    pending: VecDeque<Pending>,
    /// The tiers whose sets admit what stands above them refuses, each with a witness.
    beyond: BTreeMap<TierId, Value>,
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
    #[error(transparent)]
    NoMeaning(#[from] NoMeaning),
    #[error("it cannot be stored")]
    Object(#[from] ObjectError),
}

impl Node {
    /// A node that knows what was recorded. The sets of the objects are read from `objects`, whose sealed forms
    /// `open` opens; gives what is missing or damaged: it admits nothing.
    pub(crate) fn new(
        journal: Journal<Folder>,
        objects: Objects<Folder>,
        tenure: Tenure,
        management: Vec<IpAddr>,
        boot: std::time::Duration,
        mut open: impl FnMut(Digest, &[u8]) -> Result<Vec<u8>, String>,
    ) -> (Self, Vec<(Digest, String)>) {
        let clock = Clock::starting(journal.time(Time::ZERO), boot);
        let mut node = Self {
            journal,
            objects,
            tenure,
            clock,
            ration: Ration::default(),
            sets: Sets::new(management),
            pending: VecDeque::new(),
            beyond: BTreeMap::new(),
        };
        let mut missing = Vec::new();
        for name in node.to_recall() {
            let form = node.objects.form(&name).map_err(|error| error.to_string());
            let object = form.and_then(|form| open(name, &form));
            if let Err(why) = object.and_then(|object| node.recall(name, object)) {
                missing.push((name, why));
            }
        }
        node.recalled();
        (node, missing)
    }

    /// The node has another address of its own, which no realm reaches.
    pub(crate) fn set_own_address(&mut self, own: Option<IpAddr>) {
        self.sets.set_own_address(own);
        self.recalled();
    }

    /// The objects in force. The directory first: it says what the names of the others mean.
    pub(crate) fn to_recall(&self) -> Vec<Digest> {
        let directory = self.tenure.directory().map(|directory| directory.object);
        let others = self.tenure.named_objects().into_iter().filter(|name| Some(*name) != directory);
        directory.into_iter().chain(others).collect()
    }

    /// Learns what an object in force means.
    pub(crate) fn recall(&mut self, name: Digest, bytes: Vec<u8>) -> Result<(), String> {
        let object = Object::from_bytes(bytes).map_err(|error| error.to_string())?;
        if object.name() != name {
            return Err(ObjectError::Damaged(name).to_string());
        }
        self.sets.recall(&mut self.tenure, name, object.content()).map_err(|error| error.to_string())
    }

    /// All that is in force was recalled.
    pub(crate) fn recalled(&mut self) {
        self.sets.resolve_all(&mut self.tenure);
        self.look_beyond();
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
        self.follow(&changes);
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
        let refusal = refusal.clone().without_content();
        let entry = Entry::Refused { input, refusal, unrecorded };
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

    /// What is to be worked out before an object can be stored. `by` is the tier whose console sent it.
    pub(crate) fn question(
        &self,
        name: Digest,
        bytes: Vec<u8>,
        by: Option<TierId>,
    ) -> Result<Question, NotStored> {
        let object = Object::from_bytes(bytes)?;
        if object.name() != name {
            return Err(ObjectError::OtherBytes(name).into());
        }
        // A tier changes its own set more often than it writes a new one.
        let like = by.and_then(|by| self.tenure.tier(by)?.own);
        Ok(self.sets.question(&self.tenure, object.content(), like))
    }

    /// Whether what was learned of an object still is so.
    pub(crate) fn is_current(&self, learned: &Learned) -> bool {
        self.sets.is_current(&self.tenure, learned)
    }

    /// Stores an object in its sealed form until an order names it, with what was learned of it. `by` is the tier
    /// whose console sent it.
    pub(crate) fn store(
        &mut self,
        name: Digest,
        learned: Learned,
        form: &[u8],
        by: Option<TierId>,
    ) -> Result<(), NotStored> {
        self.sets.take(&mut self.tenure, name, learned);
        // One that is in force stays as it is: it is sealed for the tier that it came from first.
        if self.objects.form(&name).is_err() || !self.tenure.named_objects().contains(&name) {
            self.objects.put_form(&name, form)?;
        }
        self.pending.retain(|pending| pending.name != name);
        self.pending.push_back(Pending { name, by, bytes: form.len() });
        let (at_most, bytes_at_most) = match by {
            Some(_) => (PENDING_OF_A_TIER, PENDING_BYTES_OF_A_TIER),
            None => (PENDING_MAX, PENDING_BYTES_MAX),
        };
        let mut dropped = false;
        loop {
            let same = || self.pending.iter().enumerate().filter(|(_place, pending)| pending.by == by);
            let bytes: usize = same().map(|(_place, pending)| pending.bytes).sum();
            let number = same().count();
            let Some((oldest, _)) = same().next() else { break };
            if number == 1 || (number <= at_most && bytes <= bytes_at_most) {
                break;
            }
            self.pending.remove(oldest);
            dropped = true;
        }
        if dropped {
            self.sweep_objects()?;
        }
        Ok(())
    }

    /// Removes the objects that no tier names any more and no order is awaited for, and forgets their sets.
    pub(crate) fn sweep_objects(&mut self) -> Result<(), ObjectError> {
        let mut kept = self.tenure.named_objects();
        self.pending.retain(|pending| !kept.contains(&pending.name));
        kept.extend(self.pending.iter().map(|pending| pending.name));
        self.tenure.release_all_but(&kept);
        self.sets.keep(&kept);
        for name in self.objects.names()? {
            if !kept.contains(&name) {
                self.objects.remove(&name)?;
            }
        }
        Ok(())
    }

    /// The tiers whose sets admit what stands above them refuses, each with a witness: the lesser holds.
    pub(crate) const fn beyond(&self) -> &BTreeMap<TierId, Value> {
        &self.beyond
    }

    /// The rules that bind a tier's realm, from the top: what is denied to all, then each set along its path.
    pub(crate) fn stack(&self, tier: TierId) -> Vec<ResolvedSet> {
        let sets = self.tenure.sets_of(tier).into_iter().map(|name| self.sets.rules(name));
        std::iter::once(self.sets.above(&self.tenure)).chain(sets).collect()
    }

    /// What names mean, and what stands above the root, as the changes say.
    fn follow(&mut self, changes: &[Change]) {
        let root = self.tenure.root();
        let renames = |change: &Change| match change {
            Change::DirectorySet { .. } | Change::Enrolled { .. } => true,
            Change::ConsolesSet { tier, .. } => Some(*tier) == root,
            Change::Passed { .. }
            | Change::Lapsed { .. }
            | Change::Accepted { .. }
            | Change::Leased { .. }
            | Change::TermsChanged { .. }
            | Change::OwnBoundarySet { .. }
            | Change::GivenBoundarySet { .. }
            | Change::BoundaryTried { .. }
            | Change::TrialOver { .. }
            | Change::KeyEnrolled { .. }
            | Change::KeyRemoved { .. }
            | Change::Consented { .. }
            | Change::ConsentUsed { .. }
            | Change::Suspended { .. }
            | Change::Resumed { .. }
            | Change::Switched { .. }
            | Change::EngineSet { .. }
            | Change::VolumeMade { .. }
            | Change::VolumeRemoved { .. }
            | Change::Reassigned { .. }
            | Change::Begun { .. }
            | Change::IdentityMade(_)
            | Change::StepDone { .. }
            | Change::Completed { .. } => false,
        };
        let renamed = changes.iter().any(renames);
        if renamed {
            self.sets.resolve_all(&mut self.tenure);
        }
        let sets = |change: &Change| {
            matches!(
                change,
                Change::OwnBoundarySet { .. }
                    | Change::GivenBoundarySet { .. }
                    | Change::BoundaryTried { .. }
                    | Change::TrialOver { .. }
            )
        };
        if renamed || changes.iter().any(sets) {
            self.look_beyond();
        }
    }

    fn look_beyond(&mut self) {
        let found = |(id, _)| Some((id, self.tenure.beyond(id)?));
        self.beyond = self.tenure.tiers().filter_map(found).collect();
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
            | Verb::TryBoundary(_)
            | Verb::EnrolKey(_)
            | Verb::RemoveKey(_)
            | Verb::Consoles(_)
            | Verb::Directory(_)
            | Verb::Renew(_)
            | Verb::Consent(_)
            | Verb::Suspend(_)
            | Verb::Resume(_)
            | Verb::Power(_)
            | Verb::Engine(_)
            | Verb::Volume(_)
            | Verb::RemoveVolume(_) => false,
        },
        Input::Outcome(_) | Input::Lapse { .. } => true,
        Input::Enrolment(_) => false,
    }
}
