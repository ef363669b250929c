//! What the supervisor says to a helper, and a helper to the supervisor.

use std::net::IpAddr;
use std::path::PathBuf;

use boundary::ResolvedSet;
use id::{Generation, Name};
use serde::{Deserialize, Serialize};

/// What a helper can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub(crate) enum Task {
    /// Make a realm, closed; what is there of it and not whole is made anew.
    RealmUp { place: Place, bridge: String, gateways: Vec<IpAddr> },
    /// Put a policy in force: these sets, from the top.
    Policy { place: Place, sets: Vec<ResolvedSet> },
    /// Kill every process in these namespaces.
    Kill { namespaces: Vec<PathBuf> },
    /// Kill what is in a realm, and remove it.
    RealmDown { place: Place },
    /// Make a volume of so many bytes, if it is not there, and mount it without its key.
    VolumeAttach { place: VolumePlace, bytes: u64 },
    /// Show the content of a volume, of which the kernel has this key.
    VolumeOpen { place: VolumePlace, key: String },
    /// Close a volume, and kill whoever holds it open.
    VolumeClose { place: VolumePlace },
    /// Remove a closed volume.
    VolumeRemove { place: VolumePlace },
}

/// Where a realm is and what it is leased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// The name of its network namespace.
    pub(crate) namespace: PathBuf,
    /// The host's end of its link.
    pub(crate) link: String,
    /// Where its filter is pinned.
    pub(crate) pins: PathBuf,
    /// Its hardware address.
    pub(crate) mac: [u8; 6],
    /// Its addresses.
    pub(crate) addresses: Vec<(IpAddr, u8)>,
}

/// Where a volume is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolumePlace {
    /// The folder of its tier.
    pub(crate) folder: PathBuf,
    /// Its name, while the tier has it.
    pub(crate) name: Option<Name>,
    /// Which of all that the tier ever had.
    pub(crate) number: u64,
}

/// What came of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub(crate) enum Outcome {
    /// It is done; after a policy with the generation that is in force.
    Done { generation: Option<Generation> },
    /// It is not.
    Failed { why: String },
}
