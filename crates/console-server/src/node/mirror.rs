//! What a console knows of a node's tenure: its journal, verified line by line and applied.
//!
//! The lines are kept in a file beside the store; they can be had again from the node, so nothing waits for
//! the medium. A file that does not hold is begun anew.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use id::{Digest, KeyId, LeaseId, NodeId, PublicKey, Sequence, TierId};
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
    /// The newest record that there was when lines were forgotten last.
    floor: u64,
    /// The digests of the newest records: heads are compared with them.
    recent: BTreeMap<u64, Digest>,
    /// The newest head, for a record that is here: the node's word for all before it.
    head: Option<(u64, String)>,
    pub(crate) tenure: Tenure,
    /// Which of the orders under a key are on record, of those that came since the last look; at a start: of
    /// all lines.
    accepted: BTreeMap<(KeyId, Sequence), Obeyed>,
}

/// An order that is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Obeyed {
    pub(crate) record: u64,
    pub(crate) digest: Digest,
    /// The tier that it made or handed on, and the lease under which that is since.
    pub(crate) made: Option<(TierId, LeaseId)>,
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
        let mut mirror = Self::empty(file, node, node_key);
        mirror.floor = mirror.kept_floor()?;
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
        Ok(mirror)
    }

    /// One that knows nothing, and keeps what it learns in a file.
    pub(crate) fn empty(file: PathBuf, node: NodeId, node_key: PublicKey) -> Self {
        let (recent, accepted) = (BTreeMap::new(), BTreeMap::new());
        let tenure = Tenure::unenrolled();
        Self { node, node_key, file, end: None, floor: 0, recent, head: None, tenure, accepted }
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

    /// Waits until what was read is on the medium.
    pub(crate) fn sync(&self) -> io::Result<()> {
        File::open(&self.file)?.sync_data()
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

    /// The newest record that was ever here. A journal that ends before it is an older one, also when what was here
    /// is forgotten, and after a start.
    pub(crate) fn seen(&self) -> u64 {
        self.record().max(self.floor)
    }

    fn floor_file(&self) -> PathBuf {
        self.file.with_extension("floor")
    }

    fn kept_floor(&self) -> io::Result<u64> {
        match fs::read_to_string(self.floor_file()) {
            Ok(text) => text.trim_end().parse().map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Begins anew.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        if self.seen() > self.floor {
            self.floor = self.seen();
            let mut options = OpenOptions::new();
            let mut file =
                options.create(true).write(true).truncate(true).mode(0o600).open(self.floor_file())?;
            file.write_all(format!("{}\n", self.floor).as_bytes())?;
        }
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

    /// The order of that number, if it came on record since the last look.
    pub(crate) fn obeyed(&self, key: KeyId, seq: Sequence) -> Option<Obeyed> {
        self.accepted.get(&(key, seq)).copied()
    }

    /// All orders on record have been looked at. Until then none is forgotten, whatever becomes of who looks.
    pub(crate) fn looked_at(&mut self) {
        self.accepted.clear();
    }

    /// Takes lines, or none of them. The medium has no part in it.
    pub(crate) fn take(&mut self, lines: &[u8]) -> Result<(), Broken> {
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
                    let made = changes.iter().find_map(made);
                    for change in &changes {
                        if let Change::Accepted { key, seq, .. } = change {
                            let obeyed = Obeyed { record: record.number, digest: record.digest, made };
                            accepted.push(((*key, *seq), obeyed));
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

fn made(change: &Change) -> Option<(TierId, LeaseId)> {
    if let Change::Leased { tier, lease, .. } | Change::Reassigned { tier, lease, .. } = change {
        Some((*tier, *lease))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use keys::SigningKey;

    use super::*;

    /// The lines with their digests, and in the place of each `@` that of the line before.
    fn chained(text: &str) -> Vec<u8> {
        let (mut lines, mut before) = (String::new(), "null".to_owned());
        for line in text.lines() {
            let line = line.replacen('@', &before, 1);
            let digest = Digest::of(line.as_bytes()).to_string();
            lines += &format!("{} {line}\n", digest.trim_start_matches("sha256:"));
            before = format!("{digest:?}");
        }
        lines.into_bytes()
    }

    fn mirror() -> Mirror {
        let node = "lh1:jAzBegSULMT44P4LMCYG0xCIYMEmQouizutfntQcKwU".parse().unwrap();
        Mirror::empty(PathBuf::new(), NodeId(node), *SigningKey::from_seed(&[1; 32]).unwrap().public())
    }

    /// A node's journal is its own word: two tiers below each other are no reason to walk for ever.
    #[test]
    fn tiers_in_a_ring_end_no_console() {
        let mut mirror = mirror();
        mirror.take(&chained(include_str!("../../tests/journals/cycle"))).unwrap();
        let root = mirror.tenure.root().unwrap();
        let tiers: Vec<_> = mirror.tenure.tiers().map(|(tier, _)| tier).collect();
        assert_eq!(tiers.len(), 3);
        for tier in tiers.into_iter().filter(|tier| *tier != root) {
            assert!(!mirror.tenure.is_below(tier, root));
            assert_eq!(mirror.tenure.subtree(tier).len(), 2);
            assert!(serde_json::to_value(mirror.tenure.standing(tier)).is_ok());
        }
    }

    /// What does not hold is not taken, and what was there stays.
    #[test]
    fn lines_are_taken_whole_or_not_at_all() {
        let whole = chained(include_str!("../../tests/journals/today"));
        let mut mirror = mirror();
        mirror.take(&whole).unwrap();
        let (record, tenure) = (mirror.record(), mirror.tenure.clone());
        assert!(record > 2);
        assert!(mirror.take(&whole).is_err());
        assert!(mirror.take(&chained("{\"number\":1}")).is_err());
        assert_eq!((mirror.record(), &mirror.tenure), (record, &tenure));
    }

    /// Who looks may end before it has written down what it saw: the next one looks again.
    #[test]
    fn what_was_obeyed_is_known_until_it_was_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Mirror::open(folder.path(), mirror().node, mirror().node_key).unwrap();
        let mut one = open();
        one.extend(&chained(include_str!("../../tests/journals/today"))).unwrap().unwrap();
        let (&(key, seq), &obeyed) = one.accepted.iter().find(|(_, obeyed)| obeyed.made.is_some()).unwrap();
        let (tier, lease) = obeyed.made.unwrap();
        assert_eq!(one.tenure.tier(tier).unwrap().lease, lease);
        assert_eq!(open().obeyed(key, seq), Some(obeyed));
        one.looked_at();
        assert_eq!(one.obeyed(key, seq), None);
    }

    /// A node that has forgotten old records has its mirror begun anew; an older journal is told from that also when
    /// the reading breaks off, and by the next console on the same folder.
    #[test]
    fn what_was_seen_is_remembered_when_the_lines_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Mirror::open(folder.path(), mirror().node, mirror().node_key).unwrap();
        let mut one = open();
        one.extend(&chained(include_str!("../../tests/journals/today"))).unwrap().unwrap();
        let seen = one.record();
        assert!(seen > 2);
        one.forget().unwrap();
        assert_eq!((one.record(), one.seen()), (0, seen));
        one.forget().unwrap();
        let next = open();
        assert_eq!((next.record(), next.seen()), (0, seen));
    }
}
