//! The error of every facility here: the act that failed, and the kernel's reason.

use std::io;

/// An act that the kernel refused, with its object, as in `create bridge "br0"`.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act}")]
pub struct Failed {
    act: String,
    source: io::Error,
}

impl Failed {
    /// `act` in the infinitive, with its object.
    pub fn new(act: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self { act: act.into(), source: source.into() }
    }

    /// What the kernel said, for callers that tell "not there" from "not allowed".
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Whether the object of the act was already there.
    #[must_use]
    pub fn already_exists(&self) -> bool {
        self.kind() == io::ErrorKind::AlreadyExists
    }

    /// Whether the object of the act is not there.
    #[must_use]
    pub fn not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound || self.source.raw_os_error() == Some(libc::ENODEV)
    }
}

/// Names the act of a result; used where a call can fail.
pub(crate) trait Act<T> {
    fn act(self, act: impl FnOnce() -> String) -> Result<T, Failed>;
}

impl<T, E: Into<io::Error>> Act<T> for Result<T, E> {
    fn act(self, act: impl FnOnce() -> String) -> Result<T, Failed> {
        self.map_err(|source| Failed::new(act(), source))
    }
}
