//! The one error of the lab: an act on a facility that failed, with its cause.

use std::error::Error;
use std::fmt;

/// An act that failed, as in `start the node "n1"`.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act}")]
pub struct Failed {
    act: String,
    source: Box<dyn Error + Send + Sync>,
}

impl Failed {
    /// `act` in the infinitive, with its object.
    pub fn new(act: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { act: act.into(), source: source.into() }
    }

    /// The whole chain of causes in one line.
    #[must_use]
    pub fn told(&self) -> String {
        Told(self).to_string()
    }
}

struct Told<'a>(&'a dyn Error);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Names the act of a result.
pub(crate) trait Act<T> {
    fn act(self, act: impl FnOnce() -> String) -> Result<T, Failed>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> Act<T> for Result<T, E> {
    fn act(self, act: impl FnOnce() -> String) -> Result<T, Failed> {
        self.map_err(|source| Failed::new(act(), source))
    }
}
