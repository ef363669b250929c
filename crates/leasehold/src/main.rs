//! `leasehold`: the command line, the console, the demo. See `help exit-codes`.
#![forbid(unsafe_code)]

mod audit;
mod boundary;
mod complete;
mod console;
mod demo;
mod dhcp;
mod directory;
mod engine;
mod failure;
mod file;
mod help;
mod image;
mod incident;
mod journal;
mod key;
mod lease;
mod man;
mod node;
mod notify;
mod order;
mod output;
mod reach;
mod receipt;
mod spare;
mod table;
mod usage;
mod user;
mod volume;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::failure::{Exit, Failure};

/// Manage computers that several parties share.
#[derive(Parser)]
#[command(name = "leasehold", version, after_help = help::AFTER)]
struct Arguments {
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Subcommand)]
enum Noun {
    /// Show who did what at a console
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Check, narrow and evaluate boundary files
    #[command(subcommand)]
    Boundary(boundary::Verb),
    /// Print completions for a shell: words of this program, and names and ids of the console
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Make, run and show a console
    #[command(subcommand)]
    Console(console::Verb),
    /// Run a whole facility on this machine, with a narrated tour
    Demo(demo::Arguments),
    /// Show the console's DHCP server
    #[command(subcommand)]
    Dhcp(dhcp::Verb),
    /// Show and publish the directory: what names in boundaries mean
    #[command(subcommand)]
    Directory(directory::Verb),
    /// Deploy engines, and see how they are
    #[command(subcommand)]
    Engine(engine::Verb),
    /// Show the images that engines are made of, and forget some
    #[command(subcommand)]
    Image(image::Verb),
    /// Show trouble, and take it over
    #[command(subcommand)]
    Incident(incident::Verb),
    /// Fetch and verify journals
    #[command(subcommand)]
    Journal(journal::Verb),
    /// Make controller keys
    #[command(subcommand)]
    Key(key::Verb),
    /// Show and say what is tried for which incidents
    #[command(subcommand)]
    Ladder(incident::LadderVerb),
    /// Grant, take over and sever leases
    #[command(subcommand)]
    Lease(lease::Verb),
    /// Write the man pages, one a command
    Man {
        /// Into this folder
        folder: std::path::PathBuf,
    },
    /// Show a console's nodes, and enrol new ones
    #[command(subcommand)]
    Node(node::Verb),
    /// Show who is told of incidents, and test it
    #[command(subcommand)]
    Notify(notify::Verb),
    /// Write and sign orders
    #[command(subcommand)]
    Order(order::Verb),
    /// Fetch and verify receipts
    #[command(subcommand)]
    Receipt(receipt::Verb),
    /// Keep backup nodes, and have one take a failed node's place
    #[command(subcommand)]
    Spare(spare::Verb),
    /// Say who may do what at a console
    #[command(subcommand)]
    User(user::Verb),
    /// Make and remove encrypted volumes
    #[command(subcommand)]
    Volume(volume::Verb),
}

/// No core is left of this process, and nobody else of its uid reads its memory.
fn leave_no_core() -> std::io::Result<()> {
    os::privilege::limit(os::privilege::Limit::CoreBytes, 0)?;
    os::privilege::hide_memory()
}

fn main() -> ExitCode {
    // The demo's facility starts this program again, for processes of its own.
    if let Some(ended) = lab::serve() {
        return ended;
    }
    // Whichever command it is: it may come to hold a key or a token, and starts nothing before it is hidden.
    if let Err(error) = leave_no_core() {
        return Failure::report(&Failure::new(Exit::Failed, format!("its memory cannot be hidden: {error}")));
    }
    // A shell that completes a line starts this program, too.
    clap_complete::CompleteEnv::with_factory(Arguments::command).complete();
    if let Some(ended) = help::topic(std::env::args_os().skip(1)) {
        return ended.into();
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage::end(&error),
    };
    let ended = match arguments.noun {
        Noun::Audit(verb) => audit::run(&verb),
        Noun::Boundary(verb) => boundary::run(&verb),
        Noun::Completions { shell } => complete::script(shell),
        Noun::Console(verb) => console::run(&verb),
        Noun::Demo(arguments) => demo::run(&arguments),
        Noun::Dhcp(verb) => dhcp::run(&verb),
        Noun::Directory(verb) => directory::run(&verb),
        Noun::Engine(verb) => engine::run(&verb),
        Noun::Image(verb) => image::run(&verb),
        Noun::Incident(verb) => incident::run(&verb),
        Noun::Journal(verb) => journal::run(&verb),
        Noun::Key(verb) => key::run(&verb),
        Noun::Ladder(verb) => incident::run_ladder(&verb),
        Noun::Lease(verb) => lease::run(&verb),
        Noun::Man { folder } => man::write(&folder, Arguments::command()),
        Noun::Node(verb) => node::run(&verb),
        Noun::Notify(verb) => notify::run(&verb),
        Noun::Order(verb) => order::run(&verb),
        Noun::Receipt(verb) => receipt::run(&verb),
        Noun::Spare(verb) => spare::run(&verb),
        Noun::User(verb) => user::run(&verb),
        Noun::Volume(verb) => volume::run(&verb),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => Failure::report(&failure),
    }
}
