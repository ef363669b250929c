//! How long a node waits before it dials a console again. Pure: randomness is an argument.

use std::time::Duration;

/// The longest wait after one failure.
pub const FIRST: Duration = Duration::from_millis(250);
/// The longest wait: a tenant that takes an offer has its nodes within seconds, and a thousand nodes that lost a
/// console are some 300 handshakes a second, which one core bears.
pub const LONGEST: Duration = Duration::from_secs(4);

/// The wait after so many failures in a row: between half of a longest wait and the whole of it, which
/// doubles with each failure. So nodes that lost a console together do not come back together.
#[must_use]
pub fn pause(failures: u32, random: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let whole = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    let share = f64::from(random) / f64::from(u32::MAX);
    whole.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        for failures in 0..100 {
            let (least, most) = (pause(failures, 0), pause(failures, u32::MAX));
            assert_eq!(least * 2, most);
            assert!(FIRST <= most && most <= LONGEST, "{failures}: {most:?}");
            assert!(pause(failures + 1, 0) >= least);
            assert!(least < pause(failures, u32::MAX / 2) && pause(failures, u32::MAX / 2) < most);
        }
        assert_eq!(pause(1, u32::MAX), FIRST);
        assert_eq!(pause(u32::MAX, u32::MAX), LONGEST);
    }
}
