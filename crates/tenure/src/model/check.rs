//! What must hold, checked without the code that is checked.
//!
//! Most checks have one form: an order that must not be obeyed, for a reason that the model sees by itself, is
//! refused. Only such orders are counted, so that the count says how often an invariant was put to the test.

mod order;
mod still;
mod walk;

use std::sync::atomic::{AtomicU64, Ordering};

pub(super) use order::{accepted, judged};
pub(super) use still::standing_still;
pub(super) use walk::subtree;

macro_rules! invariants {
    ($($name:ident = $sentence:literal),+ $(,)?) => {
        /// What must hold.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(super) enum Invariant { $($name),+ }

        impl Invariant {
            pub(super) const ALL: &'static [Self] = &[$(Self::$name),+];

            pub(super) const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence),+ }
            }
        }
    };
}

invariants! {
    TierAbove = "a tier never acts on one above or beside it",
    OwnLease = "a tier changes nothing about its own lease",
    RenewsOwn = "a tenant renews its own keys, and nothing above changes",
    RenewsBoth = "an upper tier renews its own keys and those below",
    SequenceOnce = "no (lease, key, sequence) is accepted twice, re-adding and re-leasing included",
    PastEpoch = "nothing for a past epoch is accepted",
    PresentLease = "nothing for a past lease is accepted",
    EnrolledKey = "a removed key gives no orders",
    FilterWithin = "no lower filter is accepted that exceeds an upper one",
    FilterEffective = "no lower filter in force exceeds an upper one",
    RightWithin = "no right is granted that the grantor may not grant",
    RightExercised = "no right is exercised that the tier may only grant, or that was withdrawn above",
    KeyRight = "no key uses or hands on a right that it does not have",
    TermWithin = "no term is granted that exceeds an upper one",
    InTerm = "outside its terms a tier may sever, and nothing else",
    Suspended = "while it is suspended a tier may sever, and nothing else",
    CanSever = "from every state each upper tier can sever",
    CanSeverQuota = "… with quotas exhausted",
    CanSeverCustody = "… with custody dead",
    CanSeverLapsed = "… outside its own terms, so by a wrong clock too",
    CanSeverSuspended = "… while suspended",
    CanSeverBusy = "… while its own or the lower tier's keys are being replaced",
    ReceiptLast = "no receipt before S is gone and engines are stopped, crashes included",
    NoRegrant = "no re-grant before S is gone and engines are stopped, crashes included",
    ErasureLocal = "erasure at one tier changes nothing above or beside it",
    LapseSuspends = "a lapse erases nothing",
    NewParty = "no act from above keeps lower data openable for another party without the data tier's consent",
    ConsentUsed = "a consent serves once, for the party, the tier and the epoch that it names",
    View = "a tier's view does not depend on other tiers' content",
    Replay = "replay equals live state",
    NonceOnce = "a nonce serves once",
    NotAfter = "nothing is obeyed after its time",
    ClockForward = "time never goes back",
    TrialEnds = "no set is tried beyond its time, and what comes back is what was there before",
    LeaderTerm = "a past leader is not obeyed",
    OwnConsoles = "a tier's consoles are those that it named itself, or its lease before it did",
    NextConsoles = "after a lease was handed on the party before is dialled nowhere",
    NoConsole = "a severed tier is dialled nowhere",
    DirectoryForward = "a directory's version never goes back",
    DirectoryOfRoot = "nobody but the root says what names mean",
    DirectorySigned = "a directory is signed by the root's key for directories",
}

/// How often each invariant was put to the test.
#[derive(Debug, Default)]
pub(super) struct Counters(Vec<AtomicU64>);

impl Counters {
    pub(super) fn new() -> Self {
        Self(Invariant::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn of(&self, invariant: Invariant) -> u64 {
        self.0[invariant as usize].load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, other: &Self) {
        for invariant in Invariant::ALL {
            self.0[*invariant as usize].fetch_add(other.of(*invariant), Ordering::Relaxed);
        }
    }
}

/// Collects what is found at one step.
pub(super) struct Checks<'a> {
    counters: &'a Counters,
    pub(super) flaw: Option<Invariant>,
}

impl<'a> Checks<'a> {
    pub(super) const fn new(counters: &'a Counters) -> Self {
        Self { counters, flaw: None }
    }

    /// Counts one case of `invariant`; the first that does not hold is the flaw.
    pub(super) fn expect(&mut self, invariant: Invariant, held: bool) {
        self.counters.0[invariant as usize].fetch_add(1, Ordering::Relaxed);
        if !held && self.flaw.is_none() {
            self.flaw = Some(invariant);
        }
    }
}
