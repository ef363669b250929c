//! What a lease is made of: contract, terms, quota.

use std::fmt;

use id::Time;
use serde::{Deserialize, Serialize};

use crate::limits::CONTRACT_CHARACTERS_MAX;

/// From when until when a lease runs: `not_before` is the first instant inside, `until` the first outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The first instant at which the lease runs.
    pub not_before: Time,
    /// The first instant at which it does not run any more. Then the tier is suspended, not erased.
    pub until: Time,
}

impl Terms {
    /// For ever: the root's.
    pub const ALWAYS: Self = Self { not_before: Time::ZERO, until: Time::MAX };

    /// Whether these terms lie inside `upper`.
    #[must_use]
    pub fn within(&self, upper: &Self) -> bool {
        self.not_before >= upper.not_before && self.until <= upper.until
    }

    /// Whether the lease runs at that instant.
    #[must_use]
    pub fn contains(&self, at: Time) -> bool {
        at >= self.not_before && at < self.until
    }

    /// What lies in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self { not_before: self.not_before.max(other.not_before), until: self.until.min(other.until) }
    }
}

/// What a tier and all tiers below it may use up together. What a tier gives to a child is taken out of
/// its own, so that no lower tier can use up what an upper one needs; severing needs no quota at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Tiers below.
    pub tiers: u32,
    /// Controller keys that the node must remember; a removed key stays remembered.
    pub keys: u32,
    /// Objects held at once (boundaries; later directories, engine specifications).
    pub objects: u32,
    /// Accepted orders an hour, each a journal record.
    pub records_per_hour: u32,
    /// Volumes, in MiB.
    #[serde(default, skip_serializing_if = "is_none")]
    pub space_mib: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
const fn is_none(space_mib: &u32) -> bool {
    *space_mib == 0
}

impl Quota {
    /// What is left after `given` to a child, which itself counts as a tier and has one object (the set given).
    #[must_use]
    pub fn less(&self, given: &Self) -> Self {
        Self {
            tiers: self.tiers.saturating_sub(given.tiers).saturating_sub(1),
            keys: self.keys.saturating_sub(given.keys),
            objects: self.objects.saturating_sub(given.objects).saturating_sub(1),
            records_per_hour: self.records_per_hour.saturating_sub(given.records_per_hour),
            space_mib: self.space_mib.saturating_sub(given.space_mib),
        }
    }

    /// The lesser of each.
    #[must_use]
    pub fn least(&self, other: &Self) -> Self {
        Self {
            tiers: self.tiers.min(other.tiers),
            keys: self.keys.min(other.keys),
            objects: self.objects.min(other.objects),
            records_per_hour: self.records_per_hour.min(other.records_per_hour),
            space_mib: self.space_mib.min(other.space_mib),
        }
    }
}

/// The text by which people know a contract that groups leases over several nodes: `L-9`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Contract(String);

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Contract> for String {
    fn from(contract: Contract) -> Self {
        contract.0
    }
}

impl TryFrom<String> for Contract {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let right =
            (1..=CONTRACT_CHARACTERS_MAX).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
        if right {
            Ok(Self(text))
        } else {
            Err(format!(
                "a contract id (1 to {CONTRACT_CHARACTERS_MAX} printable ASCII characters, no blanks) is wanted"
            ))
        }
    }
}
