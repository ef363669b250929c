//! Exports: lines of a journal, any run of them, with signed heads between or behind them.
//!
//! A head is a line by itself, the DSSE envelope of a [`Head`], somewhere after the record that it names.

use id::{Digest, NodeId, Time};
use keys::{Grade, Head, Invalid, NodeRecord as _, PublicKey};
use thiserror::Error;

use crate::line::{End, Flaw, Record};

/// What a sound export holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The number of its first record: 1 for a whole journal.
    pub first: u64,
    /// The number of its last record.
    pub last: u64,
    /// The digest of its last record.
    pub digest: Digest,
    /// The time of its last record.
    pub at: Time,
    /// The newest head in it; without one nobody vouches for the records.
    pub head: Option<Vouched>,
    /// The digest of each record, from the first on.
    pub digests: Vec<Digest>,
}

impl Summary {
    /// The digest of a record; none if it is not in the export.
    #[must_use]
    pub fn digest_of(&self, number: u64) -> Option<Digest> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.digests.get(index).copied()
    }
}

/// A node's word for all records up to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// Which node.
    pub node: NodeId,
    /// What its word rests on.
    pub grade: Grade,
    /// The record, and all before it.
    pub record: u64,
}

/// Why an export is not sound.
#[derive(Debug, Error)]
#[error("line {line} does not hold")]
pub struct Broken {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    #[source]
    pub why: Why,
}

/// What is wrong with a line of an export.
#[derive(Debug, Error)]
pub enum Why {
    /// There is no record at all.
    #[error("there is no record")]
    Empty,
    /// A bad record.
    #[error(transparent)]
    Flaw(Flaw),
    /// A head that is not the node's word.
    #[error("the head is not a node's word")]
    Head(#[source] Invalid),
    /// A head for a record that is not in the export before it, or reads otherwise there.
    #[error("the head is for record {0}, which does not stand so before it")]
    OtherRecord(u64),
    /// A head of another node than the head before it.
    #[error("the head is another node's than the one before it")]
    OtherNode,
}

/// Checks an export: every digest, every link, every head. With `node_key`, heads must be that node's.
/// Takes memory for one record and a digest each.
///
/// # Errors
/// [`Broken`] at the first line that does not hold.
pub fn verify(export: &[u8], node_key: Option<&PublicKey>) -> Result<Summary, Broken> {
    let mut checked = Checked::default();
    let mut lines = 0;
    for line in export.split_inclusive(|&byte| byte == b'\n') {
        lines += 1;
        let ended =
            if line.first() == Some(&b'{') { checked.head(line, node_key) } else { checked.record(line) };
        ended.map_err(|why| Broken { line: lines, why })?;
    }
    checked.summary().ok_or(Broken { line: lines + 1, why: Why::Empty })
}

#[derive(Default)]
struct Checked {
    digests: Vec<Digest>,
    end: Option<End>,
    head: Option<Vouched>,
}

impl Checked {
    fn record(&mut self, line: &[u8]) -> Result<(), Why> {
        let record = Record::read(line).map_err(Why::Flaw)?;
        record.follows(self.end).map_err(Why::Flaw)?;
        self.digests.push(record.digest);
        self.end = Some(record.end());
        Ok(())
    }

    fn head(&mut self, line: &[u8], node_key: Option<&PublicKey>) -> Result<(), Why> {
        let head = Head::verify(line, node_key).map_err(Why::Head)?;
        if self.digest_of(head.record) != Some(head.record_digest) {
            return Err(Why::OtherRecord(head.record));
        }
        if self.head.as_ref().is_some_and(|before| before.node != head.node) {
            return Err(Why::OtherNode);
        }
        if self.head.as_ref().is_none_or(|before| before.record < head.record) {
            self.head = Some(Vouched { node: head.node, grade: head.grade, record: head.record });
        }
        Ok(())
    }

    fn first(&self) -> Option<u64> {
        Some(self.end?.number + 1 - self.digests.len() as u64)
    }

    fn digest_of(&self, number: u64) -> Option<Digest> {
        let index = number.checked_sub(self.first()?)?;
        self.digests.get(usize::try_from(index).ok()?).copied()
    }

    fn summary(self) -> Option<Summary> {
        let (first, end) = (self.first()?, self.end?);
        let Self { digests, head, .. } = self;
        Some(Summary { first, last: end.number, digest: end.digest, at: end.at, head, digests })
    }
}
