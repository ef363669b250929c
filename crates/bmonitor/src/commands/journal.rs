//! `bmonitor journal export`: the journal's lines, as they stand there.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use keys::{Head, NodeRecord as _};
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
    /// The number of the first record; without it the oldest that the node still has
    #[arg(long, default_value_t = 0, hide_default_value = true)]
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
    let (mut first, mut from, mut signed) = (None, export.from, None);
    loop {
        let (answer, lines) = client.ask(&Call::ReadJournal { from }, &[])?;
        match answer {
            Answer::Lines { .. } if lines.is_empty() => break,
            Answer::Lines { oldest, head, .. } => {
                from = if from == 0 { oldest } else { from };
                signed = head;
            }
            Answer::Refused(why) => return Err(refused(why)),
            Answer::Accepted { .. }
            | Answer::Stored { .. }
            | Answer::Signed { .. }
            | Answer::Status(_)
            | Answer::Nonce { .. }
            | Answer::Handed {}
            | Answer::Image(_)
            | Answer::Output {}
            | Answer::Explained(_)
            | Answer::Denials(_)
            | Answer::Passed(_) => return Err(unexpected()),
        }
        first.get_or_insert(from);
        write(&lines)?;
        from += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    // The head stands behind the record that it vouches for, where that is among the exported ones.
    let head = signed.filter(|head| {
        let vouched = Head::verify(head.as_bytes(), None);
        vouched.is_ok_and(|vouched| first.is_some_and(|first| (first..from).contains(&vouched.record)))
    });
    head.map_or(Ok(()), |head| write(format!("{head}\n").as_bytes()))
}

fn write(bytes: &[u8]) -> Result<(), Failure> {
    io::stdout().lock().write_all(bytes).map_err(|error| Failure::because("cannot write the journal", &error))
}
