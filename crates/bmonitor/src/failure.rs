//! How a command ends: the exit codes of FORMATS.md, and `error:` with its `hint:` on stderr.

use std::error::Error;
use std::fmt::Write;
use std::process::ExitCode;

/// The table that `--help` shows.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 ok, 1 failed, 2 usage, 3 refused by a rule or a higher tier, \
4 not authenticated, 5 not found, 6 stale, 7 timed out";

/// An exit code of FORMATS.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    Refused = 3,
    NotAuthenticated = 4,
    NotFound = 5,
    Stale = 6,
    TimedOut = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<String>) -> Self {
        Self { exit, error: error.into(), hint: None }
    }

    /// What was being done, and why it did not work.
    pub(crate) fn because(act: impl Into<String>, cause: &dyn Error) -> Self {
        Self::new(Exit::Failed, format!("{}: {}", act.into(), chain(cause)))
    }

    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints `error: …` and `hint: …` on stderr; gives the exit code.
    #[expect(clippy::print_stderr, reason = "this is where a command speaks to the person")]
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("error: {}", self.error);
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
        self.exit.into()
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, ": {error}").unwrap_or_default();
        cause = error.source();
    }
    text
}
