//! A tier's part of the table of words, in the form that `bpf/tiers.h` describes.

use std::collections::HashMap;

use packet_set::{Child, Edge, NodeIndex, PacketSet};

use crate::image::WORDS_MAX;

/// The first words: form, direction and protocol together are the index.
pub(super) const QUESTIONS: usize = 1024;

/// A range of addresses ends at `upto`, begins after the one before, and has one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) upto: u128,
    pub(super) row: u32,
}

/// How many words would have been needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tiers need a table of {0} words, more than {WORDS_MAX}")]
pub struct TooLarge(pub usize);

/// Adds the part of `set` to the table `words`; answers the ranges of addresses that its rows are for.
pub(super) fn add(set: &PacketSet, words: &mut Vec<u64>) -> Result<Vec<Range>, TooLarge> {
    let part = words.len();
    let questions = questions(set);
    let columns = Columns::of(set, &questions);
    let (rows, mut ranges) = columns.rows(set)?;
    let width = columns.nodes.len();
    let rows_at = part + QUESTIONS;
    let ports_at = rows_at + rows.len() * width;
    let mut ports = Ports { set, words: Vec::new(), offset: ports_at, known: HashMap::new() };
    for question in &questions {
        words.push(match columns.place(set, *question) {
            Place::Column(column) => reference(0, COLUMN + column),
            Place::All(child) => ports.reference(child),
        });
    }
    for row in &rows {
        words.extend(row.iter().map(|child| ports.reference(*child)));
    }
    words.append(&mut ports.words);
    if words.len() > WORDS_MAX {
        return Err(TooLarge(words.len()));
    }
    for range in &mut ranges {
        range.row = word_index(rows_at + range.row as usize * width);
    }
    Ok(ranges)
}

/// For each form, direction and protocol: where the diagram leads, at the level of the remote address.
fn questions(set: &PacketSet) -> Vec<Child> {
    let mut children = vec![set.root()];
    for values in [2_u128, 2, 256] {
        children = children.into_iter().flat_map(|child| spread(set, child, values)).collect();
    }
    children
}

/// The child of each of a field's `values` values.
fn spread(set: &PacketSet, child: Child, values: u128) -> Vec<Child> {
    let Child::Node(node) = child else { return (0..values).map(|_| child).collect() };
    let edges = set.edges(node);
    (0..values).map(|value| followed(edges, value)).collect()
}

fn followed(edges: &[Edge], value: u128) -> Child {
    edges.get(edges.partition_point(|edge| edge.upto < value)).map_or(Child::Refused, |edge| edge.child)
}

/// The different nodes at the level of the remote address that tell addresses apart.
struct Columns {
    nodes: Vec<NodeIndex>,
    places: HashMap<NodeIndex, usize>,
}

/// What a question depends on.
enum Place {
    /// The address: this column of its row.
    Column(usize),
    /// No address: the same everywhere.
    All(Child),
}

impl Columns {
    fn of(set: &PacketSet, questions: &[Child]) -> Self {
        let mut columns = Self { nodes: Vec::new(), places: HashMap::new() };
        for question in questions {
            if let Child::Node(node) = *question
                && set.edges(node).len() > 1
                && !columns.places.contains_key(&node)
            {
                columns.places.insert(node, columns.nodes.len());
                columns.nodes.push(node);
            }
        }
        columns
    }

    fn place(&self, set: &PacketSet, question: Child) -> Place {
        let Child::Node(node) = question else { return Place::All(Child::Refused) };
        match self.places.get(&node) {
            Some(column) => Place::Column(*column),
            None => Place::All(set.edges(node).first().map_or(Child::Refused, |edge| edge.child)),
        }
    }

    /// The different rows, and the ranges of addresses with the number of each one's row.
    fn rows(&self, set: &PacketSet) -> Result<(Vec<Vec<Child>>, Vec<Range>), TooLarge> {
        let mut rows: Vec<Vec<Child>> = Vec::new();
        let mut known: HashMap<Vec<Child>, u32> = HashMap::new();
        let mut ranges: Vec<Range> = Vec::new();
        let mut rest: Vec<&[Edge]> = self.nodes.iter().map(|node| set.edges(*node)).collect();
        while let Some(upto) = rest.iter().filter_map(|edges| edges.first()).map(|edge| edge.upto).min() {
            let row: Vec<Child> =
                rest.iter().map(|edges| edges.first().map_or(Child::Refused, |edge| edge.child)).collect();
            let number = *known.entry(row).or_insert_with_key(|row| {
                rows.push(row.clone());
                word_index(rows.len() - 1)
            });
            let needed = QUESTIONS + rows.len() * self.nodes.len();
            if needed > WORDS_MAX {
                return Err(TooLarge(needed));
            }
            match ranges.last_mut() {
                Some(last) if last.row == number => last.upto = upto,
                _ => ranges.push(Range { upto, row: number }),
            }
            for edges in &mut rest {
                if let [first, after @ ..] = *edges
                    && first.upto == upto
                {
                    *edges = after;
                }
            }
        }
        Ok((rows, ranges))
    }
}

/// The port tables, each node once.
struct Ports<'a> {
    set: &'a PacketSet,
    words: Vec<u64>,
    /// Where the first of `words` will be in the whole table.
    offset: usize,
    known: HashMap<NodeIndex, u64>,
}

impl Ports<'_> {
    /// The reference to a child at the level of a port, or below the last.
    fn reference(&mut self, child: Child) -> u64 {
        match child {
            Child::Refused => reference(0, REFUSES),
            Child::Admitted => reference(0, ADMITS),
            Child::Node(node) => match self.known.get(&node) {
                Some(known) => *known,
                None => self.table(node),
            },
        }
    }

    fn table(&mut self, node: NodeIndex) -> u64 {
        let edges = self.set.edges(node);
        let children: Vec<u64> = edges.iter().map(|edge| self.reference(edge.child)).collect();
        let made = match children.as_slice() {
            // Whatever the port, and the next one: no need to look.
            [constant] if *constant == reference(0, REFUSES) || *constant == reference(0, ADMITS) => {
                *constant
            }
            _ => {
                let made = reference(edges.len(), self.offset + self.words.len());
                let entries = edges.iter().zip(&children);
                // A port's upper bound has 16 bits.
                self.words.extend(entries.map(|(edge, child)| child | (edge.upto & 0xffff) as u64));
                made
            }
        };
        self.known.insert(node, made);
        made
    }
}

const REFUSES: usize = 0;
const ADMITS: usize = 1;
const COLUMN: usize = 2;

/// `count` in bits 16 to 32, the halvings it takes in bits 33 to 37, `offset` in bits 38 to 63.
fn reference(count: usize, offset: usize) -> u64 {
    let steps = count.next_power_of_two().ilog2();
    (count as u64) << 16 | u64::from(steps) << 33 | (offset as u64) << 38
}

/// Tables have at most [`WORDS_MAX`] words; one that would have more is refused before it is used.
fn word_index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
