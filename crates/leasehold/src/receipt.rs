//! `leasehold receipt …`: a node's word that a thing was done is checked here, without the node.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use id::{KeyId, NodeId, PublicKey};
use keys::{ENVELOPE_BYTES_MAX, NodeRecord as _, Receipt};
use serde_json::{Value, json};

use crate::failure::{Exit, Failure};
use crate::file;
use crate::output::{Format, line};

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Check a receipt's signature and say what it says
    Verify(Verification),
}

/// What to check.
#[derive(Args)]
pub(crate) struct Verification {
    /// The receipt's file
    receipt: PathBuf,
    /// The node that must have signed it: its public key or key id
    #[arg(long)]
    node_key: Option<NodeKey>,
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
pub(crate) fn run(Verb::Verify(verification): &Verb) -> Result<Exit, Failure> {
    let Verification { receipt, node_key, output } = verification;
    let bytes = file::read(receipt, ENVELOPE_BYTES_MAX)?;
    let found = match Receipt::verify(bytes.trim_ascii_end(), None) {
        Ok(receipt) if node_key.is_some_and(|wanted| !wanted.is(receipt.node)) => {
            Err(format!("it is by node {}", receipt.node))
        }
        Ok(receipt) => Ok(receipt),
        Err(invalid) => Err(file::chain(&invalid)),
    };
    match output {
        Format::Json => line(&answer(&found, node_key.is_some()).to_string()),
        Format::Text => line(&told(&found, node_key.is_some())),
    }
    match found {
        Ok(_) => Ok(Exit::Ok),
        Err(why) => Err(Failure::new(Exit::Refused, format!("{}: {why}", receipt.display()))),
    }
}

fn answer(found: &Result<Receipt, String>, confirmed: bool) -> Value {
    let receipt = found.as_ref().ok();
    json!({
        "valid": receipt.is_some(),
        "grade": receipt.map(|receipt| receipt.grade),
        "reason": found.as_ref().err(),
        "node": receipt.map(|receipt| receipt.node),
        "node_confirmed": receipt.is_some() && confirmed,
        "receipt": receipt,
    })
}

fn told(found: &Result<Receipt, String>, confirmed: bool) -> String {
    let Ok(receipt) = found else { return "not valid".to_owned() };
    let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let mut lines = vec![
        format!("valid: {} of tier {} at {}", text(json!(receipt.purpose)), receipt.tier, receipt.at),
        format!(
            "signed by node {} ({})",
            receipt.node,
            if confirmed { "the one you named" } else { "confirm it with its owner" }
        ),
        format!("grade {}", text(json!(receipt.grade))),
    ];
    for part in &receipt.parts {
        lines.push(format!("  tier {}: {}, epoch {}", part.tier, text(json!(part.fate)), part.epoch));
    }
    lines.push(format!("secrets destroyed: {}", receipt.destroyed.len()));
    lines.join("\n")
}
