//! Packet sets to a map image. Pure: the same stack and lease give the same image on every machine.

mod prefixes;
mod table;

use packet_set::{Budget, PacketSet, TooComplex};

use crate::image::{ADDRESSES_MAX, Image, Lease, PREFIXES_MAX, TIERS_MAX, Tier, WORDS_MAX};

/// A policy that cannot be compiled. What is live stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A filter without any tier would have nobody to ask.
    #[error("a stack of no tiers cannot be compiled")]
    NoTiers,
    /// More addresses than the program compares.
    #[error("a realm has at most {ADDRESSES_MAX} addresses, not {0}")]
    TooManyAddresses(usize),
    /// The tiers below the eighth could not be intersected within the budget.
    #[error("the tiers below the {TIERS_MAX}th are too complex to prove")]
    TooComplex(#[from] TooComplex),
    /// More different address ranges than a trie may hold.
    #[error("tier {tier} needs {needed} address prefixes, more than {PREFIXES_MAX}")]
    TooManyPrefixes {
        /// The tier's place in the stack.
        tier: usize,
        /// What it needs.
        needed: usize,
    },
    /// More classes of addresses and ports than a table may hold.
    #[error("tier {tier} needs a table of {needed} words, more than {WORDS_MAX}")]
    TableTooLarge {
        /// The tier's place in the stack.
        tier: usize,
        /// What it needs.
        needed: usize,
    },
}

/// Compiles the stack `tiers`, from the top, for the realm of `lease`. The budget is taken only for
/// intersecting what lies below the eighth tier.
///
/// # Errors
/// See [`CompileError`].
pub fn compile(tiers: &[PacketSet], lease: &Lease, budget: &mut Budget) -> Result<Image, CompileError> {
    if lease.addresses.len() > ADDRESSES_MAX {
        return Err(CompileError::TooManyAddresses(lease.addresses.len()));
    }
    let (above, below) = tiers.split_at(tiers.len().min(TIERS_MAX - 1));
    let mut sets = above.to_vec();
    if let Some((first, rest)) = below.split_first() {
        let last = rest.iter().try_fold(first.clone(), |all, set| all.intersect(set, budget))?;
        sets.push(last);
    }
    if sets.is_empty() {
        return Err(CompileError::NoTiers);
    }
    let tiers = sets.iter().enumerate().map(|(place, set)| tier(place, set)).collect::<Result<_, _>>()?;
    Ok(Image { lease: lease.clone(), tiers })
}

fn tier(tier: usize, set: &PacketSet) -> Result<Tier, CompileError> {
    let (words, ranges) =
        table::build(set).map_err(|table::TooLarge(needed)| CompileError::TableTooLarge { tier, needed })?;
    let prefixes = prefixes::cover(&ranges);
    if prefixes.len() > PREFIXES_MAX {
        return Err(CompileError::TooManyPrefixes { tier, needed: prefixes.len() });
    }
    Ok(Tier { prefixes, words })
}

#[cfg(test)]
mod tests;
