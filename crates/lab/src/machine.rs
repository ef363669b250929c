//! A node's machine while it has power: its first process, and what that says.

use std::io::BufReader;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use os::process::Process;

use crate::failed::{Act, Failed};
use crate::init::{Call, Event};
use crate::line;
use crate::node::{Ending, PATIENCE};
use crate::role::Role;

/// A machine that runs.
#[derive(Debug)]
pub(crate) struct Machine {
    name: String,
    outer: Child,
    first: Process,
    first_id: u32,
    calls: ChildStdin,
    events: Receiver<Event>,
    /// Supervisor endings that were read while something else was awaited.
    endings: Vec<Ending>,
}

impl Machine {
    /// Starts a node's first process in the network namespace named `path`.
    pub(crate) fn start(name: &str, path: &Path, folder: &Path) -> Result<Self, Failed> {
        let act = || format!("power the node {name:?} on");
        let mut outer = Role::Node
            .command()
            .args([path.as_os_str(), name.as_ref(), folder.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .act(act)?;
        let calls = outer.stdin.take().ok_or("it has no stdin").act(act)?;
        let events = listen(outer.stdout.take().ok_or("it has no stdout").act(act)?);
        let first_id = powered(&events).act(act)?;
        let first = Process::open(first_id).act(act)?;
        Ok(Self { name: name.to_owned(), outer, first, first_id, calls, events, endings: Vec::new() })
    }

    /// The id of the first process, as the lab's machine counts.
    pub(crate) const fn first_process(&self) -> u32 {
        self.first_id
    }

    /// Kills the first process and thereby every process of the node.
    pub(crate) fn end(mut self) -> Result<(), Failed> {
        let act = || format!("power the node {:?} off", self.name);
        self.first.kill().act(act)?;
        self.outer.wait().act(act)?;
        Ok(())
    }

    pub(crate) fn tell_first(&mut self, call: &Call) -> Result<(), Failed> {
        line::send(&mut self.calls, call).act(|| format!("call the node {:?}", self.name))
    }

    pub(crate) fn forget_endings(&mut self) {
        self.endings.clear();
    }

    /// Waits until a supervisor has ended.
    pub(crate) fn supervisor_ended(&mut self, patience: Duration) -> Result<Ending, Failed> {
        if !self.endings.is_empty() {
            return Ok(self.endings.remove(0));
        }
        self.expect_within("see its supervisor end", patience, |event| match event {
            Event::Ended { id, how } => Some(Ending { id: *id, how: how.clone() }),
            Event::Powered { .. } | Event::Ready | Event::Started { .. } | Event::EngineStarted => None,
        })
    }

    pub(crate) fn expect<T>(&mut self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> Result<T, Failed> {
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
