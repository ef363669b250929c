//! The shim: one process an engine, from the start of a run to its end. It makes the engine's world, starts it,
//! hears it, keeps its output, ends it; and tells how it is to whoever is connected. It outlives the supervisor
//! that had it started: a later one finds it by the socket in its run folder, and no second one runs there, for
//! the shim and the engine's first process hold the lock of that folder.
//!
//! ```text
//! supervisor ── Launch ──▶ shim ──fork──▶ init (confined) ── starts the engine, reaps, says how it ended
//!      ▲  │ Command         │  ▲ ▲              │
//!      │  ▼                 │  │ └── output ────┤ engine
//!      Report ◀─────────────┘  └──── notices ───┘
//! ```

mod control;
mod init;
mod output;

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use id::{Digest, Name};
use os::folder::Folder;
use os::namespace::Namespace;
use os::poll::{Wanted, wait};
use os::process::{Process, fork};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::control::Control;
pub use self::control::{LINE_BYTES_MAX, Lines};
use self::init::Said;
use self::output::Output;
use crate::cgroups::{Groups, Layout, NotLimited};
use crate::keeper::{Ending, Exit};
use crate::notice;
use crate::run::{Action, Event, Phase, Run, Terms};
use crate::sandbox::{self, NotConfined};
use crate::specification::Specification;

/// The socket in a run folder by which a shim is found again.
pub const SOCKET: &str = "control.sock";
/// What was known at the end of a run whose end nobody was there to hear.
pub const ENDED: &str = "ended.json";
const LOCK: &str = "lock";
/// How long an engine's world may take to stand.
const START_AT_MOST: Duration = Duration::from_secs(10);

/// Which run of an engine it is: what it was started for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The digest of the object that its specification is.
    pub specification: Digest,
    /// The restarts that were ordered until then.
    pub restarts: u64,
    /// The reloads that were ordered until then.
    pub reloads: u64,
}

/// What a shim is told first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// Which run it is.
    pub key: Key,
    /// What the engine is.
    pub specification: Specification,
    /// Its user on the node: no other engine's.
    pub uid: u32,
    /// The name of its realm's network namespace.
    pub namespace: PathBuf,
    /// Its unpacked image.
    pub image: PathBuf,
    /// Its data; made if it is not there.
    pub data: PathBuf,
    /// Its output; made if it is not there.
    pub logs: PathBuf,
    /// Its run folder, which is there.
    pub run: PathBuf,
    /// Its control groups, below the root of each hierarchy.
    pub cgroup: Vec<String>,
}

/// What a shim is told later, a line each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// End the engine: asked first, killed after its time.
    Stop,
    /// Kill it at once.
    Kill,
}

/// What a shim tells, a line for each change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The engine.
    pub engine: Name,
    /// Which run it is.
    pub key: Key,
    /// The shim's process id.
    pub shim: u32,
    /// Since when it runs: milliseconds since the machine's start.
    pub since: u64,
    /// What it is in.
    pub phase: Phase,
    /// What the engine says of itself.
    pub status: String,
    /// What this machine lacks to confine or limit it.
    pub missing: Vec<String>,
    /// How it ended, once it has.
    pub ending: Option<Ending>,
    /// Why it did not start.
    pub refused: Option<String>,
}

/// Why an engine was not started.
#[derive(Debug, Error)]
pub enum NotStarted {
    /// What the shim was told makes no sense.
    #[error("the shim was told nonsense")]
    Nonsense(#[source] io::Error),
    /// It runs already.
    #[error("the engine runs already")]
    Runs,
    /// A limit does not hold.
    #[error(transparent)]
    NotLimited(#[from] NotLimited),
    /// A step of its confinement failed.
    #[error(transparent)]
    NotConfined(#[from] NotConfined),
    /// Its realm's network is not there.
    #[error(transparent)]
    Kernel(#[from] os::Failed),
    /// Anything else that the kernel refused.
    #[error("cannot {act}")]
    Step {
        /// What was tried.
        act: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Its first process could not start it.
    #[error("{0}")]
    Inside(String),
}

fn step<T>(act: &'static str, done: io::Result<T>) -> Result<T, NotStarted> {
    done.map_err(|source| NotStarted::Step { act, source })
}

/// Runs a shim, which this process is: it has one thread and all the rights of a launcher. `narrow` takes its
/// rights away once the engine runs. `control` is the stream to whoever had it started.
///
/// # Errors
/// When the engine was not started, after that was told; or when the kernel does not let it wait.
pub fn run(control: UnixStream, narrow: impl FnOnce() -> io::Result<()>) -> Result<(), NotStarted> {
    let mut control = Control::new(control).map_err(NotStarted::Nonsense)?;
    let launch = control.launch(START_AT_MOST).map_err(NotStarted::Nonsense)?;
    match Shim::start(&launch) {
        Ok(mut shim) => {
            step("give up rights", narrow())?;
            step("wait", shim.attend(&mut control))
        }
        Err(error) => {
            control.tell(&Report { refused: Some(chain(&error)), ..blank(&launch) });
            control.flush(START_AT_MOST);
            Err(error)
        }
    }
}

fn blank(launch: &Launch) -> Report {
    Report {
        engine: launch.specification.engine.clone(),
        key: launch.key.clone(),
        shim: std::process::id(),
        since: u64::try_from(os::clock::boot().as_millis()).unwrap_or(u64::MAX),
        phase: Phase::Starting,
        status: String::new(),
        missing: Vec::new(),
        ending: None,
        refused: None,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

struct Shim {
    report: Report,
    run: Run,
    groups: Groups,
    folder: Folder,
    /// Held as long as any process of the run lives.
    _lock: File,
    listener: UnixListener,
    notices: UnixDatagram,
    output: Output,
    said: File,
    first: Process,
    exit: Option<Exit>,
}

impl Shim {
    fn start(launch: &Launch) -> Result<Self, NotStarted> {
        let lock = lock(&launch.run)?;
        let folder = step("open the run folder", Folder::open(&launch.run))?;
        step("forget an earlier run", folder.remove(SOCKET).and_then(|()| folder.remove(ENDED)))?;
        let layout = step("look at the control groups", Layout::of_this_machine())?;
        let path: Vec<&str> = launch.cgroup.iter().map(String::as_str).collect();
        let groups = layout.make(&path, &launch.specification.limits)?;
        Self::start_in(launch, lock, folder, groups, &layout)
    }

    fn start_in(
        launch: &Launch,
        lock: File,
        folder: Folder,
        groups: Groups,
        layout: &Layout,
    ) -> Result<Self, NotStarted> {
        make_folders(launch)?;
        let output = step("open the log", Output::open(&launch.logs))?;
        let listener = step("make the control socket", UnixListener::bind(launch.run.join(SOCKET)))?;
        step("open the control socket", listener.set_nonblocking(true))?;
        Namespace::open(&launch.namespace)?.enter()?;
        step("open low ports", sandbox::open_low_ports())?;
        sandbox::make_world(&launch.image, &launch.data, &launch.specification.limits)?;
        let notices = step("make the notice socket", notice_socket())?;
        let (write, read) = step("make the pipe for output", output::pipe())?;
        let output = output.reading(read);
        let (said, says) = step("make a stream to the engine's first process", UnixStream::pair())?;
        let child = step("make the engine's first process", fork())?;
        let Some(first) = child else {
            drop((groups, listener, notices, output, said, folder));
            init::run(launch, says, write, lock)
        };
        drop((says, write));
        let process = step("hold the engine's first process", Process::open(first))?;
        let mut shim = Self {
            report: blank(launch),
            run: Run::started(Terms::of(&launch.specification), os::clock::boot()),
            groups,
            folder,
            _lock: lock,
            listener,
            notices,
            output,
            said: File::from(std::os::fd::OwnedFd::from(said)),
            first: process,
            exit: None,
        };
        let begun = shim.begin(first);
        if let Err(error) = begun {
            // Nothing of it may go on.
            shim.first.kill().unwrap_or_default();
            shim.wait_for_the_end().unwrap_or_default();
            return Err(error);
        }
        shim.report.missing.extend(layout.missing().iter().map(ToString::to_string));
        shim.run = Run::started(Terms::of(&launch.specification), os::clock::boot());
        Ok(shim)
    }

    /// Puts the first process into the control groups, lets it go on, and hears whether the engine runs.
    fn begin(&mut self, first: u32) -> Result<(), NotStarted> {
        step("limit the engine", self.groups.take_in(first))?;
        step("let the engine's first process go on", init::let_go(&self.said))?;
        let deadline = os::clock::boot() + START_AT_MOST;
        match step("hear the engine's first process", init::hear(&mut self.said, deadline))? {
            Some(Said::Runs { missing }) => {
                self.report.missing = missing;
                Ok(())
            }
            Some(Said::Failed { why }) => Err(NotStarted::Inside(why)),
            Some(Said::Ended { .. }) | None => {
                Err(NotStarted::Inside("the engine's first process said nothing".to_owned()))
            }
        }
    }

    /// Attends to the engine until no process of it is left.
    fn attend(&mut self, control: &mut Control) -> io::Result<()> {
        self.tell(control);
        loop {
            self.wait(control)?;
            let now = os::clock::boot();
            let before = (self.run.phase(), self.run.status().to_owned());
            let mut actions = Vec::new();
            control.accept(&self.listener, || self.shown());
            for command in control.commands() {
                match command {
                    Command::Stop => {
                        self.report.ending = Some(Ending { asked: true, ..self.ending_so_far() });
                        actions.extend(self.run.take(Event::Asked, now));
                    }
                    Command::Kill => {
                        self.report.ending = Some(Ending { asked: true, ..self.ending_so_far() });
                        actions.push(Action::Kill);
                    }
                }
            }
            for said in self.notices() {
                actions.extend(self.run.take(Event::Said(said), now));
            }
            actions.extend(self.run.take(Event::Tick, now));
            self.output.take(now);
            for action in actions {
                self.act(action);
            }
            if before != (self.run.phase(), self.run.status().to_owned()) {
                self.tell(control);
            }
            if self.has_ended()? {
                self.wait_for_the_end()?;
                return self.finish(control, now);
            }
            control.flush(Duration::ZERO);
        }
    }

    fn wait(&self, control: &Control) -> io::Result<()> {
        let mut descriptors: Vec<(BorrowedFd<'_>, Wanted)> = vec![
            (self.first.ended(), Wanted::READ),
            (self.listener.as_fd(), Wanted::READ),
            (self.notices.as_fd(), Wanted::READ),
        ];
        descriptors.extend(self.output.descriptor().map(|pipe| (pipe, Wanted::READ)));
        descriptors.extend(control.descriptors());
        let at_most = self.run.due().map(|due| due.saturating_sub(os::clock::boot()));
        wait(&descriptors, at_most).map(drop)
    }

    fn notices(&self) -> Vec<notice::Notice> {
        let (mut said, mut datagram) = (Vec::new(), vec![0; notice::BYTES_MAX]);
        // As many as are dealt with in one turn; a flood waits in the socket, and fills it.
        for _ in 0..16 {
            match self.notices.recv(&mut datagram) {
                Ok(length) => said.extend(notice::parse(datagram.get(..length).unwrap_or_default())),
                Err(_) => break,
            }
        }
        said
    }

    fn act(&self, action: Action) {
        // Whoever has ended needs no signal; whoever cannot be signalled is tried again at the next tick.
        match action {
            Action::Terminate => self.first.terminate().unwrap_or_default(),
            Action::Kill => self.first.kill().unwrap_or_default(),
        }
    }

    fn has_ended(&self) -> io::Result<bool> {
        Ok(wait(&[(self.first.ended(), Wanted::READ)], Some(Duration::ZERO))? == [true])
    }

    /// Waits until the first process, and so every process of its list, is gone.
    fn wait_for_the_end(&mut self) -> io::Result<()> {
        while wait(&[(self.first.ended(), Wanted::READ)], None)? != [true] {}
        while os::process::reap()?.is_some() {}
        Ok(())
    }

    fn ending_so_far(&self) -> Ending {
        let none = Ending { exit: None, out_of_memory: false, hung: false, asked: false };
        self.report.ending.unwrap_or(none)
    }

    fn finish(&mut self, control: &mut Control, now: Duration) -> io::Result<()> {
        self.run.take(Event::Ended, now);
        // Whatever is left in the pipe was said before the end.
        self.output.take(now);
        self.output.end();
        if let Ok(Some(Said::Ended { exit })) = init::hear(&mut self.said, now) {
            self.exit = Some(exit);
        }
        let out_of_memory = self.groups.ran_out_of_memory().unwrap_or(false);
        let ending = Ending { exit: self.exit, out_of_memory, hung: self.run.hung(), ..self.ending_so_far() };
        self.report.ending = Some(ending);
        if self.groups.are_empty()? {
            self.groups.remove().unwrap_or_default();
        }
        let shown = self.shown();
        let text = serde_json::to_string(&shown).unwrap_or_default();
        // Whoever hears it now need not find it later; whoever is not there does.
        let written = self
            .folder
            .append(ENDED, 0o600)
            .and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()));
        written.unwrap_or_default();
        self.folder.remove(SOCKET).unwrap_or_default();
        control.tell(&shown);
        control.flush(START_AT_MOST);
        Ok(())
    }

    fn shown(&self) -> Report {
        Report { phase: self.run.phase(), status: self.run.status().to_owned(), ..self.report.clone() }
    }

    fn tell(&self, control: &mut Control) {
        control.tell(&self.shown());
    }
}

/// The lock of a run folder: one run at a time, whoever dies.
fn lock(run: &Path) -> Result<File, NotStarted> {
    let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(run.join(LOCK));
    let lock = step("open the lock", lock)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(NotStarted::Runs),
        Err(TryLockError::Error(source)) => Err(NotStarted::Step { act: "lock the run", source }),
    }
}

/// Whether a run holds the lock of a run folder.
///
/// # Errors
/// When the folder cannot be looked at.
pub fn is_locked(run: &Path) -> io::Result<bool> {
    let lock = match File::open(run.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        lock => lock?,
    };
    match lock.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What is known of a run that ended while nobody was connected.
#[must_use]
pub fn ended(run: &Path) -> Option<Report> {
    let mut text = Vec::new();
    File::open(run.join(ENDED)).ok()?.take(64 * 1024).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn make_folders(launch: &Launch) -> Result<(), NotStarted> {
    for (folder, owner) in [(&launch.data, launch.uid), (&launch.logs, 0)] {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return step("make the engine's folders", Err(error));
            }
            Ok(()) | Err(_) => {}
        }
        step("give the engine its folder", chown(folder, Some(owner), Some(owner)))?;
    }
    Ok(())
}

/// In the engine's world: what comes by it comes from this engine, whatever it says.
fn notice_socket() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::bind(sandbox::NOTIFY)?;
    fs::set_permissions(sandbox::NOTIFY, Permissions::from_mode(0o666))?;
    os::mount::close(Path::new("/run")).map_err(io::Error::other)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
