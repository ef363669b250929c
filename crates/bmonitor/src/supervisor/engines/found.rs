//! Runs that an earlier supervisor had begun: their shims are taken over, or ended where nobody wants them, and
//! what those left that are over is removed. Some show themselves late: one that was asked for in that
//! supervisor's last moment is not there yet, one that was just ending hears nobody any more but is not gone.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use engine::cgroups::Layout;
use engine::shim::{self, Command, Key, Lines};
use engine::specification::Restart;
use os::clock::boot;
use tenure::{Realm, WantedEngine, effects};

use super::{Engine, EngineId, Shim, run_name, runs};
use crate::supervisor::Supervisor;

/// How often it is looked again.
const LOOK: Duration = Duration::from_millis(250);
/// How long after a start at least: more than a launcher that has lost its supervisor, and the shim it forked last,
/// take to be seen or gone.
const LOOKS_FOR: Duration = Duration::from_secs(15);

impl Supervisor {
    /// Finds the shims that an earlier supervisor had started.
    pub(in crate::supervisor) fn find_engines(&mut self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(runs(&self.config)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.engines.looks_until = boot() + LOOKS_FOR;
        self.look_for_runs()
    }

    pub(super) fn look_again_for_runs(&mut self) {
        if self.engines.looks_at.is_none_or(|at| boot() < at) {
            return;
        }
        if let Err(error) = self.look_for_runs() {
            self.engines.looks_at = Some(boot() + LOOK);
            self.warn("engine", format!("runs cannot be looked for: {error}"));
        }
    }

    fn look_for_runs(&mut self) -> io::Result<()> {
        let known = self.run_names();
        let mut lingers = false;
        for entry in fs::read_dir(runs(&self.config))? {
            let folder = entry?;
            let Some(name) = folder.file_name().to_str().map(str::to_owned) else { continue };
            let id = known.get(&name);
            if self.has_shim(&name, id) {
                continue;
            }
            let connected = UnixStream::connect(folder.path().join(shim::SOCKET)).and_then(Lines::new);
            match (connected, id) {
                (Ok(lines), Some(id)) => self.found(id.clone(), lines),
                (Ok(mut lines), None) => {
                    lines.tell(&Command::Kill);
                    self.engines.strays.push((name, lines));
                }
                (Err(_), id) => match (shim::is_locked(&folder.path()).unwrap_or(true), id) {
                    (true, _) => lingers = true,
                    (false, Some(id)) => self.run_is_over(id),
                    (false, None) => {}
                },
            }
        }
        let again = lingers || boot() < self.engines.looks_until;
        self.engines.looks_at = again.then(|| boot() + LOOK);
        self.sweep_groups(&known);
        Ok(())
    }

    /// Which run folder is which engine's, of those that somebody ordered.
    fn run_names(&self) -> BTreeMap<String, EngineId> {
        let world = effects(&self.node.tenure);
        let named = |realm: &Realm, engine: &WantedEngine| {
            let id = (realm.tier, engine.name.clone());
            (run_name(&id), id)
        };
        let of = |realm| move |engine| named(realm, engine);
        world.realms.iter().flat_map(|realm| realm.wanted.iter().map(of(realm))).collect()
    }

    /// Whether a run has a shim that this supervisor speaks with, or has asked for.
    fn has_shim(&self, name: &str, id: Option<&EngineId>) -> bool {
        let of_engine = |id| self.engines.each.get(id).is_some_and(|engine| engine.shim.is_some());
        id.is_some_and(of_engine) || self.engines.strays.iter().any(|(stray, _)| stray == name)
    }

    /// The control groups of runs that are over: those of a node whose processes were all killed at once, shims too.
    /// One whose run folder is locked has a shim, which may not listen yet.
    fn sweep_groups(&mut self, known: &BTreeMap<String, EngineId>) {
        let names = Layout::of_this_machine().and_then(|layout| layout.below(&[&self.config.cgroup]));
        match names {
            Ok(names) => {
                let runs = runs(&self.config);
                let over = |name: &&String| {
                    !self.has_shim(name, known.get(*name))
                        && !shim::is_locked(&runs.join(name.as_str())).unwrap_or(true)
                };
                let over: Vec<String> = names.iter().filter(over).cloned().collect();
                over.iter().for_each(|name| self.remove_groups(name));
            }
            Err(error) => self.warn("engine", format!("control groups cannot be looked at: {error}")),
        }
    }

    /// The control groups of a run that is over. What was in them may be ending still: a shim that was killed is
    /// seen to be gone before the kernel has ended what it leaves.
    pub(super) fn remove_groups(&mut self, name: &str) {
        let removed =
            Layout::of_this_machine().and_then(|layout| layout.remove(&[&self.config.cgroup, name]));
        match removed {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                self.engines.looks_at = Some(boot() + LOOK);
            }
            Err(error) => self.warn("engine", format!("control groups cannot be removed: {error}")),
        }
    }

    pub(super) fn found(&mut self, id: EngineId, lines: Lines) {
        // Which run it is, its first line says.
        let found = Shim { lines, key: None, report: None, since: boot(), told_to_end: false };
        let engine = self.engines.each.entry(id).or_default();
        (engine.started_once, engine.looked) = (true, true);
        engine.shim = Some(found);
    }

    /// No process of an engine's run is left. If an earlier supervisor had begun it, it may have ended unheard.
    pub(super) fn run_is_over(&mut self, id: &EngineId) {
        let engine = self.engines.each.entry(id.clone()).or_default();
        if std::mem::replace(&mut engine.looked, true) {
            return;
        }
        engine.unheard = shim::ended(&runs(&self.config).join(run_name(id)));
        engine.last = engine.unheard.as_ref().and_then(|report| report.ending);
    }
}

impl Engine {
    /// What ended while no supervisor lived is restarted, or not, as if one had been there: once it is known what
    /// its specification says of that. What is ordered anew starts however it ended before.
    pub(super) fn hear_late(&mut self, wanted: &Key, rule: Option<Restart>) {
        let late = self.unheard.take_if(|report| report.key != *wanted || rule.is_some());
        let (Some(report), Some(rule)) = (late.filter(|report| report.key == *wanted), rule) else { return };
        let Some(ending) = report.ending else { return };
        self.keeper.ended(&ending, rule, Duration::from_millis(report.since), boot());
        (self.kept, self.started_once, self.ordered) = (Some(report.key), true, false);
    }
}
