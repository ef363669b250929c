//! Which sets bind a realm, whose they are, and who may read them.

use id::{Digest, TierId};
use serde::{Deserialize, Serialize};

use crate::rule::{Rule, holds};
use crate::tenure::Tenure;

/// One set that binds a realm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    /// What every realm is denied, whatever the root's set says.
    BuiltIn,
    /// The set that a lease gives to this tier: its grantor wrote it, and it is the tier's to see.
    Given(TierId),
    /// The tier's own set.
    Own(TierId),
}

impl Binding {
    /// The tier whose word it is: of a given set the tier that it was given to, since both know it.
    #[must_use]
    pub const fn tier(&self) -> Option<TierId> {
        match self {
            Self::BuiltIn => None,
            Self::Given(tier) | Self::Own(tier) => Some(*tier),
        }
    }

    /// Whether its rules are the reader's to see: the built-in ones, those of the sets that it has or was given,
    /// and of those that it gave. Of every other set it learns whose it is, and nothing of what stands in it.
    #[must_use]
    pub fn may_be_read_by(&self, tenure: &Tenure, reader: TierId) -> bool {
        match self {
            Self::BuiltIn => true,
            Self::Own(tier) => *tier == reader || !holds(Rule::View),
            Self::Given(tier) => {
                *tier == reader || tenure.tier(*tier).is_some_and(|tier| tier.parent == Some(reader))
            }
        }
    }
}

impl Tenure {
    /// The sets that bind a tier's realm, from the top, each with its object: [`Tenure::sets_of`], with the
    /// built-in deny above it.
    #[must_use]
    pub fn bindings(&self, tier: TierId) -> Vec<(Binding, Option<Digest>)> {
        let path = self.path(tier);
        let tiers = path.iter().filter_map(|id| Some((*id, self.tier(*id)?)));
        let sets = tiers.flat_map(|(id, tier)| {
            let given = tier.given.map(|object| (Binding::Given(id), Some(object)));
            let own = tier.own.map(|object| (Binding::Own(id), Some(object)));
            given.into_iter().chain(own)
        });
        std::iter::once((Binding::BuiltIn, None)).chain(sets).collect()
    }
}
