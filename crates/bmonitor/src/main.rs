//! BMonitor: the node monitor. One program, several processes with one job each: see `rights`.
#![forbid(unsafe_code)]

mod clock;
mod commands;
mod config;
mod custody;
mod enrolment;
mod entry;
mod failure;
mod helper;
mod launching;
mod leasing;
mod node;
mod output;
mod passed;
mod ration;
mod reconcile;
mod rights;
mod sets;
mod step;
mod study;
mod supervisor;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::output::Format;
use crate::step::{DieAt, Steps};

/// Custody has it wipe what is freed; the others do without.
#[global_allocator]
static ALLOCATOR: os::wiping::Wiping = os::wiping::Wiping;

/// The node monitor: obeys signed orders and enforces every tier's rights
#[derive(Parser)]
#[command(name = "bmonitor", version, propagate_version = true, after_help = failure::EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the node
    Supervisor(commands::supervisor::Arguments),
    /// Hand a signed order to the node
    Order(commands::order::Arguments),
    /// Show how the node is
    Status(commands::status::Arguments),
    /// Export the node's journal
    #[command(subcommand)]
    Journal(commands::journal::Verb),
    /// Print what the node has signed about a lease or a tier
    Receipt(commands::receipt::Arguments),
    /// Print what each process of the monitor may do, and why
    Rights {
        /// How to print it
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
    },
    /// List the steps at which a process can be made to die, for crash tests
    Steps,
    /// A helper: the supervisor starts it for one effect
    #[command(hide = true)]
    Helper {
        #[arg(long)]
        parent: u32,
        #[arg(long)]
        die_at: Option<DieAt>,
    },
    /// Launcher: the supervisor starts it and hands it the streams to shims
    #[command(hide = true)]
    Launcher {
        #[arg(long)]
        parent: u32,
    },
    /// Shim: the launcher starts it for one engine
    #[command(hide = true)]
    Shim,
    /// Unpacker: the supervisor starts it for one image
    #[command(hide = true)]
    Unpacker(launching::Unpacking),
    /// Dhcp: the supervisor starts it and tells it which addresses to lease
    #[command(hide = true)]
    Dhcp {
        #[arg(long)]
        bridge: String,
        #[arg(long)]
        parent: u32,
    },
    /// Custody: the supervisor starts it and speaks to it on its stdin
    #[command(hide = true)]
    Custody {
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        parent: u32,
        #[arg(long)]
        die_at: Option<DieAt>,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Supervisor(arguments) => commands::supervisor::run(arguments),
        Command::Order(arguments) => commands::order::run(arguments),
        Command::Status(arguments) => commands::status::run(arguments),
        Command::Journal(verb) => commands::journal::run(verb),
        Command::Receipt(arguments) => commands::receipt::run(arguments),
        Command::Rights { output } => {
            commands::rights::print(*output);
            Ok(())
        }
        Command::Steps => {
            commands::steps::print();
            Ok(())
        }
        Command::Helper { parent, die_at } => helper::run(*parent, &Steps::new(*die_at))
            .map_err(|error| Failure::because("the helper failed", &error)),
        Command::Launcher { parent } => {
            launching::launcher(*parent).map_err(|error| Failure::because("launching failed", &error))
        }
        Command::Shim => {
            launching::shim().map_err(|error| Failure::because("the engine was not started", &error))
        }
        Command::Unpacker(unpacking) => {
            launching::unpacker(unpacking).map_err(|error| Failure::because("unpacking failed", &error))
        }
        Command::Dhcp { bridge, parent } => leasing::run(*parent, bridge)
            .map_err(|error| Failure::because("leasing addresses failed", &error)),
        Command::Custody { folder, parent, die_at } => custody::run(folder, *parent, &Steps::new(*die_at))
            .map_err(|error| Failure::because("custody failed", &error)),
    }
}
