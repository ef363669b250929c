//! Volumes over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use console_api::{NewVolume, Page, PageQuery, Volume, VolumePlan, VolumeRemove, VolumeTarget};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{make, remove, shown};
use crate::api::{Answer, Body, Parameters};
use crate::node::no_longer_than;
use crate::state::Console;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .routes(routes!(volume_list, volume_make))
        .routes(routes!(volume_remove))
        .routes(routes!(volume_remove_plan))
}

/// All volumes of this console's tiers
#[utoipa::path(
    get, path = "/v1/volumes", operation_id = "volume_list", tag = "volume", params(PageQuery),
    responses((status = 200, body = Page<Volume>)),
)]
async fn volume_list(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<Volume>> {
    no_longer_than(shown::all(&console).await?, &query, shown::key).map(Json)
}

/// Make an encrypted volume; where one of that name and size is, nothing happens
#[utoipa::path(
    post, path = "/v1/volumes", operation_id = "volume_make", tag = "volume", request_body = NewVolume,
    responses((status = 200, body = Vec<VolumeTarget>)),
)]
async fn volume_make(
    State(console): State<Arc<Console>>,
    Body(new): Body<NewVolume>,
) -> Answer<Vec<VolumeTarget>> {
    make(&console, &new).await.map(Json)
}

/// What removing a volume would mean; nothing is changed
#[utoipa::path(
    post, path = "/v1/volumes/remove/plan", operation_id = "volume_remove_plan", tag = "volume",
    request_body = VolumeRemove,
    responses((status = 200, body = VolumePlan)),
)]
async fn volume_remove_plan(
    State(console): State<Arc<Console>>,
    Body(wanted): Body<VolumeRemove>,
) -> Answer<VolumePlan> {
    remove::plan(&console, &wanted).await.map(Json)
}

/// Remove a volume: what is in it is unreadable for ever
#[utoipa::path(
    post, path = "/v1/volumes/remove", operation_id = "volume_remove", tag = "volume",
    request_body = VolumeRemove,
    responses((status = 200, body = VolumePlan)),
)]
async fn volume_remove(
    State(console): State<Arc<Console>>,
    Body(wanted): Body<VolumeRemove>,
) -> Answer<VolumePlan> {
    remove::remove(&console, &wanted).await.map(Json)
}
