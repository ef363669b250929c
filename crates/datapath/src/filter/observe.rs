//! What the kernel holds, read back from it: to be compared with what the journal demands.

use std::time::Duration;

use id::Digest;
use os::classifier::{Attached, Classifiers};

use super::Filter;
use crate::error::FilterError;
use crate::image::{Image, Lease};
use crate::layout::{self, Head};

/// How the filter sits on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitting {
    /// Alone on both hooks, its answers being the verdict: what it should be.
    Both,
    /// The link is there without the filter on one hook or both, or with others beside it.
    Wrong,
    /// There is no such link.
    NoLink,
}

/// A filter as the kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// How it sits on the link asked for.
    pub fitting: Fitting,
    /// The ids of the programs for what the realm sends and for what it is sent.
    pub programs: [u32; 2],
    /// Whether the gate is shut.
    pub cut: bool,
    /// When it closes by itself, since the machine started; nothing: it was never set, and is closed.
    pub deadline: Option<Duration>,
    /// What is live; nothing passes without.
    pub live: Option<Live>,
}

/// The live generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Its number.
    pub generation: u64,
    /// The lease that it judges by.
    pub lease: Lease,
    /// Equal to [`Image::digest`] of the image that was switched to, computed from the maps' content.
    pub digest: Digest,
}

impl Filter {
    /// Reads everything back from the kernel: the hooks of `link`, the gate, and all live maps.
    ///
    /// # Errors
    /// The kernel refuses, or what it holds is no image.
    pub fn observe(&self, link: &str) -> Result<Observed, FilterError> {
        let gate = |which| self.gate.get(&which, 0).map_err(FilterError::map("read", "gate"));
        let deadline = gate(layout::GATE_DEADLINE)?;
        Ok(Observed {
            fitting: self.fitting(link)?,
            programs: self.program_ids()?,
            cut: gate(layout::GATE_OPEN)? != 1,
            deadline: (deadline != 0).then(|| Duration::from_nanos(deadline)),
            live: self.head()?.map(|head| self.read_live(head)).transpose()?,
        })
    }

    /// How the filter sits on `link`.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn fitting(&self, link: &str) -> Result<Fitting, FilterError> {
        let mut classifiers = match Classifiers::open(link) {
            Err(failed) if failed.not_found() => return Ok(Fitting::NoLink),
            other => other?,
        };
        let ids = self.program_ids()?;
        for ((hook, _), id) in self.hooks().into_iter().zip(ids) {
            let filters = classifiers.list(hook)?;
            let fits = |filter: &Attached| filter.program == Some(id) && filter.direct;
            if !matches!(filters.as_slice(), [only] if fits(only)) {
                return Ok(Fitting::Wrong);
            }
        }
        Ok(Fitting::Both)
    }

    /// What it was loaded with.
    #[must_use]
    pub const fn settings(&self) -> super::Settings {
        self.settings
    }

    fn program_ids(&self) -> Result<[u32; 2], FilterError> {
        let id = |program: &aya::programs::SchedClassifier| {
            program.info().map(|info| info.id()).map_err(FilterError::program("look at"))
        };
        Ok([id(&self.leave)?, id(&self.enter)?])
    }

    fn read_live(&self, head: Head) -> Result<Live, FilterError> {
        let table = self.tables.get(&head.slot, 0).map_err(FilterError::map("read", "tables"))?;
        let words =
            table.iter().collect::<Result<Vec<_>, _>>().map_err(FilterError::map("read", "tables"))?;
        // A table's length is its map's.
        let image = Image { lease: head.lease, tiers: head.tiers as usize, words };
        Ok(Live { generation: head.generation, digest: image.digest(), lease: image.lease })
    }
}
