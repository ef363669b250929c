//! Where an operation builds its nodes: each distinct node once (hash-consing).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::budget::{Budget, TooComplex};
use crate::set::{Child, Edge, NodeIndex};

/// Mixes the small integers that name nodes; no secret is kept from whoever picks them, since every
/// comparison with a colliding node costs a step of the budget.
#[derive(Default)]
pub(crate) struct Mix(u64);

impl Mix {
    fn word(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xa076_1d64_78bd_642f;
        self.0 = u64::from_le_bytes(low_half(product ^ (product >> 64)));
    }
}

fn low_half(word: u128) -> [u8; 8] {
    let bytes = word.to_le_bytes();
    [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]
}

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.word(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.word(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.word(number);
    }

    fn write_u128(&mut self, number: u128) {
        self.word(u64::from_le_bytes(low_half(number)));
        self.word(u64::from_le_bytes(low_half(number >> 64)));
    }

    fn write_isize(&mut self, number: isize) {
        self.word(number.unsigned_abs() as u64);
    }
}

pub(crate) type MixedMap<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

/// Nodes under construction. A node is a run in `edges`; nodes never change once made.
#[derive(Default)]
pub(crate) struct Arena {
    edges: Vec<Edge>,
    /// Where each node's edges begin and end.
    nodes: Vec<(u32, u32)>,
    /// The newest node with that hash; older ones are chained through `same_hash`.
    by_hash: MixedMap<u64, NodeIndex>,
    same_hash: Vec<Option<NodeIndex>>,
    /// Edges of the nodes that the recursion is in the middle of.
    open: Vec<Edge>,
}

impl Arena {
    pub(crate) fn edge_count(&self, node: NodeIndex) -> usize {
        let (first, end) = self.nodes[node.position()];
        (end - first) as usize
    }

    pub(crate) fn edge(&self, node: NodeIndex, number: usize) -> Edge {
        self.edges[self.nodes[node.position()].0 as usize + number]
    }

    pub(crate) fn edges(&self, node: NodeIndex) -> &[Edge] {
        let (first, end) = self.nodes[node.position()];
        &self.edges[first as usize..end as usize]
    }

    /// Begins a node; the mark is given back to [`Arena::close`].
    pub(crate) fn begin(&self) -> usize {
        self.open.len()
    }

    /// Adds the next edge to the node begun last; joins it to the one before where both lead to one child.
    pub(crate) fn push(&mut self, mark: usize, edge: Edge) {
        match self.open[mark..].last_mut() {
            Some(before) if before.child == edge.child => before.upto = edge.upto,
            _ => self.open.push(edge),
        }
    }

    /// Ends the node begun at `mark`: an old node if there is an equal one, nothing if it refuses all.
    pub(crate) fn close(&mut self, mark: usize, budget: &mut Budget) -> Result<Child, TooComplex> {
        let closed = self.find_or_insert(mark, budget);
        self.open.truncate(mark);
        closed
    }

    fn find_or_insert(&mut self, mark: usize, budget: &mut Budget) -> Result<Child, TooComplex> {
        let new = &self.open[mark..];
        if new.iter().all(|edge| edge.child == Child::Refused) {
            return Ok(Child::Refused);
        }
        let hash = hash_of(new);
        let newest = self.by_hash.get(&hash).copied();
        let mut candidate = newest;
        while let Some(node) = candidate {
            budget.step()?;
            if self.edges(node) == new {
                return Ok(Child::Node(node));
            }
            candidate = self.same_hash[node.position()];
        }
        let first = u32::try_from(self.edges.len()).map_err(|_full| TooComplex)?;
        let end = u32::try_from(self.edges.len() + new.len()).map_err(|_full| TooComplex)?;
        let node = NodeIndex::at(self.nodes.len()).ok_or(TooComplex)?;
        self.edges.extend_from_slice(&self.open[mark..]);
        self.nodes.push((first, end));
        self.same_hash.push(newest);
        self.by_hash.insert(hash, node);
        Ok(Child::Node(node))
    }
}

fn hash_of(edges: &[Edge]) -> u64 {
    let mut mix = Mix::default();
    for edge in edges {
        mix.write_u128(edge.upto);
        mix.word(match edge.child {
            Child::Refused => u64::MAX,
            Child::Admitted => u64::MAX - 1,
            Child::Node(node) => node.position() as u64,
        });
    }
    mix.finish()
}
