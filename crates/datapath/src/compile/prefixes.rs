//! Ranges of addresses to the few prefixes whose longest match gives each address its row.
//!
//! A trie answers with the longest prefix only, so a prefix may stand inside another and override it:
//! the method of Draves, King, Venkatachary and Zill ("Constructing Optimal IP Routing Tables", 1999),
//! with the candidates of a node cut to a few. That may cost a prefix more, never a wrong row.

use super::table::Range;
use crate::image::Prefix;

const CANDIDATES_MAX: usize = 4;

/// The prefixes, sorted. Ranges are ascending and together take every address, or there are none.
pub(super) fn cover(ranges: &[Range]) -> Vec<Prefix> {
    let mut prefixes = Vec::new();
    if ranges.is_empty() {
        return prefixes;
    }
    let mut tree = Tree { nodes: Vec::new() };
    let root = tree.grow(0, 0, ranges);
    tree.emit(root, 0, 0, None, &mut prefixes);
    prefixes.sort_unstable();
    prefixes
}

struct Tree {
    nodes: Vec<Node>,
}

struct Node {
    /// Rows that the node could have with the fewest prefixes below; for a leaf its own.
    candidates: Vec<u32>,
    halves: Option<(usize, usize)>,
}

impl Tree {
    /// The node of the prefix of `bits` bits at `first`, which `ranges` cover.
    fn grow(&mut self, first: u128, bits: u8, ranges: &[Range]) -> usize {
        if let [only] = ranges {
            return self.add(vec![only.row], None);
        }
        let last_of_low = first | (u128::MAX >> bits >> 1);
        let split = ranges.partition_point(|range| range.upto < last_of_low);
        let ends_there = ranges[split].upto == last_of_low;
        let low = self.grow(first, bits + 1, &ranges[..=split]);
        let high = self.grow(last_of_low + 1, bits + 1, &ranges[split + usize::from(ends_there)..]);
        let candidates = merge(&self.nodes[low].candidates, &self.nodes[high].candidates);
        self.add(candidates, Some((low, high)))
    }

    fn add(&mut self, candidates: Vec<u32>, halves: Option<(usize, usize)>) -> usize {
        self.nodes.push(Node { candidates, halves });
        self.nodes.len() - 1
    }

    fn emit(&self, node: usize, first: u128, bits: u8, above: Option<u32>, out: &mut Vec<Prefix>) {
        let node = &self.nodes[node];
        let row = match above {
            Some(row) if node.candidates.contains(&row) => row,
            Some(_) | None => {
                let row = node.candidates[0];
                out.push(Prefix { address: first, bits, row });
                row
            }
        };
        if let Some((low, high)) = node.halves {
            self.emit(low, first, bits + 1, Some(row), out);
            self.emit(high, first | (1 << (127 - bits)), bits + 1, Some(row), out);
        }
    }
}

/// What both halves could have, else what either could.
fn merge(low: &[u32], high: &[u32]) -> Vec<u32> {
    let mut merged: Vec<u32> = low.iter().copied().filter(|row| high.contains(row)).collect();
    if merged.is_empty() {
        merged = [low, high].concat();
    }
    merged.truncate(CANDIDATES_MAX);
    merged
}
