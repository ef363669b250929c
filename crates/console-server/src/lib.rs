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
mod console;
mod failed;
mod folder;
mod settings;
mod state;
mod world;

pub use api::document as openapi;
pub use failed::Failed;
pub use folder::{Init, Made, SOCKET, init};
pub use world::World;

use std::path::Path;

use folder::Opened;
use state::Console;

/// Runs the console of a folder until the process is asked to end (SIGTERM, SIGINT). `ready` is called when
/// both its doors are open.
///
/// # Errors
/// [`Failed`]: it did not start, or its store or a door failed.
pub async fn run(folder: &Path, world: World, ready: impl FnOnce(&Ready)) -> Result<(), Failed> {
    let opened = Opened::open(folder)?;
    let doors = api::Doors::open(&opened).await?;
    let told = Ready { name: opened.settings.name.to_string(), api: doors.addresses() };
    let console = Console::new(opened, world);
    ready(&told);
    doors.serve(console, ended()?).await;
    Ok(())
}

/// What is open.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The party's name.
    pub name: String,
    /// Where its API is: `unix:PATH`, `http://HOST:PORT`.
    pub api: Vec<String>,
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
