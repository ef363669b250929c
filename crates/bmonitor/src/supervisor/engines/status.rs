//! How a tier's engines are, as the tier is told, and nobody else.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use engine::run::Phase;
use id::{Name, TierId, Time};
use node_protocol::call::{Answer, EngineState, EngineStatus, code};
use os::clock::boot;

use super::{Engine, as_told, is_ready};
use crate::failure::Exit;
use crate::supervisor::Supervisor;
use crate::supervisor::calls::refused;

/// Bytes of output in one answer.
const OUTPUT_BYTES_MAX: usize = 256 * 1024;

impl Supervisor {
    /// How the engines of a tier are.
    pub(in crate::supervisor) fn engines_of(&self, tier: TierId, now: Time) -> Vec<EngineStatus> {
        let Some(engines) = self.node.tenure.tier(tier).map(|tier| &tier.engines) else { return Vec::new() };
        let none = Engine::default();
        let told = engines.iter().map(|(name, demand)| {
            let engine = self.engines.each.get(&(tier, name.clone())).unwrap_or(&none);
            let report = engine.shim.as_ref().and_then(|shim| shim.report.as_ref());
            let phase = report.map(|report| report.phase);
            let age = engine.shim.as_ref().map(|shim| boot().saturating_sub(shim.since));
            EngineStatus {
                name: name.clone(),
                state: state(engine, phase, demand.running),
                ready: phase.is_some_and(is_ready),
                status: report.map(|report| report.status.clone()).unwrap_or_default(),
                restarts: engine.restarts,
                since: age.map(|age| {
                    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                    Time::from_millis(now.as_millis().saturating_sub(age))
                }),
                last_exit: engine.last.and_then(|last| last.exit).map(as_told),
                out_of_memory: engine.last.is_some_and(|last| last.out_of_memory),
                watchdog: engine.last.is_some_and(|last| last.hung),
                reason: engine.waits.clone(),
                missing: engine.missing.clone(),
            }
        });
        told.collect()
    }
}

impl Supervisor {
    /// The end of an engine's output, as its tier may read it.
    pub(in crate::supervisor) fn engine_output(&self, tier: TierId, name: &Name) -> (Answer, Vec<u8>) {
        let demand = self.node.tenure.tier(tier).and_then(|tier| tier.engines.get(name));
        let specification = demand.and_then(|demand| self.node.sets.specification(demand.specification));
        let volume = specification.and_then(|specification| self.open_volume(tier, &specification.volume));
        let Some(volume) = volume else {
            return (
                refused(code::NOT_FOUND, Exit::NotFound, "no such engine on an open volume"),
                Vec::new(),
            );
        };
        let logs = volume.join("engines").join(name.as_str()).join("logs");
        let mut text = end_of(&logs.join("output.old"), OUTPUT_BYTES_MAX);
        text.extend(end_of(&logs.join("output"), OUTPUT_BYTES_MAX));
        let surplus = text.len().saturating_sub(OUTPUT_BYTES_MAX);
        (Answer::Output {}, text.split_off(surplus))
    }
}

/// The last bytes of a file; none of one that is not there.
fn end_of(path: &Path, at_most: usize) -> Vec<u8> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let at_most = u64::try_from(at_most).unwrap_or(u64::MAX);
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(at_most)))?;
        let mut bytes = Vec::new();
        file.take(at_most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().unwrap_or_default()
}

fn state(engine: &Engine, phase: Option<Phase>, wanted: bool) -> EngineState {
    match (&engine.shim, phase) {
        (Some(shim), _) if shim.told_to_end => EngineState::Stopping,
        (Some(_), Some(Phase::Running)) => EngineState::Running,
        (Some(_), Some(Phase::Hung)) => EngineState::Hung,
        (Some(_), Some(Phase::Stopping | Phase::Ended)) => EngineState::Stopping,
        (Some(_), Some(Phase::Starting) | None) => EngineState::Starting,
        (None, _) if !wanted => EngineState::Stopped,
        (None, _) if engine.keeper.is_over() => EngineState::Ended,
        (None, _) if engine.waits.is_none() && !engine.keeper.may_start(boot()) => EngineState::BackingOff,
        (None, _) => EngineState::Waiting,
    }
}
