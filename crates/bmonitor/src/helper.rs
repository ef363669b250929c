//! A helper: does one effect that may block, says what came of it, and ends. Every task may be done twice;
//! one that was broken off leaves the realm closed.

mod messages;
mod processes;
mod realm;
mod volume;

use std::io::{self, Read, Write};

use boundary::{PacketSet, ResolvedSet};
use datapath::{Filter, Lease, Program, Settings, compile};
use id::Generation;

pub(crate) use self::messages::{Outcome, Place, Task, VolumePlace};
pub(crate) use self::volume::HELD;
use crate::failure::chain;
use crate::rights::{self, Begin, Role};
use crate::sets;
use crate::step::{Step, Steps};

/// The longest task: every set of a path, each of as many rules as a file may have.
const TASK_BYTES_MAX: u64 = 256 * 1024 * 1024;

impl Task {
    /// Whether a helper with this task passes the step.
    pub(crate) const fn passes(&self, step: Step) -> bool {
        match self {
            Self::RealmUp { .. } => matches!(
                step,
                Step::RealmNamespace
                    | Step::RealmCable
                    | Step::RealmAddress
                    | Step::RealmFilter
                    | Step::RealmLinkUp
            ),
            Self::Policy { .. } => {
                matches!(step, Step::PolicyBuilt | Step::PolicyPrepared | Step::PolicyLoaded)
            }
            Self::Kill { .. } => false,
            Self::VolumeAttach { .. } => matches!(step, Step::VolumeMade | Step::VolumeAttached),
            Self::VolumeOpen { .. } => matches!(step, Step::VolumeOpened),
            Self::VolumeClose { .. } => matches!(step, Step::VolumeClosed),
            Self::VolumeRemove { .. } => matches!(step, Step::VolumeRemoved),
            Self::RealmDown { .. } => matches!(step, Step::DownKilled | Step::DownLink | Step::DownNamespace),
        }
    }
}

impl VolumePlace {
    /// The same for the driver.
    pub(crate) fn place(&self) -> ::volume::Place {
        ::volume::Place::new(self.folder.clone(), self.name.as_ref(), self.number)
    }
}

/// The role: `bmonitor helper`.
pub(crate) fn run(parent: u32, steps: &Steps) -> io::Result<()> {
    rights::enforce(Begin { role: Role::Helper, parent: Some(parent) }).map_err(io::Error::other)?;
    let mut bytes = Vec::new();
    io::stdin().lock().take(TASK_BYTES_MAX).read_to_end(&mut bytes)?;
    let outcome = match serde_json::from_slice(&bytes) {
        Ok(task) => outcome(&task, steps),
        Err(error) => Outcome::Failed { why: format!("the task is not understood: {error}") },
    };
    let mut outcome = serde_json::to_vec(&outcome)?;
    outcome.push(b'\n');
    io::stdout().lock().write_all(&outcome)
}

fn outcome(task: &Task, steps: &Steps) -> Outcome {
    let done = match task {
        Task::RealmUp { place, bridge, gateways } => {
            realm::up(place, bridge, gateways, steps).map(|()| None).map_err(|failed| chain(&failed))
        }
        Task::Policy { place, sets } => policy(place, sets, steps).map(Some),
        Task::Kill { namespaces } => {
            let killed = namespaces.iter().try_for_each(|namespace| processes::kill_in(namespace));
            killed.map(|()| None).map_err(|failed| chain(&failed))
        }
        Task::VolumeAttach { place, bytes } => volume::attach(place, *bytes, steps).map(|()| None),
        Task::VolumeOpen { place, key } => volume::open(place, key, steps).map(|()| None),
        Task::VolumeClose { place } => volume::close(place, steps).map(|()| None),
        Task::VolumeRemove { place } => volume::remove(place, steps).map(|()| None),
        Task::RealmDown { place } => {
            realm::down(place, steps).map(|()| None).map_err(|failed| chain(&failed))
        }
    };
    match done {
        Ok(generation) => Outcome::Done { generation },
        Err(why) => Outcome::Failed { why },
    }
}

/// Compiles the policy and switches to it, if it is not the one in force already.
fn policy(place: &Place, sets: &[ResolvedSet], steps: &Steps) -> Result<Generation, String> {
    // What cannot be proved admits nothing, as where it was decided over.
    let packet_set =
        |set: &ResolvedSet| set.packet_set(&mut sets::budget()).unwrap_or_else(|_| PacketSet::nothing());
    let stack: Vec<PacketSet> = sets.iter().map(packet_set).collect();
    let lease = Lease {
        mac: place.mac,
        addresses: place.addresses.iter().map(|(address, _prefix)| *address).collect(),
    };
    let image = compile(&stack, &lease, &mut sets::budget()).map_err(|error| chain(&error))?;
    steps.reach(Step::PolicyBuilt);
    let filter = Filter::open(&place.pins, &Program::embedded(), &Settings::default());
    let filter = filter.map_err(|error| chain(&error))?;
    let mut filter = filter.ok_or("the realm has no filter")?;
    let live = filter.observe(&place.link).map_err(|error| chain(&error))?.live;
    let generation = match live {
        Some(live) if live.digest == image.digest() => Generation::new(live.generation).ok_or(EXHAUSTED)?,
        live => {
            let last = live.map_or(0, |live| live.generation);
            let next = Generation::new(last + 1).ok_or(EXHAUSTED)?;
            let prepared = filter.prepare(&image, next).map_err(|error| chain(&error))?;
            steps.reach(Step::PolicyPrepared);
            filter.flip(prepared).map_err(|error| chain(&error))?;
            next
        }
    };
    steps.reach(Step::PolicyLoaded);
    Ok(generation)
}

const EXHAUSTED: &str = "there is no generation after this one";
