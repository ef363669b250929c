//! What a console knows of a node's tenure: its journal, verified line by line and applied.
//!
//! The lines are kept in a file beside the store; they can be had again from the node, so nothing waits for
//! the medium. A file that does not hold is begun anew.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use id::{Digest, KeyId, NodeId, PublicKey, Sequence};
use journal::{Body, End, Flaw, Record};
use keys::{Head, NodeRecord as _};
use serde::Deserialize;
use tenure::{Change, Tenure, apply_all};
use thiserror::Error;

/// The longest journal of one node that is read from its file at a start.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// How many digests are remembered for heads that come late.
const RECENT_MAX: usize = 1024;

/// A node's tenure, as its journal tells.
#[derive(Debug)]
pub(crate) struct Mirror {
    node: NodeId,
    node_key: PublicKey,
    file: PathBuf,
    end: Option<End>,
    /// The digests of the newest records: heads are compared with them.
    recent: BTreeMap<u64, Digest>,
    /// The newest head, for a record that is here: the node's word for all before it.
    head: Option<(u64, String)>,
    pub(crate) tenure: Tenure,
    /// Which of the orders under a key are on record, of those that came since the last look.
    accepted: BTreeMap<(KeyId, Sequence), (u64, Digest)>,
}

/// Why a journal's lines are not believed. What was there before stays.
#[derive(Debug, Error)]
pub(crate) enum Broken {
    #[error("a record does not hold")]
    Flaw(#[source] Flaw),
    #[error("record {0} has no shape that is known here")]
    Shape(u64, #[source] serde_json::Error),
    #[error("a head is not the node's word")]
    Head(#[source] keys::Invalid),
    #[error("the head for record {0} speaks of another record than the one that came")]
    OtherRecord(u64),
    #[error("it is the journal of another node")]
    OtherNode,
}

/// What is read of an entry: what changed. How it came to that is in the lines.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    decided: Option<Decided>,
}

#[derive(Deserialize)]
struct Decided {
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Snapshot {
    tenure: Tenure,
}

impl Mirror {
    /// What the file says; an empty mirror if it says nothing that holds.
    pub(crate) fn open(folder: &Path, node: NodeId, node_key: PublicKey) -> io::Result<Self> {
        let file = folder.join(format!("{}.journal", node.to_string().trim_start_matches("lh1:")));
        let mut mirror = Self {
            node,
            node_key,
            file,
            end: None,
            recent: BTreeMap::new(),
            head: None,
            tenure: Tenure::unenrolled(),
            accepted: BTreeMap::new(),
        };
        let mut lines = Vec::new();
        match File::open(&mirror.file) {
            Ok(file) => file.take(FILE_BYTES_MAX).read_to_end(&mut lines)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(mirror),
            Err(error) => return Err(error),
        };
        // A console that was killed may have left half a line.
        let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        lines.truncate(whole);
        if mirror.take(&lines).is_err() {
            mirror.forget()?;
        } else {
            OpenOptions::new().write(true).open(&mirror.file)?.set_len(whole as u64)?;
        }
        mirror.accepted.clear();
        Ok(mirror)
    }

    /// The number of the newest record; 0 for none.
    pub(crate) fn record(&self) -> u64 {
        self.end.map_or(0, |end| end.number)
    }

    /// Which record is wanted next; 0: the oldest that there is.
    pub(crate) fn wanted(&self) -> u64 {
        self.end.map_or(0, |end| end.number + 1)
    }

    /// Whether anything is known.
    pub(crate) fn is_known(&self) -> bool {
        self.end.is_some()
    }

    /// Takes what a node gave: all of it, or nothing.
    pub(crate) fn extend(&mut self, lines: &[u8]) -> io::Result<Result<(), Broken>> {
        if let Err(broken) = self.take(lines) {
            return Ok(Err(broken));
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600).open(&self.file)?.write_all(lines)?;
        Ok(Ok(()))
    }

    /// Takes the node's word for what was read. One for a record that is not here yet, or was read long ago, is
    /// left for later.
    pub(crate) fn vouch(&mut self, envelope: &str) -> Result<(), Broken> {
        let head = Head::verify(envelope.as_bytes(), Some(&self.node_key)).map_err(Broken::Head)?;
        match self.recent.get(&head.record) {
            Some(digest) if *digest == head.record_digest => {
                self.head = Some((head.record, envelope.to_owned()));
                Ok(())
            }
            Some(_other) => Err(Broken::OtherRecord(head.record)),
            None => Ok(()),
        }
    }

    /// Begins anew.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        (self.end, self.head) = (None, None);
        self.recent.clear();
        self.tenure = Tenure::unenrolled();
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Err(_) | Ok(()) => Ok(()),
        }
    }

    /// The lines, and the newest head behind them: an export.
    pub(crate) fn export(&self) -> io::Result<Vec<u8>> {
        let mut lines = fs::read(&self.file)?;
        if let Some((_, head)) = &self.head {
            lines.extend_from_slice(head.as_bytes());
            lines.push(b'\n');
        }
        Ok(lines)
    }

    /// Which orders came on record since the last call.
    pub(crate) fn accepted(&mut self) -> BTreeMap<(KeyId, Sequence), (u64, Digest)> {
        std::mem::take(&mut self.accepted)
    }

    fn take(&mut self, lines: &[u8]) -> Result<(), Broken> {
        let (mut end, mut tenure, mut recent) = (self.end, self.tenure.clone(), self.recent.clone());
        let mut accepted = Vec::new();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let record = Record::read(line).map_err(Broken::Flaw)?;
            record.follows(end).map_err(Broken::Flaw)?;
            end = Some(record.end());
            recent.insert(record.number, record.digest);
            if recent.len() > RECENT_MAX {
                recent.pop_first();
            }
            let shape = |error| Broken::Shape(record.number, error);
            match &record.body {
                Body::Snapshot(snapshot) => {
                    tenure = serde_json::from_str::<Snapshot>(snapshot.get()).map_err(shape)?.tenure;
                }
                Body::Entry(entry) => {
                    let entry: Entry = serde_json::from_str(entry.get()).map_err(shape)?;
                    let changes = entry.decided.map(|decided| decided.changes).unwrap_or_default();
                    apply_all(&mut tenure, &changes);
                    for change in &changes {
                        if let Change::Accepted { key, seq, .. } = change {
                            accepted.push(((*key, *seq), (record.number, record.digest)));
                        }
                    }
                }
            }
        }
        if tenure.node().is_some_and(|node| node != self.node) {
            return Err(Broken::OtherNode);
        }
        (self.end, self.recent, self.tenure) = (end, recent, tenure);
        self.accepted.extend(accepted);
        Ok(())
    }
}
