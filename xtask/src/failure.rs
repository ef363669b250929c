//! What can go wrong in a chore: each variant names the act and its object.

use std::io;
use std::path::PathBuf;

/// A chore that did not get done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A program could not be started at all.
    #[error("cannot start {program}")]
    Start {
        /// The program's name.
        program: String,
        /// Why the kernel refused.
        #[source]
        source: io::Error,
    },
    /// A program ran and said no.
    #[error("{command} ended with {status}")]
    Ended {
        /// The command line.
        command: String,
        /// Its exit status, in words.
        status: String,
    },
    /// A file could not be read or written.
    #[error("cannot {act} {}", path.display())]
    File {
        /// `read`, `write`, `create` …
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A committed file or a tool's output is not what it should be.
    #[error("{what} is not in the expected form: {reason}")]
    Form {
        /// The file or output.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A check found something; each finding is one line.
    #[error("{}", .0.join("\n"))]
    Found(Vec<String>),
}

impl Failure {
    /// For `map_err` on file operations.
    pub(crate) fn file(act: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { act, path, source }
    }

    /// `Ok` when nothing was found.
    pub(crate) fn unless_empty(findings: Vec<String>) -> Result<(), Self> {
        if findings.is_empty() { Ok(()) } else { Err(Self::Found(findings)) }
    }

    /// The message with all its causes, one a line.
    pub(crate) fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
