//! Why a console does not start, or not go on.

use std::path::Path;

use thiserror::Error;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What failed, and why.
#[derive(Debug, Error)]
pub enum Failed {
    /// A file of the folder is not there.
    #[error("{file}: no such file")]
    Missing {
        /// Which.
        file: String,
        /// What to do.
        hint: &'static str,
    },
    /// A file of the folder is not what it should be; a person can put it right.
    #[error("{file}: {why}")]
    Folder {
        /// Which.
        file: String,
        /// What is wrong.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// Something was done and failed.
    #[error("could not {act}")]
    Act {
        /// What.
        act: String,
        /// Why.
        #[source]
        source: Source,
    },
}

impl Failed {
    pub(crate) fn act(act: impl Into<String>, source: impl Into<Source>) -> Self {
        Self::Act { act: act.into(), source: source.into() }
    }

    pub(crate) fn folder(file: &Path, why: impl Into<String>, hint: &'static str) -> Self {
        Self::Folder { file: file.display().to_string(), why: why.into(), hint }
    }

    pub(crate) fn missing(file: &Path, hint: &'static str) -> Self {
        Self::Missing { file: file.display().to_string(), hint }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Folder { hint, .. } | Self::Missing { hint, .. } => Some(hint),
            Self::Act { .. } => None,
        }
    }
}
