//! What of an engine's output is kept: as much as a budget of bytes lets through, the rest counted. Nothing
//! here makes an engine wait. Pure.

use std::time::Duration;

/// Bytes that may come at once.
pub const BURST_BYTES: u64 = 1024 * 1024;
/// Bytes a second after that.
pub const BYTES_PER_SECOND: u64 = 256 * 1024;
/// One of the two files in which an engine's output lies, at its longest.
pub const FILE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// A budget that fills with time.
#[derive(Debug, Clone)]
pub struct Budget {
    left: u64,
    at: Duration,
    dropped: u64,
}

/// What is to be written of a part of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Bytes that were dropped since something was kept last: to be said before what is kept.
    pub dropped_before: u64,
    /// How many bytes, from the first, are kept.
    pub bytes: usize,
}

impl Budget {
    /// A full one.
    #[must_use]
    pub const fn full(now: Duration) -> Self {
        Self { left: BURST_BYTES, at: now, dropped: 0 }
    }

    /// How much of `bytes` of output is kept.
    pub fn take(&mut self, bytes: usize, now: Duration) -> Kept {
        let passed = u64::try_from(now.saturating_sub(self.at).as_millis()).unwrap_or(u64::MAX);
        self.at = now;
        self.left = self.left.saturating_add(passed.saturating_mul(BYTES_PER_SECOND) / 1000).min(BURST_BYTES);
        let asked = u64::try_from(bytes).unwrap_or(u64::MAX);
        let kept = asked.min(self.left);
        self.left -= kept;
        let dropped_before = if kept > 0 { std::mem::take(&mut self.dropped) } else { 0 };
        self.dropped = self.dropped.saturating_add(asked - kept);
        Kept { dropped_before, bytes: usize::try_from(kept).unwrap_or(bytes) }
    }

    /// What was kept could not be written after all.
    pub const fn not_written(&mut self, bytes: u64) {
        self.dropped = self.dropped.saturating_add(bytes);
    }

    /// Bytes that were dropped and not told of yet.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut budget = Budget::full(Duration::ZERO);
        let part = usize::try_from(BURST_BYTES).unwrap();
        assert_eq!(budget.take(part, Duration::ZERO), Kept { dropped_before: 0, bytes: part });
        assert_eq!(budget.take(100, Duration::ZERO), Kept { dropped_before: 0, bytes: 0 });
        assert_eq!(budget.take(50, Duration::ZERO).bytes, 0);
        let later = Duration::from_secs(1);
        let kept = budget.take(part, later);
        assert_eq!(kept, Kept { dropped_before: 150, bytes: usize::try_from(BYTES_PER_SECOND).unwrap() });
        assert_eq!(budget.dropped(), BURST_BYTES - BYTES_PER_SECOND);
        budget.not_written(7);
        assert_eq!(budget.dropped(), BURST_BYTES - BYTES_PER_SECOND + 7);
    }
}
