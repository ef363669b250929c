//! From silence to suspicion, from symptoms to incidents, from incidents to remedies: decisions without I/O, time
//! or randomness.
//!
//! ```text
//!  pulses, answers ─▶ Watch ─ verdicts ─▶ symptoms ─▶ Desk ─ commands ─▶ kept, remedied, told
//!                                                      ▲
//!                              outcomes, people's word ┘
//! ```
//!
//! [`Watch`] says of each node whether it lives; [`Desk`] makes one [`Incident`] of all symptoms that have one
//! cause, and goes up its [`Ladder`] step by step.
//!
//! # What must stay true
//! - On a node there is one remedy at a time, under a [`Fence`] that never comes twice.
//! - While many nodes are silent at once, nothing that destroys is begun.
//! - An incident ends resolved, or waits for a person.
//! - What a person has taken over, the console leaves alone until that person's time is up.
#![forbid(unsafe_code)]

mod desk;
mod incident;
mod ladder;
mod symptom;
mod watch;

pub use desk::{Command, Desk, Event, Kept, Notice, NoticeKind, Outcome, Task};
pub use incident::{
    Acknowledged, Entry, Fence, Happened, Incident, MalformedNumber, Number, Phase, Place, Seen, Severity,
    TIMELINE_MAX,
};
pub use ladder::{Ladder, Ladders, MalformedLadders, Remedy, Step};
pub use symptom::{Class, Kind, Subject, Symptom};
pub use watch::{Health, Moment, Sign, Timing, Verdict, Watch};
