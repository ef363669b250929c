//! Volumes: the encrypted places of a tier. The world makes them, opens them while the tier is in force, and closes
//! them when it is not; erasing a tier's data ends them all.

use id::Name;
use serde::{Deserialize, Serialize};

use crate::limits::{VOLUME_MIB_MAX, VOLUME_MIB_MIN};

/// The size of a volume in MiB, all that belongs to it counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct SizeMib(u32);

impl SizeMib {
    /// A number of MiB.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The same in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.0) << 20
    }
}

impl TryFrom<u32> for SizeMib {
    type Error = String;

    fn try_from(mib: u32) -> Result<Self, String> {
        if (VOLUME_MIB_MIN..=VOLUME_MIB_MAX).contains(&mib) {
            Ok(Self(mib))
        } else {
            Err(format!("a volume of {VOLUME_MIB_MIN} to {VOLUME_MIB_MAX} MiB is wanted, not of {mib}"))
        }
    }
}

impl From<SizeMib> for u32 {
    fn from(size: SizeMib) -> Self {
        size.0
    }
}

/// A volume of a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Which of all that the tier ever had: never used again, so that one that is made under an old name is another.
    pub number: u64,
    /// Its size.
    pub size_mib: SizeMib,
}

/// A volume that a realm should have, as `effects` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WantedVolume {
    /// Its name among the tier's volumes.
    pub name: Name,
    /// Which.
    pub volume: Volume,
    /// Whether it is open now. A suspended or lapsed tier's are closed, and can be opened again.
    pub open: bool,
}
