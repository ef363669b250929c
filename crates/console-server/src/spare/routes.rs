//! Spares over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use console_api::{NewSpare, Page, PageQuery, Spare as Shown, SpareActivated, SpareState};
use store::Transaction;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::activate::is_ready;
use super::{Spare, spare_key};
use crate::api::{Answer, Body, No, Parameters, not_found, refused};
use crate::node::no_longer_than;
use crate::records::value;
use crate::state::Console;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .routes(routes!(spare_list, spare_add))
        .routes(routes!(spare_remove))
        .routes(routes!(spare_activate))
}

/// The backup nodes, and whose places they take
#[utoipa::path(
    get, path = "/v1/spares", operation_id = "spare_list", tag = "spare", params(PageQuery),
    responses((status = 200, body = Page<Shown>)),
)]
async fn spare_list(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<Shown>> {
    let mut spares = Vec::new();
    for read in console.spares()? {
        spares.push(shown(&console, read.value).await?);
    }
    no_longer_than(spares, &query, |spare| spare.node.to_string()).map(Json)
}

/// Keep a node, of which this console is the root, as a spare
#[utoipa::path(
    post, path = "/v1/spares", operation_id = "spare_add", tag = "spare", request_body = NewSpare,
    responses((status = 200, body = Shown)),
)]
async fn spare_add(State(console): State<Arc<Console>>, Body(new): Body<NewSpare>) -> Answer<Shown> {
    let node = console.node(&new.node)?;
    let root = console.acting(&node, None)?;
    let is_root = console.turns(&node)?.mirror.lock().await.tenure.root() == Some(root.tier);
    if !is_root {
        return Err(refused("not-root", format!("this console is not the root of node {}", node.name)));
    }
    let key = spare_key(node.node);
    let (cluster, added) = (new.cluster, console.world.now());
    let spare = Spare { node: node.node, cluster, added, place_of: None, since: None };
    console.commit(Transaction::new().expect(&key, None).put(&key, value(&spare))).await?;
    shown(&console, spare).await.map(Json)
}

/// Keep a node as a spare no longer
#[utoipa::path(
    delete, path = "/v1/spares/{node}", operation_id = "spare_remove", tag = "spare",
    params(("node" = String, Path, description = "Its name, or its key's id")),
    responses((status = 200, body = Shown)),
)]
async fn spare_remove(State(console): State<Arc<Console>>, Path(text): Path<String>) -> Answer<Shown> {
    let node = console.node(&text)?;
    let found = console.spares()?.into_iter().find(|read| read.value.node == node.node);
    let read = found.ok_or_else(|| not_found(format!("node {} is no spare", node.name)))?;
    let key = spare_key(node.node);
    console.commit(Transaction::new().expect(&key, Some(&read.entry)).remove(&key)).await?;
    shown(&console, read.value).await.map(Json)
}

/// Have a spare take a node's place now, on a person's word
#[utoipa::path(
    post, path = "/v1/nodes/{node}/replace", operation_id = "spare_activate", tag = "spare",
    params(("node" = String, Path, description = "The node whose place is taken: its name, or its key's id")),
    responses((status = 200, body = SpareActivated)),
)]
async fn spare_activate(
    State(console): State<Arc<Console>>,
    Path(text): Path<String>,
) -> Answer<SpareActivated> {
    let node = console.node(&text)?;
    let told = console.activate_by_hand(node.node).await?;
    let spares = console.spares()?;
    let taking = spares.into_iter().find(|read| read.value.place_of == Some(node.node));
    let taking = taking.ok_or_else(|| not_found("no spare takes its place"))?;
    Ok(Json(SpareActivated { told, spare: shown(&console, taking.value).await? }))
}

async fn shown(console: &Arc<Console>, spare: Spare) -> Result<Shown, No> {
    let node = console.node(&spare.node.to_string())?;
    let state = match spare.place_of {
        Some(_) => SpareState::Used,
        None if is_ready(console, &node).await? => SpareState::Ready,
        None => SpareState::NotReady,
    };
    Ok(Shown {
        node: spare.node,
        node_name: node.name.to_string(),
        cluster: spare.cluster,
        state,
        place_of: spare.place_of,
        place_of_name: spare.place_of.map(|node| console.node_name(node)),
        since: spare.since,
    })
}
