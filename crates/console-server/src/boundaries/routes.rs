//! Boundaries over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use console_api::{
    BoundaryChange, BoundaryDenials, BoundaryExplained, BoundaryPlan, BoundaryQuestion, BoundaryShown,
    DenialsQuestion, Matrix, MatrixQuestion, Page, PageQuery, Replay, ReplayQuestion,
};
use id::{Digest, TierId};
use node_protocol::call::TierStatus;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{apply, explain, matrix, replay};
use crate::api::{Answer, Body, Parameters};
use crate::node::no_longer_than;
use crate::state::Console;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .routes(routes!(boundary_show, boundary_apply))
        .routes(routes!(boundary_plan))
        .routes(routes!(boundary_explain))
        .routes(routes!(boundary_denials))
        .routes(routes!(boundary_matrix))
        .routes(routes!(boundary_replay))
}

/// What setting a filter set would mean on each node; nothing is changed
#[utoipa::path(
    post, path = "/v1/boundaries/plan", operation_id = "boundary_plan", tag = "boundary",
    request_body = BoundaryChange,
    responses((status = 200, body = BoundaryPlan)),
)]
async fn boundary_plan(
    State(console): State<Arc<Console>>,
    Body(change): Body<BoundaryChange>,
) -> Answer<BoundaryPlan> {
    apply::plan(&console, &change).await.map(Json)
}

/// Set a filter set wherever it differs
#[utoipa::path(
    post, path = "/v1/boundaries", operation_id = "boundary_apply", tag = "boundary",
    request_body = BoundaryChange,
    responses((status = 200, body = BoundaryPlan)),
)]
async fn boundary_apply(
    State(console): State<Arc<Console>>,
    Body(change): Body<BoundaryChange>,
) -> Answer<BoundaryPlan> {
    apply::apply(&console, &change).await.map(Json)
}

/// The filter sets of this console's tiers, and those that it gave
#[utoipa::path(
    get, path = "/v1/boundaries", operation_id = "boundary_show", tag = "boundary", params(PageQuery),
    responses((status = 200, body = Page<BoundaryShown>)),
)]
async fn boundary_show(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<BoundaryShown>> {
    let mut shown = Vec::new();
    for node in console.nodes()? {
        let turns = console.turns(&node)?;
        let mirror = turns.mirror.lock().await;
        let held = console.tiers_on(node.node)?;
        let heard = held.iter().filter_map(|held| console.live.last_heard((node.node, held.tier))?.status);
        let heard: Vec<TierStatus> = heard.flat_map(|status| status.tiers).collect();
        let mut say = |tier: TierId, name: String, which: &str, object: Option<Digest>| {
            let Some(object) = object else { return };
            let trial = mirror.tenure.tier(tier).and_then(|tier| tier.trial).filter(|_| which == "own");
            // Of what it granted a console hears no packet, of its own tier it does.
            let heard = || heard.iter().filter(|said| said.tier == tier);
            let said = heard().filter_map(|said| said.beyond.as_ref());
            shown.push(BoundaryShown {
                node_name: node.name.to_string(),
                node: node.node,
                tier,
                name,
                which: which.to_owned(),
                object,
                text: console.set_text(&object),
                tried_until: trial.map(|trial| trial.until),
                beyond: said.max_by_key(|beyond| beyond.is_object()).cloned(),
                names_since: heard().filter_map(|said| said.names_since).max(),
            });
        };
        for held in held {
            let Some(tier) = mirror.tenure.tier(held.tier) else { continue };
            say(held.tier, tier.name.to_string(), "given", tier.given);
            say(held.tier, tier.name.to_string(), "own", tier.own);
            for (id, child) in mirror.tenure.children(held.tier) {
                say(id, child.name.to_string(), "given", child.given);
            }
        }
    }
    let key = |shown: &BoundaryShown| format!("{}/{}/{}", shown.node, shown.tier, shown.which);
    shown.sort_by_key(key);
    no_longer_than(shown, &query, key).map(Json)
}

/// Say what a node's boundaries say to a packet, and whose rule stops it
#[utoipa::path(
    post, path = "/v1/boundaries/explain", operation_id = "boundary_explain", tag = "boundary",
    request_body = BoundaryQuestion,
    responses((status = 200, body = BoundaryExplained)),
)]
async fn boundary_explain(
    State(console): State<Arc<Console>>,
    Body(question): Body<BoundaryQuestion>,
) -> Answer<BoundaryExplained> {
    explain::explain(&console, question).await.map(Json)
}

/// What was dropped at a realm so far, by reason and by rule
#[utoipa::path(
    post, path = "/v1/boundaries/denials", operation_id = "boundary_denials", tag = "boundary",
    request_body = DenialsQuestion,
    responses((status = 200, body = BoundaryDenials)),
)]
async fn boundary_denials(
    State(console): State<Arc<Console>>,
    Body(question): Body<DenialsQuestion>,
) -> Answer<BoundaryDenials> {
    explain::denials(&console, &question).await.map(Json)
}

/// Who of this console's realms may reach whom, by the word of the nodes themselves
#[utoipa::path(
    post, path = "/v1/boundaries/matrix", operation_id = "boundary_matrix", tag = "boundary",
    request_body = MatrixQuestion,
    responses((status = 200, body = Matrix)),
)]
async fn boundary_matrix(
    State(console): State<Arc<Console>>,
    Body(question): Body<MatrixQuestion>,
) -> Answer<Matrix> {
    matrix::matrix(&console, &question).await.map(Json)
}

/// What a filter set would drop of what the console's realms had in the last hour; nothing is changed
#[utoipa::path(
    post, path = "/v1/boundaries/replay", operation_id = "boundary_replay", tag = "boundary",
    request_body = ReplayQuestion,
    responses((status = 200, body = Replay)),
)]
async fn boundary_replay(
    State(console): State<Arc<Console>>,
    Body(question): Body<ReplayQuestion>,
) -> Answer<Replay> {
    replay::replay(&console, &question).await.map(Json)
}
