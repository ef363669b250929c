//! Encrypted volumes of this console's tiers: made, shown, and removed as planned.

mod remove;
mod routes;
mod shown;

pub(crate) use routes::routes;

use std::sync::Arc;

use console_api::{NewVolume, Order, VolumeTarget};
use id::Name;
use serde_json::json;

use crate::api::No;
use crate::order::Wanted;
use crate::places::Place;
use crate::state::Console;

/// Makes a volume wherever it is meant to be, all places at once. Where one of that name and size is, nothing happens.
async fn make(console: &Arc<Console>, new: &NewVolume) -> Result<Vec<VolumeTarget>, No> {
    let mut begun = Vec::new();
    for place in console.held_places(&new.nodes, new.of.as_deref()).await? {
        let (console, own, new) = (Arc::clone(console), place.clone(), new.clone());
        begun.push((
            place,
            tokio::spawn(async move { make_at(&console, &own, &new.name, new.size_mib).await }),
        ));
    }
    let mut targets = Vec::new();
    for (place, task) in begun {
        let mut target = target(console, &place);
        come(&mut target, task.await.unwrap_or_else(ended));
        targets.push(target);
    }
    Ok(targets)
}

/// Orders a volume at one place.
pub(crate) async fn make_at(
    console: &Arc<Console>,
    place: &Place,
    name: &Name,
    size_mib: u32,
) -> Result<Order, No> {
    let args = json!({ "name": name, "size_mib": size_mib });
    order(console, place, "volume", args).await
}

async fn order(
    console: &Arc<Console>,
    place: &Place,
    verb: &str,
    args: serde_json::Value,
) -> Result<Order, No> {
    let wanted = Wanted { node: &place.node, tier: &place.tier, verb, args, objects: Vec::new() };
    let order = wanted.submit(console).await?;
    place.kept(console).await?;
    Ok(order)
}

fn target(console: &Console, place: &Place) -> VolumeTarget {
    VolumeTarget {
        node_name: place.node.name.to_string(),
        node: place.node.node,
        tier: place.tier.tier,
        consequences: Vec::new(),
        connected: console.live.link(place.key()).is_some(),
        order: None,
        problem: None,
    }
}

fn ended(error: tokio::task::JoinError) -> Result<Order, No> {
    Err(No::new("failed", console_api::Exit::Failed, format!("the order's task ended: {error}")))
}

/// What came of an order.
fn come(target: &mut VolumeTarget, came: Result<Order, No>) {
    match came {
        Ok(order) => target.order = Some(order),
        Err(no) => target.problem = Some(*no.0),
    }
}
