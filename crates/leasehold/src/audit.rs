//! `leasehold audit …`: who did what at a console.

use clap::{Args, Subcommand};
use console_api::{AuditEntry, AuditOutcome, Page};
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::Reach;
use crate::table::table;

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List what people did or were refused, the newest last
    List(Listing),
}

/// A part of the trail.
#[derive(Args)]
pub(crate) struct Listing {
    /// The newest this many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    newest: u16,
    /// What follows the entry of this number, the oldest first
    #[arg(long, conflicts_with = "newest")]
    after: Option<u64>,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    let Verb::List(Listing { newest, after, reach }) = verb;
    let part = match after {
        Some(after) => format!("after={after}&limit=1000"),
        None => format!("newest={newest}&limit={newest}"),
    };
    let path = format!("/v1/audit?{part}");
    let trail: Page<AuditEntry> = reach.ask(async |client| client.get(&path).await)?;
    match reach.output {
        Format::Json => line(&json!(trail).to_string()),
        Format::Text => {
            let rows: Vec<_> = trail.items.iter().map(row).collect();
            line(&table(["NUMBER", "AT", "USER", "BY", "WHAT", "ABOUT", "OUTCOME"], &rows));
        }
    }
    Ok(Exit::Ok)
}

fn row(entry: &AuditEntry) -> [String; 7] {
    let about =
        entry.about.iter().map(|(field, word)| format!("{field}={word}")).collect::<Vec<_>>().join(" ");
    [
        entry.number.to_string(),
        entry.at.to_string(),
        entry.user.clone(),
        entry.by.clone(),
        entry.operation.replace('_', " "),
        if about.is_empty() { entry.path.clone() } else { about },
        match &entry.outcome {
            AuditOutcome::Begun => "begun, end unknown".to_owned(),
            AuditOutcome::Done => "done".to_owned(),
            AuditOutcome::Refused { code, .. } => format!("refused: {code}"),
        },
    ]
}
