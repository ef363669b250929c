//! The journal of a running node: one writer, segments, append and fsync.

use std::io;

use id::{Digest, Time};
use serde::Serialize;
use thiserror::Error;

use crate::disk::{Disk, is_full, put_whole, sweep};
use crate::line::{Body, End, Flaw, Record, SNAPSHOT_BYTES_MAX, is_torn};
use crate::reserve::Reserve;

/// From this size on a segment should be followed by a new one: see [`Journal::wants_snapshot`].
pub const SEGMENT_BYTES_WANTED: u64 = 4 * 1024 * 1024;

/// From this size on a segment takes reserved records alone; a reader takes as much again.
pub const SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

const SEGMENT_BYTES_READ: usize = 128 * 1024 * 1024;
const SUFFIX: &str = ".journal";

/// The journal, open for writing.
#[derive(Debug)]
pub struct Journal<D> {
    disk: D,
    segment: String,
    length: u64,
    end: End,
    reserve: Reserve,
    /// Set when it is not known what is on the medium: nothing more is written then.
    unsure: bool,
}

/// A journal just opened, with what is needed to know where the node stands.
#[derive(Debug)]
pub struct Opened<D> {
    /// For what comes next.
    pub journal: Journal<D>,
    /// The newest snapshot.
    pub snapshot: Record,
    /// All records after it, in order.
    pub entries: Vec<Record>,
    /// What a crash left at the end, if something; it is cut off already.
    pub torn: Option<Torn>,
}

/// The remains of a record that was never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// In which segment.
    pub segment: String,
    /// Where it began.
    pub offset: u64,
    /// How long it was.
    pub bytes: u64,
}

/// Why a journal was not made, opened or written.
#[derive(Debug, Error)]
pub enum Error {
    /// There is one.
    #[error("there is a journal already")]
    Exists,
    /// There is none.
    #[error("there is no journal")]
    Missing,
    /// A record other than a torn last one is bad, or one is gone.
    #[error("the journal is broken: segment {segment}, line {line}")]
    Broken {
        /// In which segment.
        segment: String,
        /// In which line, counted from 1.
        line: usize,
        /// What is wrong.
        #[source]
        flaw: Flaw,
    },
    /// The record cannot be written: too long, or back in time. The journal is as before.
    #[error("the record cannot be written")]
    Record(#[source] Flaw),
    /// The medium is full. The journal is as before.
    #[error("the journal's disk is full")]
    Full(#[source] io::Error),
    /// The segment has [`SEGMENT_BYTES_MAX`]: only a snapshot or a reserved record is taken.
    #[error("the journal's segment is full: a snapshot is needed")]
    SegmentFull,
    /// The medium failed. The journal is as before.
    #[error("reading or writing the journal failed")]
    Medium(#[source] io::Error),
    /// The medium failed, and what is on it is not known; or it failed so before. Open it again.
    #[error("the journal's disk failed in the middle of a record")]
    Unsure(#[source] io::Error),
}

impl<D: Disk> Journal<D> {
    /// Makes the journal of a node at its first start. `snapshot` is where it begins.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Record`], [`Error::Full`] or [`Error::Medium`].
    pub fn create(mut disk: D, at: Time, snapshot: &impl Serialize) -> Result<Self, Error> {
        sweep(&mut disk).map_err(Error::Medium)?;
        if !segments(&disk)?.is_empty() {
            return Err(Error::Exists);
        }
        let mut reserve = Reserve::open(&disk).map_err(Error::Medium)?;
        reserve.fill(&mut disk).map_err(full_or_medium)?;
        let (line, end) = write_snapshot(None, at, snapshot)?;
        let segment = segment_name(end.number);
        put_whole(&mut disk, &segment, &line).map_err(full_or_medium)?;
        Ok(Self { disk, segment, length: line.len() as u64, end, reserve, unsure: false })
    }

    /// Opens a journal: checks every line of every segment, cuts a torn tail.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Broken`] or [`Error::Medium`].
    pub fn open(mut disk: D) -> Result<Opened<D>, Error> {
        sweep(&mut disk).map_err(Error::Medium)?;
        let Read { segment, length, snapshot, entries, torn, .. } = inspect(&disk)?;
        if torn.is_some() {
            disk.cut(&segment, length).map_err(Error::Medium)?;
        }
        // A killed process may have left a record, or a segment's name, that is not on the medium yet.
        // The node is about to act on what was read, so it must be.
        disk.sync(&segment).and_then(|()| disk.sync_folder()).map_err(Error::Medium)?;
        let end = entries.last().unwrap_or(&snapshot).end();
        let mut reserve = Reserve::open(&disk).map_err(Error::Medium)?;
        // A full disk does not stop the node: what is missing is asked for again by the next append.
        drop(reserve.fill(&mut disk));
        let journal = Self { disk, segment, length, end, reserve, unsure: false };
        Ok(Opened { journal, snapshot, entries, torn })
    }

    /// Writes one record and waits until it is on the medium. Gives its number and digest.
    ///
    /// # Errors
    /// [`Error::Unsure`] is the only one after which it is open whether the record is there. Where the
    /// reserve is not whole and cannot be made so, that is [`Error::Full`] too.
    pub fn append(&mut self, at: Time, entry: &impl Serialize) -> Result<(u64, Digest), Error> {
        if !self.reserve.is_whole() {
            self.reserve.fill(&mut self.disk).map_err(full_or_medium)?;
        }
        if self.length >= SEGMENT_BYTES_MAX {
            return Err(Error::SegmentFull);
        }
        self.write(at, entry)
    }

    /// Like [`Self::append`], for a severing: on a full disk it gives up the reserve piece by piece.
    ///
    /// # Errors
    /// Those of [`Self::append`]; [`Error::Full`] only after the whole reserve is gone.
    pub fn append_reserved(&mut self, at: Time, entry: &impl Serialize) -> Result<(u64, Digest), Error> {
        loop {
            match self.write(at, entry) {
                Err(Error::Full(cause)) => {
                    let given = self.reserve.give(&mut self.disk, RESERVED_STEP).map_err(Error::Medium)?;
                    if !given {
                        return Err(Error::Full(cause));
                    }
                }
                ended => return ended,
            }
        }
    }

    /// Begins a new segment with a snapshot. If that fails, the old one goes on.
    ///
    /// # Errors
    /// Those of [`Self::append`].
    pub fn snapshot(&mut self, at: Time, snapshot: &impl Serialize) -> Result<(u64, Digest), Error> {
        self.check_sure()?;
        let (line, end) = write_snapshot(Some(self.end), at, snapshot)?;
        let segment = segment_name(end.number);
        let put = put_whole(&mut self.disk, &segment, &line);
        if let Err(error) = put {
            // The rename may have happened without being on the medium: then two futures are possible.
            let there = self.disk.list().map_or(true, |names| names.contains(&segment));
            if there {
                self.unsure = true;
                return Err(Error::Unsure(error));
            }
            return Err(full_or_medium(error));
        }
        (self.segment, self.length, self.end) = (segment, line.len() as u64, end);
        Ok((end.number, end.digest))
    }

    /// Whether the segment is long enough for a new one.
    #[must_use]
    pub const fn wants_snapshot(&self) -> bool {
        self.length >= SEGMENT_BYTES_WANTED
    }

    /// The number and digest of the newest record.
    #[must_use]
    pub const fn head(&self) -> (u64, Digest) {
        (self.end.number, self.end.digest)
    }

    /// The time to record for something that happens when the clock says `clock`: never before the
    /// newest record, so that a clock set back stops nothing.
    #[must_use]
    pub fn time(&self, clock: Time) -> Time {
        clock.max(self.end.at)
    }

    /// Whole lines from record `number` on, as they stand there, at least one and about `bytes_max`;
    /// empty past the end.
    ///
    /// # Errors
    /// [`Error::Missing`] if the record is in a segment that is gone, [`Error::Medium`].
    pub fn lines_from(&self, number: u64, bytes_max: usize) -> Result<Vec<u8>, Error> {
        let segments = segments(&self.disk)?;
        let segment = segments.iter().rev().find(|(first, _)| *first <= number);
        let Some((first, name)) = segment else { return Err(Error::Missing) };
        let bytes = self.disk.read(name, SEGMENT_BYTES_READ).map_err(Error::Medium)?;
        let skip = usize::try_from(number - first).unwrap_or(usize::MAX);
        let mut lines = Vec::new();
        for line in bytes.split_inclusive(|&byte| byte == b'\n').skip(skip) {
            if !lines.is_empty() && lines.len() + line.len() > bytes_max {
                break;
            }
            lines.extend_from_slice(line);
        }
        Ok(lines)
    }

    /// The number of the oldest record that is still there.
    ///
    /// # Errors
    /// [`Error::Medium`].
    pub fn oldest(&self) -> Result<u64, Error> {
        let segments = segments(&self.disk)?;
        segments.first().map(|(first, _)| *first).ok_or(Error::Missing)
    }

    /// Whether the journal has that record: how one that was put back, older or another's, is known by a
    /// head that was kept elsewhere.
    ///
    /// # Errors
    /// [`Error::Medium`].
    pub fn holds(&self, record: u64, digest: Digest) -> Result<Held, Error> {
        holds(&self.disk, record, digest)
    }

    /// What [`Self::forget`] would remove: the number of the record that would be the oldest then. None if
    /// nothing would go.
    ///
    /// # Errors
    /// [`Error::Medium`].
    pub fn oldest_after_forgetting(&self, keep: usize) -> Result<Option<u64>, Error> {
        let segments = segments(&self.disk)?;
        let gone = segments.len().saturating_sub(keep.max(1));
        Ok(if gone == 0 { None } else { segments.get(gone).map(|(first, _)| *first) })
    }

    /// Removes the oldest segments, all but the newest `keep` (at least one stays). That it was done
    /// belongs into the journal: by the caller, before. Gives how many went.
    ///
    /// # Errors
    /// [`Error::Medium`]; what is left is a run without a gap all the same.
    pub fn forget(&mut self, keep: usize) -> Result<usize, Error> {
        let segments = segments(&self.disk)?;
        let gone = segments.len().saturating_sub(keep.max(1));
        for (_, name) in segments.iter().take(gone) {
            self.disk.remove(name).and_then(|()| self.disk.sync_folder()).map_err(Error::Medium)?;
        }
        Ok(gone)
    }

    fn write(&mut self, at: Time, entry: &impl Serialize) -> Result<(u64, Digest), Error> {
        self.check_sure()?;
        let body = Body::Entry(raw(entry)?);
        let (line, end) = Record::write(Some(self.end), at, &body).map_err(Error::Record)?;
        let written = self
            .disk
            .write(&self.segment, self.length, &line)
            .map_err(Failed::Write)
            .and_then(|()| self.disk.sync(&self.segment).map_err(Failed::Sync));
        match written {
            Ok(()) => {
                self.length += line.len() as u64;
                self.end = end;
                Ok((end.number, end.digest))
            }
            Err(failed) => Err(self.undo(failed)),
        }
    }

    /// Takes back what was written of a record. After a failed fsync nobody knows what is on the medium.
    fn undo(&mut self, failed: Failed) -> Error {
        let undone = self.disk.cut(&self.segment, self.length).and_then(|()| self.disk.sync(&self.segment));
        match failed {
            Failed::Write(cause) | Failed::Sync(cause) if undone.is_ok() && is_full(&cause) => {
                Error::Full(cause)
            }
            Failed::Write(cause) if undone.is_ok() => Error::Medium(cause),
            Failed::Write(cause) | Failed::Sync(cause) => {
                self.unsure = true;
                Error::Unsure(cause)
            }
        }
    }

    fn check_sure(&self) -> Result<(), Error> {
        if self.unsure { Err(Error::Unsure(io::Error::other("it failed before"))) } else { Ok(()) }
    }
}

enum Failed {
    Write(io::Error),
    Sync(io::Error),
}

/// What is given back of the reserve at once: room for an order of a severing.
const RESERVED_STEP: u64 = 64 * 1024;

/// What a journal says of a record that somebody vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It has that record.
    There,
    /// In its place stands another one: this is not the journal that was vouched for.
    Otherwise,
    /// It ends before: an older journal.
    Ahead,
    /// Its segment was removed as being old; the journal is newer than the record.
    Forgotten,
}

/// Whether a journal has a record with that digest. Only the record's own segment is read; that the chain
/// holds, opening the journal says.
///
/// # Errors
/// [`Error::Missing`], [`Error::Broken`] if the record cannot be read, [`Error::Medium`].
pub fn holds(disk: &impl Disk, record: u64, digest: Digest) -> Result<Held, Error> {
    let segments = segments(disk)?;
    let Some((first, name)) = segments.iter().rev().find(|(first, _)| *first <= record) else {
        return if segments.is_empty() { Err(Error::Missing) } else { Ok(Held::Forgotten) };
    };
    let bytes = disk.read(name, SEGMENT_BYTES_READ).map_err(Error::Medium)?;
    let skip = usize::try_from(record - first).unwrap_or(usize::MAX);
    let Some(line) = bytes.split_inclusive(|&byte| byte == b'\n').nth(skip) else { return Ok(Held::Ahead) };
    match Record::read(line) {
        Ok(found) if found.number == record && found.digest == digest => Ok(Held::There),
        Ok(_) => Ok(Held::Otherwise),
        // What a crash left of a record that nobody was told of.
        Err(Flaw::NotEnded) => Ok(Held::Ahead),
        Err(flaw) => Err(Error::Broken { segment: name.clone(), line: skip.saturating_add(1), flaw }),
    }
}

/// What stands in a journal.
#[derive(Debug)]
pub struct Read {
    segment: String,
    length: u64,
    /// The number of the oldest record.
    pub first: u64,
    /// The newest snapshot.
    pub snapshot: Record,
    /// All records after it, in order.
    pub entries: Vec<Record>,
    /// What stands behind the last record; it is left where it is.
    pub torn: Option<Torn>,
}

/// Reads and checks a journal without changing anything.
///
/// # Errors
/// [`Error::Missing`], [`Error::Broken`] or [`Error::Medium`].
pub fn inspect(disk: &impl Disk) -> Result<Read, Error> {
    let segments = segments(disk)?;
    let mut end = None;
    let mut newest = None;
    for (index, (first, name)) in segments.iter().enumerate() {
        let bytes = disk.read(name, SEGMENT_BYTES_READ).map_err(Error::Medium)?;
        let read = read_segment(name, *first, &bytes, end, index + 1 == segments.len())?;
        end = Some(read.entries.last().unwrap_or(&read.snapshot).end());
        newest = Some(read);
    }
    if let (Some(read), Some((first, _))) = (&mut newest, segments.first()) {
        read.first = *first;
    }
    newest.ok_or(Error::Missing)
}

/// Checks one segment. Only the last one may have a torn tail.
fn read_segment(
    name: &str,
    first: u64,
    bytes: &[u8],
    before: Option<End>,
    last: bool,
) -> Result<Read, Error> {
    let broken = |line, flaw| Error::Broken { segment: name.to_owned(), line, flaw };
    let (mut end, mut offset) = (before, 0);
    let (mut snapshot, mut entries, mut torn) = (None, Vec::new(), None);
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let record = match Record::read(line) {
            Ok(record) => record,
            Err(_) if last && snapshot.is_some() && is_torn(bytes.get(offset..).unwrap_or_default()) => {
                let bytes = (bytes.len() - offset) as u64;
                torn = Some(Torn { segment: name.to_owned(), offset: offset as u64, bytes });
                break;
            }
            Err(flaw) => return Err(broken(index + 1, flaw)),
        };
        record.follows(end).map_err(|flaw| broken(index + 1, flaw))?;
        (end, offset) = (Some(record.end()), offset + line.len());
        match (&record.body, &snapshot) {
            (Body::Snapshot(_), None) if record.number == first => snapshot = Some(record),
            (Body::Snapshot(_), None) => {
                return Err(broken(1, Flaw::Number { expected: first, found: record.number }));
            }
            (Body::Entry(_), Some(_)) => entries.push(record),
            (Body::Entry(_), None) => return Err(broken(1, Flaw::NoSnapshot)),
            (Body::Snapshot(_), Some(_)) => return Err(broken(index + 1, Flaw::StraySnapshot)),
        }
    }
    let snapshot = snapshot.ok_or_else(|| broken(1, Flaw::NoSnapshot))?;
    Ok(Read { segment: name.to_owned(), length: offset as u64, first, snapshot, entries, torn })
}

/// The segments, oldest first, with the number that each begins with.
fn segments(disk: &impl Disk) -> Result<Vec<(u64, String)>, Error> {
    let names = disk.list().map_err(Error::Medium)?;
    let mut segments: Vec<(u64, String)> = names
        .into_iter()
        .filter_map(|name| Some((name.strip_suffix(SUFFIX)?.parse().ok()?, name)))
        .filter(|(first, name)| segment_name(*first) == *name)
        .collect();
    segments.sort();
    Ok(segments)
}

fn segment_name(first: u64) -> String {
    format!("{first:016}{SUFFIX}")
}

fn write_snapshot(end: Option<End>, at: Time, snapshot: &impl Serialize) -> Result<(Vec<u8>, End), Error> {
    let (line, end) = Record::write(end, at, &Body::Snapshot(raw(snapshot)?)).map_err(Error::Record)?;
    if line.len() > SNAPSHOT_BYTES_MAX { Err(Error::Record(Flaw::TooLong)) } else { Ok((line, end)) }
}

fn raw(body: &impl Serialize) -> Result<Box<serde_json::value::RawValue>, Error> {
    serde_json::value::to_raw_value(body).map_err(|error| Error::Record(Flaw::Json(error)))
}

fn full_or_medium(error: io::Error) -> Error {
    if is_full(&error) { Error::Full(error) } else { Error::Medium(error) }
}
