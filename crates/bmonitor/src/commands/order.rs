//! `bmonitor order`: hands a signed order, with the objects that it names, to the supervisor.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use id::Digest;
use keys::SEALED_ORDER_BYTES_MAX;
use node_protocol::call::{Answer, Call};
use node_protocol::frame::ATTACHMENT_BYTES_MAX;

use super::client::{Client, Reach, refused, unexpected};
use crate::failure::{Exit, Failure};
use crate::output::{Format, line};

/// What an order is made of.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The order: a DSSE envelope, as `leasehold order` signs it
    order: PathBuf,
    /// An object that the order names: salt and content
    #[arg(long)]
    object: Vec<PathBuf>,
    #[command(flatten)]
    reach: Reach,
    /// How to print the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Submits it; the end is the node's answer.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let envelope = read(&arguments.order, SEALED_ORDER_BYTES_MAX)?;
    let mut client = Client::connect(&arguments.reach)?;
    for path in &arguments.object {
        let object = read(path, ATTACHMENT_BYTES_MAX)?;
        let (answer, _none) = client.ask(&Call::PutObject { name: Digest::of(&object) }, &object)?;
        if !matches!(answer, Answer::Stored { .. }) {
            return end(answer, arguments.output);
        }
    }
    let (answer, _none) = client.ask(&Call::SubmitOrder {}, &envelope)?;
    end(answer, arguments.output)
}

fn end(answer: Answer, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let json = serde_json::to_string(&answer);
        line(&json.map_err(|error| Failure::because("cannot print the answer", &error))?);
    }
    match answer {
        Answer::Accepted { record, digest, tier, lease } => {
            if format == Format::Text {
                line(&format!("accepted: record {record}, {digest}"));
                tier.into_iter().for_each(|tier| line(&format!("tier {tier}")));
                lease.into_iter().for_each(|lease| line(&format!("lease {lease}")));
            }
            Ok(())
        }
        Answer::Handed {} => {
            if format == Format::Text {
                line("handed on: it is sealed, and the journal will say what came of it");
            }
            Ok(())
        }
        Answer::Refused(why) => Err(refused(why)),
        Answer::Stored { .. }
        | Answer::Lines { .. }
        | Answer::Signed { .. }
        | Answer::Status(_)
        | Answer::Nonce { .. }
        | Answer::Image(_)
        | Answer::Output {}
        | Answer::Explained(_)
        | Answer::Denials(_)
        | Answer::Passed(_) => Err(unexpected()),
    }
}

fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let name = path.display();
    let file = File::open(path).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let failure = Failure::because(format!("cannot open {name}"), &error);
        if missing { failure.exit(Exit::NotFound) } else { failure }
    })?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::because(format!("cannot read {name}"), &error))?;
    if bytes.len() > bytes_max {
        return Err(Failure::new(Exit::Usage, format!("{name} has more than {bytes_max} bytes")));
    }
    Ok(bytes)
}
