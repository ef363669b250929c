//! The twelve rights of PROTOCOL ("Rights"), and sets of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing that a tier or a controller key may do. A closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// Grant a lease to a new tier below, change its terms, hand it to another party.
    Lease,
    /// End a tier below, with everything below that.
    Sever,
    /// Enrol and remove the controller keys of one's own tier.
    EnrolKey,
    /// Have the node make new keys for one's own tier or one below.
    Renew,
    /// Set one's own filter set, or the one given to a child.
    Boundary,
    /// Switch a realm off and on; for the root, the node.
    Power,
    /// Suspend and resume a tier below.
    Suspend,
    /// Start and stop engines in one's own realm.
    EngineRun,
    /// Attach a debugger to one's own engines.
    EngineDebug,
    /// Make and remove volumes in one's own realm.
    Volume,
    /// Be told one's own tier's secret (M29).
    DiscloseKey,
    /// Read the journal of one's own tier.
    ReadJournal,
}

impl Right {
    /// All of them, in the order of PROTOCOL.
    pub const ALL: [Self; 12] = [
        Self::Lease,
        Self::Sever,
        Self::EnrolKey,
        Self::Renew,
        Self::Boundary,
        Self::Power,
        Self::Suspend,
        Self::EngineRun,
        Self::EngineDebug,
        Self::Volume,
        Self::DiscloseKey,
        Self::ReadJournal,
    ];

    /// The name in messages and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Sever => "sever",
            Self::EnrolKey => "enrol-key",
            Self::Renew => "renew",
            Self::Boundary => "boundary",
            Self::Power => "power",
            Self::Suspend => "suspend",
            Self::EngineRun => "engine-run",
            Self::EngineDebug => "engine-debug",
            Self::Volume => "volume",
            Self::DiscloseKey => "disclose-key",
            Self::ReadJournal => "read-journal",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of rights; in JSON a list without duplicates, in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<Right>", into = "Vec<Right>")]
pub struct Rights(u16);

impl Rights {
    /// None.
    pub const NONE: Self = Self(0);
    /// All twelve.
    pub const ALL: Self = Self((1 << Right::ALL.len()) - 1);

    /// Whether `right` is in the set.
    #[must_use]
    pub const fn has(self, right: Right) -> bool {
        self.0 & (1 << right as u16) != 0
    }

    /// The set with `right` in it.
    #[must_use]
    pub const fn with(self, right: Right) -> Self {
        Self(self.0 | 1 << right as u16)
    }

    /// The set with `right` not in it.
    #[must_use]
    pub const fn without(self, right: Right) -> Self {
        Self(self.0 & !(1 << right as u16))
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in one or the other.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The first right, in the order of PROTOCOL, that is here and not in `upper`: the witness.
    #[must_use]
    pub fn exceeding(self, upper: Self) -> Option<Right> {
        Right::ALL.into_iter().find(|right| self.has(*right) && !upper.has(*right))
    }

    /// The rights in the order of PROTOCOL.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        rights.into_iter().fold(Self::NONE, Self::with)
    }
}

impl From<Rights> for Vec<Right> {
    fn from(rights: Rights) -> Self {
        rights.iter().collect()
    }
}

impl TryFrom<Vec<Right>> for Rights {
    type Error = String;

    fn try_from(list: Vec<Right>) -> Result<Self, String> {
        list.into_iter().try_fold(Self::NONE, |rights, right| {
            if rights.has(right) {
                Err(format!("the right {right} stands twice"))
            } else {
                Ok(rights.with(right))
            }
        })
    }
}

/// What a lease says of rights: each may be exercised, granted on, both or neither (PROTOCOL, "Rights").
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What the granted tier may do itself.
    pub exercise: Rights,
    /// What it may grant to tiers below; it need not be able to exercise it.
    pub grant: Rights,
}

impl Grant {
    /// Everything, both ways: the root's.
    pub const ALL: Self = Self { exercise: Rights::ALL, grant: Rights::ALL };
}
