//! What a program that uses a lab may be started as: itself, or one of the lab's processes.

use std::ffi::OsStr;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::failed::Failed;
use crate::{console, engine, guard, init};

/// One of the lab's processes: the running program, started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Takes away what a facility leaves.
    Guard,
    /// Makes a node's namespaces, then waits for its first process.
    Node,
    /// A node's first process.
    Init,
    /// A process in a realm that talks to the network when told to.
    Engine,
    /// Enters a network namespace and becomes another program.
    Enter,
}

const ALL: [Role; 5] = [Role::Guard, Role::Node, Role::Init, Role::Engine, Role::Enter];

impl Role {
    const fn word(self) -> &'static str {
        match self {
            Self::Guard => "lab:guard",
            Self::Node => "lab:node",
            Self::Init => "lab:init",
            Self::Engine => "lab:engine",
            Self::Enter => "lab:enter",
        }
    }

    /// The running program, to be started in this role.
    pub(crate) fn command(self) -> Command {
        let mut command = Command::new("/proc/self/exe");
        command.arg0(self.word()).arg(self.word());
        command
    }
}

/// Acts as one of the lab's processes if this process was started as one; else gives nothing, and
/// the program goes on as itself. To be called first in `main`, while there is one thread.
#[must_use]
pub fn serve() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let word = arguments.next()?;
    let role = ALL.into_iter().find(|role| OsStr::new(role.word()) == word)?;
    let rest: Vec<_> = arguments.filter_map(|argument| argument.into_string().ok()).collect();
    let ended = match role {
        Role::Guard => guard::undo::run(),
        Role::Node => init::run_node(&rest),
        Role::Init => init::run_init(&rest),
        Role::Engine => engine::run(&rest),
        Role::Enter => console::enter(&rest),
    };
    Some(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            complain(&failed);
            ExitCode::FAILURE
        }
    })
}

/// Shows what explains a failure: on stderr, if that takes it. Whoever shows it may be panicking already.
pub(crate) fn show(what: &str, text: &str) {
    let told = format!("lab: {what}:\n{text}\nlab: end of {what}\n");
    io::stderr().lock().write_all(told.as_bytes()).unwrap_or_default();
}

/// Tells the person: on stderr, which the lab's processes share with the program.
#[expect(clippy::print_stderr, reason = "a process of the lab has no other way to be heard")]
pub(crate) fn complain(failed: &Failed) {
    eprintln!("lab: {}", failed.told());
}
