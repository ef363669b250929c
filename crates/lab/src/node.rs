//! A node of a facility: its first process, and what the lab asks of it.

use std::io::BufReader;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use os::process::Process;

use crate::failed::{Act, Failed};
use crate::host::Host;
use crate::init::{Call, Event};
use crate::line;
use crate::role::Role;

/// How long any step inside a node may take before the lab gives up on it.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a supervisor ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Its process id within the node.
    pub id: u32,
    /// In words: `signal 9`, `exit code 1`.
    pub how: String,
}

/// A node that has power.
#[derive(Debug)]
pub struct Node {
    name: String,
    folder: PathBuf,
    bmonitor: Option<PathBuf>,
    outer: Child,
    first: Process,
    first_id: u32,
    calls: ChildStdin,
    events: Receiver<Event>,
    /// Supervisor endings that were read while something else was awaited.
    endings: Vec<Ending>,
    powered: bool,
}

impl Node {
    /// Starts the node's first process in the network namespace named `path`.
    pub(crate) fn power_on(
        name: &str,
        path: &Path,
        folder: &Path,
        bmonitor: Option<&Path>,
    ) -> Result<Self, Failed> {
        let act = || format!("power the node {name:?} on");
        let mut outer = Role::Node
            .command()
            .args([path.as_os_str(), name.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .act(act)?;
        let calls = outer.stdin.take().ok_or("it has no stdin").act(act)?;
        let events = listen(outer.stdout.take().ok_or("it has no stdout").act(act)?);
        let first_id = powered(&events).act(act)?;
        let first = Process::open(first_id).act(act)?;
        Ok(Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            bmonitor: bmonitor.map(Path::to_owned),
            outer,
            first,
            first_id,
            calls,
            events,
            endings: Vec::new(),
            powered: true,
        })
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

    /// The id of its first process, as the machine counts.
    #[must_use]
    pub fn first_process(&self) -> u32 {
        self.first_id
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
        self.tell_first(&Call::Supervise {
            program,
            log: self.folder.join("supervisor.log"),
            base: base.to_vec(),
            further: further.iter().map(|&argument| argument.to_owned()).collect(),
            again,
        })?;
        self.expect("start the supervisor", |event| match event {
            Event::Started { id } => Some(*id),
            Event::Powered { .. } | Event::Ready | Event::Ended { .. } | Event::EngineStarted => None,
        })
    }

    /// Kills the supervisor, and waits until it is dead.
    ///
    /// # Errors
    /// When none runs.
    pub fn kill_supervisor(&mut self) -> Result<Ending, Failed> {
        self.endings.clear();
        self.tell_first(&Call::Kill)?;
        self.supervisor_ended(PATIENCE)
    }

    /// Waits until a supervisor has ended.
    ///
    /// # Errors
    /// When that takes longer than `patience`.
    pub fn supervisor_ended(&mut self, patience: Duration) -> Result<Ending, Failed> {
        if !self.endings.is_empty() {
            return Ok(self.endings.remove(0));
        }
        self.expect_within("see its supervisor end", patience, |event| match event {
            Event::Ended { id, how } => Some(Ending { id: *id, how: how.clone() }),
            Event::Powered { .. } | Event::Ready | Event::Started { .. } | Event::EngineStarted => None,
        })
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
        self.tell_first(&Call::Engine { namespace: path.to_owned(), socket: socket.clone() })?;
        self.expect("start an engine", |event| (*event == Event::EngineStarted).then_some(()))?;
        Host::accept(name, &listener, &socket)
    }

    /// Kills the first process and thereby every process of the node.
    pub(crate) fn power_off(&mut self) -> Result<(), Failed> {
        if !self.powered {
            return Ok(());
        }
        let act = || format!("power the node {:?} off", self.name);
        self.first.kill().act(act)?;
        self.outer.wait().act(act)?;
        self.powered = false;
        Ok(())
    }

    fn tell_first(&mut self, call: &Call) -> Result<(), Failed> {
        line::send(&mut self.calls, call).act(|| format!("call the node {:?}", self.name))
    }

    fn expect<T>(&mut self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> Result<T, Failed> {
        self.expect_within(what, PATIENCE, pick)
    }

    /// Reads events until one is picked; keeps endings of supervisors for [`Self::supervisor_ended`].
    fn expect_within<T>(
        &mut self,
        what: &str,
        patience: Duration,
        pick: impl Fn(&Event) -> Option<T>,
    ) -> Result<T, Failed> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event =
                self.events.recv_timeout(left).act(|| format!("{what} on the node {:?}", self.name))?;
            if let Some(picked) = pick(&event) {
                return Ok(picked);
            }
            if let Event::Ended { id, how } = event {
                self.endings.push(Ending { id, how });
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(failed) = self.power_off() {
            crate::role::complain(&failed);
        }
    }
}

/// Waits until the first process is known and takes calls: two processes say so, in any order.
fn powered(events: &Receiver<Event>) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    match (events.recv_timeout(PATIENCE)?, events.recv_timeout(PATIENCE)?) {
        (Event::Powered { id }, Event::Ready) | (Event::Ready, Event::Powered { id }) => Ok(id),
        (first, second) => Err(format!("it said {first:?}, {second:?}").into()),
    }
}

/// Reads a node's events on a thread that ends with the node.
fn listen(from: ChildStdout) -> Receiver<Event> {
    let (to, events) = mpsc::channel();
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        while let Ok(Some(event)) = line::receive(&mut from) {
            if to.send(event).is_err() {
                break;
            }
        }
    });
    events
}
