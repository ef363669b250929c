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

/// A node's tenure, as its journal tells.
#[derive(Debug)]
pub(crate) struct Mirror {
    node: NodeId,
    node_key: PublicKey,
    file: PathBuf,
    end: Option<End>,
    /// Where the journal begins for this console, when nothing was read yet.
    first: u64,
    /// The newest record that the node vouched for with its own key.
    head: Option<u64>,
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
            first: 1,
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

    /// The number of the newest record, or of the one before the first; 0 for none.
    pub(crate) fn record(&self) -> u64 {
        self.end.map_or(self.first - 1, |end| end.number)
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

    /// Begins anew at a record, which must be a snapshot: those before it are gone.
    pub(crate) fn begin_at(&mut self, first: u64) -> io::Result<()> {
        self.forget()?;
        self.first = first.max(1);
        Ok(())
    }

    /// Begins anew.
    fn forget(&mut self) -> io::Result<()> {
        (self.end, self.head, self.first) = (None, None, 1);
        self.tenure = Tenure::unenrolled();
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Err(_) | Ok(()) => Ok(()),
        }
    }

    /// The lines, to be handed out.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Which orders came on record since the last call.
    pub(crate) fn accepted(&mut self) -> BTreeMap<(KeyId, Sequence), (u64, Digest)> {
        std::mem::take(&mut self.accepted)
    }

    fn take(&mut self, lines: &[u8]) -> Result<(), Broken> {
        let (mut end, mut head, mut tenure) = (self.end, self.head, self.tenure.clone());
        let (mut accepted, mut digests) = (Vec::new(), BTreeMap::new());
        digests.extend(end.map(|end| (end.number, end.digest)));
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            if line.first() == Some(&b'{') {
                let vouched =
                    Head::verify(line.trim_ascii_end(), Some(&self.node_key)).map_err(Broken::Head)?;
                // One for a record that was had before can't be compared any more, and is not needed.
                if digests.get(&vouched.record).is_some_and(|digest| *digest != vouched.record_digest) {
                    return Err(Broken::OtherRecord(vouched.record));
                }
                head = head.max(Some(vouched.record));
                continue;
            }
            let record = Record::read(line).map_err(Broken::Flaw)?;
            record.follows(end).map_err(Broken::Flaw)?;
            end = Some(record.end());
            digests.insert(record.number, record.digest);
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
        (self.end, self.head, self.tenure) = (end, head, tenure);
        self.accepted.extend(accepted);
        Ok(())
    }
}
