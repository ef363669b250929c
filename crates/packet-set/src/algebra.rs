//! Regions as nodes of an arena, and the union of many.

use crate::arena::{Arena, MixedMap};
use crate::budget::{Budget, TooComplex};
use crate::packet::{PortUse, port_use};
use crate::region::{Field, Ranges, Region};
use crate::set::{Child, Edge, NodeIndex};

/// Unions within one arena, with what is worked out already.
#[derive(Default)]
struct Union {
    known: MixedMap<(NodeIndex, NodeIndex), Child>,
}

impl Union {
    fn run(
        &mut self,
        arena: &mut Arena,
        a: Child,
        b: Child,
        budget: &mut Budget,
    ) -> Result<Child, TooComplex> {
        let (a, b) = match (a, b) {
            (Child::Refused, other) | (other, Child::Refused) => return Ok(other),
            (same, other) if same == other => return Ok(same),
            (Child::Node(a), Child::Node(b)) => (a.min(b), a.max(b)),
            // A terminal that admits stands below the last level only.
            (Child::Admitted, _) | (_, Child::Admitted) => unreachable!("diagrams of unequal depth"),
        };
        if let Some(known) = self.known.get(&(a, b)) {
            return Ok(*known);
        }
        let mark = arena.begin();
        let answer = self.merge(arena, mark, (a, b), budget).and_then(|()| arena.close(mark, budget))?;
        self.known.insert((a, b), answer);
        Ok(answer)
    }

    fn merge(
        &mut self,
        arena: &mut Arena,
        mark: usize,
        (a, b): (NodeIndex, NodeIndex),
        budget: &mut Budget,
    ) -> Result<(), TooComplex> {
        let (mut in_a, mut in_b) = (0, 0);
        while in_a < arena.edge_count(a) {
            budget.step()?;
            let (left, right) = (arena.edge(a, in_a), arena.edge(b, in_b));
            let child = self.run(arena, left.child, right.child, budget)?;
            let upto = left.upto.min(right.upto);
            arena.push(mark, Edge { upto, child });
            in_a += usize::from(left.upto == upto);
            in_b += usize::from(right.upto == upto);
        }
        Ok(())
    }
}

/// The union of all, by halves, so that each edge is merged a logarithmic number of times.
pub(crate) fn union_all(arena: &mut Arena, sets: &[Child], budget: &mut Budget) -> Result<Child, TooComplex> {
    union_halves(&mut Union::default(), arena, sets, budget)
}

fn union_halves(
    union: &mut Union,
    arena: &mut Arena,
    sets: &[Child],
    budget: &mut Budget,
) -> Result<Child, TooComplex> {
    match sets {
        [] => Ok(Child::Refused),
        [one] => Ok(*one),
        more => {
            let (front, back) = more.split_at(more.len() / 2);
            let front = union_halves(union, arena, front, budget)?;
            let back = union_halves(union, arena, back, budget)?;
            union.run(arena, front, back, budget)
        }
    }
}

/// The last protocol of each run of neighbours that use the ports alike.
const RUNS: [(u128, PortUse); 11] = [
    (0, PortUse::Unused),
    (1, PortUse::TypeAndCode),
    (5, PortUse::Unused),
    (6, PortUse::Ports),
    (16, PortUse::Unused),
    (17, PortUse::Ports),
    (57, PortUse::Unused),
    (58, PortUse::TypeAndCode),
    (131, PortUse::Unused),
    (132, PortUse::Ports),
    (255, PortUse::Unused),
];

/// The packets of a region.
pub(crate) fn region(arena: &mut Arena, region: &Region, budget: &mut Budget) -> Result<Child, TooComplex> {
    let mut by_use = [None; 3];
    for (number, ports) in
        in_runs(&region.protocol).filter_map(|(number, ports)| ports.map(|ports| (number, ports)))
    {
        debug_assert!(u8::try_from(number).is_ok_and(|number| port_use(number) == ports));
        if by_use[ports as usize].is_none() {
            by_use[ports as usize] = Some(addresses(arena, region, ports, budget)?);
        }
    }
    let mark = arena.begin();
    for (upto, ports) in in_runs(&region.protocol) {
        let child = ports.and_then(|ports| by_use[ports as usize]).unwrap_or(Child::Refused);
        arena.push(mark, Edge { upto, child });
    }
    let below = arena.close(mark, budget)?;
    let below = ranges(arena, Field::Direction, &region.direction, below, budget)?;
    ranges(arena, Field::Form, &region.form, below, budget)
}

/// The region's addresses and ports, for protocols that use the ports so.
fn addresses(
    arena: &mut Arena,
    region: &Region,
    ports: PortUse,
    budget: &mut Budget,
) -> Result<Child, TooComplex> {
    let local = held(&region.local_port, ports == PortUse::Unused);
    let remote = held(&region.remote_port, ports != PortUse::Ports);
    let below = ranges(arena, Field::LocalPort, &local, Child::Admitted, budget)?;
    let below = ranges(arena, Field::RemotePort, &remote, below, budget)?;
    ranges(arena, Field::Remote, &region.remote, below, budget)
}

/// All protocols, in pieces that are alike: the last one of each, and their use of the ports if they are listed.
fn in_runs(protocols: &Ranges) -> impl Iterator<Item = (u128, Option<PortUse>)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let (run_upto, ports) = RUNS.into_iter().find(|(upto, _)| next <= *upto)?;
        let (upto, listed) = match protocols.as_slice().iter().find(|(_, last)| next <= *last) {
            None => (Field::Protocol.last(), false),
            Some((first, last)) if *first <= next => (*last, true),
            Some((first, _)) => (first - 1, false),
        };
        let upto = upto.min(run_upto);
        next = upto + 1;
        Some((upto, listed.then_some(ports)))
    })
}

/// The values as they are, or, for a field that the protocol does not use, 0 if it is among them.
fn held(values: &Ranges, unused: bool) -> Ranges {
    match (unused, values.contains(0)) {
        (false, _) => values.clone(),
        (true, true) => Ranges::one(0),
        (true, false) => Ranges::none(),
    }
}

/// A node that leads to `below` in the ranges and refuses outside.
fn ranges(
    arena: &mut Arena,
    field: Field,
    ranges: &Ranges,
    below: Child,
    budget: &mut Budget,
) -> Result<Child, TooComplex> {
    let mark = arena.begin();
    let mut next = Some(0);
    for (first, last) in ranges.as_slice().iter().copied().filter(|(first, _)| *first <= field.last()) {
        budget.step()?;
        if next < Some(first) {
            arena.push(mark, Edge { upto: first - 1, child: Child::Refused });
        }
        let last = last.min(field.last());
        arena.push(mark, Edge { upto: last, child: below });
        next = last.checked_add(1).filter(|next| *next <= field.last());
    }
    if next.is_some() {
        arena.push(mark, Edge { upto: field.last(), child: Child::Refused });
    }
    arena.close(mark, budget)
}
