//! When an engine that is to run is started again: pauses that grow while it does not stay. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::specification::Restart;

/// The first pause.
pub const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
pub const PAUSE_MAX: Duration = Duration::from_secs(30);
/// One that ran this long begins with the first pause again.
pub const STAYED: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Exit {
    /// With that exit code.
    Code(i32),
    /// By that signal.
    Signal(i32),
}

/// How a run ended, and why as far as that is known: an exit status does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// The first process's; none: it was killed together with its init, or never started.
    pub exit: Option<Exit>,
    /// Whether the kernel killed a process of it for memory.
    pub out_of_memory: bool,
    /// Whether it was killed because it hung.
    pub hung: bool,
    /// Whether it was asked to end.
    pub asked: bool,
}

/// What is remembered of an engine between its runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keeper {
    /// How often it ended in a row without having stayed.
    failed: u32,
    /// Not to be started before.
    not_before: Option<Duration>,
    /// Not to be started again at all.
    over: bool,
}

impl Keeper {
    /// Takes in the end of a run that had begun at `since`.
    pub fn ended(&mut self, ending: &Ending, rule: Restart, since: Duration, now: Duration) {
        if ending.asked {
            *self = Self::default();
            return;
        }
        let clean = ending.exit == Some(Exit::Code(0)) && !ending.out_of_memory && !ending.hung;
        self.over = match rule {
            Restart::Always => false,
            Restart::OnFailure => clean,
            Restart::Never => true,
        };
        self.failed(now, now.saturating_sub(since) >= STAYED);
    }

    /// Takes in that it could not be started at all.
    pub fn not_started(&mut self, now: Duration) {
        self.failed(now, false);
    }

    /// Whether it may be started now.
    #[must_use]
    pub fn may_start(&self, now: Duration) -> bool {
        !self.over && self.not_before.is_none_or(|at| at <= now)
    }

    /// Whether it is not started again by itself.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// When it may be started, if it waits.
    #[must_use]
    pub fn starts_at(&self) -> Option<Duration> {
        self.not_before.filter(|_| !self.over)
    }

    fn failed(&mut self, now: Duration, stayed: bool) {
        self.failed = if stayed { 0 } else { self.failed };
        let pause = PAUSE_FIRST.saturating_mul(1 << self.failed.min(10)).min(PAUSE_MAX);
        self.failed = self.failed.saturating_add(1);
        self.not_before = Some(now.saturating_add(pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRASH: Ending =
        Ending { exit: Some(Exit::Signal(11)), out_of_memory: false, hung: false, asked: false };
    const DONE: Ending = Ending { exit: Some(Exit::Code(0)), ..CRASH };

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew_once_it_stayed() {
        let (mut keeper, mut now, mut last) = (Keeper::default(), Duration::ZERO, Duration::ZERO);
        for _ in 0..30 {
            keeper.ended(&CRASH, Restart::Always, now, now);
            let pause = keeper.starts_at().unwrap() - now;
            assert!(pause >= last && pause <= PAUSE_MAX && !keeper.may_start(now));
            now += pause;
            last = pause;
            assert!(keeper.may_start(now));
        }
        assert_eq!(last, PAUSE_MAX);
        keeper.ended(&CRASH, Restart::Always, now, now + STAYED);
        assert_eq!(keeper.starts_at(), Some(now + STAYED + PAUSE_FIRST));
    }

    #[test]
    fn the_rule_says_whether_it_comes_back() {
        let oom = Ending { out_of_memory: true, ..DONE };
        for (ending, rule, comes_back) in [
            (DONE, Restart::Always, true),
            (DONE, Restart::OnFailure, false),
            (CRASH, Restart::OnFailure, true),
            (oom, Restart::OnFailure, true),
            (CRASH, Restart::Never, false),
        ] {
            let mut keeper = Keeper::default();
            keeper.ended(&ending, rule, Duration::ZERO, Duration::ZERO);
            assert_eq!(keeper.may_start(PAUSE_MAX), comes_back, "{ending:?} {rule:?}");
            keeper.ended(&Ending { asked: true, ..ending }, rule, Duration::ZERO, Duration::ZERO);
            assert!(keeper.may_start(Duration::ZERO), "what was ended as ordered starts as ordered");
        }
    }
}
