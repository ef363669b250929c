//! An image on its way to a tier's volume.

use std::sync::Arc;
use std::time::{Duration, Instant};

use id::{Digest, Name};
use node_protocol::call::{Answer, Call, ImageState, code};

use crate::api::No;
use crate::node::session::{call_failed, not_understood};
use crate::places::Place;
use crate::state::Console;

/// The longest part that a node takes.
const PART_BYTES_MAX: u64 = 1024 * 1024;

/// How long a volume that was ordered and is not open yet is left alone before it is asked for again.
const LOOK: Duration = Duration::from_millis(50);

/// How much of an image is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) sent: u64,
    pub(super) bytes: u64,
}

/// Sends what is missing of an image, for as long as there is time: nothing of it, while its volume is not open.
pub(super) async fn send(
    console: &Arc<Console>,
    place: &Place,
    volume: &Name,
    image: Digest,
    until: Instant,
) -> Result<Sent, No> {
    let bytes = console.opened.images.whole(&image)?;
    let Some(state) = begin(console, place, volume, image, until).await? else {
        return Ok(Sent { sent: 0, bytes });
    };
    // What was not unpacked, or is too long, were other bytes.
    let mut sent = if state.why.is_some() || state.bytes > bytes { 0 } else { state.bytes };
    while sent < bytes && Instant::now() < until {
        let opened = Arc::clone(&console.opened);
        let read = tokio::task::spawn_blocking(move || opened.images.part(&image, sent, PART_BYTES_MAX));
        let part = read.await.map_err(std::io::Error::other)??;
        let call = Call::PutImage { tier: place.tier.tier, volume: volume.clone(), image, offset: sent };
        sent = ask(console, place, &call, &part).await?.bytes;
    }
    Ok(Sent { sent, bytes })
}

/// How far it is; nothing is known while its volume, which the tier has, is not open.
async fn begin(
    console: &Arc<Console>,
    place: &Place,
    volume: &Name,
    image: Digest,
    until: Instant,
) -> Result<Option<ImageState>, No> {
    let call = Call::Image { tier: place.tier.tier, volume: volume.clone(), image };
    loop {
        match ask(console, place, &call, &[]).await {
            Err(no) if no.0.code == code::NOT_FOUND && Instant::now() < until => {
                tokio::time::sleep(LOOK).await;
            }
            Err(no) if no.0.code == code::NOT_FOUND => return Ok(None),
            other => return other.map(Some),
        }
    }
}

async fn ask(console: &Console, place: &Place, call: &Call, part: &[u8]) -> Result<ImageState, No> {
    let link = console.dialled(&place.node, place.key(), None).await?;
    match link.call(call, part).await.map_err(call_failed)? {
        (Answer::Image(state), _) => Ok(state),
        (Answer::Refused(refused), _) => Err(No(Box::new(refused.into()))),
        (other, _) => Err(not_understood(&other)),
    }
}
