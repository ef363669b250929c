//! The project's chores, all of them behind `cargo xtask`.
#![forbid(unsafe_code)]

mod bench;
mod ci;
mod command;
mod failure;
mod fresh;
mod fuzz;
mod graph;
mod guest;
mod leftovers;
#[cfg(test)]
mod promises;
mod soak;
mod stages;
mod tools;
mod tour;
mod trusted_base;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::failure::Failure;
use crate::workspace::Workspace;

/// The project's chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Everything that must hold before a change lands
    Ci {
        /// Only these stages
        #[arg(value_name = "STAGE", value_parser = ci::STAGES)]
        only: Vec<String>,
    },
    /// Measure
    Bench {
        /// What
        #[arg(value_parser = bench::names())]
        name: String,
        /// How to tell it
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// The demo from a bare clone on a bare Debian 12, in memory
    Fresh {
        /// Run this in the clone instead
        #[arg(last = true, value_name = "COMMAND", default_values = ["scripts/demo", "--exit"])]
        command: Vec<String>,
    },
    /// Fuzz the parsers
    Fuzz {
        /// Only these targets: files of fuzz/targets
        #[arg(value_name = "TARGET")]
        only: Vec<String>,
        /// For so long each
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Whether our crates depend on each other as docs/crate-graph.txt permits
    Graph,
    /// The node monitor on Debian 12's own kernel, in an emulated machine
    Guest,
    /// Fuzzers and the model of authority, for hours
    Soak {
        /// For at least so long
        #[arg(long, default_value_t = 4.0)]
        hours: f64,
    },
    /// The demo's tour, many times in a row, without a second try, each under the minute that it may take
    Tour {
        /// How many times, one after the other
        #[arg(long, default_value_t = 10)]
        times: u32,
        /// How many copies at once
        #[arg(long, default_value_t = 1)]
        copies: u32,
        /// Which tour: facility or business
        #[arg(long, default_value = "facility")]
        tour: String,
    },
    /// What has to be trusted on a node: lines of code, and crates of others
    TrustedBase {
        /// Record it in docs/trusted-base.txt
        #[arg(long)]
        write: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            complain(&format!("error: {}", failure.in_full()));
            ExitCode::FAILURE
        }
    }
}

/// `Ok(false)`: it ran, and what it checked does not hold.
fn run(chore: Chore) -> Result<bool, Failure> {
    match chore {
        Chore::Ci { only } => ci::ci(only),
        Chore::Bench { name, output } => {
            bench::bench(&Workspace::load()?, &name, output == Output::Json).map(|()| true)
        }
        Chore::Fresh { command } => fresh::fresh(&Workspace::load()?, &command).map(|()| true),
        Chore::Fuzz { only, seconds } => fuzz::fuzz(&Workspace::load()?, &only, seconds).map(|()| true),
        Chore::Graph => graph::check(&Workspace::load()?).map(|()| true),
        Chore::Guest => guest::guest(&Workspace::load()?, &guest::PACKAGES).map(|()| true),
        Chore::Soak { hours } => soak::soak(&Workspace::load()?, hours).map(|()| true),
        Chore::Tour { times, copies, tour } => {
            tour::tour(&Workspace::load()?, times, copies, &tour).map(|()| true)
        }
        Chore::TrustedBase { write } => trusted_base::show(&Workspace::load()?, write).map(|()| true),
    }
}

/// How busy the machine was during the last minute: whoever reads a figure wants to know.
fn load() -> String {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split_whitespace().next().unwrap_or("unknown").to_owned()
}

/// A line of data or of progress, on standard output.
#[expect(clippy::print_stdout, reason = "a chore talks to the person who started it")]
fn say(line: &str) {
    println!("{line}");
}

/// A line on standard error.
#[expect(clippy::print_stderr, reason = "a chore talks to the person who started it")]
fn complain(line: &str) {
    eprintln!("{line}");
}
