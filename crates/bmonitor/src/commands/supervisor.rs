//! `bmonitor supervisor`: runs the node.

use std::path::PathBuf;

use clap::Args;

use crate::failure::{Exit, Failure};
use crate::step::{DieAt, Steps};
use crate::supervisor::start;

/// What a supervisor is told.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder with bmonitor.toml and, for the first start, enrolment.json
    #[arg(long, value_name = "FOLDER")]
    config: PathBuf,
    /// For crash tests: die by SIGKILL at the N-th arrival at a step (`bmonitor steps`)
    #[arg(long, value_name = "STEP[:N]")]
    die_at: Option<DieAt>,
}

/// Starts the node and runs it until it is told to end.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut supervisor = start(&arguments.config, Steps::new(arguments.die_at)).map_err(|halt| {
        let failure = Failure::because("the node does not start", &halt);
        let failure = if halt.is_usage() { failure.exit(Exit::Usage) } else { failure };
        match halt.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    supervisor.run().map_err(|ended| {
        Failure::because("the supervisor ended; every realm is closed", &ended)
            .hint("start it again: it goes on from what is on the disk")
    })
}
