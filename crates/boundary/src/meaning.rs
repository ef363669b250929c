//! Rules with the set that they mean, kept so that a change of few rules costs little.
//!
//! With `A` the packets of all allows and `D` those of all denies the set is `A \ D`. A change of some rules
//! touches only the packets `X` that the rules match which came or went, before or after: what is outside `X`
//! stays, and inside `X` the set is `(A ∩ X) \ (D ∩ X)` of the new rules.

use packet_set::{Budget, PacketSet, Region, TooComplex};

use crate::addresses::{normalise, subtract};
use crate::resolved::{ResolvedRule, ResolvedSet};

/// A set of rules and what it means.
#[derive(Debug, Clone)]
pub struct Meaning {
    rules: ResolvedSet,
    allowed: PacketSet,
    denied: PacketSet,
    packets: PacketSet,
}

/// Rules of one kind, allows or denies, that differ from those before.
#[derive(Debug, Default)]
struct Difference {
    lost: Vec<ResolvedRule>,
    gained: Vec<ResolvedRule>,
}

/// So many rules at most are changed one by one; more are cheaper made anew.
const CHANGED_MAX: usize = 256;

impl Meaning {
    /// What the rules mean.
    ///
    /// # Errors
    /// The budget ran out: nothing is proved.
    pub fn of(rules: ResolvedSet, budget: &mut Budget) -> Result<Self, TooComplex> {
        let allowed = union(&rules.allow, budget)?;
        let denied = union(&rules.deny, budget)?;
        let packets = allowed.subtract(&denied, budget)?;
        Ok(Self { rules, allowed, denied, packets })
    }

    /// What other rules mean: equal to [`Meaning::of`], and far cheaper where most of them are the same, in the
    /// same order. Names do not count.
    ///
    /// # Errors
    /// The budget ran out: nothing is proved.
    pub fn changed(&self, rules: ResolvedSet, budget: &mut Budget) -> Result<Self, TooComplex> {
        let allow = Difference::between(&self.rules.allow, &rules.allow);
        let deny = Difference::between(&self.rules.deny, &rules.deny);
        if allow.len() + deny.len() > CHANGED_MAX {
            return Self::of(rules, budget);
        }
        let allowed = allow.applied(&self.allowed, &rules.allow, budget)?;
        let denied = deny.applied(&self.denied, &rules.deny, budget)?;
        let lost = union(allow.lost.iter().chain(&deny.gained), budget)?;
        let gained = union(allow.gained.iter().chain(&deny.lost), budget)?;
        let touched = lost.union(&gained, budget)?;
        let inside = allowed.intersect(&touched, budget)?.subtract(&denied, budget)?;
        let outside = self.packets.subtract(&lost, budget)?;
        let packets = outside.union(&inside, budget)?;
        Ok(Self { rules, allowed, denied, packets })
    }

    /// The rules.
    #[must_use]
    pub const fn rules(&self) -> &ResolvedSet {
        &self.rules
    }

    /// The packets that they admit.
    #[must_use]
    pub const fn packets(&self) -> &PacketSet {
        &self.packets
    }
}

impl Difference {
    fn len(&self) -> usize {
        self.lost.len() + self.gained.len()
    }

    /// What is lost and gained from one row of rules to another: as many as possible at both ends are the same;
    /// where the rest is of one length, rules in the same place are taken for one rule that has changed.
    fn between(before: &[ResolvedRule], after: &[ResolvedRule]) -> Self {
        let same = |(a, b): &(&ResolvedRule, &ResolvedRule)| is_same(a, b);
        let front = before.iter().zip(after).take_while(same).count();
        let (before, after) = (&before[front..], &after[front..]);
        let back = before.iter().rev().zip(after.iter().rev()).take_while(same).count();
        let (before, after) = (&before[..before.len() - back], &after[..after.len() - back]);
        let mut found = Self::default();
        if before.len() == after.len() {
            let changed = before.iter().zip(after).filter(|pair| !same(pair));
            changed.for_each(|(before, after)| found.add(before, after));
        } else {
            found.lost = before.to_vec();
            found.gained = after.to_vec();
        }
        found
    }

    /// A rule that has changed: as a name that means other addresses now does.
    fn add(&mut self, before: &ResolvedRule, after: &ResolvedRule) {
        let with = |rule: &ResolvedRule, remote| ResolvedRule { remote, ..rule.clone() };
        if is_same(&with(before, Vec::new()), &with(after, Vec::new())) {
            let (was, is) = (normalise(before.remote.clone()), normalise(after.remote.clone()));
            self.lost.push(with(before, subtract(&was, &is)));
            self.gained.push(with(after, subtract(&is, &was)));
        } else {
            self.lost.push(before.clone());
            self.gained.push(after.clone());
        }
    }

    /// The packets of all rules after the change, from those before.
    fn applied(
        &self,
        before: &PacketSet,
        after: &[ResolvedRule],
        budget: &mut Budget,
    ) -> Result<PacketSet, TooComplex> {
        let lost = union(&self.lost, budget)?;
        let mut left = before.subtract(&lost, budget)?;
        if !lost.is_empty() {
            // What is lost with one rule may still be another's.
            let others = after.iter().filter(|rule| self.lost.iter().any(|lost| overlaps(lost, rule)));
            let others = union(others, budget)?.intersect(&lost, budget)?;
            left = left.union(&others, budget)?;
        }
        left.union(&union(&self.gained, budget)?, budget)
    }
}

fn union<'r>(
    rules: impl IntoIterator<Item = &'r ResolvedRule>,
    budget: &mut Budget,
) -> Result<PacketSet, TooComplex> {
    let regions: Vec<Region> = rules.into_iter().map(ResolvedRule::region).collect();
    PacketSet::union_of(&regions, budget)
}

/// Whether both match the same, as they are written.
fn is_same(a: &ResolvedRule, b: &ResolvedRule) -> bool {
    let ResolvedRule { name: _, inbound, outbound, protocol, remote, remote_port, local_port, one_way } = a;
    (*inbound, *outbound, *protocol, *one_way) == (b.inbound, b.outbound, b.protocol, b.one_way)
        && *remote == b.remote
        && *remote_port == b.remote_port
        && *local_port == b.local_port
}

/// Whether both may match one packet: never no where they do. The first rule's addresses are taken for one range.
fn overlaps(a: &ResolvedRule, b: &ResolvedRule) -> bool {
    let protocols = a.protocol.is_none() || b.protocol.is_none() || a.protocol == b.protocol;
    let ways = (a.inbound && b.inbound) || (a.outbound && b.outbound);
    let from = a.remote.iter().map(|(first, _)| *first).min();
    let upto = a.remote.iter().map(|(_, last)| *last).max();
    let Some((from, upto)) = from.zip(upto) else { return false };
    protocols && ways && b.remote.iter().any(|(first, last)| *first <= upto && from <= *last)
}
