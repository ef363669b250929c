//! Clocks: `clock_gettime(2)`.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Since 1970 UTC, as the machine's clock says; it may jump either way. Before 1970 it is 1970.
#[must_use]
pub fn wall() -> Duration {
    read(ClockId::Realtime)
}

/// Since the machine started, with the time that it slept. Never goes back; the clock of deadlines.
#[must_use]
pub fn boot() -> Duration {
    read(ClockId::Boottime)
}

/// Since the machine started, without the time that it slept. Never goes back.
#[must_use]
pub fn monotonic() -> Duration {
    read(ClockId::Monotonic)
}
