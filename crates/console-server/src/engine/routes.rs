//! Engines over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use console_api::{Engine, EngineAct, EngineDeploy, EngineDone, EngineOutput, Page, PageQuery};
use id::Name;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{deploy, shown};
use crate::api::{Answer, Body, No, Parameters, not_found, usage};
use crate::node::no_longer_than;
use crate::state::Console;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .routes(routes!(engine_list, engine_deploy))
        .routes(routes!(engine_act))
        .routes(routes!(engine_show))
        .routes(routes!(engine_output))
}

/// All engines of this console's tiers
#[utoipa::path(
    get, path = "/v1/engines", operation_id = "engine_list", tag = "engine", params(PageQuery),
    responses((status = 200, body = Page<Engine>)),
)]
async fn engine_list(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<Engine>> {
    no_longer_than(shown::all(&console, None).await?, &query, shown::key).map(Json)
}

/// Have an engine run by a specification; images that are still on their way are sent on when the same is asked again
#[utoipa::path(
    post, path = "/v1/engines", operation_id = "engine_deploy", tag = "engine", request_body = EngineDeploy,
    responses((status = 200, body = EngineDone)),
)]
async fn engine_deploy(
    State(console): State<Arc<Console>>,
    Body(wanted): Body<EngineDeploy>,
) -> Answer<EngineDone> {
    deploy::deploy(&console, &wanted).await.map(Json)
}

/// Start, stop, restart, reload or remove an engine
#[utoipa::path(
    post, path = "/v1/engines/act", operation_id = "engine_act", tag = "engine", request_body = EngineAct,
    responses((status = 200, body = EngineDone)),
)]
async fn engine_act(
    State(console): State<Arc<Console>>,
    Body(wanted): Body<EngineAct>,
) -> Answer<EngineDone> {
    deploy::act(&console, &wanted).await.map(Json)
}

/// One engine, wherever it is, with its specification
#[utoipa::path(
    get, path = "/v1/engines/{engine}", operation_id = "engine_show", tag = "engine",
    params(("engine" = String, Path, description = "Its name")),
    responses((status = 200, body = Vec<Engine>)),
)]
async fn engine_show(State(console): State<Arc<Console>>, Path(engine): Path<String>) -> Answer<Vec<Engine>> {
    let name = name(&engine)?;
    let found = shown::all(&console, Some(&name)).await?;
    if found.is_empty() {
        return Err(not_found(format!("there is no engine {name}")).hint("`leasehold engine list` shows all"));
    }
    Ok(Json(found))
}

/// The end of an engine's output
#[utoipa::path(
    get, path = "/v1/nodes/{node}/engines/{engine}/output", operation_id = "engine_output", tag = "engine",
    params(
        ("node" = String, Path, description = "Its name, or its key's id"),
        ("engine" = String, Path, description = "Its name"),
    ),
    responses((status = 200, body = EngineOutput)),
)]
async fn engine_output(
    State(console): State<Arc<Console>>,
    Path((node, engine)): Path<(String, String)>,
) -> Answer<EngineOutput> {
    shown::output(&console, &node, name(&engine)?).await.map(Json)
}

fn name(text: &str) -> Result<Name, No> {
    text.parse().map_err(|malformed: id::Malformed| usage(malformed.to_string()))
}
