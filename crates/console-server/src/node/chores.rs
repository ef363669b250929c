//! What a console does by itself when a node has come: finish what it could not do while the node was away.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use console_api::TierState;

use super::live::Place;
use super::share;
use crate::api::No;
use crate::records::KnownNode;
use crate::state::Console;

/// How soon a chore is looked after again, if nothing happened in the meantime.
const AGAIN: Duration = Duration::from_secs(30);

/// How long things that happen are gathered.
const GATHER: Duration = Duration::from_millis(100);

/// Runs for as long as the node is connected.
pub(crate) async fn after_connecting(console: &Arc<Console>, node: &KnownNode, place: Place) -> Infallible {
    // An image may take minutes: nothing else waits for it.
    let (never, _) = tokio::join!(look_after(console, node, place), bring(console, node, place));
    never
}

/// Everything that is done soon.
async fn look_after(console: &Arc<Console>, node: &KnownNode, place: Place) -> Infallible {
    let mut happenings = console.live.happenings();
    let mut told = String::new();
    let mut given = None;
    loop {
        happenings.mark_unchanged();
        let state = console.tier(place).ok().flatten().map(|read| read.value.state);
        // A node that waits for its share does nothing else.
        let waits = match state {
            Some(TierState::Taking | TierState::Renewing | TierState::Held) => {
                share::mind(console, node, place, &mut given).await
            }
            Some(TierState::Ended) | None => Ok(false),
        };
        let again = if matches!(waits, Ok(true)) { share::REST } else { AGAIN };
        let done = match (waits, state) {
            (Err(no), _) => Err(no),
            (Ok(true), _) => Ok(()),
            (Ok(false), state) => due(console, node, place, state).await,
        };
        told = trouble(console, place, told, done);
        // Many things that happen at once are one reason to look.
        tokio::time::sleep(GATHER).await;
        drop(tokio::time::timeout(again, happenings.changed()).await);
    }
}

/// Brings what a dead node had to the one that took its place.
async fn bring(console: &Arc<Console>, node: &KnownNode, place: Place) -> Infallible {
    let mut happenings = console.live.happenings();
    let mut told = String::new();
    loop {
        happenings.mark_unchanged();
        let state = console.tier(place).ok().flatten().map(|read| read.value.state);
        let brought = match state {
            Some(TierState::Held) => crate::lease::bring::mind(console, node, place).await,
            Some(TierState::Taking | TierState::Renewing | TierState::Ended) | None => Ok(()),
        };
        told = trouble(console, place, told, brought);
        tokio::time::sleep(GATHER).await;
        drop(tokio::time::timeout(AGAIN, happenings.changed()).await);
    }
}

/// Tells what went wrong, the same trouble once. Gives what was told last.
fn trouble(console: &Console, place: Place, told: String, done: Result<(), No>) -> String {
    let trouble = done.err().map(|no| no.0.message.clone()).unwrap_or_default();
    if trouble != told && !trouble.is_empty() {
        console.tell(place, &trouble);
    }
    trouble
}

/// What a tier is due, by how far it is this console's own.
async fn due(
    console: &Arc<Console>,
    node: &KnownNode,
    place: Place,
    state: Option<TierState>,
) -> Result<(), No> {
    match state {
        Some(TierState::Taking | TierState::Renewing) => {
            crate::lease::renewal::order(console, node, place).await
        }
        Some(TierState::Held) => {
            crate::lease::sever::mind(console, node, place).await?;
            crate::directory::mind(console, node, place).await?;
            crate::document::collect(console, node, place).await
        }
        Some(TierState::Ended) | None => Ok(()),
    }
}
