//! `leasehold order …`.

use clap::Subcommand;

use crate::failure::{Exit, Failure};

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match *verb {}
}
