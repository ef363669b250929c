//! `leasehold boundary …`: checks on boundary files that need no running console (FORMATS, "Commands"), and
//! filter sets through one.

mod check;
mod console;
mod evaluate;
mod explain;
mod files;
mod matrix;
mod narrow;
mod replay;
mod watch;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::failure::{Exit, Failure};
use crate::output::Format;
use crate::reach::Reach;

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Check that a lower boundary keeps within all upper ones; if not, show a packet that proves it (exit 3)
    Check(Pair),
    /// Print what a lower boundary and all upper ones have in common
    Narrow(Pair),
    /// Say for each packet whether a stack of boundaries admits it, and by which rule
    Evaluate(Evaluation),
    /// Say what setting a boundary would mean on each node (exit 10 if anything changes)
    Plan(console::Change),
    /// Set a boundary on the nodes where it differs
    Apply(console::Application),
    /// Say whose rule stops a packet at a node, or by which it passes (exit 3 when it is stopped)
    Explain(explain::Question),
    /// Say which of a console's realms may reach which, by the nodes' own word
    Matrix(matrix::Question),
    /// Say what a boundary would drop of what your realms had in the last hour (exit 10 if anything)
    Replay(replay::Question),
    /// Print what a realm's boundaries drop, as it happens, by tier and rule
    Watch(watch::Watching),
    /// Show the boundaries of a console's tiers, and those that it gave
    Show(Reach),
}

/// Upper boundaries and a lower one.
#[derive(Args)]
pub(crate) struct Pair {
    /// An upper boundary file; several are a stack, top first
    #[arg(long, required = true, value_name = "FILE")]
    upper: Vec<PathBuf>,
    /// The lower boundary file
    #[arg(long, value_name = "FILE")]
    lower: PathBuf,
    #[command(flatten)]
    shared: Shared,
}

/// A stack and packets.
#[derive(Args)]
pub(crate) struct Evaluation {
    /// A boundary file; several are a stack, top first
    #[arg(long, required = true, value_name = "FILE")]
    set: Vec<PathBuf>,
    /// A file with one packet a line, as JSON
    #[arg(long, value_name = "FILE")]
    packets: PathBuf,
    #[command(flatten)]
    shared: Shared,
}

/// What every verb takes.
#[derive(Args)]
struct Shared {
    /// The directory file, which says what node:, cluster:, group: and key: mean
    #[arg(long, value_name = "FILE")]
    directory: Option<PathBuf>,
    /// How to write the answer
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Check(pair) => check::run(pair),
        Verb::Narrow(pair) => narrow::run(pair),
        Verb::Plan(change) => console::plan(change),
        Verb::Apply(application) => console::apply(application),
        Verb::Explain(question) => explain::run(question),
        Verb::Matrix(question) => matrix::run(question),
        Verb::Replay(question) => replay::run(question),
        Verb::Watch(watching) => watch::run(watching),
        Verb::Show(reach) => console::show(reach),
        Verb::Evaluate(evaluation) => evaluate::run(evaluation),
    }
}

/// The steps that a command may take on sets that a person gave it by hand.
fn budget() -> boundary::Budget {
    boundary::Budget::for_tier()
}

fn too_complex(what: &str) -> Failure {
    Failure::new(Exit::Failed, format!("{what} is too complex to prove"))
        .hint("write ranges that overlap less, or split the file")
}

/// A JSON line of the API's schema. Our types always serialise.
fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot write JSON: {error}")))
}
