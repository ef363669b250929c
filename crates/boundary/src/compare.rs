//! Whether a lower set keeps within the upper ones, and the packet that shows it if not.

use std::fmt;

use packet_set::{Budget, Packet, PacketSet, Region, TooComplex, Witness};

use crate::resolved::{Decision, ResolvedSet};

/// The answer, with the sets that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// A packet too many; nothing if the lower set is contained.
    pub excess: Option<Excess>,
    /// The intersection of all uppers.
    pub upper: PacketSet,
    /// The lower set.
    pub lower: PacketSet,
}

/// A packet that the lower set admits and an upper one refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// The packet.
    pub packet: Packet,
    /// The whole region around it of which the same holds.
    pub region: Region,
    /// The lower set's allow that admits it.
    pub lower_rule: String,
    /// The first upper set, from the top (0), that refuses it.
    pub upper_tier: usize,
    /// That set's deny that matches it; nothing if no allow does.
    pub upper_rule: Option<String>,
}

/// Why there is no answer. Whoever asked must refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproved {
    /// The sets are too complex.
    TooComplex,
    /// The rules, read one by one, contradict the algebra about this packet: a fault of this program.
    Contradiction(Packet),
}

impl From<TooComplex> for Unproved {
    fn from(_: TooComplex) -> Self {
        Self::TooComplex
    }
}

impl fmt::Display for Unproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooComplex => TooComplex.fmt(f),
            Self::Contradiction(packet) => {
                write!(f, "rules and algebra contradict each other about {packet:?}")
            }
        }
    }
}

impl std::error::Error for Unproved {}

/// The intersection of sets; of none: everything.
///
/// # Errors
/// The budget ran out.
pub fn intersection(sets: &[ResolvedSet], budget: &mut Budget) -> Result<PacketSet, TooComplex> {
    sets.iter().try_fold(PacketSet::everything(), |all, set| all.intersect(&set.packet_set(budget)?, budget))
}

/// A packet that the lower set has beyond the upper one, with its box; nothing if it is contained.
/// Addresses in `known` are preferred.
///
/// # Errors
/// The budget ran out.
pub fn witness(
    upper: &PacketSet,
    lower: &PacketSet,
    known: &[u128],
    budget: &mut Budget,
) -> Result<Option<Witness>, TooComplex> {
    lower.witness_beyond(upper, known, budget)
}

/// Compares a lower set with all above it, top first, and names the rules that clash. Every named rule
/// is asked again about the packet.
///
/// # Errors
/// Nothing is proved.
pub fn compare(
    uppers: &[ResolvedSet],
    lower: &ResolvedSet,
    known: &[u128],
    budget: &mut Budget,
) -> Result<Comparison, Unproved> {
    let upper_set = intersection(uppers, budget)?;
    let lower_set = lower.packet_set(budget)?;
    let excess = match witness(&upper_set, &lower_set, known, budget)? {
        Some(witness) => Some(explain(uppers, lower, witness)?),
        None => None,
    };
    Ok(Comparison { excess, upper: upper_set, lower: lower_set })
}

fn explain(uppers: &[ResolvedSet], lower: &ResolvedSet, witness: Witness) -> Result<Excess, Unproved> {
    let Witness { packet, region } = witness;
    let contradiction = || Unproved::Contradiction(packet);
    let Decision::Admitted(rule) = lower.decide(&packet) else { return Err(contradiction()) };
    let decisions = uppers.iter().map(|upper| upper.decide(&packet)).enumerate();
    let (upper_tier, decision) =
        decisions.into_iter().find(|(_, said)| !said.admits()).ok_or_else(contradiction)?;
    let upper_rule = match decision {
        Decision::Denied(rule) => Some(rule.name.clone()),
        Decision::Admitted(_) | Decision::NotAllowed => None,
    };
    Ok(Excess { packet, region, lower_rule: rule.name.clone(), upper_tier, upper_rule })
}
