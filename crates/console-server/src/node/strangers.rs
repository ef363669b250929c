//! How much is told of strangers: whoever reaches the channel's door can dial it without end, and must not fill the
//! log with that. What is not told is counted.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use id::Time;

use crate::state::Console;

/// Lines about strangers in each [`PERIOD`].
const LINES_MAX: u32 = 20;
const PERIOD: Duration = Duration::from_secs(60);

/// What is left of the present period.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<Period>);

#[derive(Debug, Default)]
struct Period {
    until: Option<Time>,
    told: u32,
    left_out: u64,
}

impl Lines {
    /// Whether a line may be told now; then with how many that were not.
    fn take(&self, now: Time) -> Option<u64> {
        let mut period = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back is a new beginning, too.
        if period.until.is_none_or(|until| now >= until || now.plus(PERIOD) < until) {
            period.until = Some(now.plus(PERIOD));
            period.told = 0;
        }
        if period.told == LINES_MAX {
            period.left_out += 1;
            return None;
        }
        period.told += 1;
        Some(std::mem::take(&mut period.left_out))
    }
}

impl Console {
    /// Tells something of a stranger, if not too much was told of them already.
    pub(super) fn tell_of_stranger(&self, line: &str) {
        match self.strangers.take(self.world.now()) {
            Some(0) => self.world.tell(line),
            Some(left_out) => self.world.tell(&format!("{line} ({left_out} lines about strangers left out)")),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_of_strangers_is_counted_and_told_with_the_next_line() {
        let lines = Lines::default();
        let at = |second: u64| Time::from_millis(1_780_000_000_000 + second * 1000);
        assert_eq!((0..1000).filter(|_| lines.take(at(1)).is_some()).count(), 20);
        assert_eq!(lines.take(at(60)), None);
        assert_eq!(lines.take(at(61)), Some(981));
        assert_eq!(lines.take(at(61)), Some(0));
        // A clock that is set back far silences nobody.
        assert_eq!((0..1000).filter(|_| lines.take(Time::from_millis(5)).is_some()).count(), 20);
    }
}
