//! How a command ends: the exit codes of FORMATS.md, and `error:` with its `hint:` on stderr.

use std::process::ExitCode;

/// An exit code of FORMATS.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    Refused = 3,
    NotAuthenticated = 4,
    NotFound = 5,
    Stale = 6,
    TimedOut = 7,
    Changes = 10,
}

impl Exit {
    /// The one of that number; any other is a failure.
    pub(crate) fn of(number: u8) -> Self {
        let all = [
            Self::Ok,
            Self::Failed,
            Self::Usage,
            Self::Refused,
            Self::NotAuthenticated,
            Self::NotFound,
            Self::Stale,
            Self::TimedOut,
            Self::Changes,
        ];
        all.into_iter().find(|exit| *exit as u8 == number).unwrap_or(Self::Failed)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that did not do what it was asked for: each thing that is wrong, with its hint.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    errors: Vec<(String, Option<String>)>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<String>) -> Self {
        Self { exit, errors: vec![(error.into(), None)] }
    }

    /// Several faults found at once; none leaves a failure without words.
    pub(crate) fn several(exit: Exit, errors: Vec<(String, Option<String>)>) -> Self {
        Self { exit, errors }
    }

    /// The hint for the (last) error.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some((_, last)) = self.errors.last_mut() {
            *last = Some(hint.into());
        }
        self
    }

    /// The code that it ends with.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// Prints `error: …` and `hint: …` on stderr; gives the exit code.
    #[expect(clippy::print_stderr, reason = "this is where a command speaks to the person")]
    pub(crate) fn report(&self) -> ExitCode {
        for (error, hint) in &self.errors {
            eprintln!("error: {error}");
            if let Some(hint) = hint {
                eprintln!("hint: {hint}");
            }
        }
        self.exit.into()
    }
}
