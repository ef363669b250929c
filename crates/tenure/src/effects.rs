//! `effects`: what the world should be. BMonitor closes the gap to what is.

use id::{Digest, Epoch, Name, TierId, Time};
use serde::Serialize;

use crate::console::Console;
use crate::engine::WantedEngine;
use crate::procedure::{Fate, Procedure, Step};
use crate::tenure::{Standing, Tenure};
use crate::tier::{Data, Power, PowerState, Tier};
use crate::volume::WantedVolume;

/// What the world should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct World {
    /// One realm a tier, parents before children.
    pub realms: Vec<Realm>,
    /// The procedures under way, each with its next step. All may be worked on at once.
    pub due: Vec<Procedure>,
    /// When the next term begins or ends, or the next trial is over: then a lapse is to be told.
    pub wake_at: Option<Time>,
    /// What names in the sets mean; nothing before the first directory.
    pub directory: Option<Digest>,
    /// The root's consoles, which no realm reaches.
    pub denied: Vec<Console>,
    /// How the node itself is to be switched: the root's power.
    pub node_power: Option<Power>,
}

/// What one tier's realm should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Realm {
    /// The tier.
    pub tier: TierId,
    /// Its name.
    pub name: Name,
    /// The epoch that its courier's identity must have.
    pub epoch: Epoch,
    /// Its identity U, once custody made it.
    pub identity: Option<Digest>,
    /// Which data and salt custody must hold; any other is to be destroyed.
    pub data: Data,
    /// The filter sets that all must admit a packet, from the top. The built-in deny stands above them.
    pub sets: Vec<Digest>,
    /// Whether the data path lets anything through at all.
    pub gate: Gate,
    /// The instant from which the kernel itself closes the data path.
    pub deadline: Time,
    /// Whether the tier has a courier. A suspended or lapsed tier still learns that it is.
    pub courier: bool,
    /// The consoles that its courier dials; none without a courier.
    pub consoles: Vec<Console>,
    /// Whether its engines run.
    pub engines: bool,
    /// Each engine that it wants, and whether it runs now.
    pub wanted: Vec<WantedEngine>,
    /// Each volume that it has, and whether that is open now. How the realm is switched does not matter.
    pub volumes: Vec<WantedVolume>,
    /// The tiers from the root to this one, each with the epoch of its present keys: what its volumes are locked by.
    pub path: Vec<(TierId, Epoch)>,
    /// How the realm is switched, the tiers above it counted in.
    pub power: PowerState,
    /// Restarts asked for, of this realm and of those above it.
    pub restarts: u64,
}

/// Whether a realm's data path is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Packets that all sets admit pass.
    Open,
    /// The cut bit is set: nothing passes.
    Cut,
}

/// What the world should be for this tenure.
#[must_use]
pub fn effects(tenure: &Tenure) -> World {
    let order = tenure.root().map(|root| tenure.subtree(root)).unwrap_or_default();
    World {
        realms: order.into_iter().filter_map(|id| realm(tenure, id)).collect(),
        due: tenure.procedures().cloned().collect(),
        wake_at: wake_at(tenure),
        directory: tenure.directory().map(|directory| directory.object),
        denied: tenure
            .root()
            .and_then(|root| tenure.tier(root))
            .map_or_else(Vec::new, |root| root.consoles.clone()),
        node_power: tenure.root().and_then(|root| tenure.tier(root)).map(|root| root.power),
    }
}

fn realm(tenure: &Tenure, id: TierId) -> Option<Realm> {
    let tier = tenure.tier(id)?;
    let path = tenure.path(id);
    let on_path = || path.iter().filter_map(|id| tenure.tier(*id));
    let standing = tenure.standing(id);
    // A tier whose data is kept lives on through the procedure; one that is made, erased or ended does not.
    let unsettled = path.iter().any(|upper| is_unsettled(tenure, *upper, id));
    let open = matches!(standing, Standing::InForce | Standing::Busy) && !unsettled && !is_halted(tenure, id);
    let power = on_path().map(|tier| tier.power.state).min().unwrap_or(PowerState::Off);
    let courier = !unsettled && tier.identity.is_some() && !tier.consoles.is_empty();
    let engines = open && power == PowerState::On;
    Some(Realm {
        tier: id,
        name: tier.name.clone(),
        epoch: tier.epoch,
        identity: tier.identity,
        data: tier.data,
        sets: tenure.sets_of(id),
        gate: if open { Gate::Open } else { Gate::Cut },
        deadline: tenure.effective_terms(id).until,
        courier,
        consoles: if courier { tier.consoles.clone() } else { Vec::new() },
        engines,
        wanted: wanted(tier, engines),
        volumes: volumes(tier, open),
        path: path.iter().filter_map(|id| Some((*id, tenure.tier(*id)?.epoch))).collect(),
        power,
        restarts: on_path().map(|tier| tier.power.restarts).sum(),
    })
}

fn wanted(tier: &Tier, realm_runs: bool) -> Vec<WantedEngine> {
    let each = tier.engines.iter();
    each.map(|(name, demand)| WantedEngine {
        name: name.clone(),
        demand: demand.clone(),
        runs: realm_runs && demand.running,
    })
    .collect()
}

fn volumes(tier: &Tier, open: bool) -> Vec<WantedVolume> {
    let each = tier.volumes.iter();
    each.map(|(name, volume)| WantedVolume { name: name.clone(), volume: *volume, open }).collect()
}

/// Whether a procedure on `upper` keeps the realm of `tier` shut.
fn is_unsettled(tenure: &Tenure, upper: TierId, tier: TierId) -> bool {
    tenure.procedures().filter_map(|procedure| procedure.part(upper)).any(|part| match part.fate {
        Fate::Ended => true,
        Fate::New | Fate::Erased => upper == tier,
        Fate::Kept => false,
    })
}

/// Suspension and terms count even while a procedure runs, when the standing names the procedure.
fn is_halted(tenure: &Tenure, id: TierId) -> bool {
    let suspended = |id: &TierId| tenure.tier(*id).is_some_and(|tier| !tier.suspended_by.is_empty());
    tenure.path(id).iter().any(suspended) || !tenure.effective_terms(id).contains(tenure.clock())
}

/// The next instant at which some term begins or ends, or a trial is over.
fn wake_at(tenure: &Tenure) -> Option<Time> {
    let terms = tenure.tiers().flat_map(|(_, tier)| [tier.terms.not_before, tier.terms.until]);
    let trials = tenure.tiers().filter_map(|(_, tier)| Some(tier.trial?.until));
    terms.chain(trials).filter(|instant| *instant > tenure.clock() && *instant < Time::MAX).min()
}

impl World {
    /// The realm of that tier.
    #[must_use]
    pub fn realm(&self, tier: TierId) -> Option<&Realm> {
        self.realms.iter().find(|realm| realm.tier == tier)
    }

    /// Whether some procedure waits for that step.
    #[must_use]
    pub fn waits_for(&self, step: Step) -> bool {
        self.due.iter().any(|procedure| procedure.next == step)
    }
}
