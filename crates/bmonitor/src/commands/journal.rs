//! `bmonitor journal export`: the journal's lines, as they stand there.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use node_protocol::call::{Answer, Call};

use super::client::{Client, Reach, refused, unexpected};
use crate::failure::Failure;

/// What can be done with the journal.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Write the journal to stdout, for `leasehold journal verify`
    Export(Export),
}

/// What is exported.
#[derive(Args)]
pub(crate) struct Export {
    /// The number of the first record
    #[arg(long, default_value_t = 1)]
    from: u64,
    #[command(flatten)]
    reach: Reach,
    /// Taken for uniformity: lines of a journal have one form
    #[arg(short, long, value_enum, default_value_t)]
    output: crate::output::Format,
}

/// Does it.
pub(crate) fn run(verb: &Verb) -> Result<(), Failure> {
    let Verb::Export(export) = verb;
    let mut client = Client::connect(&export.reach)?;
    let mut from = export.from;
    loop {
        let (answer, lines) = client.ask(&Call::ReadJournal { from }, &[])?;
        match answer {
            Answer::Lines { .. } if lines.is_empty() => return Ok(()),
            Answer::Lines { .. } => {}
            Answer::Refused(why) => return Err(refused(why)),
            Answer::Accepted { .. }
            | Answer::Stored { .. }
            | Answer::Signed { .. }
            | Answer::Status(_)
            | Answer::Nonce { .. } => return Err(unexpected()),
        }
        let written = io::stdout().lock().write_all(&lines);
        written.map_err(|error| Failure::because("cannot write the journal", &error))?;
        from += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
}
