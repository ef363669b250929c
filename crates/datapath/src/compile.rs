//! Packet sets to a map image. Pure: the same stack and lease give the same image on every machine.

mod addresses;
mod table;

use packet_set::{Budget, PacketSet, TooComplex};

pub use self::table::TooLarge;
use crate::image::{ADDRESSES_MAX, Image, Lease, TIERS_MAX};

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
    /// More classes of addresses and ports than a table may hold.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
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
    let mut words = vec![0; HEADS];
    let mut ranges = Vec::new();
    for (tier, set) in sets.iter().enumerate() {
        words[tier] = words.len() as u64;
        ranges.push(table::add(set, &mut words)?);
    }
    let families = addresses::add(&ranges, &mut words)?;
    words[TIERS_MAX..HEADS].copy_from_slice(&families);
    Ok(Image { lease: lease.clone(), tiers: sets.len(), words })
}

/// The first words: where each tier's part begins, and where the ranges of the two families are.
const HEADS: usize = TIERS_MAX + 2;

#[cfg(test)]
mod tests;
