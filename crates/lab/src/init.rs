//! Inside a node: the process that makes its namespaces, and the node's first process, which starts
//! what it is told to, reaps every orphan and ends with the lab.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Write as _};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use os::namespace::Namespace;
use os::poll::{Wanted, wait};
use os::signal::{self, Arrived, Signals};
use os::{child, link, mount, namespace, process};
use serde::{Deserialize, Serialize};

use crate::facility::{MEDIUM, is_facility};
use crate::failed::{Act, Failed};
use crate::line;
use crate::role::{Role, complain};

/// What the lab asks of a node's first process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Call {
    /// Start the supervisor; with `again`, anew (without `further`) whenever a signal ends it.
    Supervise { program: PathBuf, log: PathBuf, base: Vec<String>, further: Vec<String>, again: bool },
    /// Kill the supervisor.
    Kill,
    /// Start an engine that connects to `socket`.
    Engine { namespace: PathBuf, socket: PathBuf },
}

/// What a node's first process tells the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    /// The first process has this id outside.
    Powered { id: u32 },
    /// It takes calls.
    Ready,
    /// A supervisor runs; its id within the node.
    Started { id: u32 },
    /// A supervisor ended.
    Ended { id: u32, how: String },
    /// An engine was started.
    EngineStarted,
}

/// Makes a node's namespaces, starts its first process in them and waits for its end.
pub(crate) fn run_node(arguments: &[String]) -> Result<(), Failed> {
    let act = || "make a node's namespaces".to_owned();
    let [path, name, folder] = arguments else {
        return Err(Failed::new(act(), "three arguments are wanted"));
    };
    signal::unblock().act(act)?;
    process::new_session().act(act)?;
    Namespace::open(path.as_ref()).and_then(|namespace| namespace.enter()).act(act)?;
    namespace::unshare_machine().act(act)?;
    let_go_of_others(Path::new(folder)).act(act)?;
    process::set_host_name(name).act(act)?;
    let mut first = Role::Init.command().spawn().act(act)?;
    line::send(io::stdout(), &Event::Powered { id: first.id() }).act(act)?;
    first.wait().act(act)?;
    Ok(())
}

/// Unmounts what is other facilities' and other nodes': a copy of a mount keeps it, and all that is pinned or open
/// in it, for as long as this node runs. Where mounts are shared, those who have them unmount the copies, too.
fn let_go_of_others(own: &Path) -> Result<(), os::Failed> {
    let places = [std::env::temp_dir(), PathBuf::from(MEDIUM)];
    let is_in_a_facility = |target: &Path| {
        let below = places.iter().find_map(|place| target.strip_prefix(place).ok());
        below.and_then(|below| below.components().next()).is_some_and(|first| is_facility(first.as_os_str()))
    };
    for target in mount::targets()?.iter().rev() {
        if is_in_a_facility(target) && !target.starts_with(own) && !mount::is_shared(target)? {
            let unmounted = mount::unmount(target);
            // Where its facility was quicker, it is gone from here, too.
            if mount::is_mounted(target)? {
                unmounted?;
            }
        }
    }
    Ok(())
}

/// The node's first process.
pub(crate) fn run_init(_arguments: &[String]) -> Result<(), Failed> {
    let act = || "run a node's first process".to_owned();
    let signals = Signals::open().act(act)?;
    mount::own_proc().act(act)?;
    link::Links::open().and_then(|mut links| links.set_up("lo")).act(act)?;
    let mut first = First { supervisor: None };
    line::send(io::stdout(), &Event::Ready).act(act)?;
    let stdin = io::stdin().as_fd().try_clone_to_owned().act(act)?;
    let mut calls = BufReader::new(File::from(stdin));
    loop {
        let ready = wait(&[(calls.get_ref().as_fd(), Wanted::READ), (signals.as_fd(), Wanted::READ)], None);
        let ready = ready.act(act)?;
        if ready.first() == Some(&true) {
            // The end of the stream is the end of the lab, and so of the node.
            if !first.take_calls(&mut calls)? {
                return Ok(());
            }
        }
        while let Some(arrived) = signals.next().act(act)? {
            match arrived {
                Arrived::Child => first.reap()?,
                Arrived::Terminate | Arrived::Interrupt | Arrived::HangUp => (),
            }
        }
    }
}

struct First {
    supervisor: Option<Supervisor>,
}

struct Supervisor {
    id: u32,
    program: PathBuf,
    log: PathBuf,
    arguments: Vec<String>,
    again: bool,
}

impl Supervisor {
    fn log(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(&self.log)
    }

    /// One that a signal ends says nothing itself.
    fn note_end(&self, how: &str) -> Result<(), Failed> {
        let line = format!("lab: supervisor {} ended with {how}\n", self.id);
        self.log().and_then(|mut log| log.write_all(line.as_bytes())).act(|| "note an end".to_owned())
    }
}

impl First {
    /// Takes all calls that have come; `false` at the end of the stream.
    fn take_calls(&mut self, calls: &mut BufReader<File>) -> Result<bool, Failed> {
        let act = || "take a call".to_owned();
        loop {
            let Some(call) = line::receive(calls).act(act)? else { return Ok(false) };
            self.take(call)?;
            if calls.buffer().is_empty() {
                return Ok(true);
            }
        }
    }

    fn take(&mut self, call: Call) -> Result<(), Failed> {
        match call {
            Call::Supervise { program, log, base, further, again } => {
                let supervisor = Supervisor { id: 0, program, log, arguments: base, again };
                self.start(supervisor, &further)
            }
            Call::Kill => match &self.supervisor {
                Some(supervisor) => process::Process::open(supervisor.id)
                    .and_then(|process| process.kill())
                    .act(|| "kill the supervisor".to_owned()),
                None => tell(&Event::Ended { id: 0, how: "none runs".to_owned() }),
            },
            Call::Engine { namespace, socket } => {
                let mut engine = Role::Engine.command();
                engine.arg(namespace).arg(socket).stdin(Stdio::null()).stdout(Stdio::null());
                // Reaped with all others, by its id.
                drop(engine.spawn().act(|| "start an engine".to_owned())?);
                tell(&Event::EngineStarted)
            }
        }
    }

    fn start(&mut self, mut supervisor: Supervisor, further: &[String]) -> Result<(), Failed> {
        let act = || "start the supervisor".to_owned();
        let log = || supervisor.log();
        let child = Command::new(&supervisor.program)
            .args(&supervisor.arguments)
            .args(further)
            .stdin(Stdio::null())
            .stdout(log().act(act)?)
            .stderr(log().act(act)?)
            .spawn()
            .act(act)?;
        supervisor.id = child.id();
        tell(&Event::Started { id: supervisor.id })?;
        self.supervisor = Some(supervisor);
        Ok(())
    }

    fn reap(&mut self) -> Result<(), Failed> {
        while let Some((id, status)) = process::reap().act(|| "reap".to_owned())? {
            if self.supervisor.as_ref().is_none_or(|supervisor| supervisor.id != id) {
                continue;
            }
            let ended = self.supervisor.take();
            if let Some(supervisor) = &ended {
                // A full disk takes the note, not the node.
                supervisor.note_end(&child::ending(status)).unwrap_or_else(|failed| complain(&failed));
            }
            tell(&Event::Ended { id, how: child::ending(status) })?;
            if let Some(supervisor) = ended.filter(|ended| ended.again && status.signal().is_some()) {
                self.start(supervisor, &[])?;
            }
        }
        Ok(())
    }
}

fn tell(event: &Event) -> Result<(), Failed> {
    line::send(io::stdout(), event).act(|| "tell the lab".to_owned())
}
