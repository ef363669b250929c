//! Points in time: milliseconds since 1970 UTC, written as RFC 3339 with `Z`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use crate::text::{Malformed, serde_as_text};

/// A point in time, to the millisecond, from 1970 to [`Time::MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(u64);

impl Time {
    /// The beginning of 1970.
    pub const ZERO: Self = Self(0);
    /// "Without end": 9999-12-30T22:00:00Z, the last instant that every time zone can write.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// That many milliseconds after 1970; capped at [`Time::MAX`].
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This much later; capped at [`Time::MAX`].
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).map_err(|_too_large| fmt::Error)?;
        let stamp = Timestamp::from_millisecond(millis).map_err(|_out_of_range| fmt::Error)?;
        write!(f, "{stamp}")
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Time({self})")
    }
}

impl FromStr for Time {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::new(text, "a time (RFC 3339 in UTC, as 2026-01-31T12:00:00Z)");
        // `jiff` takes other zones too; the protocol speaks of UTC alone.
        let stamp: Timestamp = text.parse().map_err(|_malformed| malformed())?;
        let millis = u64::try_from(stamp.as_millisecond()).map_err(|_malformed| malformed())?;
        if text.ends_with('Z') && millis <= Self::MAX.0 { Ok(Self(millis)) } else { Err(malformed()) }
    }
}

serde_as_text!(Time);
