//! What a console knows of the sets that bind a tier. It has the text of those that it made or was handed; what
//! other tiers keep to themselves it takes for admitting everything, and the node has the last word.

use boundary::{Budget, Directory, FilterSet, PacketSet, ResolvedSet};
use console_api::{Exit, Problem};
use id::{Digest, TierId};
use tenure::Tenure;

use crate::api::{No, usage};
use crate::state::Console;

/// A set that somebody wants to set: its text, and its meaning where that can be told here.
pub(super) struct NewSet {
    /// None: it has names, and this console has no directory that says what they mean.
    pub(super) packets: Option<PacketSet>,
}

impl Console {
    /// The directory that this console signs; those of others it does not see.
    fn own_directory(&self) -> Result<Option<Directory>, No> {
        let Some(text) = crate::directory::text(self)? else { return Ok(None) };
        Directory::parse(text.as_bytes())
            .map(Some)
            .map_err(|problems| No::new("store-failed", Exit::Failed, problems.to_string()))
    }

    /// Reads a boundary file. What is wrong with it is told with its lines.
    pub(super) fn new_set(&self, text: &str) -> Result<NewSet, No> {
        let set = FilterSet::parse(text.as_bytes()).map_err(|problems| usage(problems.to_string()))?;
        let directory = self.own_directory()?;
        if set.has_names() && directory.is_none() {
            return Ok(NewSet { packets: None });
        }
        let resolved = set.resolve(directory.as_ref()).map_err(|problems| usage(problems.to_string()))?;
        Ok(NewSet { packets: Some(packets(&resolved)?) })
    }

    /// The rules of a boundary file, for packets to be judged by.
    pub(super) fn rules(&self, text: &str) -> Result<ResolvedSet, No> {
        let set = FilterSet::parse(text.as_bytes()).map_err(|problems| usage(problems.to_string()))?;
        set.resolve(self.own_directory()?.as_ref()).map_err(|problems| usage(problems.to_string()))
    }

    /// The text of a set that this console made or was handed.
    pub(super) fn set_text(&self, object: &Digest) -> Option<String> {
        self.object_text(object)
    }

    /// A mirror on which boundaries can be planned for a tier: it holds every set along the path.
    pub(super) fn with_sets(&self, tenure: &Tenure, tier: TierId) -> Result<Tenure, No> {
        let mut tenure = tenure.clone();
        let directory = self.own_directory()?;
        for name in tenure.sets_of(tier) {
            let known = self.set_text(&name).and_then(|text| {
                let set = FilterSet::parse(text.as_bytes()).ok()?;
                set.resolve(directory.as_ref()).ok()?.packet_set(&mut Budget::for_tier()).ok()
            });
            tenure.hold(name, known.unwrap_or_else(PacketSet::everything));
        }
        Ok(tenure)
    }
}

fn packets(resolved: &ResolvedSet) -> Result<PacketSet, No> {
    resolved
        .packet_set(&mut Budget::for_tier())
        .map_err(|too_complex| Problem::new("too-complex", Exit::Failed, too_complex.to_string()).into())
}
