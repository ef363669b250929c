//! One tier: its lease, its keys, its sets. What it is allowed now follows from its path ([`crate::Tenure`]).

use std::collections::{BTreeMap, BTreeSet};

use id::{Digest, Epoch, KeyId, LeaseId, Name, PublicKey, TierId, Time};
use serde::{Deserialize, Serialize};

use crate::console::Console;
use crate::engine::EngineDemand;
use crate::lease::{Contract, Quota, Terms};
use crate::limits::VOLUME_MIB_MAX;
use crate::order::{Consent, ControllerKey, PowerAction};
use crate::right::{Grant, Rights};
use crate::volume::Volume;

/// One party's layer of rights over the node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The granting tier; nothing for the root.
    pub parent: Option<TierId>,
    /// The name on this node.
    pub name: Name,
    /// The lease by which the tier exists; for the root, its enrolment.
    pub lease: LeaseId,
    /// The lease's contract; nothing for the root.
    pub contract: Option<Contract>,
    /// From when until when the lease runs.
    pub terms: Terms,
    /// What the lease grants.
    pub rights: Grant,
    /// What the lease lets it use.
    pub quota: Quota,
    /// The filter set that the lease gives; nothing for the root.
    pub given: Option<Digest>,
    /// The tier's own filter set; nothing: it narrows nothing.
    pub own: Option<Digest>,
    /// Until when its own set is only tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// Counts the tier's key sets.
    pub epoch: Epoch,
    /// The digest of its identity U of this epoch; nothing while custody has not made it.
    pub identity: Option<Digest>,
    /// The salt S under which its data lies.
    pub data: Data,
    /// Its controller keys.
    pub keys: BTreeMap<KeyId, KeyEntry>,
    /// Its consoles, which its courier dials. A tier that is being ended has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consoles: Vec<Console>,
    /// The key that signs the directories by which names in its sets are resolved, as its lease says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PublicKey>,
    /// The highest leader term seen.
    pub term: u64,
    /// The upper tiers that suspended it.
    pub suspended_by: BTreeSet<TierId>,
    /// How its realm is switched.
    pub power: Power,
    /// The engines that it wants.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub engines: BTreeMap<Name, EngineDemand>,
    /// Its volumes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<Name, Volume>,
    /// How many it ever had; the last one's number.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub volumes_made: u64,
    /// What it consented to and what was not used yet.
    pub consents: BTreeSet<Consent>,
    /// What it used of its quota.
    pub used: Used,
    /// Whether it is being ended. Then nothing is accepted from it any more.
    pub ending: bool,
}

/// A set that is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The first instant at which it is over.
    pub until: Time,
    /// The set that comes back then; nothing: none.
    pub before: Option<Digest>,
}

/// Which data of a tier can be opened: that under the present salt alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Counts how often the tier's data was erased.
    pub life: u64,
    /// Counts the salts: a new one with each erasure and each re-wrapping.
    pub salt: u64,
}

/// One controller key of a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// The public key.
    pub key: PublicKey,
    /// What it may do, of what its tier may do.
    pub rights: Rights,
}

/// How a realm is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Power {
    /// On, off or standby.
    pub state: PowerState,
    /// Counts restarts: the world follows when it has done fewer.
    pub restarts: u64,
}

/// The states of [`Power`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PowerState {
    /// Engines are stopped.
    Off,
    /// Engines are frozen.
    Standby,
    /// Everything runs.
    On,
}

/// What a tier used of its quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// Keys remembered on its account: its own, and those of the tiers below that ended.
    pub keys: u32,
    /// When the present window of records began.
    pub window: Time,
    /// Orders accepted in it.
    pub records: u32,
}

impl Used {
    pub(crate) const NONE: Self = Self { keys: 0, window: Time::ZERO, records: 0 };
}

impl Power {
    pub(crate) const ON: Self = Self { state: PowerState::On, restarts: 0 };

    pub(crate) fn switch(&mut self, action: PowerAction) {
        match action {
            PowerAction::On => self.state = PowerState::On,
            PowerAction::Off => self.state = PowerState::Off,
            PowerAction::Standby => self.state = PowerState::Standby,
            PowerAction::Restart => {
                self.state = PowerState::On;
                self.restarts += 1;
            }
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Tier {
    /// What its lease lets it use. The root's space is the node's own: what the medium has below that, making a
    /// volume tells.
    #[must_use]
    pub const fn whole_quota(&self) -> Quota {
        match self.parent {
            Some(_) => self.quota,
            None => Quota { space_mib: VOLUME_MIB_MAX, ..self.quota },
        }
    }

    /// What its volumes take of its space.
    #[must_use]
    pub fn space_mib(&self) -> u32 {
        self.volumes.values().fold(0, |sum, volume| sum.saturating_add(volume.size_mib.get()))
    }

    /// All rights that stand in the lease for the tier itself or for tiers below: what its keys may have.
    #[must_use]
    pub fn named_rights(&self) -> Rights {
        self.rights.exercise.or(self.rights.grant)
    }

    pub(crate) fn set_keys(&mut self, keys: &[ControllerKey]) {
        self.keys =
            keys.iter().map(|key| (key.key.id(), KeyEntry { key: key.key, rights: key.rights })).collect();
    }
}
