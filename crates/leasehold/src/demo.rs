//! `leasehold demo`: a facility on this machine, and the tour through it.

use clap::Args;

use crate::failure::{Exit, Failure};

/// How the demo runs.
#[derive(Args)]
pub(crate) struct Arguments {
    /// End after the tour instead of waiting for Ctrl-C
    #[arg(long)]
    pub(crate) exit: bool,
}

/// Runs the demo.
pub(crate) fn run(_arguments: &Arguments) -> Result<Exit, Failure> {
    Ok(Exit::Ok)
}
