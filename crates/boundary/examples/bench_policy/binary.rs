//! The same sets as binary decision diagrams with complement edges, one variable a bit, most significant first.

use boundary::{ResolvedRule, ResolvedSet};
use oxidd::bcdd::{BCDDFunction, BCDDManagerRef, new_manager};
use oxidd::{BooleanFunction, Manager as _, ManagerRef as _};

/// Form, direction, protocol, remote address, remote port, local port: first variable and bits.
const FIELDS: [(u32, u32); 6] = [(0, 1), (1, 1), (2, 8), (10, 128), (138, 16), (154, 16)];
const VARIABLES: u32 = 170;

pub(crate) struct Manager(BCDDManagerRef);

pub(crate) struct Set(BCDDFunction);

impl Manager {
    pub(crate) fn new() -> Self {
        let manager = new_manager(1 << 24, 1 << 20, 1);
        manager.with_manager_exclusive(|manager| manager.add_vars(VARIABLES));
        Self(manager)
    }

    /// Clears what it remembers of earlier operations.
    pub(crate) fn forget(&self) {
        self.0.with_manager_shared(|manager| manager.gc());
    }

    pub(crate) fn set(&self, set: &ResolvedSet) -> Set {
        let (allowed, denied) = (self.union(&set.allow), self.union(&set.deny));
        Set(allowed.and(&denied.not().unwrap()).unwrap())
    }

    /// By halves over sorted rules, as ours.
    fn union(&self, rules: &[ResolvedRule]) -> BCDDFunction {
        let mut sorted: Vec<&ResolvedRule> = rules.iter().collect();
        sorted.sort_by_key(|rule| (rule.inbound, rule.protocol, rule.remote.clone()));
        let mut sets: Vec<BCDDFunction> = sorted.into_iter().map(|rule| self.rule(rule)).collect();
        while sets.len() > 1 {
            sets = sets
                .chunks(2)
                .map(|pair| pair.iter().skip(1).fold(pair[0].clone(), |a, b| a.or(b).unwrap()))
                .collect();
        }
        sets.pop().unwrap_or_else(|| self.0.with_manager_shared(|manager| BCDDFunction::f(manager)))
    }

    fn rule(&self, rule: &ResolvedRule) -> BCDDFunction {
        let way = (u128::from(!rule.inbound), u128::from(rule.outbound));
        let protocol = rule.protocol.map_or((0, 255), |number| (number.into(), number.into()));
        let wide = |ranges: &[(u16, u16)]| -> Vec<(u128, u128)> {
            ranges.iter().map(|(first, last)| (u128::from(*first), u128::from(*last))).collect()
        };
        let lists = [
            vec![(u128::from(rule.one_way), 1)],
            vec![way],
            vec![protocol],
            rule.remote.clone(),
            wide(&rule.remote_port),
            wide(&rule.local_port),
        ];
        let mut product = self.0.with_manager_shared(|manager| BCDDFunction::t(manager));
        for (field, ranges) in FIELDS.into_iter().zip(lists).rev() {
            let empty = self.0.with_manager_shared(|manager| BCDDFunction::f(manager));
            let union =
                ranges.into_iter().fold(empty, |all, range| all.or(&self.range(field, range)).unwrap());
            product = union.and(&product).unwrap();
        }
        product
    }

    /// first <= value <= last, from the least significant bit up.
    fn range(&self, (variable, bits): (u32, u32), (first, last): (u128, u128)) -> BCDDFunction {
        self.0.with_manager_shared(|manager| {
            let (mut from, mut upto) = (BCDDFunction::t(manager), BCDDFunction::t(manager));
            for bit in 0..bits {
                let set = BCDDFunction::var(manager, variable + bits - 1 - bit).unwrap();
                let clear = set.not().unwrap();
                from = if first >> bit & 1 == 1 { set.and(&from) } else { set.or(&from) }.unwrap();
                upto = if last >> bit & 1 == 1 { clear.or(&upto) } else { clear.and(&upto) }.unwrap();
            }
            from.and(&upto).unwrap()
        })
    }
}

impl Set {
    pub(crate) fn contains(&self, lower: &Self) -> bool {
        !self.excess(lower).satisfiable()
    }

    /// Whether a packet of the lower set is not in this one; finds one.
    pub(crate) fn counterexample(&self, lower: &Self) -> bool {
        self.excess(lower).pick_cube(|_, _, _| false).is_some()
    }

    fn excess(&self, lower: &Self) -> BCDDFunction {
        lower.0.and(&self.0.not().unwrap()).unwrap()
    }
}
