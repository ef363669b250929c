//! `leasehold receipt …`: a node's word that a thing was done is checked here, without the node.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Subcommand};
use console_api::{Documents, TakeReceipt};
use id::{KeyId, NodeId, PublicKey};
use journal::Summary;
use keys::{Envelope, Grade, Invalid, NodeRecord as _, Part, PayloadType, Receipt, Statement};
use serde_json::{Value, json};

use crate::failure::{Exit, Failure};
use crate::file;
use crate::journal::EXPORT_BYTES_MAX;
use crate::output::{Format, line};
use crate::reach::{Reach, segment};
use crate::table::word;

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Check signatures of receipts and statements, and say what they say
    Verify(Verification),
    /// Write what nodes signed about a contract, a lease or a tier, an envelope a line
    Fetch(Fetching),
    /// Take a receipt that another party handed over: a lease that it says has ended is ended here, too
    Take(Taking),
}

/// What to fetch.
#[derive(Args)]
pub(crate) struct Fetching {
    /// A contract, a lease's id or a tier's
    #[arg(add = crate::complete::leases())]
    about: String,
    /// Write it to this new file, not to stdout
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

/// What to take.
#[derive(Args)]
pub(crate) struct Taking {
    /// The receipt's file: one envelope a line; what is no receipt of this console's nodes is left out
    receipt: PathBuf,
    #[command(flatten)]
    reach: Reach,
}

/// What to check.
#[derive(Args)]
pub(crate) struct Verification {
    /// A receipt, or what `bmonitor receipt` printed: one a line
    receipt: PathBuf,
    /// The node that must have signed it: its public key or key id
    #[arg(long)]
    node_key: Option<NodeKey>,
    /// An export of the node's journal: the record that a receipt names must stand in it
    #[arg(long)]
    journal: Option<PathBuf>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// A node's key, by itself or by its id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeKey(KeyId);

impl NodeKey {
    /// Whether it is that node's.
    pub(crate) fn is(&self, node: NodeId) -> bool {
        self.0 == node.0
    }
}

impl FromStr for NodeKey {
    type Err = id::Malformed;

    fn from_str(text: &str) -> Result<Self, id::Malformed> {
        if text.starts_with("lh1:") {
            text.parse().map(Self)
        } else {
            text.parse().map(|key: PublicKey| Self(key.id()))
        }
    }
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Verify(verification) => check(verification),
        Verb::Fetch(fetching) => fetch(fetching),
        Verb::Take(taking) => take(taking),
    }
}

fn fetch(Fetching { about, out, reach }: &Fetching) -> Result<Exit, Failure> {
    let path = format!("/v1/documents/{}", segment(about));
    let found: Documents = reach.ask(async |client| client.get(&path).await)?;
    let lines: Vec<_> = found.documents.iter().map(|document| document.envelope.as_str()).collect();
    let lines = lines.join("\n");
    match (out, reach.output) {
        (Some(out), _) => file::write_new(out, format!("{lines}\n").as_bytes(), 0o644)?,
        (None, Format::Json) => line(&json!(found).to_string()),
        (None, Format::Text) => line(&lines),
    }
    Ok(Exit::Ok)
}

/// Each receipt of the file is for the console to judge: it knows the node's key.
fn take(Taking { receipt: path, reach }: &Taking) -> Result<Exit, Failure> {
    let bytes = file::read(path, DOCUMENTS_BYTES_MAX)?;
    let receipts: Vec<_> = envelopes(&bytes)
        .into_iter()
        .filter(|envelope| Receipt::verify(envelope, None).is_ok())
        .map(|envelope| TakeReceipt { envelope: String::from_utf8_lossy(envelope).into_owned() })
        .collect();
    let (mut taken, mut refused) = (Vec::new(), None);
    for receipt in &receipts {
        match reach.ask(async |client| client.post::<console_api::Document>("/v1/receipts", receipt).await) {
            Ok(document) => taken.push(document),
            Err(failure) => refused = Some(failure),
        }
    }
    match (taken.is_empty(), refused) {
        (true, Some(failure)) => return Err(failure),
        (true, None) => {
            return Err(Failure::new(Exit::Usage, format!("{}: there is no receipt in it", path.display())));
        }
        (false, _) => {}
    }
    match reach.output {
        Format::Json => line(&json!({ "documents": taken }).to_string()),
        Format::Text => taken.iter().for_each(|document| {
            line(&format!(
                "tier {} on node {} has ended, by the node's receipt of {}",
                document.tier, document.node, document.at
            ));
        }),
    }
    Ok(Exit::Ok)
}

fn check(verification: &Verification) -> Result<Exit, Failure> {
    let Verification { receipt: path, node_key, journal, output } = verification;
    let bytes = file::read(path, DOCUMENTS_BYTES_MAX)?;
    let journal = journal.as_deref().map(read_journal).transpose()?;
    let holds = |document: Document| match &journal {
        Some(journal) => document.stands_in(journal),
        None => Ok(document),
    };
    let mut all: Vec<_> = envelopes(&bytes)
        .into_iter()
        .map(|envelope| verify(envelope, node_key.as_ref()).and_then(holds))
        .collect();
    // Statements tell nothing of a thing done: without a receipt beside them they are none.
    if !all.iter().any(|found| matches!(found, Ok(Document::Receipt(_)))) {
        for found in all.iter_mut().filter(|found| found.is_ok()) {
            *found = Err("it is a statement, and no receipt stands beside it".to_owned());
        }
    }
    let mut wrong = Vec::new();
    for found in all {
        match output {
            Format::Json => line(&answer(&found, node_key.is_some(), journal.is_some()).to_string()),
            Format::Text => line(&told(&found, node_key.is_some(), journal.is_some())),
        }
        wrong.extend(found.err().map(|why| (format!("{}: {why}", path.display()), None)));
    }
    if wrong.is_empty() { Ok(Exit::Ok) } else { Err(Failure::several(Exit::Refused, wrong)) }
}

/// The longest file that is read: what a node has signed in years.
const DOCUMENTS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a node signs about a tier.
enum Document {
    Receipt(Receipt),
    Statement(Statement),
}

/// One envelope, however it is broken into lines; or one a line.
fn envelopes(bytes: &[u8]) -> Vec<&[u8]> {
    let whole = bytes.trim_ascii();
    if Envelope::parse(whole).is_ok() {
        return vec![whole];
    }
    whole.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).collect()
}

fn verify(envelope: &[u8], node_key: Option<&NodeKey>) -> Result<Document, String> {
    let document = match Receipt::verify(envelope, None) {
        Ok(receipt) => Document::Receipt(receipt),
        Err(Invalid::OtherType(PayloadType::Statement)) => {
            Document::Statement(Statement::verify(envelope, None).map_err(|invalid| file::chain(&invalid))?)
        }
        Err(invalid) => return Err(file::chain(&invalid)),
    };
    match node_key {
        Some(wanted) if !wanted.is(document.node()) => Err(format!("it is by node {}", document.node())),
        Some(_) | None => Ok(document),
    }
}

/// An export that holds, whoever vouches for it: the receipt is signed.
fn read_journal(path: &Path) -> Result<Summary, Failure> {
    journal::verify(&file::read(path, EXPORT_BYTES_MAX)?, None).map_err(|broken| {
        Failure::new(Exit::Refused, format!("{}: {}", path.display(), file::chain(&broken)))
    })
}

impl Document {
    /// Whether the record that a receipt names stands in the journal, and reads so there; a statement names
    /// none.
    fn stands_in(self, journal: &Summary) -> Result<Self, String> {
        let Self::Receipt(receipt) = &self else { return Ok(self) };
        match journal.digest_of(receipt.record) {
            Some(digest) if digest == receipt.record_digest => Ok(self),
            Some(_) => Err(format!("record {} of the journal is another one", receipt.record)),
            None => Err(format!("record {} is not in the journal", receipt.record)),
        }
    }

    const fn node(&self) -> NodeId {
        match self {
            Self::Receipt(receipt) => receipt.node,
            Self::Statement(statement) => statement.node,
        }
    }

    const fn grade(&self) -> Grade {
        match self {
            Self::Receipt(receipt) => receipt.grade,
            Self::Statement(statement) => statement.grade,
        }
    }
}

fn answer(found: &Result<Document, String>, confirmed: bool, with_journal: bool) -> Value {
    let document = found.as_ref().ok();
    let (receipt, statement) = match document {
        Some(Document::Receipt(receipt)) => (Some(receipt), None),
        Some(Document::Statement(statement)) => (None, Some(statement)),
        None => (None, None),
    };
    json!({
        "valid": document.is_some(),
        "grade": document.map(Document::grade),
        "reason": found.as_ref().err(),
        "node": document.map(Document::node),
        "node_confirmed": document.is_some() && confirmed,
        "in_journal": receipt.filter(|_| with_journal).map(|receipt| receipt.record),
        "receipt": receipt,
        "statement": statement,
    })
}

fn told(found: &Result<Document, String>, confirmed: bool, with_journal: bool) -> String {
    let Ok(document) = found else { return "not valid".to_owned() };
    let what = match document {
        Document::Receipt(receipt) => {
            format!("{} of tier {} at {}", word(receipt.purpose), receipt.tier, receipt.at)
        }
        Document::Statement(statement) => {
            format!("tier {} in epoch {} at {}", statement.tier, statement.epoch, statement.at)
        }
    };
    let whose = if confirmed { "the one you named" } else { "confirm it with its owner" };
    let mut lines = vec![
        format!("valid: {what}"),
        format!("signed by node {} ({whose})", document.node()),
        format!("grade {}", word(document.grade())),
    ];
    match document {
        Document::Receipt(receipt) => {
            let part =
                |part: &Part| format!("  tier {}: {}, epoch {}", part.tier, word(part.fate), part.epoch);
            lines.extend(receipt.parts.iter().map(part));
            lines.push(format!("secrets destroyed: {}", receipt.destroyed.len()));
            if with_journal {
                lines.push(format!("stands in the journal: record {}", receipt.record));
            }
        }
        Document::Statement(statement) => {
            lines.extend(statement.controllers.iter().map(|key| format!("  controller {key}")));
        }
    }
    lines.join("\n")
}
