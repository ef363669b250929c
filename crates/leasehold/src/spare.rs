//! `leasehold spare …`: backup nodes, and how one takes a failed node's place.

use clap::{Args, Subcommand};
use console_api::{NewSpare, Page, Spare, SpareActivated};
use id::Name;
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::{Reach, segment};
use crate::table::{table, word};

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List the spares, and whose places they take
    List(Reach),
    /// Keep an enrolled node, on which nothing is leased, as a spare
    Add(Adding),
    /// Keep a node as a spare no longer
    Remove(One),
    /// Have a spare take a node's place now
    ///
    /// Where a power driver switches the node off and reads back that it is, the node's addresses move to the spare;
    /// else the spare gets new ones. The tenant's console takes the spare over if it stands by there.
    Activate(One),
}

/// A new spare.
#[derive(Args)]
pub(crate) struct Adding {
    /// The node: its name, or its key id
    #[arg(add = crate::complete::nodes())]
    node: String,
    /// For this cluster alone
    #[arg(long)]
    cluster: Option<Name>,
    #[command(flatten)]
    reach: Reach,
}

/// One node.
#[derive(Args)]
pub(crate) struct One {
    /// The node: its name, or its key id
    #[arg(add = crate::complete::nodes())]
    node: String,
    #[command(flatten)]
    reach: Reach,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::List(reach) => {
            let spares: Page<Spare> = reach.all("/v1/spares")?;
            match reach.output {
                Format::Json => line(&json!(spares).to_string()),
                Format::Text => show(&spares.items),
            }
        }
        Verb::Add(Adding { node, cluster, reach }) => {
            let new = NewSpare { node: node.clone(), cluster: cluster.clone() };
            one(&reach.ask(async |client| client.post("/v1/spares", &new).await)?, reach.output);
        }
        Verb::Remove(One { node, reach }) => {
            let path = format!("/v1/spares/{}", segment(node));
            one(&reach.ask(async |client| client.delete(&path).await)?, reach.output);
        }
        Verb::Activate(One { node, reach }) => {
            let path = format!("/v1/nodes/{}/replace", segment(node));
            let done: SpareActivated = reach.ask(async |client| client.post(&path, &json!({})).await)?;
            match reach.output {
                Format::Json => line(&json!(done).to_string()),
                Format::Text => line(&done.told),
            }
        }
    }
    Ok(Exit::Ok)
}

fn one(spare: &Spare, output: Format) {
    match output {
        Format::Json => line(&json!(spare).to_string()),
        Format::Text => show(std::slice::from_ref(spare)),
    }
}

fn show(spares: &[Spare]) {
    let any = |cluster: &Option<Name>| cluster.as_ref().map_or_else(|| "any".to_owned(), ToString::to_string);
    let row = |spare: &Spare| {
        [
            spare.node_name.clone(),
            any(&spare.cluster),
            word(spare.state),
            spare.place_of_name.clone().unwrap_or_default(),
            spare.since.map(|since| since.to_string()).unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = spares.iter().map(row).collect();
    line(&table(["SPARE", "CLUSTER", "STATE", "PLACE OF", "SINCE"], &rows));
}
