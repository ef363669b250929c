//! Nodes over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use console_api::{Confirm, Enrolment, Node, NodeState, NodeTier, OpenWindow, Page, PageQuery};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Answer, Body, No, Parameters};
use crate::records::{KnownNode, KnownTier};
use crate::state::Console;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .routes(routes!(node_list))
        .routes(routes!(node_show))
        .routes(routes!(node_lock))
        .routes(routes!(node_enrol, node_strangers, node_close))
        .routes(routes!(node_confirm))
}

/// All nodes that this console knows
#[utoipa::path(
    get, path = "/v1/nodes", operation_id = "node_list", tag = "node", params(PageQuery),
    responses((status = 200, body = Page<Node>)),
)]
async fn node_list(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<Node>> {
    let page = no_longer_than(console.nodes()?, &query, |node| node.node.to_string())?;
    let mut items = Vec::new();
    for node in page.items {
        items.push(console.shown(&node).await?);
    }
    Ok(Json(Page { items, next: page.next }))
}

/// One node
#[utoipa::path(
    get, path = "/v1/nodes/{node}", operation_id = "node_show", tag = "node",
    params(("node" = String, Path, description = "Its name, or its key's id")),
    responses((status = 200, body = Node)),
)]
async fn node_show(State(console): State<Arc<Console>>, Path(node): Path<String>) -> Answer<Node> {
    let node = console.node(&node)?;
    console.shown(&node).await.map(Json)
}

/// Lock the node's secrets by a share that this console gives at each of the node's starts
#[utoipa::path(
    post, path = "/v1/nodes/{node}/lock", operation_id = "node_lock", tag = "node",
    params(("node" = String, Path, description = "Its name, or its key's id")),
    responses((status = 200, body = Node)),
)]
async fn node_lock(State(console): State<Arc<Console>>, Path(node): Path<String>) -> Answer<Node> {
    let node = console.node(&node)?;
    console.lock(&node).await?;
    console.shown(&node).await.map(Json)
}

/// Open the window in which unknown nodes may introduce themselves
#[utoipa::path(
    post, path = "/v1/enrolment", operation_id = "node_enrol", tag = "node", request_body = OpenWindow,
    responses((status = 200, body = Enrolment)),
)]
async fn node_enrol(
    State(console): State<Arc<Console>>,
    Body(wanted): Body<OpenWindow>,
) -> Answer<Enrolment> {
    console.enrol(wanted).map(Json)
}

/// Who introduced themselves and was not confirmed yet
#[utoipa::path(
    get, path = "/v1/enrolment", operation_id = "node_strangers", tag = "node",
    responses((status = 200, body = Enrolment)),
)]
async fn node_strangers(State(console): State<Arc<Console>>) -> Answer<Enrolment> {
    Ok(Json(console.enrolment()))
}

/// Close the window
#[utoipa::path(
    delete, path = "/v1/enrolment", operation_id = "node_close", tag = "node",
    responses((status = 200, body = Enrolment)),
)]
async fn node_close(State(console): State<Arc<Console>>) -> Answer<Enrolment> {
    console.close_enrolment().map(Json)
}

/// Say that a stranger is the computer whose screen shows this fingerprint
#[utoipa::path(
    post, path = "/v1/enrolment/confirm", operation_id = "node_confirm", tag = "node", request_body = Confirm,
    responses((status = 200, body = Node)),
)]
async fn node_confirm(State(console): State<Arc<Console>>, Body(wanted): Body<Confirm>) -> Answer<Node> {
    let node = console.confirm(&wanted).await?;
    console.shown(&node).await.map(Json)
}

impl Console {
    async fn shown(&self, node: &KnownNode) -> Result<Node, No> {
        let tiers = self.tiers_on(node.node)?;
        let turns = self.turns(node)?;
        let mirror = turns.mirror.lock().await;
        let heard = tiers.iter().filter_map(|tier| self.live.last_heard((node.node, tier.tier)));
        let newest = heard.max_by_key(|heard| heard.at);
        let state = match &newest {
            None => NodeState::Awaited,
            Some(heard) if heard.is_fresh() && heard.status.is_some() => NodeState::Up,
            Some(_) => NodeState::Unknown,
        };
        Ok(Node {
            node: node.node,
            node_key: node.node_key,
            name: node.name.to_string(),
            trust: node.trust,
            lock: self.lock_of(node.node)?,
            state,
            since: newest.map(|heard| heard.at),
            tiers: tiers
                .into_iter()
                .map(|tier| {
                    let name = mirror.tenure.tier(tier.tier).map(|tier| tier.name.to_string());
                    self.shown_tier(tier, name.unwrap_or_default())
                })
                .collect(),
            record: mirror.is_known().then(|| mirror.record()),
        })
    }

    fn shown_tier(&self, tier: KnownTier, name: String) -> NodeTier {
        let place = (tier.node, tier.tier);
        let heard = self.live.last_heard(place);
        NodeTier {
            tier: tier.tier,
            name,
            lease: tier.lease,
            contract: tier.contract,
            epoch: tier.epoch,
            identity: tier.identity,
            state: tier.state,
            connected: self.live.link(place).is_some(),
            status_at: heard.as_ref().filter(|heard| heard.status.is_some()).map(|heard| heard.at),
            status: heard.and_then(|heard| heard.status),
            boundary: tier.boundary,
        }
    }
}

/// The part of a list in memory that is asked for, by key. The list is in the order of its keys.
pub(crate) fn no_longer_than<T>(
    list: Vec<T>,
    query: &PageQuery,
    mut key: impl FnMut(&T) -> String,
) -> Result<Page<T>, No> {
    let limit = usize::from(query.limit.unwrap_or(100).clamp(1, 1000));
    let mut rest = list
        .into_iter()
        .map(|item| (key(&item), item))
        .filter(|(key, _)| query.after.as_ref().is_none_or(|after| key > after));
    let (mut items, mut last) = (Vec::new(), None);
    for (key, item) in rest.by_ref().take(limit) {
        last = Some(key);
        items.push(item);
    }
    Ok(Page { items, next: last.filter(|_| rest.next().is_some()) })
}
