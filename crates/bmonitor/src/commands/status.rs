//! `bmonitor status`: how the node is.

use clap::Args;
use node_protocol::call::{Answer, Call, Status, TierStatus};

use super::client::{Client, Reach, refused, unexpected};
use crate::failure::Failure;
use crate::output::{Format, line};

/// What is asked.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Wait until the node is as its journal demands
    #[arg(long)]
    settled: bool,
    #[command(flatten)]
    reach: Reach,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Asks and prints.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut client = Client::connect(&arguments.reach)?;
    let (answer, _none) = client.ask(&Call::Status { settled: arguments.settled }, &[])?;
    match (answer, arguments.output) {
        (Answer::Status(status), Format::Text) => print(&status),
        (answer @ Answer::Status(_), Format::Json) => {
            let json = serde_json::to_string(&answer);
            line(&json.map_err(|error| Failure::because("cannot print the status", &error))?);
        }
        (Answer::Refused(why), _) => return Err(refused(why)),
        (
            Answer::Accepted { .. }
            | Answer::Stored { .. }
            | Answer::Lines { .. }
            | Answer::Signed { .. }
            | Answer::Nonce { .. }
            | Answer::Handed {}
            | Answer::Image(_)
            | Answer::Output {}
            | Answer::Explained(_)
            | Answer::Denials(_)
            | Answer::Passed(_),
            _,
        ) => return Err(unexpected()),
    }
    Ok(())
}

fn print(status: &Status) {
    let node = status.node.map_or("not enrolled".to_owned(), |node| node.to_string());
    let settled = if status.settled { "settled" } else { "at work" };
    line(&format!("node {} ({node}), {settled}, record {}, {}", status.name, status.record, status.at));
    status.tiers.iter().for_each(print_tier);
    if status.forged > 0 {
        line(&format!("{} orders were not signed by anybody whom the node knows", status.forged));
    }
    for warning in &status.warnings {
        line(&format!("warning: {} ({})", warning.message, warning.code));
    }
}

fn print_tier(tier: &TierStatus) {
    let realm = match &tier.realm {
        Some(realm) if realm.open => format!("realm open, generation {}", realm.generation),
        Some(_) => "realm closed".to_owned(),
        None => "no realm".to_owned(),
    };
    line(&format!("  {} {} epoch {}, {}, {realm}", tier.name, tier.tier, tier.epoch, tier.standing));
}
