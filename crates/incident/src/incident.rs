//! An incident: one cause of trouble, with all its symptoms, what was tried, and who owns it.

use std::fmt;
use std::str::FromStr;

use id::{Name, Time};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ladder::Remedy;
use crate::symptom::{Kind, Subject, Symptom};

/// The most entries of a timeline. Past that the middle is left out: how it began stays.
pub const TIMELINE_MAX: usize = 200;

/// The most symptoms that an incident lists; more are counted.
const SYMPTOMS_MAX: usize = 1000;

/// Counts a console's incidents. Its text is `INC-318`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u64);

/// A text that is no incident's number.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no incident: INC-318, or 318, is wanted")]
pub struct MalformedNumber(String);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INC-{}", self.0)
    }
}

impl FromStr for Number {
    type Err = MalformedNumber;

    fn from_str(text: &str) -> Result<Self, MalformedNumber> {
        let digits = text.strip_prefix("INC-").or_else(|| text.strip_prefix("inc-")).unwrap_or(text);
        let number = digits.parse().ok().filter(|number| *number > 0 && *number <= id::INTEGER_MAX);
        number.map(Self).ok_or_else(|| MalformedNumber(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for Number {
    type Error = MalformedNumber;

    fn try_from(text: String) -> Result<Self, MalformedNumber> {
        text.parse()
    }
}

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Who may act on a node: the highest alone. It grows with every remedy, and never comes twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence(pub u64);

/// How much it hurts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Somebody should look at it in daylight.
    Warning,
    /// Somebody should get up.
    Critical,
}

/// Where on its ladder an incident is: which step, and for the how manieth time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Counted from 0.
    pub step: usize,
    /// Counted from 0.
    pub attempt: u32,
}

/// What is going on.
///
/// ```text
///  Ready ─ the step begins ─▶ Running ─ done ─▶ Watching ─ the symptom stays ─▶ Ready (next)
///    │ end of the ladder                          │ all symptoms gone
///    ▼                                            ▼
///  Waiting ─── all symptoms gone ─────────────▶ Settling ─ they stay away ─▶ Resolved
///                                                 └─ one comes back ─▶ Ready (next)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Phase {
    /// This step begins as soon as nothing stands in its way.
    Ready(Place),
    /// A remedy is under way.
    Running {
        /// Which.
        place: Place,
        /// Under which fence.
        fence: Fence,
        /// Since when.
        since: Time,
    },
    /// A remedy was done; whether it helps is seen until then.
    Watching {
        /// Which.
        place: Place,
        /// Until when.
        until: Time,
    },
    /// The ladder is at its end: a person is wanted.
    Waiting,
    /// All symptoms are gone; if they stay away until then it is resolved.
    Settling {
        /// The last step that was done; none: nothing was.
        place: Option<Place>,
        /// Until when.
        until: Time,
    },
    /// It is over.
    Resolved {
        /// When.
        at: Time,
        /// The incident whose symptom this one turned out to be.
        part_of: Option<Number>,
    },
}

/// A person has taken it over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// In their words.
    pub message: Option<String>,
    /// When.
    pub at: Time,
    /// When it goes back to the console, if it is not resolved by then.
    pub until: Time,
}

/// A symptom of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// As it was perceived last.
    pub symptom: Symptom,
    /// How often it came.
    pub times: u32,
    /// Since when it is gone.
    pub cleared: Option<Time>,
}

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Happened {
    /// A symptom came.
    Came {
        /// Of whom.
        subject: Subject,
        /// Which.
        kind: Kind,
        /// In words.
        detail: String,
    },
    /// A symptom went.
    Went {
        /// Of whom.
        subject: Subject,
        /// Which.
        kind: Kind,
    },
    /// A remedy began.
    Began {
        /// Which.
        remedy: Remedy,
        /// Under which fence.
        fence: Fence,
    },
    /// A remedy was done.
    Done {
        /// Which.
        remedy: Remedy,
        /// What came of it.
        told: String,
    },
    /// A remedy failed.
    Failed {
        /// Which.
        remedy: Remedy,
        /// Why.
        told: String,
    },
    /// People were told.
    Told {
        /// Whom; empty: all receivers.
        to: Vec<Name>,
    },
    /// A person took it over.
    Acknowledged {
        /// Who.
        by: String,
        /// In their words.
        message: Option<String>,
        /// Until when.
        until: Time,
    },
    /// The person's time is up.
    Reopened,
    /// The ladder is at its end.
    NeedsPerson,
    /// It is over.
    Resolved,
    /// It is a symptom of another one.
    PartOf(Number),
}

/// One cause of trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// Its number: what every receiver knows it by, whatever becomes of it.
    pub number: Number,
    /// Who has the trouble.
    pub subject: Subject,
    /// What the trouble is: the gravest of its symptoms.
    pub cause: Kind,
    /// The cluster of its node.
    pub cluster: Option<Name>,
    /// Since when.
    pub opened: Time,
    /// What is going on.
    pub phase: Phase,
    /// By which ladder; none: no ladder is for it.
    pub ladder: Option<Name>,
    /// Who owns it, where it is not the console.
    pub acknowledged: Option<Acknowledged>,
    /// All its symptoms, the cause among them.
    pub symptoms: Vec<Seen>,
    /// Symptoms that came when there was no place for them.
    pub unlisted: u32,
    /// What happened.
    pub timeline: Vec<Entry>,
    /// Lines that were left out of the timeline's middle.
    pub left_out: u32,
    /// Whether people were told of it.
    pub told: bool,
}

impl Incident {
    /// How much it hurts.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        match self.cause {
            Kind::DeliveryFailed | Kind::EngineNotReady | Kind::EngineExited | Kind::EngineOutOfMemory => {
                Severity::Warning
            }
            Kind::EngineHung
            | Kind::Network
            | Kind::Disk
            | Kind::Memory
            | Kind::Processor
            | Kind::MonitorHung
            | Kind::Unreachable
            | Kind::NodeDead
            | Kind::ConsoleInDoubt => Severity::Critical,
        }
    }

    /// Whether it is over.
    #[must_use]
    pub const fn is_resolved(&self) -> bool {
        matches!(self.phase, Phase::Resolved { .. })
    }

    /// The symptom that is its cause.
    #[must_use]
    pub fn cause_seen(&self) -> Option<&Seen> {
        self.symptoms
            .iter()
            .find(|seen| seen.symptom.kind == self.cause && seen.symptom.subject == self.subject)
    }

    /// Its symptoms beside the cause: what nobody is told of by itself.
    pub fn hidden(&self) -> impl Iterator<Item = &Seen> {
        self.symptoms
            .iter()
            .filter(|seen| seen.symptom.kind != self.cause || seen.symptom.subject != self.subject)
    }

    /// Whether no symptom is there any more.
    pub(crate) fn is_clear(&self) -> bool {
        self.symptoms.iter().all(|seen| seen.cleared.is_some())
    }

    pub(crate) fn happened(&mut self, at: Time, what: Happened) {
        if self.timeline.len() >= TIMELINE_MAX {
            self.timeline.remove(TIMELINE_MAX / 2);
            self.left_out = self.left_out.saturating_add(1);
        }
        self.timeline.push(Entry { at, what });
    }

    /// A symptom is there. Whether that is news.
    pub(crate) fn see(&mut self, symptom: Symptom, at: Time) -> bool {
        let same =
            |seen: &&mut Seen| seen.symptom.kind == symptom.kind && seen.symptom.subject == symptom.subject;
        let (subject, kind, detail) = (symptom.subject.clone(), symptom.kind, symptom.detail.clone());
        if let Some(seen) = self.symptoms.iter_mut().find(same) {
            let news = seen.cleared.is_some();
            seen.symptom.detail = symptom.detail;
            if !news {
                return false;
            }
            seen.symptom.at = symptom.at;
            (seen.times, seen.cleared) = (seen.times.saturating_add(1), None);
        } else if self.symptoms.len() < SYMPTOMS_MAX {
            self.symptoms.push(Seen { symptom, times: 1, cleared: None });
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
            return false;
        }
        self.happened(at, Happened::Came { subject, kind, detail });
        true
    }

    /// A symptom is gone. Whether that is news.
    pub(crate) fn clear(&mut self, subject: &Subject, kind: Kind, at: Time) -> bool {
        let there = |seen: &&mut Seen| {
            seen.symptom.kind == kind && seen.symptom.subject == *subject && seen.cleared.is_none()
        };
        let Some(seen) = self.symptoms.iter_mut().find(there) else { return false };
        seen.cleared = Some(at);
        self.happened(at, Happened::Went { subject: subject.clone(), kind });
        true
    }
}
