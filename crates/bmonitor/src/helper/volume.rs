//! A volume is made, mounted, shown, closed and removed. What closes it kills whoever has files of it open or a copy
//! of its mount: a tier whose volume is to be closed has nothing more to do with it.

use volume::{Driver, Fscrypt, Room, VolumeError};

use super::VolumePlace;
use super::processes::kill_holders;
use crate::failure::chain;
use crate::step::{Step, Steps};

const DRIVER: Fscrypt = Fscrypt { room: Room::Reserved };

/// Rounds of killing and closing, each of which finds what was started meanwhile.
const ROUNDS_MAX: usize = 10;

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
    for _round in 0..ROUNDS_MAX {
        match DRIVER.close(&place) {
            Err(VolumeError::Busy { device }) => kill_holders(device).map_err(|error| chain(&error))?,
            closed => {
                closed.map_err(|error| chain(&error))?;
                steps.reach(Step::VolumeClosed);
                return Ok(());
            }
        }
    }
    Err("those who hold the volume open do not end".to_owned())
}

pub(super) fn remove(place: &VolumePlace, steps: &Steps) -> Result<(), String> {
    DRIVER.remove(&place.place()).map_err(|error| chain(&error))?;
    steps.reach(Step::VolumeRemoved);
    Ok(())
}
