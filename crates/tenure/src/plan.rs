//! Plans: what changes would mean, said before they are made. A console decides on its mirror of the node and
//! shows the consequences; the node's own answer alone counts.

use std::collections::BTreeSet;
use std::fmt;

use id::{Digest, Name, TierId};
use serde::Serialize;

use crate::apply::apply_all;
use crate::change::Change;
use crate::decide::decide;
use crate::effects::{Gate, effects};
use crate::input::Input;
use crate::refusal::Refusal;
use crate::right::Rights;
use crate::tenure::Tenure;
use crate::tier::{PowerState, Tier};

/// One thing that the changes mean for one tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Consequence {
    /// The tier.
    pub tier: TierId,
    /// Its name.
    pub name: Name,
    /// What happens to it.
    pub what: What,
}

/// What may happen to a tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum What {
    /// It is made.
    Begins,
    /// It ends.
    Ends,
    /// Its stored data becomes unreadable for ever.
    DataLost,
    /// Its stored data stays readable. Whoever once had the data's key still has it: keeping revokes nothing.
    DataKept,
    /// Its node identity is replaced; what is sent to the old one cannot be read any more.
    IdentityReplaced,
    /// It passes to other controller keys.
    PartyReplaced,
    /// Its controller keys change.
    KeysChanged,
    /// Its realm is cut off.
    RealmCut,
    /// Its realm opens.
    RealmOpened,
    /// Its engines stop.
    EnginesStop,
    /// Its engines start.
    EnginesStart,
    /// It wants something else of an engine.
    EngineChanged {
        /// Which.
        engine: Name,
    },
    /// A volume of it is made.
    VolumeMade {
        /// Which.
        volume: Name,
        /// Its size.
        size_mib: u32,
    },
    /// A volume of it is removed; what is in it becomes unreadable for ever.
    VolumeLost {
        /// Which.
        volume: Name,
    },
    /// It is switched.
    Switched {
        /// To this.
        to: PowerState,
    },
    /// Other filter sets bind it.
    BoundaryChanged {
        /// All that bind it now, from the top.
        sets: Vec<Digest>,
    },
    /// Names in the sets that bind it mean something else, perhaps.
    NamesChanged {
        /// The directory's version.
        serial: u64,
    },
    /// It loses rights, of those that it may exercise or grant.
    RightsLost {
        /// Which.
        rights: Rights,
    },
    /// It gains rights.
    RightsGained {
        /// Which.
        rights: Rights,
    },
    /// Its lease, or one above it, ends earlier or later.
    TermChanged {
        /// The new end.
        until: id::Time,
    },
    /// Its lease now says more than what is above it admits; the lesser holds.
    Overhangs,
}

/// What the input would change, and what that would mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The changes.
    pub changes: Vec<Change>,
    /// What they mean, parents before children.
    pub consequences: Vec<Consequence>,
}

/// Plans an input on a mirror.
///
/// # Errors
/// The refusal that the node would give if it were in the mirror's state.
pub fn plan(mirror: &Tenure, input: &Input) -> Result<Plan, Refusal> {
    let changes = decide(mirror, input)?;
    let consequences = consequences(mirror, &changes);
    Ok(Plan { changes, consequences })
}

/// What the changes mean for each tier, parents before children. The procedures that begin are taken as
/// finished: a tier that is to end counts as ended.
#[must_use]
pub fn consequences(before: &Tenure, changes: &[Change]) -> Vec<Consequence> {
    let mut after = before.clone();
    apply_all(&mut after, changes);
    let root = after.root().or_else(|| before.root());
    let mut found = Vec::new();
    for id in root.map(|root| after.subtree(root)).unwrap_or_default() {
        let Some(new) = after.tier(id) else { continue };
        let mut say = |what| found.push(Consequence { tier: id, name: new.name.clone(), what });
        match before.tier(id) {
            None => say(What::Begins),
            Some(old) => {
                own(old, new, &mut say);
                along_path(before, &after, id, &mut say);
            }
        }
    }
    found
}

/// What shows in the tier itself.
fn own(old: &Tier, new: &Tier, say: &mut impl FnMut(What)) {
    if new.ending && !old.ending {
        say(What::Ends);
    }
    if new.data.life != old.data.life {
        say(What::DataLost);
    } else if new.data.salt != old.data.salt {
        say(What::DataKept);
    }
    if new.epoch != old.epoch && !new.ending {
        say(What::IdentityReplaced);
    }
    if new.lease != old.lease {
        say(What::PartyReplaced);
    } else if new.keys != old.keys {
        say(What::KeysChanged);
    }
    let names: BTreeSet<&Name> = old.engines.keys().chain(new.engines.keys()).collect();
    for engine in names.into_iter().filter(|name| old.engines.get(*name) != new.engines.get(*name)) {
        say(What::EngineChanged { engine: engine.clone() });
    }
    for (volume, _) in old.volumes.iter().filter(|(name, old)| new.volumes.get(*name) != Some(old)) {
        say(What::VolumeLost { volume: volume.clone() });
    }
    for (volume, made) in new.volumes.iter().filter(|(name, new)| old.volumes.get(*name) != Some(new)) {
        say(What::VolumeMade { volume: volume.clone(), size_mib: made.size_mib.get() });
    }
    if new.power.state != old.power.state || new.power.restarts != old.power.restarts {
        say(What::Switched { to: new.power.state });
    }
}

/// What follows from the tiers above as well.
fn along_path(before: &Tenure, after: &Tenure, id: TierId, say: &mut impl FnMut(What)) {
    let all = |tenure: &Tenure| {
        let rights = tenure.effective_rights(id);
        rights.exercise.or(rights.grant)
    };
    let (had, has) = (all(before), all(after));
    let lost: Rights = had.iter().filter(|right| !has.has(*right)).collect();
    let gained: Rights = has.iter().filter(|right| !had.has(*right)).collect();
    if lost != Rights::NONE {
        say(What::RightsLost { rights: lost });
    }
    if gained != Rights::NONE {
        say(What::RightsGained { rights: gained });
    }
    let until = after.effective_terms(id).until;
    if until != before.effective_terms(id).until {
        say(What::TermChanged { until });
    }
    if overhangs(after, id) && !overhangs(before, id) {
        say(What::Overhangs);
    }
    let sets = after.sets_of(id);
    if sets != before.sets_of(id) {
        say(What::BoundaryChanged { sets });
    }
    if let Some(directory) = after.directory().filter(|_| after.directory() != before.directory()) {
        say(What::NamesChanged { serial: directory.serial });
    }
    let (old, new) = (effects(before), effects(after));
    let (Some(old), Some(new)) = (old.realm(id), new.realm(id)) else { return };
    match (old.gate, new.gate) {
        (Gate::Open, Gate::Cut) => say(What::RealmCut),
        (Gate::Cut, Gate::Open) => say(What::RealmOpened),
        (Gate::Open, Gate::Open) | (Gate::Cut, Gate::Cut) => {}
    }
    match (old.engines, new.engines) {
        (true, false) => say(What::EnginesStop),
        (false, true) => say(What::EnginesStart),
        (true, true) | (false, false) => {}
    }
}

/// Whether a tier's lease says more than the leases above it admit.
#[must_use]
pub fn overhangs(tenure: &Tenure, id: TierId) -> bool {
    let Some(tier) = tenure.tier(id) else { return false };
    tenure.effective_rights(id) != tier.rights || tenure.effective_terms(id) != tier.terms
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |rights: &Rights| rights.iter().map(crate::Right::name).collect::<Vec<_>>().join(", ");
        match self {
            Self::Begins => f.write_str("is made"),
            Self::Ends => f.write_str("ends"),
            Self::DataLost => f.write_str("its stored data becomes unreadable for ever"),
            Self::DataKept => {
                f.write_str("its stored data is kept; who had the data's key before still has it")
            }
            Self::IdentityReplaced => f.write_str("its identity on the node is replaced"),
            Self::PartyReplaced => f.write_str("passes to another party's keys"),
            Self::KeysChanged => f.write_str("its controller keys change"),
            Self::RealmCut => f.write_str("its realm is cut off"),
            Self::RealmOpened => f.write_str("its realm opens"),
            Self::EnginesStop => f.write_str("its engines stop"),
            Self::EnginesStart => f.write_str("its engines start"),
            Self::EngineChanged { engine } => write!(f, "wants something else of its engine {engine}"),
            Self::VolumeMade { volume, size_mib } => write!(f, "has a new volume {volume} of {size_mib} MiB"),
            Self::VolumeLost { volume } => {
                write!(f, "loses its volume {volume}: what is in it becomes unreadable for ever")
            }
            Self::Switched { to } => match to {
                PowerState::Off => f.write_str("is switched off"),
                PowerState::Standby => f.write_str("goes to standby"),
                PowerState::On => f.write_str("is switched on"),
            },
            Self::BoundaryChanged { sets } => {
                write!(f, "other filter sets bind it, {} along its path", sets.len())
            }
            Self::NamesChanged { serial } => {
                write!(f, "names in its filter sets mean what directory {serial} says")
            }
            Self::RightsLost { rights } => write!(f, "loses the rights {}", list(rights)),
            Self::RightsGained { rights } => write!(f, "gains the rights {}", list(rights)),
            Self::TermChanged { until } => write!(f, "runs until {until}"),
            Self::Overhangs => f.write_str("its lease says more than those above admit; the lesser holds"),
        }
    }
}
