//! The node's time: the machine's clock, but never back, neither while the node runs nor across starts.

use std::time::Duration;

use id::Time;

/// What is known to have passed: a time, and when since the machine's start it was that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    floor: Time,
    floor_boot: Duration,
}

impl Clock {
    /// A clock that goes on from the newest recorded time.
    pub(crate) const fn starting(recorded: Time, boot: Duration) -> Self {
        Self { floor: recorded, floor_boot: boot }
    }

    /// The time now. Where the machine's clock was set back, time goes on from where it was.
    pub(crate) fn now(&mut self, wall: Duration, boot: Duration) -> Time {
        let at_least = self.floor.plus(boot.saturating_sub(self.floor_boot));
        let wall = Time::ZERO.plus(wall);
        *self = Self { floor: at_least.max(wall), floor_boot: boot };
        self.floor
    }
}

/// How long it is from `now` until `then`; nothing if it is over.
pub(crate) fn until(now: Time, then: Time) -> Duration {
    Duration::from_millis(then.as_millis().saturating_sub(now.as_millis()))
}

/// When the kernel is to close a filter, since the machine's start, for a term that ends at `then`.
pub(crate) fn deadline(now: Time, boot: Duration, then: Time) -> Duration {
    if then == Time::MAX { Duration::MAX } else { boot.saturating_add(until(now, then)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn a_clock_set_back_goes_on_from_where_it_was() {
        let mut clock = Clock::starting(Time::from_millis(100_000), seconds(5));
        assert_eq!(clock.now(seconds(40), seconds(5)).as_millis(), 100_000);
        assert_eq!(clock.now(seconds(41), seconds(8)).as_millis(), 103_000);
        assert_eq!(clock.now(seconds(200), seconds(9)).as_millis(), 200_000);
        assert_eq!(clock.now(seconds(10), seconds(10)).as_millis(), 201_000);
    }

    #[test]
    fn a_term_without_end_has_no_deadline() {
        let now = Time::from_millis(1_000);
        assert_eq!(deadline(now, seconds(7), Time::MAX), Duration::MAX);
        assert_eq!(deadline(now, seconds(7), Time::from_millis(3_500)), Duration::from_millis(9_500));
        assert_eq!(deadline(now, seconds(7), Time::ZERO), seconds(7));
    }
}
