//! The console: one program, run by each party in its own place, that keeps the party's keys, speaks to the
//! party's tiers on nodes and answers the party's people.
//!
//! ```text
//!  people, CLI ── api ──▶ console ──── orders, signed here ───▶ link ──▶ courier of one tier, on a node
//!                          │   ▲
//!                 store ◀──┘   └─────── status (memory only), journal (verified, mirrored) ◀── link
//! ```
//!
//! # What must stay true
//! - A sequence number is on the medium before an order carries it, and none is used twice.
//! - Whoever dials is the tier whose statement names that identity; who is in no statement is nobody.
//! - What a node refuses is told as the node said it.
//! - Nothing that ticks is written.
#![forbid(unsafe_code)]

mod api;
mod boundaries;
mod console;
mod dhcp;
mod directory;
mod document;
mod engine;
mod failed;
mod folder;
mod image;
mod incident;
mod lease;
mod node;
mod notify;
mod order;
mod people;
mod places;
mod power;
mod records;
mod settings;
mod spare;
mod state;
mod statement;
mod volume;
mod world;

pub use api::document as openapi;
pub use failed::Failed;
pub use folder::{Init, Made, SOCKET, init};
pub use world::World;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use folder::Opened;
use node::Gate;
use state::Console;

/// Runs the console of a folder until the process is asked to end (SIGTERM, SIGINT). `ready` is called when
/// both its doors are open.
///
/// # Errors
/// [`Failed`]: it did not start, or its store or a door failed.
pub async fn run(folder: &Path, world: World, ready: impl FnOnce(&Ready)) -> Result<(), Failed> {
    let opened = Opened::open(folder)?;
    let doors = api::Doors::open(&opened).await?;
    let gate = Gate::open(&opened).await?;
    let (name, api, channel) = (opened.settings.name.to_string(), doors.addresses(), gate.address());
    let console = Console::new(opened, world)?;
    console.mind_the_window().map_err(|no| Failed::act("read the store", no.0))?;
    let ended = ended()?;
    ready(&Ready { name, api, channel });
    tokio::select! {
        never = dhcp::follow(Arc::clone(&console)) => match never {},
        never = incident::follow(Arc::clone(&console)) => match never {},
        never = incident::watch(Arc::clone(&console)) => match never {},
        never = notify::follow(Arc::clone(&console)) => match never {},
        () = doors.serve(Arc::clone(&console), ended) => Ok(()),
        failed = gate.serve(console) => match failed {
            Ok(never) => match never {},
            Err(failed) => Err(Failed::act("set up the channel", failed)),
        },
    }
}

/// What is open.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The party's name.
    pub name: String,
    /// Where its API is: `unix:PATH`, `http://HOST:PORT`.
    pub api: Vec<String>,
    /// Where nodes dial.
    pub channel: SocketAddr,
}

/// Resolves when the process is asked to end.
fn ended() -> Result<impl Future<Output = ()> + Send, Failed> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).map_err(|error| Failed::act("listen for signals", error));
    let (mut terminated, mut interrupted) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    })
}
