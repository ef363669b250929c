//! Volumes: those of tiers in force are made and opened, all others are closed, and what no tier has is removed.
//!
//! ```text
//!  made, mounted       key given         shown
//! closed ─────▶ attached ─────▶ keyed ─────▶ open ──── not in force, erased ───▶ closed ──▶ removed
//! ```
//!
//! A severing or an erasure keeps its order: its volumes are closed after its engines are killed, and not before.

use id::{Name, TierId};
use tenure::{Part, Procedure, Realm, Step, WantedVolume, World};

use super::{Effect, Observed};

/// A volume: its tier, and which of all that the tier ever had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VolumeKey {
    pub(crate) tier: TierId,
    pub(crate) number: u64,
}

/// A volume as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeenVolume {
    /// The name under which it shows, if this process had it mounted.
    pub(crate) name: Option<Name>,
    pub(crate) state: VolumeState,
}

/// How far a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VolumeState {
    /// The kernel has nothing of it mounted, and no key.
    Closed,
    /// Something may be mounted, here or where an engine is, and the kernel may have a key.
    Unknown,
    /// Somebody holds it whom nobody finds. Nothing can be read or written by that.
    Held,
    /// It is mounted here, and waits for its key.
    Attached,
    /// The kernel has this key of it.
    Keyed(String),
    /// Its content shows.
    Open,
}

impl Observed {
    /// Whether a volume of a tier is open.
    pub(crate) fn volume_is_open(&self, tier: TierId, number: u64) -> bool {
        self.volumes.get(&VolumeKey { tier, number }).is_some_and(|seen| seen.state == VolumeState::Open)
    }
}

/// What is to be done about all volumes.
pub(super) fn effects(world: &World, observed: &Observed, effects: &mut Vec<Effect>) {
    for realm in &world.realms {
        for wanted in realm.volumes.iter().filter(|wanted| wanted.open && observed.medium) {
            open(realm, wanted, observed, effects);
        }
    }
    for (key, seen) in &observed.volumes {
        let wanted = wanted(world, *key);
        let is_open = wanted.is_some_and(|wanted| wanted.open);
        if !is_open && seen.state != VolumeState::Closed && !waits(world, key.tier) {
            effects.push(Effect::CloseVolume(*key));
        }
        if wanted.is_none() && seen.state == VolumeState::Closed && !waits(world, key.tier) {
            effects.push(Effect::RemoveVolume(*key));
        }
    }
    let removed =
        observed.locked.iter().filter(|key| wanted(world, **key).is_none() && !waits(world, key.tier));
    effects.extend(removed.map(|key| Effect::UnlinkVolume(*key)));
}

fn open(realm: &Realm, wanted: &WantedVolume, observed: &Observed, effects: &mut Vec<Effect>) {
    let key = VolumeKey { tier: realm.tier, number: wanted.volume.number };
    effects.push(match observed.volumes.get(&key).map(|seen| &seen.state) {
        None | Some(VolumeState::Closed | VolumeState::Unknown | VolumeState::Held) => {
            Effect::AttachVolume(key, wanted.volume.size_mib.bytes())
        }
        Some(VolumeState::Attached) => Effect::GiveKey(key),
        Some(VolumeState::Keyed(id)) => Effect::OpenVolume(key, id.clone()),
        Some(VolumeState::Open) => return,
    });
}

/// The volumes of the tiers that a procedure destroys: none may be left when they count as closed.
pub(super) fn closings(procedure: &Procedure, observed: &Observed, effects: &mut Vec<Effect>) {
    let ends = |tier: TierId| procedure.part(tier).is_some_and(|part: &Part| part.fate.destroys());
    for (key, seen) in observed.volumes.iter().filter(|(key, _)| ends(key.tier)) {
        effects.push(match seen.state {
            VolumeState::Closed => Effect::RemoveVolume(*key),
            VolumeState::Unknown
            | VolumeState::Held
            | VolumeState::Attached
            | VolumeState::Keyed(_)
            | VolumeState::Open => Effect::CloseVolume(*key),
        });
    }
}

/// The kept volumes of a tier that are not known to be wrapped by its present path.
pub(super) fn rewrap(world: &World, tier: TierId, observed: &Observed, effects: &mut Vec<Effect>) {
    let Some(realm) = world.realm(tier) else { return };
    for wanted in &realm.volumes {
        let key = VolumeKey { tier, number: wanted.volume.number };
        if observed.wrapped.get(&key) != Some(&realm.path) {
            effects.push(Effect::Rewrap(key, realm.path.clone()));
        }
    }
}

fn wanted(world: &World, key: VolumeKey) -> Option<&WantedVolume> {
    world.realm(key.tier)?.volumes.iter().find(|wanted| wanted.volume.number == key.number)
}

/// Whether a procedure that destroys a tier's data has not come to its volumes yet.
fn waits(world: &World, tier: TierId) -> bool {
    let destroys = |procedure: &&Procedure| procedure.part(tier).is_some_and(|part| part.fate.destroys());
    world.due.iter().filter(destroys).any(|procedure| procedure.next < Step::Closed)
}
