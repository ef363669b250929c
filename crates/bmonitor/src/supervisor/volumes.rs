//! Volumes as the supervisor sees them: what lies on the medium at the start, where each is, what custody needs.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use id::TierId;
use node_protocol::call::{VolumeStatus, Warning};
use os::mount;
use tenure::{Realm, effects};
use volume::{Driver, Fscrypt, Place, Room, Status};

use super::Supervisor;
use crate::custody::{self, Request, StoreError};
use crate::helper::{HELD, VolumePlace};
use crate::reconcile::volumes::{SeenVolume, VolumeKey, VolumeState};
use crate::reconcile::{Effect, Observed};

/// Leaves the mount namespace that is shared with everything else: what is mounted below the folder from now on
/// shows in this process and in what it starts. What a process before this one had mounted went with it.
pub(super) fn withdraw(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    mount::own_namespace().and_then(|()| mount::private_folder(folder)).map_err(io::Error::other)
}

/// The volumes of which there is a trace on the medium.
pub(super) fn traces(folder: &Path) -> io::Result<Vec<(VolumeKey, SeenVolume)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(tier) = entry.file_name().to_str().and_then(|name| name.parse::<TierId>().ok()) else {
            continue;
        };
        for image in fs::read_dir(entry.path())? {
            let image = image?.file_name();
            let Some(number) = image.to_str().and_then(Place::number_in) else { continue };
            found.push((
                VolumeKey { tier, number },
                SeenVolume { name: None, state: state(&entry.path(), number) },
            ));
        }
    }
    Ok(found)
}

/// Nothing is mounted here yet; what an engine still holds is seen by its device.
fn state(folder: &Path, number: u64) -> VolumeState {
    let place = Place::new(folder.to_owned(), None, number);
    match (Fscrypt { room: Room::Reserved }).status(&place) {
        Ok(Status::Closed | Status::Absent) => VolumeState::Closed,
        Ok(Status::Attached | Status::Open(_)) | Err(_) => VolumeState::Unknown,
    }
}

/// The volume that an effect works on.
pub(super) fn volume_of(effect: &Effect) -> Option<VolumeKey> {
    match effect {
        Effect::UnlinkVolume(key)
        | Effect::CloseVolume(key)
        | Effect::RemoveVolume(key)
        | Effect::AttachVolume(key, _)
        | Effect::GiveKey(key)
        | Effect::OpenVolume(key, _)
        | Effect::Rewrap(key, _) => Some(*key),
        Effect::Cut(_)
        | Effect::UnlinkSecrets(..)
        | Effect::EndCourier(_)
        | Effect::Tell(..)
        | Effect::Open(..)
        | Effect::Kill(..)
        | Effect::RealmDown(_)
        | Effect::RealmUp(_)
        | Effect::Policy(..)
        | Effect::MakeIdentity(..)
        | Effect::StartCourier(..)
        | Effect::TellConsoles(_)
        | Effect::Sign(..) => None,
    }
}

impl Observed {
    /// Looks at the names in custody's folder.
    pub(super) fn look_at_custody(&mut self, folder: &Path) -> Result<(), StoreError> {
        self.secrets = custody::secrets(folder)?;
        self.salts = custody::salts(folder)?;
        let locked = custody::volumes(folder)?.into_iter();
        self.locked = locked.map(|(tier, number)| VolumeKey { tier, number }).collect();
        Ok(())
    }
}

impl Supervisor {
    /// Where a volume is, if the node has a medium.
    pub(super) fn volume_place(&self, key: VolumeKey) -> Option<VolumePlace> {
        let folder = self.config.volumes.as_ref()?.join(key.tier.to_string());
        let name = self.observed.volumes.get(&key).and_then(|seen| seen.name.clone());
        let wanted = || {
            let tier = self.node.tenure.tier(key.tier)?;
            let found = tier.volumes.iter().find(|(_, volume)| volume.number == key.number);
            found.map(|(name, _)| name.clone())
        };
        Some(VolumePlace { folder, name: name.or_else(wanted), number: key.number })
    }

    /// Notes how a volume is now.
    pub(super) fn volume_is(&mut self, key: VolumeKey, state: VolumeState) {
        let name = self.volume_place(key).and_then(|place| place.name);
        // One that was never made leaves no trace by failing.
        if state != VolumeState::Closed || self.observed.volumes.contains_key(&key) {
            self.observed.volumes.insert(key, SeenVolume { name, state });
        }
    }

    /// Through what custody gives the kernel a volume's key.
    pub(super) fn volume_descriptor(&self, key: VolumeKey) -> Result<Option<OwnedFd>, String> {
        let place = self.volume_place(key).ok_or("the node has no medium for volumes")?;
        let folder = File::open(place.place().content()).map_err(|error| error.to_string())?;
        Ok(Some(folder.into()))
    }

    pub(super) fn volume_request(&self, key: VolumeKey, rewrap: bool) -> Option<Request> {
        let node = self.node.tenure.node()?;
        let path = effects(&self.node.tenure).realm(key.tier)?.path.clone();
        let number = key.number;
        Some(if rewrap {
            Request::Rewrap { node, path, number }
        } else {
            Request::Volume { node, path, number }
        })
    }

    /// Custody or no custody: what is unlinked opens no more.
    pub(super) fn unlink_volume(&mut self, key: VolumeKey) -> Result<(), String> {
        let folder = self.config.state("custody");
        let unlinked = custody::volume_gone(&folder, key.tier, key.number);
        let looked = unlinked.and_then(|()| self.observed.look_at_custody(&folder));
        looked.map_err(|error| crate::failure::chain(&error))
    }

    /// A tier's volumes. Of those of others sizes alone are told.
    pub(super) fn volume_statuses(&self, realm: &Realm) -> Vec<VolumeStatus> {
        let each = realm.volumes.iter();
        each.map(|wanted| {
            let key = VolumeKey { tier: realm.tier, number: wanted.volume.number };
            let open = self.observed.volume_is_open(key.tier, key.number);
            let seen = self.observed.volumes.get(&key);
            let state = match seen.map(|seen| &seen.state) {
                Some(VolumeState::Held) => "held",
                Some(VolumeState::Open) => "open",
                Some(
                    VolumeState::Closed
                    | VolumeState::Unknown
                    | VolumeState::Attached
                    | VolumeState::Keyed(_),
                )
                | None => {
                    if wanted.open {
                        "opening"
                    } else {
                        "closed"
                    }
                }
            };
            VolumeStatus {
                name: Some(wanted.name.clone()),
                size_mib: wanted.volume.size_mib.get(),
                state: Some(state.to_owned()),
                used_mib: self.used_mib(key).filter(|_| open),
            }
        })
        .collect()
    }

    /// Whether a tier has volumes, and the node nothing to put them on.
    pub(super) fn no_medium(&self) -> Option<Warning> {
        let wanted = self.node.tenure.tiers().any(|(_, tier)| !tier.volumes.is_empty());
        (wanted && !self.observed.medium).then(|| Warning {
            code: "no-medium".to_owned(),
            message: "a tier has volumes, and `[volumes] directory` in bmonitor.toml is missing".to_owned(),
        })
    }

    /// The volumes that are shut and not closed.
    pub(super) fn held_volumes(&self) -> impl Iterator<Item = Warning> {
        let held = self.observed.volumes.iter().filter(|(_, seen)| seen.state == VolumeState::Held);
        held.map(|(key, _)| Warning {
            code: "volume-held".to_owned(),
            message: format!("volume {} of tier {} is not closed: {HELD}", key.number, key.tier),
        })
    }

    fn used_mib(&self, key: VolumeKey) -> Option<u64> {
        let place = self.volume_place(key)?.place();
        let space = os::space::of(File::open(place.content()).ok()?).ok()?;
        Some(space.size.saturating_sub(space.free).div_ceil(1 << 20))
    }
}
