//! One run of an engine, from its start to its end: what it is in, and what is to be done. Pure; all times are
//! those of one clock that never goes back.
//!
//! ```text
//!            ready, in time             silent too long, or says so
//! starting ────────────────▶ running ───────────────────────────────▶ hung ──┐
//!    │  └─ not in time ────────┼───────────────────────────────────────▶     │ kill
//!    │ asked to end            │ asked to end                                ▼
//!    └────────────────────▶ stopping ── TERM; not in time: kill ─────▶ ended (all of it)
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::notice::Notice;
use crate::specification::{Ready, Specification};

/// How long what was killed may take to end before it is killed again.
const KILL_AGAIN: Duration = Duration::from_millis(200);

/// How long an engine may take, and how it is known to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// When it counts as ready.
    pub ready: Ready,
    /// Until it is ready.
    pub start: Duration,
    /// Between being asked to end and being killed.
    pub stop: Duration,
    /// Between two signs of life.
    pub watchdog: Option<Duration>,
}

impl Terms {
    /// Those of a specification.
    #[must_use]
    pub fn of(specification: &Specification) -> Self {
        let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
        Self {
            ready: specification.ready,
            start: seconds(specification.start_seconds),
            stop: seconds(specification.stop_seconds),
            watchdog: specification.watchdog_seconds.map(seconds),
        }
    }
}

/// What a run is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Its processes run; it is not ready.
    Starting,
    /// It is ready.
    Running,
    /// It hangs and is being killed.
    Hung,
    /// It was asked to end.
    Stopping,
    /// No process of it is left.
    Ended,
}

/// What happens to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It says something.
    Said(Notice),
    /// It is to end.
    Asked,
    /// All its processes have ended.
    Ended,
    /// Time passed.
    Tick,
}

/// What is to be done to its processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ask all of them to end.
    Terminate,
    /// Kill all of them.
    Kill,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    terms: Terms,
    phase: Phase,
    /// When something is due in this phase, if ever.
    due: Option<Duration>,
    status: String,
    hung: bool,
}

impl Run {
    /// A run whose program was started now.
    #[must_use]
    pub fn started(terms: Terms, now: Duration) -> Self {
        let mut run = Self {
            terms,
            phase: Phase::Starting,
            due: Some(now.saturating_add(terms.start)),
            status: String::new(),
            hung: false,
        };
        if terms.ready == Ready::Started {
            run.becomes_ready(now);
        }
        run
    }

    /// What it is in.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// What it says of itself.
    #[must_use]
    pub fn status(&self) -> &str {
        &self.status
    }

    /// Whether it hung: it missed its watchdog, or was not ready in time, or said so.
    #[must_use]
    pub const fn hung(&self) -> bool {
        self.hung
    }

    /// When [`Event::Tick`] is due, if ever.
    #[must_use]
    pub const fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Takes in what happened; gives what is to be done.
    pub fn take(&mut self, event: Event, now: Duration) -> Option<Action> {
        match event {
            Event::Ended => {
                self.phase = Phase::Ended;
                self.due = None;
                None
            }
            Event::Said(notice) => self.hear(notice, now),
            Event::Asked => match self.phase {
                Phase::Starting | Phase::Running => {
                    self.phase = Phase::Stopping;
                    self.due = Some(now.saturating_add(self.terms.stop));
                    Some(Action::Terminate)
                }
                Phase::Hung | Phase::Stopping | Phase::Ended => None,
            },
            Event::Tick if self.due.is_some_and(|due| due <= now) => match self.phase {
                Phase::Starting | Phase::Running => self.hangs(now),
                Phase::Hung | Phase::Stopping => {
                    self.due = Some(now.saturating_add(KILL_AGAIN));
                    Some(Action::Kill)
                }
                Phase::Ended => None,
            },
            Event::Tick => None,
        }
    }

    fn hear(&mut self, notice: Notice, now: Duration) -> Option<Action> {
        if self.phase == Phase::Ended {
            return None;
        }
        match notice {
            Notice::Status(status) => self.status = status,
            Notice::Ready if self.phase == Phase::Starting => self.becomes_ready(now),
            Notice::Alive if self.phase == Phase::Running => self.due = self.next_sign(now),
            Notice::Hangs if matches!(self.phase, Phase::Starting | Phase::Running) => {
                return self.hangs(now);
            }
            // It may end when it likes; what follows then stands in its specification.
            Notice::Ready | Notice::Alive | Notice::Hangs | Notice::Stopping => {}
        }
        None
    }

    fn becomes_ready(&mut self, now: Duration) {
        self.phase = Phase::Running;
        self.due = self.next_sign(now);
    }

    fn next_sign(&self, now: Duration) -> Option<Duration> {
        self.terms.watchdog.map(|watchdog| now.saturating_add(watchdog))
    }

    fn hangs(&mut self, now: Duration) -> Option<Action> {
        self.hung = true;
        self.phase = Phase::Hung;
        self.due = Some(now.saturating_add(KILL_AGAIN));
        Some(Action::Kill)
    }
}

#[cfg(test)]
mod tests;
