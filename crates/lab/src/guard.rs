//! The guard, seen from the program: what is recorded with it goes when the program ends.

pub(crate) mod undo;

use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use serde::{Deserialize, Serialize};

use crate::failed::{Act, Failed};
use crate::line;
use crate::role::{Role, complain};

/// Something that a facility is about to make, and that the guard shall take away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Thing {
    /// A folder with all that is in it and mounted under it.
    Folder(PathBuf),
    /// A mount.
    Mount(PathBuf),
    /// The named network namespaces in `folder` whose names are `prefix` or begin with `prefix-`, and
    /// every process that lives in one of them.
    Names {
        /// Where they are named.
        folder: PathBuf,
        /// What their names begin with.
        prefix: String,
    },
    /// The folder where namespaces are named, as far as facilities made it and none names anything there by then.
    NamesFolder(PathBuf),
    /// The control groups of that name at the root of each hierarchy, with all in them and their processes.
    ControlGroups(String),
}

/// The process that takes away what a facility leaves.
///
/// It is told by the end of a pipe, which the kernel closes however this program ends.
#[derive(Debug)]
pub struct Guard(Handle);

/// A guard as those know it who make things later, while others hold the guard itself.
#[derive(Debug, Clone)]
pub(crate) struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    running: Mutex<Option<(Child, ChildStdin)>>,
    /// Held by whoever makes something: nothing is taken away before it is there.
    makers: RwLock<()>,
}

/// While it lives, the guard takes nothing away.
pub type Making<'a> = RwLockReadGuard<'a, ()>;

impl Guard {
    /// Starts the guard.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start() -> Result<Self, Failed> {
        let act = || "start the guard".to_owned();
        // It keeps the program's stdout and stderr: who reads those to their end waits for the guard, too.
        let mut child = Role::Guard.command().stdin(Stdio::piped()).spawn().act(act)?;
        let pipe = child.stdin.take().ok_or("it has no stdin").act(act)?;
        let shared = Shared { running: Mutex::new(Some((child, pipe))), makers: RwLock::default() };
        Ok(Self(Handle(Arc::new(shared))))
    }

    pub(crate) fn handle(&self) -> Handle {
        self.0.clone()
    }

    /// Records a thing. To be called *before* it is made.
    ///
    /// # Errors
    /// When the guard is gone: then nothing may be made.
    pub fn record(&self, thing: &Thing) -> Result<(), Failed> {
        self.0.record(thing)
    }

    /// Keeps the guard from taking anything away while things are made: another thread may end the facility
    /// in the middle of that. Not to be asked for twice by one thread.
    ///
    /// # Errors
    /// When the guard is gone: then nothing may be made.
    pub fn making(&self) -> Result<Making<'_>, Failed> {
        self.0.making()
    }

    /// Lets the guard take everything away, and waits for it; and for what is being made just now.
    ///
    /// # Errors
    /// When something could not be taken away; the guard has said what on stderr.
    pub fn finish(&self) -> Result<(), Failed> {
        let Handle(shared) = &self.0;
        let _nobody_makes = shared.makers.write().unwrap_or_else(PoisonError::into_inner);
        let running = shared.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((mut child, pipe)) = running else { return Ok(()) };
        drop(pipe);
        let act = || "clean up after the facility".to_owned();
        let status = child.wait().act(act)?;
        if status.success() {
            Ok(())
        } else {
            Err(Failed::new(act(), format!("the guard ended with {status}")))
        }
    }
}

impl Handle {
    /// [`Guard::record`].
    pub(crate) fn record(&self, thing: &Thing) -> Result<(), Failed> {
        let mut running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        let act = || "tell the guard".to_owned();
        let (_child, pipe) = running.as_mut().ok_or("it has ended").act(act)?;
        line::send(pipe, thing).act(act)
    }

    /// [`Guard::making`].
    pub(crate) fn making(&self) -> Result<Making<'_>, Failed> {
        let making = self.0.makers.read().unwrap_or_else(PoisonError::into_inner);
        let runs = self.0.running.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if runs { Ok(making) } else { Err(Failed::new("make something", "the facility has ended")) }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Err(failed) = self.finish() {
            complain(&failed);
        }
    }
}
