//! The operations on two finished sets. Their nodes are walked side by side; what the answer takes over from one
//! of them unchanged is copied, once, and the rest of neither is.

use crate::arena::{Arena, MixedMap};
use crate::budget::{Budget, TooComplex};
use crate::set::{Child, Edge, NodeIndex, PacketSet};

/// A set operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Union,
    Intersect,
    Subtract,
}

/// The root of the answer, in the arena.
pub(crate) fn cross(
    operation: Operation,
    left: &PacketSet,
    right: &PacketSet,
    arena: &mut Arena,
    budget: &mut Budget,
) -> Result<Child, TooComplex> {
    let (left, right) = (Copied::new(left), Copied::new(right));
    let roots = (left.set.root(), right.set.root());
    let mut crossing = Crossing { operation, left, right, known: MixedMap::default(), arena, budget };
    crossing.run(roots.0, roots.1)
}

struct Crossing<'s, 'a> {
    operation: Operation,
    left: Copied<'s>,
    right: Copied<'s>,
    known: MixedMap<(NodeIndex, NodeIndex), Child>,
    arena: &'a mut Arena,
    budget: &'a mut Budget,
}

impl Crossing<'_, '_> {
    fn run(&mut self, left: Child, right: Child) -> Result<Child, TooComplex> {
        use Operation::{Intersect, Subtract, Union};
        let nodes = match (self.operation, left, right) {
            (Union, kept, Child::Refused) | (Subtract, kept, Child::Refused) => {
                return self.left.copy(kept, self.arena, self.budget);
            }
            (Union, Child::Refused, kept) => return self.right.copy(kept, self.arena, self.budget),
            (Intersect | Subtract, Child::Refused, _) | (Intersect, _, Child::Refused) => {
                return Ok(Child::Refused);
            }
            (Union | Intersect, Child::Admitted, Child::Admitted) => return Ok(Child::Admitted),
            (Subtract, Child::Admitted, Child::Admitted) => return Ok(Child::Refused),
            (_, Child::Node(left), Child::Node(right)) => (left, right),
            (_, Child::Admitted, Child::Node(_)) | (_, Child::Node(_), Child::Admitted) => {
                unreachable!("diagrams of unequal depth")
            }
        };
        if let Some(known) = self.known.get(&nodes) {
            return Ok(*known);
        }
        let mark = self.arena.begin();
        let answer = self.merge(mark, nodes).and_then(|()| self.arena.close(mark, self.budget))?;
        self.known.insert(nodes, answer);
        Ok(answer)
    }

    fn merge(&mut self, mark: usize, (left, right): (NodeIndex, NodeIndex)) -> Result<(), TooComplex> {
        let (left, right) = (self.left.set.edges(left), self.right.set.edges(right));
        let (mut in_left, mut in_right) = (0, 0);
        while let (Some(a), Some(b)) = (left.get(in_left), right.get(in_right)) {
            self.budget.step()?;
            let child = self.run(a.child, b.child)?;
            let upto = a.upto.min(b.upto);
            self.arena.push(mark, Edge { upto, child });
            in_left += usize::from(a.upto == upto);
            in_right += usize::from(b.upto == upto);
        }
        Ok(())
    }
}

/// A set, and where those of its nodes are that were copied into the arena.
struct Copied<'s> {
    set: &'s PacketSet,
    copies: MixedMap<NodeIndex, Child>,
}

impl<'s> Copied<'s> {
    fn new(set: &'s PacketSet) -> Self {
        Self { set, copies: MixedMap::default() }
    }

    /// The child as it is in the arena; six levels deep at most.
    fn copy(&mut self, child: Child, arena: &mut Arena, budget: &mut Budget) -> Result<Child, TooComplex> {
        let Child::Node(node) = child else { return Ok(child) };
        if let Some(copy) = self.copies.get(&node) {
            return Ok(*copy);
        }
        let mark = arena.begin();
        for edge in self.set.edges(node) {
            budget.step()?;
            let child = self.copy(edge.child, arena, budget)?;
            arena.push(mark, Edge { upto: edge.upto, child });
        }
        let copy = arena.close(mark, budget)?;
        self.copies.insert(node, copy);
        Ok(copy)
    }
}
