//! What a procedure ends with: receipts for what was destroyed, statements for what was made; and the
//! folder where the signed ones lie.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use id::{Digest, NodeId, TierId, Time};
use keys::{Grade, PublicKey, Receipt, SealingKey, Statement, Version};
use tenure::{Fate, Procedure, ProcedureId, Purpose, Tenure};

use crate::custody::Request;

/// Bytes of documents in one answer: well below what a frame may carry.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One document of a procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Receipt,
    Statement(TierId),
}

fn kinds(procedure: &Procedure) -> Vec<Kind> {
    let destroys = procedure.parts.iter().any(|part| part.fate.destroys());
    let receipt = destroys.then_some(Kind::Receipt);
    let stays = procedure.parts.iter().filter(|part| part.fate != Fate::Ended);
    receipt.into_iter().chain(stays.map(|part| Kind::Statement(part.tier))).collect()
}

/// How many documents a procedure ends with.
pub(super) fn number(procedure: &Procedure) -> usize {
    kinds(procedure).len()
}

/// Where the node stands when a document is made.
pub(super) struct Standpoint<'a> {
    pub(super) tenure: &'a Tenure,
    pub(super) node_key: PublicKey,
    pub(super) at: Time,
    pub(super) head: (u64, Digest),
    pub(super) identities: &'a BTreeMap<TierId, PublicKey>,
    pub(super) sealing_keys: &'a BTreeMap<TierId, SealingKey>,
    pub(super) previous: Option<Digest>,
}

impl Standpoint<'_> {
    /// The request for custody to sign the n-th document of a procedure.
    pub(super) fn request(&self, procedure: &Procedure, number: usize) -> Option<Request> {
        Some(match kinds(procedure).get(number)? {
            Kind::Receipt => Request::Receipt(Box::new(self.receipt(procedure))),
            Kind::Statement(tier) => Request::Statement(Box::new(self.statement(procedure, *tier)?)),
        })
    }

    fn receipt(&self, procedure: &Procedure) -> Receipt {
        let (record, record_digest) = self.head;
        let fate = |fate| match fate {
            Fate::Kept => keys::Fate::Kept,
            Fate::New | Fate::Erased => keys::Fate::Erased,
            Fate::Ended => keys::Fate::Ended,
        };
        let parts = procedure.parts.iter();
        Receipt {
            version: Version,
            node: NodeId(self.node_key.id()),
            node_key: self.node_key,
            grade: Grade::HostRoot,
            at: self.at,
            order: Some(procedure.id.0),
            purpose: match procedure.purpose {
                Purpose::Severing => keys::Purpose::Severing,
                Purpose::Reassignment => keys::Purpose::Reassignment,
                Purpose::Renewal | Purpose::Lease | Purpose::Enrolment => keys::Purpose::Renewal,
            },
            tier: procedure.tier,
            parts: parts
                .map(|part| keys::Part { tier: part.tier, epoch: part.epoch, fate: fate(part.fate) })
                .collect(),
            destroyed: Vec::new(),
            record,
            record_digest,
            previous: self.previous,
        }
    }

    fn statement(&self, procedure: &Procedure, id: TierId) -> Option<Statement> {
        let tier = self.tenure.tier(id)?;
        let mut controllers: Vec<PublicKey> = tier.keys.values().map(|entry| entry.key).collect();
        controllers.sort_unstable();
        Some(Statement {
            version: Version,
            node: NodeId(self.node_key.id()),
            node_key: self.node_key,
            grade: Grade::HostRoot,
            at: self.at,
            lease: tier.lease,
            tier: id,
            epoch: tier.epoch,
            identity: self.identities.get(&id).copied(),
            sealing: self.sealing_keys.get(&id).cloned(),
            controllers,
            boundary: tier.given,
            directory: tier.directory,
            nonce: procedure.nonce.filter(|_| id == procedure.tier),
        })
    }
}

/// The folder of signed documents. A file's name says what it is about, so that a tier's name still finds
/// it when the tier is gone: `RECORD.NAME.TIER.LEASE.PROCEDURE.NUMBER.BY.json`. BY is the tier that may have it
/// beside the one that it is about: whose order it answers. A statement after a renewal is for the tier alone:
/// nobody else is to know its identity.
#[derive(Debug)]
pub(super) struct Documents {
    folder: PathBuf,
}

impl Documents {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// How many documents of each procedure are there.
    pub(super) fn signed(&self) -> io::Result<BTreeMap<ProcedureId, usize>> {
        let mut signed = BTreeMap::new();
        for name in self.names()? {
            let fields: Vec<&str> = name.split('.').collect();
            let [_record, _name, _tier, _lease, procedure, _number, _by, "json"] = fields[..] else {
                continue;
            };
            if let Ok(digest) = format!("sha256:{procedure}").parse() {
                *signed.entry(ProcedureId(digest)).or_default() += 1;
            }
        }
        Ok(signed)
    }

    /// The digest of the newest document.
    pub(super) fn newest(&self) -> io::Result<Option<Digest>> {
        let newest = self.names()?.pop();
        newest.map(|name| Ok(Digest::of(&fs::read(self.folder.join(name))?))).transpose()
    }

    /// Stores a signed document: whole, or not at all.
    pub(super) fn store(
        &self,
        record: u64,
        tenure: &Tenure,
        procedure: &Procedure,
        number: usize,
        envelope: &str,
    ) -> io::Result<()> {
        let (tier, by) = match kinds(procedure).get(number) {
            Some(Kind::Statement(tier)) => (*tier, handed_on(procedure, *tier)),
            Some(Kind::Receipt) | None => (procedure.tier, procedure.by),
        };
        let (name, lease) = match tenure.tier(tier) {
            Some(tier) => (tier.name.to_string(), tier.lease.to_string()),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let procedure = procedure.id.to_string();
        let procedure = procedure.trim_start_matches("sha256:");
        let file = format!("{record:012}.{name}.{tier}.{lease}.{procedure}.{number}.{by}.json");
        put(&self.folder, &file, envelope.as_bytes())
    }

    /// The documents about a lease, a tier, or a tier's name, an envelope a line, oldest first.
    /// With a reader, what that tier may have of them. When there are more than an answer may hold, the newest: whoever
    /// wants all collects them as they come.
    pub(super) fn about(&self, what: &str, reader: Option<TierId>) -> io::Result<(u64, Vec<u8>)> {
        let reader = reader.map(|tier| tier.to_string());
        let (mut found, mut room) = (Vec::new(), ANSWER_BYTES_MAX);
        for name in self.names()?.into_iter().rev() {
            let fields: Vec<&str> = name.split('.').collect();
            let [_record, name_of, tier, lease, _procedure, _number, by, "json"] = fields[..] else {
                continue;
            };
            let is_about = [name_of, tier, lease].contains(&what);
            if is_about && reader.as_deref().is_none_or(|reader| [tier, by].contains(&reader)) {
                let document = fs::read(self.folder.join(&name))?;
                let Some(left) = room.checked_sub(document.len() + 1) else { break };
                room = left;
                found.push(document);
            }
        }
        let number = found.len() as u64;
        let lines = found.into_iter().rev().flat_map(|document| [document, b"\n".to_vec()]);
        Ok((number, lines.collect::<Vec<_>>().concat()))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().into_string();
            names.extend(name.ok().filter(|name| name.ends_with(".json")));
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Who beside a tier may have a statement about it. The grantor hands the first one of a lease on to its
/// tenant; after that the tier alone knows its identity.
fn handed_on(procedure: &Procedure, tier: TierId) -> TierId {
    let granted =
        matches!(procedure.purpose, Purpose::Lease | Purpose::Reassignment) && tier == procedure.tier;
    if granted { procedure.by } else { tier }
}

/// Puts a whole file under a name and waits until it is on the medium.
pub(super) fn put(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(format!("{name}.new"));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(name))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_more_documents_than_an_answer_holds_the_newest_are_given() {
        let folder = tempfile::tempdir().unwrap();
        let documents = Documents::new(folder.path().to_owned());
        let tier = "0123456789abcdef0123456789abcdef";
        let long = |record: u8| vec![b'a' + record; 1024 * 1024];
        for record in 0..6_u8 {
            let name = format!("{record:012}.tenant-a.{tier}.{tier}.{}.0.{tier}.json", "0".repeat(64));
            put(folder.path(), &name, &long(record)).unwrap();
        }
        let (number, lines) = documents.about("tenant-a", None).unwrap();
        assert_eq!(number, 3);
        assert_eq!(
            lines,
            [long(3), b"\n".to_vec(), long(4), b"\n".to_vec(), long(5), b"\n".to_vec()].concat()
        );
        assert_eq!(documents.about("tenant-b", None).unwrap(), (0, Vec::new()));
    }
}
