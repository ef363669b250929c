//! `leasehold journal …`: what others say of a node's journal is checked here, away from the node.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use journal::{Folder, Summary, inspect, verify};
use serde_json::{Value, json};

use crate::failure::{Exit, Failure};
use crate::file;
use crate::output::{Format, line};
use crate::reach::{Reach, segment};
use crate::receipt::NodeKey;

/// The longest export that is read at once.
pub(crate) const EXPORT_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Check an export, or the journal's own folder: every digest, every link, every signed head
    Verify(Verification),
    /// Write a node's journal as a console has it, with the newest signed head
    Fetch(Fetching),
}

/// What to fetch.
#[derive(Args)]
pub(crate) struct Fetching {
    /// The node, by name or key id
    #[arg(add = crate::complete::nodes())]
    node: String,
    /// Write it to this new file, not to stdout
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    reach: Reach,
}

/// What to check.
#[derive(Args)]
pub(crate) struct Verification {
    /// An export (see docs/receipts.md), or a node's journal folder
    path: PathBuf,
    /// The node that must have signed the heads: its public key or key id
    #[arg(long)]
    node_key: Option<NodeKey>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Verify(verification) => check(verification),
        Verb::Fetch(fetching) => fetch(fetching),
    }
}

fn fetch(Fetching { node, out, reach }: &Fetching) -> Result<Exit, Failure> {
    let path = format!("/v1/nodes/{}/journal", segment(node));
    let lines = reach.ask(async |client| client.get_bytes(&path).await)?;
    match out {
        Some(out) => file::write_new(out, &lines, 0o644)?,
        None => line(String::from_utf8_lossy(&lines).trim_end()),
    }
    Ok(Exit::Ok)
}

fn check(verification: &Verification) -> Result<Exit, Failure> {
    let Verification { path, node_key, output } = verification;
    let found = if path.is_dir() { folder(path)? } else { export(path, node_key.as_ref())? };
    match output {
        Format::Json => line(&found.answer().to_string()),
        Format::Text => line(&found.told()),
    }
    match found.why {
        None => Ok(Exit::Ok),
        Some(why) => Err(Failure::new(Exit::Refused, format!("{}: {why}", path.display()))),
    }
}

/// What came out.
#[derive(Default)]
struct Found {
    /// Why it is not valid.
    why: Option<String>,
    summary: Option<Summary>,
    /// The head is by the node that was named.
    confirmed: bool,
    torn_bytes: u64,
}

fn export(path: &Path, node_key: Option<&NodeKey>) -> Result<Found, Failure> {
    let bytes = file::read(path, EXPORT_BYTES_MAX)?;
    let summary = match verify(&bytes, None) {
        Ok(summary) => summary,
        Err(broken) => return Ok(Found { why: Some(file::chain(&broken)), ..Found::default() }),
    };
    let signer = summary.head.as_ref().map(|head| head.node);
    let why = match (node_key, signer) {
        (Some(wanted), Some(signer)) if !wanted.is(signer) => Some(format!("its heads are by node {signer}")),
        (Some(_), None) => Some("it has no signed head".to_owned()),
        (Some(_), Some(_)) | (None, _) => None,
    };
    let confirmed = node_key.is_some() && why.is_none();
    Ok(Found { why, summary: Some(summary), confirmed, torn_bytes: 0 })
}

/// A journal's own folder has no signed head in it; a torn tail is what BMonitor would cut off.
fn folder(path: &Path) -> Result<Found, Failure> {
    let folder = Folder::readable(path).map_err(|error| file::unreadable(path, &error))?;
    let read = match inspect(&folder) {
        Ok(read) => read,
        Err(journal::Error::Medium(error)) => return Err(file::unreadable(path, &error)),
        Err(journal::Error::Missing) => {
            return Err(Failure::new(Exit::NotFound, format!("{}: there is no journal", path.display())));
        }
        Err(error) => return Ok(Found { why: Some(file::chain(&error)), ..Found::default() }),
    };
    let newest = read.entries.last().unwrap_or(&read.snapshot);
    let summary = Summary {
        first: read.first,
        last: newest.number,
        digest: newest.digest,
        at: newest.at,
        head: None,
        digests: Vec::new(),
    };
    let torn_bytes = read.torn.map_or(0, |torn| torn.bytes);
    Ok(Found { summary: Some(summary), torn_bytes, ..Found::default() })
}

impl Found {
    fn answer(&self) -> Value {
        let head = self.summary.as_ref().and_then(|summary| summary.head.as_ref());
        json!({
            "valid": self.why.is_none(),
            "grade": head.filter(|_| self.why.is_none()).map(|head| head.grade),
            "reason": self.why,
            "first": self.summary.as_ref().map(|summary| summary.first),
            "last": self.summary.as_ref().map(|summary| summary.last),
            "digest": self.summary.as_ref().map(|summary| summary.digest),
            "at": self.summary.as_ref().map(|summary| summary.at),
            "node": head.map(|head| head.node),
            "signed_up_to": head.map(|head| head.record),
            "node_confirmed": self.confirmed,
            "torn_bytes": self.torn_bytes,
        })
    }

    fn told(&self) -> String {
        let (None, Some(summary)) = (&self.why, &self.summary) else { return "not valid".to_owned() };
        let mut lines = vec![
            format!("valid: records {} to {}, the last at {}", summary.first, summary.last, summary.at),
            format!("last digest  {}", summary.digest),
        ];
        match &summary.head {
            Some(head) => lines.push(format!(
                "signed up to record {} by node {} ({}), grade {}",
                head.record,
                head.node,
                if self.confirmed { "the one you named" } else { "confirm it with its owner" },
                json!(head.grade).as_str().unwrap_or_default(),
            )),
            None => lines.push("no signed head: nobody vouches for it".to_owned()),
        }
        if self.torn_bytes > 0 {
            lines.push(format!(
                "{} bytes of a record that was never acknowledged at the end",
                self.torn_bytes
            ));
        }
        lines.join("\n")
    }
}
