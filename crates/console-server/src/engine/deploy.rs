//! Deploying, and what is done with engines that are there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use console_api::{EngineAct, EngineAction, EngineDeploy, EngineDone, EngineTarget, Exit, Order, Problem};
use engine::specification::Specification;
use id::{Digest, Name};
use serde_json::json;

use super::send::{Sent, send};
use super::specification_of;
use crate::api::{No, not_found, usage};
use crate::order::Wanted;
use crate::places::Place;
use crate::state::Console;

/// For how long one request sends images: who asks sees it go on, and asks again.
const SPAN: Duration = Duration::from_secs(5);

/// How far a deployment is at one place.
#[derive(Debug)]
pub(crate) enum Deployed {
    /// The image is on its way.
    Sending { sent: u64, bytes: u64 },
    /// It was so before.
    Already { bytes: u64 },
    /// It is on the node's record.
    Ordered { bytes: u64, order: Box<Order> },
}

/// Until when images are sent in one go.
pub(crate) fn span() -> Instant {
    Instant::now() + SPAN
}

/// Does it again until nothing is left to be sent, for whoever cannot ask again; gives up when it does not get on.
pub(crate) async fn to_the_end<F>(step: impl Fn() -> F) -> Result<Option<Box<Order>>, No>
where
    F: Future<Output = Result<Deployed, No>>,
{
    let mut before = None;
    loop {
        match step().await? {
            Deployed::Already { .. } => return Ok(None),
            Deployed::Ordered { order, .. } => return Ok(Some(order)),
            Deployed::Sending { sent, bytes } if before == Some(sent) => {
                let told = format!("the image does not get on: {sent} of {bytes} bytes are there");
                return Err(No::new("timed-out", Exit::TimedOut, told)
                    .hint("`leasehold volume list` shows whether its volume is open"));
            }
            Deployed::Sending { sent, .. } => before = Some(sent),
        }
    }
}

/// Deploys an engine wherever it is meant to be, all places at once.
pub(super) async fn deploy(console: &Arc<Console>, wanted: &EngineDeploy) -> Result<EngineDone, No> {
    let specification =
        Specification::parse(wanted.specification.as_bytes()).map_err(|wrong| usage(wrong.to_string()))?;
    if specification.engine != wanted.name {
        return Err(usage(format!("the specification is that of engine {}", specification.engine)));
    }
    console.opened.images.whole(&specification.image)?;
    let (until, text) = (span(), Arc::new(wanted.specification.clone()));
    let begin = |place: Place| {
        let (console, text) = (Arc::clone(console), Arc::clone(&text));
        async move { deploy_at(&console, &place, &text, until).await }
    };
    Ok(EngineDone {
        targets: at_once(console.held_places(&wanted.nodes, wanted.of.as_deref()).await?, begin).await,
    })
}

/// Does something with an engine wherever it is meant to be.
pub(super) async fn act(console: &Arc<Console>, act: &EngineAct) -> Result<EngineDone, No> {
    let mut places = Vec::new();
    for place in console.held_places(&act.nodes, act.of.as_deref()).await? {
        if place.recorded(console).await.is_ok_and(|tier| tier.engines.contains_key(&act.name)) {
            places.push(place);
        }
    }
    if places.is_empty() {
        return Err(not_found(format!("there is no engine {} there", act.name))
            .hint("`leasehold engine list` shows all"));
    }
    let begin = |place: Place| {
        let (console, name, action) = (Arc::clone(console), act.name.clone(), act.action);
        async move { act_on(&console, &place, &name, action).await }
    };
    Ok(EngineDone { targets: at_once(places, begin).await })
}

/// Each place in a task of its own: a node that does not answer keeps no other waiting.
async fn at_once<F>(places: Vec<Place>, begin: impl Fn(Place) -> F) -> Vec<EngineTarget>
where
    F: Future<Output = Result<Deployed, No>> + Send + 'static,
{
    let begun: Vec<_> = places.into_iter().map(|place| (place.clone(), tokio::spawn(begin(place)))).collect();
    let mut targets = Vec::new();
    for (place, task) in begun {
        let ended = |error| Err(No::new("failed", Exit::Failed, format!("the task ended: {error}")));
        targets.push(target(place, task.await.unwrap_or_else(ended)));
    }
    targets
}

fn target(place: Place, came: Result<Deployed, No>) -> EngineTarget {
    let (sent, bytes, done, order, problem): (u64, u64, bool, Option<Order>, Option<Problem>) = match came {
        Ok(Deployed::Sending { sent, bytes }) => (sent, bytes, false, None, None),
        Ok(Deployed::Already { bytes }) => (bytes, bytes, true, None, None),
        Ok(Deployed::Ordered { bytes, order }) => (bytes, bytes, true, Some(*order), None),
        Err(no) => (0, 0, false, None, Some(*no.0)),
    };
    let node_name = place.node.name.to_string();
    let (node, tier) = (place.node.node, place.tier.tier);
    EngineTarget { node_name, node, tier, sent, bytes, done, order, problem }
}

/// Has an engine run at one place by a specification that was read: its image first, then the order. Done again, it goes
/// on where it was.
pub(crate) async fn deploy_at(
    console: &Arc<Console>,
    place: &Place,
    text: &str,
    until: Instant,
) -> Result<Deployed, No> {
    let specification = Specification::parse(text.as_bytes()).map_err(|wrong| usage(wrong.to_string()))?;
    let recorded = place.recorded(console).await?;
    if !recorded.volumes.contains_key(&specification.volume) {
        let (volume, node) = (&specification.volume, &place.node.name);
        return Err(not_found(format!("the tier has no volume {volume} on node {node}"))
            .hint(format!("leasehold volume make {volume} --size-mib … --node {node}")));
    }
    let Sent { sent, bytes } =
        send(console, place, &specification.volume, specification.image, until).await?;
    if sent < bytes {
        return Ok(Deployed::Sending { sent, bytes });
    }
    let present = recorded.engines.get(&specification.engine).filter(|demand| demand.running);
    if present.is_some_and(|demand| console.object_text(&demand.specification).as_deref() == Some(text)) {
        return Ok(Deployed::Already { bytes });
    }
    // One of its own for each node: who sees two names cannot tell that they say the same.
    let object = console.make_object(text.as_bytes())?;
    let action = json!({ "deploy": { "specification": Digest::of(&object) } });
    let order = order(console, place, &specification.engine, action, vec![object]).await?;
    Ok(Deployed::Ordered { bytes, order: Box::new(order) })
}

/// Orders something of an engine that is there. An image that is to be unpacked anew is sent anew where the node has
/// other bytes.
pub(crate) async fn act_on(
    console: &Arc<Console>,
    place: &Place,
    name: &Name,
    action: EngineAction,
) -> Result<Deployed, No> {
    if action == EngineAction::Reload
        && let Some(demand) = place.recorded(console).await?.engines.get(name)
        && let Some(specification) = specification_of(console, demand)
        && console.opened.images.whole(&specification.image).is_ok()
    {
        let Sent { sent, bytes } =
            send(console, place, &specification.volume, specification.image, span()).await?;
        if sent < bytes {
            return Ok(Deployed::Sending { sent, bytes });
        }
    }
    let order = order(console, place, name, json!(action), Vec::new()).await?;
    Ok(Deployed::Ordered { bytes: 0, order: Box::new(order) })
}

async fn order(
    console: &Arc<Console>,
    place: &Place,
    name: &Name,
    action: serde_json::Value,
    objects: Vec<Vec<u8>>,
) -> Result<Order, No> {
    let args = json!({ "name": name, "action": action });
    let wanted = Wanted { node: &place.node, tier: &place.tier, verb: "engine", args, objects };
    let order = wanted.submit(console).await?;
    place.kept(console).await?;
    Ok(order)
}
