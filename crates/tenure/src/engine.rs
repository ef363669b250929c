//! Engines: what a tier wants to run in its realm. What an engine is stands in its specification, an object.

use id::{Digest, Name};
use serde::{Deserialize, Serialize};

use crate::order::EngineAction;

/// What a tier wants of one engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineDemand {
    /// The specification in force.
    pub specification: Digest,
    /// Whether it is to run.
    pub running: bool,
    /// Counts restarts: the world follows when it has done fewer.
    pub restarts: u64,
    /// Counts reloads: restarts with the image unpacked anew.
    pub reloads: u64,
}

impl EngineDemand {
    /// What is wanted after `action`, of what was wanted before; nothing: no such engine.
    pub(crate) fn after(before: Option<&Self>, action: &EngineAction) -> Option<Self> {
        let blank = |specification| Self { specification, running: true, restarts: 0, reloads: 0 };
        match action {
            EngineAction::Deploy { specification } => {
                let mut demand = before.cloned().unwrap_or_else(|| blank(*specification));
                demand.specification = *specification;
                demand.running = true;
                Some(demand)
            }
            EngineAction::Start => Some(Self { running: true, ..before?.clone() }),
            EngineAction::Stop => Some(Self { running: false, ..before?.clone() }),
            EngineAction::Restart => {
                let before = before?.clone();
                Some(Self { running: true, restarts: before.restarts + 1, ..before })
            }
            EngineAction::Reload => {
                let before = before?.clone();
                Some(Self { running: true, reloads: before.reloads + 1, ..before })
            }
            EngineAction::Remove => None,
        }
    }
}

/// An engine that a realm should have, as `effects` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WantedEngine {
    /// Its name among the tier's engines.
    pub name: Name,
    /// What is wanted of it.
    pub demand: EngineDemand,
    /// Whether it is to run now: it is wanted, and so is the realm.
    pub runs: bool,
}
