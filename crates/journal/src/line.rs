//! One record as one line, and the chain that a row of lines makes.

use id::{Digest, INTEGER_MAX, Time};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

/// The longest line with an entry, the line break included.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// The longest line with a snapshot, the line break included.
pub const SNAPSHOT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The digest's 64 digits and the blank after them.
const PREFIX: usize = 65;

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// 1 for a journal's first, then one more each.
    pub number: u64,
    /// When; never before the record before it.
    pub at: Time,
    /// The digest of the record before it; none for number 1.
    pub previous: Option<Digest>,
    /// What it says.
    pub body: Body,
    /// The digest of its JSON.
    pub digest: Digest,
}

/// What a record says: JSON that the journal does not look into.
#[derive(Debug, Clone)]
pub enum Body {
    /// Something happened.
    Entry(Box<RawValue>),
    /// All that happened so far comes to this. The first record of each segment, and no other.
    Snapshot(Box<RawValue>),
}

/// What is wrong with a line.
#[derive(Debug, Error)]
pub enum Flaw {
    /// The line has no end.
    #[error("the line is not ended")]
    NotEnded,
    /// Over [`RECORD_BYTES_MAX`] or [`SNAPSHOT_BYTES_MAX`].
    #[error("the line is too long")]
    TooLong,
    /// Not 64 lower-case hexadecimal digits and a blank.
    #[error("the line does not begin with a digest")]
    NoDigest,
    /// The digest is that of something else.
    #[error("the digest does not fit the record")]
    Digest,
    /// The JSON is no record.
    #[error("the record does not have the documented shape")]
    Json(#[source] serde_json::Error),
    /// Neither an entry nor a snapshot, or both.
    #[error("the record has not exactly one of `entry` and `snapshot`")]
    Body,
    /// A number out of its turn.
    #[error("record {expected} should stand here, not {found}")]
    Number {
        /// What should stand there.
        expected: u64,
        /// What stands there.
        found: u64,
    },
    /// The record before it is another one.
    #[error("the record is chained to another one than the one before it")]
    Previous,
    /// The time is before that of the record before.
    #[error("the record's time goes back")]
    WentBack,
    /// A segment begins otherwise than with a snapshot.
    #[error("the segment does not begin with a snapshot")]
    NoSnapshot,
    /// A snapshot in mid-segment.
    #[error("a snapshot stands in the middle of a segment")]
    StraySnapshot,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    number: u64,
    at: Time,
    previous: Option<Digest>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    entry: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    snapshot: Option<&'a RawValue>,
}

/// The end of a row of records: what the next one must be chained to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The last record's number.
    pub number: u64,
    /// Its digest.
    pub digest: Digest,
    /// Its time.
    pub at: Time,
}

impl Record {
    /// Writes the line of a record after `end`. The first of a journal comes after nothing.
    pub(crate) fn write(end: Option<End>, at: Time, body: &Body) -> Result<(Vec<u8>, End), Flaw> {
        let number = end.map_or(1, |end| end.number + 1);
        let (entry, snapshot) = match body {
            Body::Entry(entry) => (Some(&**entry), None),
            Body::Snapshot(snapshot) => (None, Some(&**snapshot)),
        };
        let wire = Wire { number, at, previous: end.map(|end| end.digest), entry, snapshot };
        let json = serde_json::to_string(&wire).map_err(Flaw::Json)?;
        let digest = Digest::of(json.as_bytes());
        let line = format!("{} {json}\n", hexadecimal(&digest)).into_bytes();
        // What is written must be read again: the very same checks.
        Self::read(&line)?.follows(end)?;
        Ok((line, End { number, digest, at }))
    }

    /// Reads one line, its line break included; says nothing about what stands before it.
    ///
    /// # Errors
    /// [`Flaw`].
    pub fn read(line: &[u8]) -> Result<Self, Flaw> {
        let Some((b'\n', line)) = line.split_last() else { return Err(Flaw::NotEnded) };
        if line.len() >= SNAPSHOT_BYTES_MAX {
            return Err(Flaw::TooLong);
        }
        let (digest, json) = split(line).ok_or(Flaw::NoDigest)?;
        if Digest::of(json) != digest {
            return Err(Flaw::Digest);
        }
        let wire: Wire<'_> = serde_json::from_slice(json).map_err(Flaw::Json)?;
        if json.contains(&b'\n') || wire.number == 0 || wire.number > INTEGER_MAX {
            return Err(Flaw::Body);
        }
        let body = match (wire.entry, wire.snapshot) {
            (Some(entry), None) => Body::Entry(entry.to_owned()),
            (None, Some(snapshot)) => Body::Snapshot(snapshot.to_owned()),
            (None, None) | (Some(_), Some(_)) => return Err(Flaw::Body),
        };
        if matches!(body, Body::Entry(_)) && line.len() >= RECORD_BYTES_MAX {
            return Err(Flaw::TooLong);
        }
        Ok(Self { number: wire.number, at: wire.at, previous: wire.previous, body, digest })
    }

    /// Checks that this record may stand after `end`; with none, at the beginning of a run.
    ///
    /// # Errors
    /// [`Flaw`].
    pub fn follows(&self, end: Option<End>) -> Result<(), Flaw> {
        let Some(end) = end else {
            return if (self.number == 1) == self.previous.is_none() { Ok(()) } else { Err(Flaw::Previous) };
        };
        if self.number != end.number + 1 {
            return Err(Flaw::Number { expected: end.number + 1, found: self.number });
        }
        if self.previous != Some(end.digest) {
            return Err(Flaw::Previous);
        }
        if self.at < end.at { Err(Flaw::WentBack) } else { Ok(()) }
    }

    /// What the next record must be chained to.
    #[must_use]
    pub const fn end(&self) -> End {
        End { number: self.number, digest: self.digest, at: self.at }
    }
}

/// Whether a tail that is no line is what a crash can leave of one append: part of a line, or a line
/// with holes, but never a whole record with more behind it.
pub(crate) fn is_torn(tail: &[u8]) -> bool {
    let body = tail.strip_suffix(b"\n").unwrap_or(tail);
    if body.contains(&b'\n') {
        return false;
    }
    let Some((digest, json)) = split(body) else { return true };
    let mut values = serde_json::Deserializer::from_slice(json).into_iter::<&RawValue>();
    let Some(Ok(_)) = values.next() else { return true };
    let (record, rest) = json.split_at(values.byte_offset());
    Digest::of(record) != digest || rest.iter().all(|&byte| byte == 0)
}

/// The digest and the JSON of a line without its line break.
fn split(line: &[u8]) -> Option<(Digest, &[u8])> {
    let (prefix, json) = line.split_at_checked(PREFIX)?;
    let digits = str::from_utf8(prefix).ok()?.strip_suffix(' ')?;
    Some((format!("sha256:{digits}").parse().ok()?, json))
}

fn hexadecimal(digest: &Digest) -> String {
    digest.to_string().trim_start_matches("sha256:").to_owned()
}
