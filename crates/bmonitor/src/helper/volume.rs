//! A volume is made, mounted, shown, closed and removed. What closes it kills whoever has files of it open or a copy
//! of its mount: a tier whose volume is to be closed has nothing more to do with it. Whoever cannot be found (a process
//! outside the node's process list, a descriptor on its way through a socket) is shut out.

use std::time::Duration;

use os::poll::wait;
use volume::{Driver, Fscrypt, Room, VolumeError};

use super::VolumePlace;
use super::processes::{Hold, kill_holders};
use crate::failure::chain;
use crate::step::{Step, Steps};

const DRIVER: Fscrypt = Fscrypt { room: Room::Reserved };

/// Rounds of killing and closing, each of which finds what was started meanwhile. After one that finds nobody the
/// kernel is given time, longer each time: it closes the files of who has ended a little later. One second in all.
const ROUNDS_MAX: u32 = 10;
const PAUSE_FIRST: Duration = Duration::from_millis(1);
/// From this round on a copy of the mount is enough: a shim that starts for another tier has let go of its own by then.
const ROUND_OF_MOUNTS: u32 = 7;

/// Why a volume is not closed that is held by nobody who can be found.
pub(crate) const HELD: &str = "somebody whom this node does not see has files of it open: nothing of it is read or written until they are let go of";

pub(super) fn attach(place: &VolumePlace, bytes: u64, steps: &Steps) -> Result<(), String> {
    let place = place.place();
    DRIVER.provision(&place, bytes).map_err(|error| chain(&error))?;
    steps.reach(Step::VolumeMade);
    drop(DRIVER.attach(&place).map_err(|error| chain(&error))?);
    steps.reach(Step::VolumeAttached);
    Ok(())
}

pub(super) fn open(place: &VolumePlace, key: &str, steps: &Steps) -> Result<(), String> {
    DRIVER.open(&place.place(), key.parse()?).map_err(|error| chain(&error))?;
    steps.reach(Step::VolumeOpened);
    Ok(())
}

pub(super) fn close(place: &VolumePlace, steps: &Steps) -> Result<(), String> {
    let place = place.place();
    for round in 0..ROUNDS_MAX {
        let device = match DRIVER.close(&place) {
            Err(VolumeError::Busy { device }) => device,
            closed => {
                closed.map_err(|error| chain(&error))?;
                steps.reach(Step::VolumeClosed);
                return Ok(());
            }
        };
        let hold = if round < ROUND_OF_MOUNTS { Hold::Files } else { Hold::FilesOrMounts };
        if kill_holders(device, hold).map_err(|error| chain(&error))? == 0 {
            wait(&[], Some(PAUSE_FIRST * 2_u32.pow(round))).map_err(|error| chain(&error))?;
        }
    }
    DRIVER.shut(&place).map_err(|error| chain(&error))?;
    Err(HELD.to_owned())
}

pub(super) fn remove(place: &VolumePlace, steps: &Steps) -> Result<(), String> {
    DRIVER.remove(&place.place()).map_err(|error| chain(&error))?;
    steps.reach(Step::VolumeRemoved);
    Ok(())
}
