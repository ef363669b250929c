//! Named points at which a process of the monitor can be made to die, as by a power cut: the crash
//! tests go through them all. A point that is not asked for costs a comparison.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::rights::Role;

macro_rules! steps {
    ($($name:ident $role:ident $text:literal $doc:literal;)*) => {
        /// A point between two acts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Step { $(#[doc = $doc] $name,)* }

        impl Step {
            /// All of them, in the order of a node's life.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it is called on the command line.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What has happened there and what has not.
            pub(crate) const fn what(self) -> &'static str {
                match self { $(Self::$name => $doc,)* }
            }

            /// The process that passes it.
            pub(crate) const fn role(self) -> Role {
                match self { $(Self::$name => Role::$role,)* }
            }
        }
    };
}

steps! {
    StartLocked Supervisor "start:locked" "configuration read, journal locked, nothing replayed";
    StartReplayed Supervisor "start:replayed" "journal replayed, nothing compared with the kernel yet";
    StartListening Supervisor "start:listening" "the socket is bound, no order read yet";
    EnrolKey Supervisor "enrol:key-made" "first start: the node's key exists, the journal does not";
    EnrolRecorded Supervisor "enrol:recorded" "first start: the enrolment is in the journal";
    OrderVerified Supervisor "order:verified" "an order's signature holds, nothing stored yet";
    OrderObjects Supervisor "order:objects" "the order's objects are on disk, its record is not";
    OrderDecided Supervisor "order:decided" "decided, not recorded";
    Braced Supervisor "record:braced" "what a record takes back will close by itself, the record is not there";
    RecordSynced Supervisor "record:synced" "a record is on disk, nothing has been done about it";
    OrderApplied Supervisor "order:applied" "recorded and applied, not acknowledged";
    OrderAnswered Supervisor "order:answered" "acknowledged, nothing done yet";
    CutFlipped Supervisor "cut:flipped" "a realm's cut bit is set, everything else of it still stands";
    SecretUnlinked Supervisor "secret:unlinked" "a tier's secret is unlinked, the folder not synced";
    SecretGone Supervisor "secret:gone" "a tier's secret is gone, its realm still stands";
    CourierGone Supervisor "courier:gone" "a tier's courier is dead, its engines live";
    EffectDone Supervisor "effect:done" "a helper has done its effect, the outcome is not recorded";
    OutcomeRecorded Supervisor "outcome:recorded" "an outcome is recorded, what follows from it is not done";
    ReceiptSigned Supervisor "receipt:signed" "a receipt is signed and not stored";
    ReceiptStored Supervisor "receipt:stored" "a receipt is stored, nobody has asked for it";
    RealmNamespace Helper "realm-up:namespace" "a realm's network namespace exists, empty";
    RealmCable Helper "realm-up:cable" "its link exists, down, without a filter";
    RealmFilter Helper "realm-up:filter" "its filter is attached and pinned, without a policy: closed";
    RealmAddress Helper "realm-up:address" "its inside has its addresses, the host's end is still down";
    RealmLinkUp Helper "realm-up:link-up" "its link is up";
    PolicyBuilt Helper "policy:built" "a new policy is compiled, the old one is in force";
    PolicyPrepared Helper "policy:prepared" "the new policy is in the maps, the old one is in force";
    PolicyLoaded Helper "policy:loaded" "the new policy is in force, the supervisor does not know it";
    DownKilled Helper "realm-down:killed" "the processes of a realm that ended are dead, its link stands";
    DownLink Helper "realm-down:link" "its link is gone, its namespace has a name";
    DownNamespace Helper "realm-down:namespace" "its namespace is gone, its filter is still pinned";
    EngineAsked Supervisor "engine:asked" "the launcher was asked for a shim, which was told nothing";
    EngineLaunched Supervisor "engine:launched" "a shim was told what to launch, nothing was heard of it";
    EngineEnded Supervisor "engine:ended" "a run of an engine ended, the next is not begun";
    VolumeMade Helper "volume:made" "a volume's image has its file system, nothing has it mounted";
    VolumeAttached Helper "volume:attached" "a volume is mounted, the kernel has no key of it";
    VolumeOpened Helper "volume:opened" "a volume's content shows, the supervisor does not know it";
    VolumeClosed Helper "volume:closed" "the kernel has said that a volume's key is gone, its image is there";
    VolumeRemoved Helper "volume:removed" "a volume's image is gone, the supervisor does not know it";
    CustodyWritten Custody "custody:written" "a secret is written under a temporary name";
    CustodyKept Custody "custody:kept" "a secret is kept, the supervisor does not know it";
    CustodyKeyGiven Custody "custody:key-given" "the kernel has a volume's key, the supervisor does not know it";
    CustodySigned Custody "custody:signed" "something is signed and not handed over";
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|step| step.name() == text).copied();
        found.ok_or_else(|| format!("{text:?} is no step; `bmonitor steps` lists them"))
    }
}

/// `STEP[:N]`: the N-th arrival at a step. Of a helper's step the N-th such process that is started; it
/// dies, the supervisor lives. Of custody's the N-th arrival of the custody that is started first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DieAt {
    step: Step,
    arrival: NonZeroU32,
}

impl FromStr for DieAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Names of steps have a colon of their own.
        if let Ok(step) = text.parse() {
            return Ok(Self { step, arrival: NonZeroU32::MIN });
        }
        let (step, arrival) = text.rsplit_once(':').unwrap_or((text, ""));
        let step = step
            .parse()
            .map_err(|_unknown: String| format!("{text:?} is no step; `bmonitor steps` lists them"))?;
        let arrival =
            arrival.parse().map_err(|_no_number| format!("{text:?} does not end in a count from 1"))?;
        Ok(Self { step, arrival })
    }
}

impl fmt::Display for DieAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.step.name(), self.arrival)
    }
}

/// The step at which this process dies, if any, and how often it has yet to pass.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    die_at: Option<Step>,
    left: Cell<u32>,
}

impl Steps {
    /// Dies as asked for, or never.
    pub(crate) fn new(die_at: Option<DieAt>) -> Self {
        let left = die_at.map_or(0, |die_at| die_at.arrival.get());
        Self { die_at: die_at.map(|die_at| die_at.step), left: Cell::new(left) }
    }

    /// Passes a step, or dies at it, and says so first: a test must know that it happened.
    #[expect(clippy::print_stderr, reason = "a process that was told to die has no other way to be heard")]
    pub(crate) fn reach(&self, step: Step) {
        if self.counts_down(step) {
            eprintln!("dies at {}", step.name());
            os::signal::die();
        }
    }

    /// What a process of `role` that is started now must be told, if it is the one that dies.
    pub(crate) fn for_child(&self, role: Role, passes: impl Fn(Step) -> bool) -> Option<DieAt> {
        let step = self.die_at.filter(|step| step.role() == role && passes(*step))?;
        self.counts_down(step).then_some(DieAt { step, arrival: NonZeroU32::MIN })
    }

    /// What a process of `role` that lives long must be told when it is started: it counts its own
    /// arrivals, and those that are started after it live.
    pub(crate) fn hand_over(&self, role: Role) -> Option<DieAt> {
        let step = self.die_at.filter(|step| step.role() == role)?;
        let arrival = NonZeroU32::new(self.left.take())?;
        Some(DieAt { step, arrival })
    }

    fn counts_down(&self, step: Step) -> bool {
        if self.die_at != Some(step) || self.left.get() == 0 {
            return false;
        }
        self.left.set(self.left.get() - 1);
        self.left.get() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for step in Step::ALL {
            assert_eq!(step.name().parse(), Ok(*step));
            assert_eq!(step.name().parse::<DieAt>().unwrap().to_string(), format!("{}:1", step.name()));
        }
        assert!(Step::ALL.len() >= 20);
    }

    #[test]
    fn a_count_is_read_and_nonsense_is_not() {
        let die_at: DieAt = "record:synced:3".parse().unwrap();
        assert_eq!((die_at.step, die_at.arrival.get()), (Step::RecordSynced, 3));
        for nonsense in ["", "record", "record:synced:0", "record:synced:x", "record:synced:"] {
            assert!(nonsense.parse::<DieAt>().is_err(), "{nonsense:?}");
        }
    }

    #[test]
    fn only_the_nth_child_is_told() {
        let steps = Steps::new(Some("realm-up:cable:2".parse().unwrap()));
        let told = || steps.for_child(Role::Helper, |step| step == Step::RealmCable);
        assert_eq!(steps.for_child(Role::Custody, |_| true), None);
        let now = Some("realm-up:cable".parse().unwrap());
        assert_eq!((told(), told(), told()), (None, now, None));
        steps.reach(Step::RealmCable);
    }

    #[test]
    fn a_child_that_lives_long_is_handed_the_count_once() {
        let steps = Steps::new(Some("custody:written:2".parse().unwrap()));
        assert_eq!(steps.hand_over(Role::Helper), None);
        assert_eq!(steps.hand_over(Role::Custody).unwrap().to_string(), "custody:written:2");
        assert_eq!(steps.hand_over(Role::Custody), None);
        steps.reach(Step::CustodyWritten);
    }
}
