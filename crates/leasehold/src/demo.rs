//! `leasehold demo`: a facility on this machine, and the tour through it.
//!
//! Nodes, filters, processes and packets are real. Everything goes when the demo ends, however it ends.

mod addressed;
mod boundaries;
mod boundary_refused;
mod business;
mod cluster_boundary;
mod consoles_up;
mod deeper;
mod desk;
mod enrolled;
mod env;
mod leased;
mod leased_again;
mod mail;
mod node_dead;
mod nodes_up;
mod orders_refused;
mod power_cut;
mod prefix;
mod severed;
mod show;
mod sub_boundary;
mod supervisor_killed;
mod taken_over;
mod tour;
mod web;
mod world;

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use clap::{Args, Subcommand, ValueEnum};
use lab::Guard;
use os::poll::{Wanted, wait};
use os::signal::{Arrived, Signals};

use crate::failure::{Exit, Failure};
use crate::output::Format;

use self::prefix::Prefix;
use self::show::Show;

/// How the demo runs.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Which tour: a facility with its tenants, or a small business and its operators
    #[arg(long, value_enum, default_value_t)]
    tour: Tour,
    /// What the names of its network namespaces begin with: several demos run side by side, each with its own
    #[arg(long, default_value_t)]
    prefix: Prefix,
    /// End after the tour instead of waiting for Ctrl-C
    #[arg(long)]
    pub(crate) exit: bool,
    /// How the tour is told: to a person, or a JSON document a step
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Format,
}

/// The tours that there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Tour {
    /// Seven nodes, a landlord and two tenants.
    #[default]
    Facility,
    /// Three nodes of a small business, four tiers, and operators who change.
    Business,
}

/// What else can be done.
#[derive(Subcommand)]
enum Verb {
    /// Print shell lines that let a second shell act as one of the running demo's parties
    Env {
        /// As whom
        #[arg(long = "as", value_enum, default_value_t = env::Who::Landlord)]
        who: env::Who,
        /// Which demo, if it was started with one
        #[arg(long, default_value_t)]
        prefix: Prefix,
    },
}

/// Runs the demo, or tells how to take part in one.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    match &arguments.verb {
        Some(Verb::Env { who, prefix }) => env::run(*who, prefix),
        None => show(arguments),
    }
}

/// Runs the demo. A signal ends it in order: what was made is taken away first.
fn show(arguments: &Arguments) -> Result<Exit, Failure> {
    // While there is one thread: the others inherit that signals wait to be read.
    let signals = Signals::open().map_err(|error| failed(&error))?;
    let guard = Arc::new(Guard::start().map_err(|error| Failure::new(Exit::Failed, error.told()))?);
    let tour = arguments.tour;
    let name = match tour {
        Tour::Facility => "facility",
        Tour::Business => "business",
    };
    let show = Arc::new(Show::new(arguments.output, name));
    let (mut ours, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
    {
        let (guard, show, stays) = (Arc::clone(&guard), Arc::clone(&show), !arguments.exit);
        let prefix = arguments.prefix.clone();
        // Never joined: it ends with the process, or is waited for by way of the stream.
        thread::spawn(move || match tour {
            Tour::Facility => tour::run((&guard, &prefix), &show, theirs, stays),
            Tour::Business => business::run((&guard, &prefix), &show, theirs, stays),
        });
    }
    let ended = until_over(&signals, &mut ours, arguments.exit).map_err(|error| failed(&error))?;
    // What the tour sees break from now on is of no interest.
    show.silent.store(true, Ordering::Relaxed);
    guard.finish().map_err(|error| Failure::new(Exit::Failed, error.told()))?;
    match ended {
        Over::Held => Ok(Exit::Ok),
        Over::Broken => Err(Failure::new(Exit::Failed, "a step of the tour did not hold")),
        Over::Interrupted => {
            Err(Failure::new(Exit::Failed, "the tour was interrupted; everything is taken away"))
        }
    }
}

/// How the demo came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Held,
    Broken,
    Interrupted,
}

/// Waits for the end of the tour, and unless `exit` for a signal after it.
fn until_over(signals: &Signals, tour: &mut UnixStream, exit: bool) -> io::Result<Over> {
    let mut ended = Over::Interrupted;
    loop {
        let over = ended != Over::Interrupted;
        let mut wanted = vec![(signals.as_fd(), Wanted::READ)];
        if !over {
            wanted.push((tour.as_fd(), Wanted::READ));
        }
        let ready = wait(&wanted, None)?;
        if interrupted(signals)? {
            return Ok(ended);
        }
        if ready.get(1) == Some(&true) {
            // One byte at the end of the tour; the end of the stream without it is a panic.
            let mut byte = [0];
            let held = tour.read(&mut byte)? == 1 && byte == *tour::HELD;
            ended = if held { Over::Held } else { Over::Broken };
            if exit || !held {
                return Ok(ended);
            }
        }
    }
}

/// Whether somebody asked for the end. Children of the demo end all the time.
fn interrupted(signals: &Signals) -> io::Result<bool> {
    while let Some(arrived) = signals.next()? {
        match arrived {
            Arrived::Interrupt | Arrived::Terminate | Arrived::HangUp => return Ok(true),
            Arrived::Child => (),
        }
    }
    Ok(false)
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("the demo cannot go on: {error}"))
}
