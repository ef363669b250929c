//! Engines as the supervisor sees them: which should run, which do, and what closes the gap. What should run
//! follows from the journal, what does is told by shims; they outlive a supervisor, and the next one finds them by
//! their run folders. An engine never runs twice: the kernel's lock on its run folder says so, whoever dies.

mod found;
mod images;
mod status;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::Duration;

use engine::keeper::{Ending, Exit, Keeper};
use engine::run::Phase;
use engine::shim::{self, Command, Key, Launch, Lines, Report};
use engine::specification::{Restart, Specification};
use id::{Digester, Name, TierId};
use node_protocol::call::{EngineExit, Warning};
use os::child::Child;
use os::clock::boot;
use os::poll::Wanted;
use tenure::{Realm, WantedEngine, effects};

pub(super) use self::images::{Images, Unpacks};
use super::Supervisor;
use super::services::{NotSent, Service};
use crate::config::Config;
use crate::failure::chain;
use crate::launching::StartShim;
use crate::rights::Role;
use crate::step::Step;

/// The folder of run folders, in the run folder of the node: short, for sockets have short names.
const RUNS: &str = "e";
/// The first user that an engine may be, and how many there are (of those that Debian leaves to containers).
const UID_FIRST: u32 = 600_000_000;
const UIDS: u32 = 1_000_000_000;
/// Why nothing is started, to the node's owner and to an engine's tier.
const NO_LAUNCHER: &str = "no-launcher";
/// How long a shim may take to say something once it was started.
const SPEAKS_IN: Duration = Duration::from_secs(30);

/// Of which tier, by which name.
pub(super) type EngineId = (TierId, Name);

/// All engines of the node that are wanted or run.
#[derive(Debug, Default)]
pub(super) struct Engines {
    each: BTreeMap<EngineId, Engine>,
    /// Shims whose engines nobody wants any more, and of whom nothing is known but their run folders.
    strays: Vec<(String, Lines)>,
    /// When to look again for runs that an earlier supervisor had begun.
    looks_at: Option<Duration>,
    /// As long as its launcher may have started one, or one was ending, that could not be seen yet.
    looks_until: Duration,
}

/// One engine.
#[derive(Debug, Default)]
struct Engine {
    shim: Option<Shim>,
    keeper: Keeper,
    /// What was wanted when the keeper began to count: what is ordered anew starts anew, however it ended before.
    kept: Option<Key>,
    /// Its next start follows from an order.
    ordered: bool,
    last: Option<Ending>,
    /// How often it was started by itself.
    restarts: u64,
    started_once: bool,
    /// Why it is not started though it should be.
    waits: Option<String>,
    missing: Vec<String>,
    /// Whether it is known what an earlier supervisor left of it.
    looked: bool,
    /// A run that ended while no supervisor lived, of which nothing followed yet.
    unheard: Option<Report>,
}

/// The shim of a run, as far as it has said something.
#[derive(Debug)]
struct Shim {
    lines: Lines,
    /// Which run it is; of one that was found, once it has spoken.
    key: Option<Key>,
    report: Option<Report>,
    since: Duration,
    told_to_end: bool,
}

impl Engines {
    /// What to wait for.
    pub(super) fn descriptors(&self) -> Vec<(BorrowedFd<'_>, Wanted)> {
        let shims = self.each.values().filter_map(|engine| engine.shim.as_ref()).map(|shim| &shim.lines);
        let all = shims.chain(self.strays.iter().map(|(_, lines)| lines));
        all.map(|lines| (lines.stream.as_fd(), Wanted { read: true, write: lines.has_unsent() })).collect()
    }

    /// How long until an engine may be started again, or a shim is overdue.
    pub(super) fn wake_in(&self) -> Option<Duration> {
        let pauses = self.each.values().filter(|engine| engine.shim.is_none());
        let pauses = pauses.filter_map(|engine| engine.keeper.starts_at()).filter(|at| *at > boot());
        let silent = self.each.values().filter_map(|engine| engine.shim.as_ref());
        let silent = silent.filter(|shim| shim.report.is_none()).map(|shim| shim.since + SPEAKS_IN);
        pauses.chain(silent).chain(self.looks_at).min().map(|at| at.saturating_sub(boot()))
    }
}

/// Starts the launcher. To be called before the supervisor narrows itself.
pub(super) fn start_launcher() -> io::Result<Child> {
    let mut command = Process::new("/proc/self/exe");
    let parent = std::process::id().to_string();
    command.env_clear().arg(Role::Launcher.to_string()).args(["--parent", &parent]);
    Child::start(command)
}

/// The name of an engine's run folder and control groups: the same after every start.
fn run_name(id: &EngineId) -> String {
    let digest = Digester::new("engine run").part(id.0.as_bytes()).part(id.1.as_str().as_bytes()).finish();
    digest.as_bytes().iter().take(8).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// An engine's own user on the node, the same after every start: what it wrote stays its own.
fn uid(id: &EngineId) -> u32 {
    let digest = Digester::new("engine uid").part(id.0.as_bytes()).part(id.1.as_str().as_bytes()).finish();
    let [a, b, c, d, ..] = *digest.as_bytes();
    UID_FIRST + u32::from_be_bytes([a, b, c, d]) % UIDS
}

fn runs(config: &Config) -> PathBuf {
    config.run.join(RUNS)
}

fn key(wanted: &WantedEngine) -> Key {
    Key {
        specification: wanted.demand.specification,
        restarts: wanted.demand.restarts,
        reloads: wanted.demand.reloads,
    }
}

impl Supervisor {
    /// Hears what shims say, ends what should not run, starts what should.
    pub(super) fn attend_engines(&mut self) {
        self.look_again_for_runs();
        self.hear_shims();
        let world = effects(&self.node.tenure);
        let mut wanted = BTreeMap::new();
        for realm in &world.realms {
            for engine in &realm.wanted {
                wanted.insert((realm.tier, engine.name.clone()), (realm, engine));
            }
        }
        let known: Vec<EngineId> = self.engines.each.keys().cloned().collect();
        for id in &known {
            self.end_what_should_not_run(id, wanted.get(id).map(|(_, engine)| *engine));
        }
        for (id, (realm, engine)) in wanted {
            if engine.runs {
                self.start_what_should_run(&id, realm, engine);
            } else {
                let engine = self.engines.each.entry(id).or_default();
                (engine.waits, engine.kept, engine.unheard) = (None, None, None);
            }
        }
        self.sweep_images();
    }

    fn end_what_should_not_run(&mut self, id: &EngineId, wanted: Option<&WantedEngine>) {
        let Some(engine) = self.engines.each.get_mut(id) else { return };
        let Some(shim) = &mut engine.shim else {
            if wanted.is_none() {
                self.engines.each.remove(id);
            }
            return;
        };
        // What it runs is known once it has spoken.
        let other = shim.report.is_some() && wanted.is_some_and(|wanted| shim.key != Some(key(wanted)));
        let unwanted = wanted.is_none_or(|wanted| !wanted.runs);
        if (unwanted || other) && !shim.told_to_end {
            shim.told_to_end = true;
            shim.lines.tell(if wanted.is_none() { &Command::Kill } else { &Command::Stop });
        }
        if shim.report.is_none() && boot() > shim.since + SPEAKS_IN {
            shim.lines.tell(&Command::Kill);
            // It is told again only after as long.
            shim.since = boot();
        }
    }

    fn start_what_should_run(&mut self, id: &EngineId, realm: &Realm, wanted: &WantedEngine) {
        let key = key(wanted);
        let rule = self.restart_rule(&key);
        let engine = self.engines.each.entry(id.clone()).or_default();
        if engine.shim.is_some() {
            engine.waits = None;
            return;
        }
        if engine.kept.as_ref() != Some(&key) {
            (engine.keeper, engine.kept, engine.ordered) = (Keeper::default(), Some(key.clone()), true);
        }
        if !engine.keeper.may_start(boot()) || self.runs_already(id) {
            return;
        }
        let Some(engine) = self.engines.each.get_mut(id) else { return };
        engine.hear_late(&key, rule);
        if !engine.keeper.may_start(boot()) {
            return;
        }
        let started = self.launch_of(id, realm, wanted).and_then(|launch| self.start_engine(id, &launch));
        let Some(engine) = self.engines.each.get_mut(id) else { return };
        match started {
            Ok(()) => {
                engine.restarts += u64::from(engine.started_once && !engine.ordered);
                (engine.started_once, engine.ordered) = (true, false);
                engine.waits = None;
            }
            Err(why) => engine.waits = Some(why),
        }
    }

    /// Whether a run is under way that an earlier supervisor had begun: its shim may not have been there yet when
    /// this one was looking.
    fn runs_already(&mut self, id: &EngineId) -> bool {
        let run = runs(&self.config).join(run_name(id));
        if let Ok(lines) = UnixStream::connect(run.join(shim::SOCKET)).and_then(Lines::new) {
            self.found(id.clone(), lines);
            return true;
        }
        let locked = shim::is_locked(&run).unwrap_or(false);
        if !locked {
            self.run_is_over(id);
        } else if let Some(engine) = self.engines.each.get_mut(id) {
            engine.keeper.not_started(boot());
            engine.waits = Some("an earlier run is not over".to_owned());
        }
        locked
    }

    /// What an engine is launched with, if all of it is there.
    fn launch_of(&mut self, id: &EngineId, realm: &Realm, wanted: &WantedEngine) -> Result<Launch, String> {
        let specification = self.node.sets.specification(wanted.demand.specification);
        let specification: Specification = specification.cloned().ok_or("specification-missing")?;
        let volume = self.open_volume(id.0, &specification.volume).ok_or("no-volume")?;
        let realm_stands = self.observed.realms.get(&realm.name).is_some_and(|seen| seen.whole);
        if !realm_stands {
            return Err("no-realm".to_owned());
        }
        let image = self.image_of(id.0, &specification, wanted.demand.reloads)?;
        let home = volume.join("engines").join(id.1.as_str());
        for folder in [volume.join("engines"), home.clone()] {
            make_folder(&folder).map_err(|error| chain(&error))?;
        }
        let run = runs(&self.config).join(run_name(id));
        make_folder(&run).map_err(|error| chain(&error))?;
        Ok(Launch {
            key: key(wanted),
            uid: uid(id),
            namespace: self.config.namespace(&realm.name),
            image,
            data: home.join("data"),
            logs: home.join("logs"),
            run,
            cgroup: vec![self.config.cgroup.clone(), run_name(id)],
            specification,
        })
    }

    fn start_engine(&mut self, id: &EngineId, launch: &Launch) -> Result<(), String> {
        let (here, there) = UnixStream::pair().map_err(|error| chain(&error))?;
        let mut lines = Lines::new(here).map_err(|error| chain(&error))?;
        let there = Some(OwnedFd::from(there));
        let sent = self.services.send(&Service::Launcher, &StartShim {}, &[], there);
        sent.map_err(|error| if error == NotSent::Absent { NO_LAUNCHER.to_owned() } else { chain(&error) })?;
        self.steps.reach(Step::EngineAsked);
        lines.tell(launch);
        let key = Some(launch.key.clone());
        let shim = Shim { lines, key, report: None, since: boot(), told_to_end: false };
        self.engines.each.entry(id.clone()).or_default().shim = Some(shim);
        self.steps.reach(Step::EngineLaunched);
        Ok(())
    }

    fn hear_shims(&mut self) {
        let mut over = Vec::new();
        for (id, engine) in &mut self.engines.each {
            let Some(shim) = &mut engine.shim else { continue };
            for report in shim.lines.take::<Report>() {
                shim.key = Some(report.key.clone());
                engine.kept = Some(report.key.clone());
                shim.since = Duration::from_millis(report.since);
                engine.missing.clone_from(&report.missing);
                shim.report = Some(report);
            }
            shim.lines.flush();
            if shim.lines.is_over() {
                over.push(id.clone());
            }
        }
        for id in over {
            self.run_ended(&id);
        }
        for (_, lines) in &mut self.engines.strays {
            drop(lines.take::<Report>());
            lines.flush();
        }
        let ended: Vec<String> = self
            .engines
            .strays
            .iter()
            .filter(|(_, lines)| lines.is_over())
            .map(|(name, _)| name.clone())
            .collect();
        self.engines.strays.retain(|(_, lines)| !lines.is_over());
        for name in ended {
            self.remove_groups(&name);
        }
    }

    /// A shim has ended, and with it every process of the run.
    fn run_ended(&mut self, id: &EngineId) {
        let Some(engine) = self.engines.each.get_mut(id) else { return };
        let Some(mut shim) = engine.shim.take() else { return };
        if shim.key.is_none() {
            // It was ending when it was found, and told nobody any more.
            shim.report = shim::ended(&runs(&self.config).join(run_name(id)));
            shim.key = shim.report.as_ref().map(|report| report.key.clone());
            engine.kept.clone_from(&shim.key);
        }
        if let Some(why) = shim.report.as_ref().and_then(|report| report.refused.clone()) {
            engine.waits = Some(why);
            engine.keeper.not_started(boot());
            return;
        }
        let killed = Ending { exit: None, out_of_memory: false, hung: false, asked: shim.told_to_end };
        let ending = shim.report.and_then(|report| report.ending).unwrap_or(killed);
        engine.last = Some(ending);
        let rule = shim.key.and_then(|key| self.restart_rule(&key)).unwrap_or_default();
        if let Some(engine) = self.engines.each.get_mut(id) {
            engine.keeper.ended(&ending, rule, shim.since, boot());
        }
        self.remove_groups(&run_name(id));
        self.steps.reach(Step::EngineEnded);
    }

    /// What follows when a run ends, as long as what it runs is held.
    fn restart_rule(&self, key: &Key) -> Option<Restart> {
        self.node.sets.specification(key.specification).map(|specification| specification.restart)
    }

    /// Where an engine's tier has its volume, if that is open now: a mount of its own, never a plain folder.
    fn open_volume(&self, tier: TierId, name: &Name) -> Option<PathBuf> {
        let number = self.node.tenure.tier(tier)?.volumes.get(name)?.number;
        if !self.observed.volume_is_open(tier, number) {
            return None;
        }
        let above = self.config.volumes.as_ref()?.join(tier.to_string());
        let volume = above.join(name.as_str());
        let device =
            |path: &Path| fs::symlink_metadata(path).ok().filter(Metadata::is_dir).map(|found| found.dev());
        (device(&volume)? != device(&above)?).then_some(volume)
    }

    /// Nobody has the rights to start another one: see decision 51.
    pub(super) fn no_launcher(&self) -> Option<Warning> {
        (!self.services.is_running(&Service::Launcher)).then(|| Warning {
            code: NO_LAUNCHER.to_owned(),
            message:
                "the launcher ended: what runs goes on, and no engine is started before the supervisor is \
                      started anew, which ends none"
                    .to_owned(),
        })
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o711).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// As it is told to the tier.
const fn as_told(exit: Exit) -> EngineExit {
    match exit {
        Exit::Code(code) => EngineExit::Code(code),
        Exit::Signal(signal) => EngineExit::Signal(signal),
    }
}

/// What a phase is called.
const fn is_ready(phase: Phase) -> bool {
    matches!(phase, Phase::Running)
}
