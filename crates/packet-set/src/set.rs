//! A finished, immutable set.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock, OnceLock};

use sha2::{Digest as _, Sha256};

use crate::algebra::{region, union_all};
use crate::arena::{Arena, MixedMap};
use crate::budget::{Budget, TooComplex};
use crate::cross::{Operation, cross};
use crate::packet::Packet;
use crate::region::Region;

/// Names a node of one [`PacketSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeIndex(u32);

impl NodeIndex {
    pub(crate) fn at(position: usize) -> Option<Self> {
        u32::try_from(position).ok().map(Self)
    }

    /// Its place among the set's nodes: below [`PacketSet::node_count`], above all its children's.
    #[must_use]
    pub const fn position(self) -> usize {
        self.0 as usize
    }
}

/// Where an edge leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Child {
    /// No packet below is in the set. Found at any level.
    Refused,
    /// The packet is in the set. Found below the last level only.
    Admitted,
    /// A node of the next level.
    Node(NodeIndex),
}

/// An edge takes the values above the one before it, up to `upto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Edge {
    /// The largest value, inclusive. The last edge's is the field's largest.
    pub upto: u128,
    /// Where it leads.
    pub child: Child,
}

/// A set of well-formed packets. Equal sets are `==`, however they were made; clones share memory.
#[derive(Clone)]
pub struct PacketSet(Arc<Diagram>);

/// Nodes in the order of a depth-first walk, children first: the same for equal sets.
#[derive(Default)]
struct Diagram {
    root: Option<NodeIndex>,
    /// Where each node's edges end; they begin where the ones of the node before end.
    ends: Vec<u32>,
    edges: Vec<Edge>,
    digest: OnceLock<[u8; 32]>,
}

static NOTHING: LazyLock<PacketSet> = LazyLock::new(|| PacketSet(Arc::default()));

static EVERYTHING: LazyLock<PacketSet> = LazyLock::new(|| {
    PacketSet::union_of(&[Region::everything()], &mut Budget::of_steps(1_000)).unwrap_or_else(|TooComplex| {
        // Some ten steps make it.
        unreachable!("everything is a simple set")
    })
});

impl PacketSet {
    /// The empty set.
    #[must_use]
    pub fn nothing() -> Self {
        NOTHING.clone()
    }

    /// Every well-formed packet.
    #[must_use]
    pub fn everything() -> Self {
        EVERYTHING.clone()
    }

    /// The packets of any of the regions.
    ///
    /// # Errors
    /// The budget ran out.
    pub fn union_of(regions: &[Region], budget: &mut Budget) -> Result<Self, TooComplex> {
        // Neighbours share addresses, so unions of neighbours stay small.
        let mut sorted: Vec<&Region> = regions.iter().collect();
        sorted.sort_unstable();
        let mut arena = Arena::default();
        let sets =
            sorted.into_iter().map(|each| region(&mut arena, each, budget)).collect::<Result<Vec<_>, _>>()?;
        let root = union_all(&mut arena, &sets, budget)?;
        Ok(Self::finish(&arena, root))
    }

    /// The packets of either.
    ///
    /// # Errors
    /// The budget ran out.
    pub fn union(&self, other: &Self, budget: &mut Budget) -> Result<Self, TooComplex> {
        self.apply(Operation::Union, other, budget)
    }

    /// The packets of both.
    ///
    /// # Errors
    /// The budget ran out.
    pub fn intersect(&self, other: &Self, budget: &mut Budget) -> Result<Self, TooComplex> {
        self.apply(Operation::Intersect, other, budget)
    }

    /// The packets of this set that are not in the other.
    ///
    /// # Errors
    /// The budget ran out.
    pub fn subtract(&self, other: &Self, budget: &mut Budget) -> Result<Self, TooComplex> {
        self.apply(Operation::Subtract, other, budget)
    }

    /// Every well-formed packet that is not in this set.
    ///
    /// # Errors
    /// The budget ran out.
    pub fn complement(&self, budget: &mut Budget) -> Result<Self, TooComplex> {
        Self::everything().subtract(self, budget)
    }

    /// The same packets with flow and one-way exchanged.
    ///
    /// # Errors
    /// The budget ran out.
    pub fn exchange_forms(&self, budget: &mut Budget) -> Result<Self, TooComplex> {
        let mut arena = Arena::default();
        let root = self.import(&mut arena, budget)?;
        let below = |arena: &Arena, number: usize| match root {
            Child::Node(node) => arena.edge(node, number.min(arena.edge_count(node) - 1)).child,
            terminal @ (Child::Refused | Child::Admitted) => terminal,
        };
        let mark = arena.begin();
        for (upto, other) in [(0, 1), (1, 0)] {
            let child = below(&arena, other);
            arena.push(mark, Edge { upto, child });
        }
        let root = arena.close(mark, budget)?;
        Ok(Self::finish(&arena, root))
    }

    /// Whether it is the very diagram. One that is not may be equal.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether there is no packet in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.root.is_none()
    }

    /// Whether the packet is in the set. An ill-formed one never is.
    #[must_use]
    pub fn evaluate(&self, packet: &Packet) -> bool {
        packet.values().into_iter().fold(self.root(), |at, value| self.follow(at, value)) == Child::Admitted
    }

    /// Where a value leads from a node; from what is no node: nowhere.
    ///
    /// # Panics
    /// The node is another set's.
    #[must_use]
    pub fn follow(&self, at: Child, value: u128) -> Child {
        let Child::Node(node) = at else { return Child::Refused };
        let edges = self.edges(node);
        edges.get(edges.partition_point(|edge| edge.upto < value)).map_or(Child::Refused, |edge| edge.child)
    }

    /// SHA-256 over the diagram. Equal sets have equal digests, on every machine.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        *self.0.digest.get_or_init(|| self.compute_digest())
    }

    fn compute_digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(b"leasehold packet set 1\n");
        for position in 0..self.node_count() {
            let edges = self.0.edges_at(position);
            hash.update((edges.len() as u64).to_be_bytes());
            for edge in edges {
                hash.update(edge.upto.to_be_bytes());
                hash.update(match edge.child {
                    Child::Refused => [0xff; 4],
                    Child::Admitted => [0xfe; 4],
                    Child::Node(node) => node.0.to_be_bytes(),
                });
            }
        }
        hash.finalize().into()
    }

    /// The root: `Refused` for the empty set, else a node of the level [`crate::Field::Form`].
    #[must_use]
    pub fn root(&self) -> Child {
        self.0.root.map_or(Child::Refused, Child::Node)
    }

    /// A node's edges, ascending; together they take every value of the node's field. Each leads to a
    /// node of the next level, to `Refused`, or, below the last level, to `Admitted`.
    ///
    /// # Panics
    /// The node is another set's.
    #[must_use]
    pub fn edges(&self, node: NodeIndex) -> &[Edge] {
        self.0.edges_at(node.position())
    }

    /// How many nodes the diagram has.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.0.ends.len()
    }

    /// How many edges the diagram has.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.0.edges.len()
    }

    fn apply(&self, operation: Operation, other: &Self, budget: &mut Budget) -> Result<Self, TooComplex> {
        if let Some(known) = self.shortcut(operation, other) {
            return Ok(known);
        }
        let mut arena = Arena::default();
        let root = cross(operation, self, other, &mut arena, budget)?;
        Ok(Self::finish(&arena, root))
    }

    /// The answer where one of the sets is it: no step is taken. Diagrams are canonical, so it is the same one.
    fn shortcut(&self, operation: Operation, other: &Self) -> Option<Self> {
        let everything = Self::everything();
        if self.is_same_as(other) {
            return Some(match operation {
                Operation::Union | Operation::Intersect => self.clone(),
                Operation::Subtract => Self::nothing(),
            });
        }
        match operation {
            Operation::Union if self.is_empty() || *other == everything => Some(other.clone()),
            Operation::Union if other.is_empty() || *self == everything => Some(self.clone()),
            Operation::Intersect if self.is_empty() || *other == everything => Some(self.clone()),
            Operation::Intersect if other.is_empty() || *self == everything => Some(other.clone()),
            Operation::Subtract if self.is_empty() || other.is_empty() => Some(self.clone()),
            Operation::Union | Operation::Intersect | Operation::Subtract => None,
        }
    }

    /// Copies the diagram into an arena, where nodes that are equal to old ones become these.
    fn import(&self, arena: &mut Arena, budget: &mut Budget) -> Result<Child, TooComplex> {
        let mut copies: Vec<Child> = Vec::with_capacity(self.node_count());
        for position in 0..self.node_count() {
            let mark = arena.begin();
            for edge in self.0.edges_at(position) {
                budget.step()?;
                let child = match edge.child {
                    Child::Node(node) => copies[node.position()],
                    terminal @ (Child::Refused | Child::Admitted) => terminal,
                };
                arena.push(mark, Edge { upto: edge.upto, child });
            }
            copies.push(arena.close(mark, budget)?);
        }
        Ok(copies.last().copied().unwrap_or(Child::Refused))
    }

    /// Takes what is reachable from `root` out of an arena.
    fn finish(arena: &Arena, root: Child) -> Self {
        let mut diagram = Diagram::default();
        let mut numbers = MixedMap::default();
        if let Child::Node(node) = root {
            diagram.root = Some(diagram.take(arena, node, &mut numbers));
        }
        Self(Arc::new(diagram))
    }
}

impl Diagram {
    fn edges_at(&self, position: usize) -> &[Edge] {
        let first = if position == 0 { 0 } else { self.ends[position - 1] };
        &self.edges[first as usize..self.ends[position] as usize]
    }

    /// Copies a node after its children; six levels deep at most.
    fn take(
        &mut self,
        arena: &Arena,
        node: NodeIndex,
        numbers: &mut MixedMap<NodeIndex, NodeIndex>,
    ) -> NodeIndex {
        if let Some(number) = numbers.get(&node) {
            return *number;
        }
        let mut edges = arena.edges(node).to_vec();
        for edge in &mut edges {
            if let Child::Node(below) = edge.child {
                edge.child = Child::Node(self.take(arena, below, numbers));
            }
        }
        self.edges.append(&mut edges);
        // A diagram is never larger than its arena, whose counts fit.
        self.ends.push(u32::try_from(self.edges.len()).unwrap_or(u32::MAX));
        let number = NodeIndex(u32::try_from(self.ends.len() - 1).unwrap_or(u32::MAX));
        numbers.insert(node, number);
        number
    }
}

impl PartialEq for PacketSet {
    fn eq(&self, other: &Self) -> bool {
        self.is_same_as(other) || (self.0.ends == other.0.ends && self.0.edges == other.0.edges)
    }
}

impl Eq for PacketSet {}

impl Hash for PacketSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest().hash(state);
    }
}

impl fmt::Debug for PacketSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PacketSet({} nodes, {} edges)", self.node_count(), self.edge_count())
    }
}
