//! A node of a facility, and what the lab asks of it.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::failed::{Act, Failed};
use crate::host::Host;
use crate::init::{Call, Event};
use crate::machine::Machine;

/// How long any step inside a node may take before the lab gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How a supervisor ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Its process id within the node.
    pub id: u32,
    /// In words: `signal 9`, `exit code 1`.
    pub how: String,
}

/// A node: a place for a machine, which is there while it has power.
#[derive(Debug)]
pub struct Node {
    name: String,
    folder: PathBuf,
    bmonitor: Option<PathBuf>,
    slot: Slot,
}

/// Where a node's machine is, while it has power. Whoever has the node shares it with the power port.
pub(crate) type Slot = Arc<Mutex<Power>>;

/// A node's power, and what it does by itself when that comes back.
#[derive(Debug, Default)]
pub(crate) struct Power {
    machine: Option<Machine>,
    /// What its first process was told to start: a machine that is turned on starts it again.
    boots: Option<Call>,
}

impl Power {
    pub(crate) const fn is_on(&self) -> bool {
        self.machine.is_some()
    }

    /// Turns the machine on: its first process runs in the network namespace named `path`.
    pub(crate) fn on(&mut self, name: &str, path: &Path, folder: &Path) -> Result<(), Failed> {
        self.machine = Some(Machine::start(name, path, folder)?);
        Ok(())
    }

    /// Starts what ran before the power went, as a machine does that is turned on.
    pub(crate) fn boot(&mut self) -> Result<(), Failed> {
        let (Some(machine), Some(call)) = (&mut self.machine, &self.boots) else { return Ok(()) };
        machine.tell_first(call)?;
        machine.expect("start the supervisor", started).map(drop)
    }

    /// Takes the power away: every process of the node is dead when this returns.
    pub(crate) fn off(&mut self) -> Result<(), Failed> {
        self.machine.take().map_or(Ok(()), Machine::end)
    }

    fn machine(&mut self) -> Result<&mut Machine, Failed> {
        self.machine
            .as_mut()
            .ok_or_else(|| Failed::new("ask a node's first process", "the node has no power"))
    }
}

impl Node {
    /// A node without power yet.
    pub(crate) fn new(name: &str, folder: &Path, bmonitor: Option<&Path>) -> Self {
        Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            bmonitor: bmonitor.map(Path::to_owned),
            slot: Slot::default(),
        }
    }

    /// What it shares with the power port.
    pub(crate) fn slot(&self) -> Slot {
        Arc::clone(&self.slot)
    }

    fn power(&self) -> MutexGuard<'_, Power> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `bmonitor` program that it runs.
    pub(crate) fn bmonitor_path(&self) -> Option<&Path> {
        self.bmonitor.as_deref()
    }

    /// Whether it has power.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.power().is_on()
    }

    /// The id of its first process, as the lab's machine counts; 0 without power.
    #[must_use]
    pub fn first_process(&self) -> u32 {
        self.power().machine.as_ref().map_or(0, Machine::first_process)
    }

    /// Its processes: the first argument of each, which names its role, and its id as the machine counts.
    ///
    /// # Errors
    /// When it has no power.
    pub fn processes(&self) -> Result<Vec<(String, u32)>, Failed> {
        let act = || format!("look who runs on {:?}", self.name);
        let namespace = |id: u32| std::fs::read_link(format!("/proc/{id}/ns/pid"));
        let own = namespace(self.first_process()).act(act)?;
        let entries = std::fs::read_dir("/proc").act(act)?;
        let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let process = |id: u32| {
            // Who ends meanwhile does not run.
            let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
            let word = line.split(|byte| *byte == 0).nth(1)?;
            Some((String::from_utf8_lossy(word).into_owned(), id))
        };
        Ok(ids.filter(|id| namespace(*id).is_ok_and(|its| its == own)).filter_map(process).collect())
    }

    /// Its folder, with its configuration, state, pins and the supervisor's output.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where its bpffs is mounted.
    #[must_use]
    pub fn pins(&self) -> PathBuf {
        Self::pins_in(&self.folder)
    }

    /// Where its supervisor listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("run/bmonitor.sock")
    }

    /// Its configuration folder.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        Self::configuration_in(&self.folder)
    }

    /// What its supervisors wrote to stdout and stderr.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("supervisor.log")).unwrap_or_default()
    }

    /// Whether a supervisor was ever started.
    #[must_use]
    pub fn was_started(&self) -> bool {
        self.folder.join("supervisor.log").exists()
    }

    pub(crate) fn configuration_in(folder: &Path) -> PathBuf {
        folder.join("etc")
    }

    pub(crate) fn pins_in(folder: &Path) -> PathBuf {
        folder.join("bpf")
    }

    /// Starts the supervisor, with further arguments. With `again`, the first process starts it anew,
    /// without them, each time a signal ends it.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_supervisor(&mut self, further: &[&str], again: bool) -> Result<u32, Failed> {
        let program = self.bmonitor.clone().ok_or("the plan has none").act(|| "start bmonitor".to_owned())?;
        let folder = self.configuration().display().to_string();
        let base = ["supervisor", "--config", &folder].map(str::to_owned);
        let supervise = |further: &[&str]| Call::Supervise {
            program: program.clone(),
            log: self.folder.join("supervisor.log"),
            base: base.to_vec(),
            further: further.iter().map(|&argument| argument.to_owned()).collect(),
            again,
        };
        let mut power = self.power();
        power.boots = Some(supervise(&[]));
        let machine = power.machine()?;
        machine.tell_first(&supervise(further))?;
        machine.expect("start the supervisor", started)
    }

    /// Kills the supervisor, and waits until it is dead.
    ///
    /// # Errors
    /// When none runs.
    pub fn kill_supervisor(&mut self) -> Result<Ending, Failed> {
        let mut power = self.power();
        let machine = power.machine()?;
        machine.forget_endings();
        machine.tell_first(&Call::Kill)?;
        machine.supervisor_ended(PATIENCE)
    }

    /// Waits until a supervisor has ended.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub fn supervisor_ended(&mut self, patience: Duration) -> Result<Ending, Failed> {
        self.power().machine()?.supervisor_ended(patience)
    }

    /// Starts an engine in the network namespace named `path`: a process of this node that listens
    /// and talks when told to.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_engine(&mut self, name: &str, path: &Path) -> Result<Host, Failed> {
        let act = || format!("start the engine {name:?} on {:?}", self.name);
        let socket = self.folder.join(format!("{name}.sock"));
        let listener = UnixListener::bind(&socket).act(act)?;
        {
            let mut power = self.power();
            let machine = power.machine()?;
            machine.tell_first(&Call::Engine { namespace: path.to_owned(), socket: socket.clone() })?;
            machine.expect("start an engine", |event| (*event == Event::EngineStarted).then_some(()))?;
        }
        Host::accept(name, &listener, &socket)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(failed) = self.power().off() {
            crate::role::complain(&failed);
        }
    }
}

const fn started(event: &Event) -> Option<u32> {
    match event {
        Event::Started { id } => Some(*id),
        Event::Powered { .. } | Event::Ready | Event::Ended { .. } | Event::EngineStarted => None,
    }
}
