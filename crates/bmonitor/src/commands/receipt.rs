//! `bmonitor receipt`: what the node has signed about a lease or a tier.

use std::io::{self, Write};

use clap::Args;
use node_protocol::call::{Answer, Call};

use super::client::{Client, Reach, refused, unexpected};
use crate::failure::Failure;

/// What is asked for.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The id of a lease or of a tier, or a tier's name
    about: String,
    #[command(flatten)]
    reach: Reach,
    /// Taken for uniformity: envelopes have one form, one a line
    #[arg(short, long, value_enum, default_value_t)]
    output: crate::output::Format,
}

/// Prints receipts and statements, an envelope a line, oldest first.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut client = Client::connect(&arguments.reach)?;
    let (answer, lines) = client.ask(&Call::Receipts { about: arguments.about.clone() }, &[])?;
    match answer {
        Answer::Signed { .. } => io::stdout()
            .lock()
            .write_all(&lines)
            .map_err(|error| Failure::because("cannot write the receipts", &error)),
        Answer::Refused(why) => Err(refused(why)),
        Answer::Accepted { .. }
        | Answer::Stored { .. }
        | Answer::Lines { .. }
        | Answer::Status(_)
        | Answer::Nonce { .. }
        | Answer::Handed {}
        | Answer::Image(_)
        | Answer::Output {}
        | Answer::Explained(_)
        | Answer::Denials(_)
        | Answer::Passed(_) => Err(unexpected()),
    }
}
