//! What can go wrong between the loader and the kernel.

use std::io;
use std::path::PathBuf;

/// An act on the filter that failed, with its object. The filter stays as it was, or closed.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The program or its maps could not be made.
    #[error("cannot load the filter program")]
    Load(#[source] Box<aya::EbpfError>),
    /// The kernel refused the program, or it cannot be read back.
    #[error("cannot {act} the filter program")]
    Program {
        /// `load`, `pin`, `look at`.
        act: &'static str,
        /// The kernel's reason; for a refusal with the verifier's log.
        #[source]
        source: Box<aya::programs::ProgramError>,
    },
    /// A map could not be read or written.
    #[error("cannot {act} the filter's map `{map}`")]
    Map {
        /// The act.
        act: &'static str,
        /// The map's name.
        map: &'static str,
        /// The kernel's reason.
        #[source]
        source: Box<aya::maps::MapError>,
    },
    /// An object could not be pinned.
    #[error("cannot pin {path}")]
    Pin {
        /// The pin.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: Box<aya::pin::PinError>,
    },
    /// The pin folder could not be made, read or removed.
    #[error("cannot {act} the pin folder {path}")]
    Folder {
        /// The act.
        act: &'static str,
        /// The folder.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// What is pinned is not what this program would load.
    #[error("what is pinned in {path} is no whole filter: {what}")]
    NotWhole {
        /// The folder.
        path: PathBuf,
        /// What is missing or differs.
        what: String,
    },
    /// The link's hooks could not be read or changed.
    #[error(transparent)]
    Link(#[from] os::Failed),
    /// Other filters sit on the link; one before ours could let anything through.
    #[error("the link {link:?} carries filters that are not ours")]
    Foreign {
        /// The link.
        link: String,
    },
    /// Generations only grow: a flow admitted under a number must never meet another policy with it.
    #[error("generation {asked} is not after the live one, {live}")]
    Stale {
        /// The live generation.
        live: u64,
        /// The one asked for.
        asked: u64,
    },
    /// A setting is out of its range.
    #[error("{what} must be {range}, not {value}")]
    Setting {
        /// The setting.
        what: &'static str,
        /// The range in words.
        range: &'static str,
        /// What was asked for.
        value: u32,
    },
}

impl FilterError {
    pub(crate) fn map(act: &'static str, map: &'static str) -> impl FnOnce(aya::maps::MapError) -> Self {
        move |source| Self::Map { act, map, source: Box::new(source) }
    }

    pub(crate) fn program(act: &'static str) -> impl FnOnce(aya::programs::ProgramError) -> Self {
        move |source| Self::Program { act, source: Box::new(source) }
    }
}
