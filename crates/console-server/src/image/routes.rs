//! Images over the API.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use console_api::{Exit, Image, ImagePart, Page, PageQuery};
use id::Digest;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::kept::Kept;
use crate::api::{Answer, No, Parameters, refused, usage};
use crate::node::no_longer_than;
use crate::state::Console;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new().routes(routes!(image_list)).routes(routes!(image_show, image_put, image_remove))
}

/// All images that this console keeps
#[utoipa::path(
    get, path = "/v1/images", operation_id = "image_list", tag = "image", params(PageQuery),
    responses((status = 200, body = Page<Image>)),
)]
async fn image_list(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<Image>> {
    let page = no_longer_than(console.opened.images.all()?, &query, |kept| kept.image.to_string())?;
    let mut items = Vec::new();
    for kept in page.items {
        items.push(shown(&console, kept).await?);
    }
    Ok(Json(Page { items, next: page.next }))
}

/// How much of an image there is; an image of which there is nothing has 0 bytes
#[utoipa::path(
    get, path = "/v1/images/{image}", operation_id = "image_show", tag = "image",
    params(("image" = String, Path, description = "Its digest")),
    responses((status = 200, body = Image)),
)]
async fn image_show(State(console): State<Arc<Console>>, Path(image): Path<String>) -> Answer<Image> {
    let image = digest(&image)?;
    let kept = console.opened.images.state(&image)?;
    shown(&console, kept.unwrap_or(Kept { image, bytes: 0, whole: false })).await.map(Json)
}

/// Hand over a part of an image; parts come in their order, and the answer says where to go on
#[utoipa::path(
    post, path = "/v1/images/{image}", operation_id = "image_put", tag = "image",
    params(("image" = String, Path, description = "Its digest"), ImagePart),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = Image)),
)]
async fn image_put(
    State(console): State<Arc<Console>>,
    Path(image): Path<String>,
    Parameters(part): Parameters<ImagePart>,
    bytes: Bytes,
) -> Answer<Image> {
    let image = digest(&image)?;
    let opened = Arc::clone(&console.opened);
    let put =
        tokio::task::spawn_blocking(move || opened.images.put(image, part.offset, &bytes, part.last)).await;
    let kept =
        put.map_err(|error| No::new("failed", Exit::Failed, format!("the image's thread ended: {error}")))??;
    shown(&console, kept).await.map(Json)
}

/// Forget an image that no engine is made of
#[utoipa::path(
    delete, path = "/v1/images/{image}", operation_id = "image_remove", tag = "image",
    params(("image" = String, Path, description = "Its digest")),
    responses((status = 200, body = Image)),
)]
async fn image_remove(State(console): State<Arc<Console>>, Path(image): Path<String>) -> Answer<Image> {
    let image = digest(&image)?;
    let used = crate::engine::made_of(&console, &image).await?;
    if let Some(engine) = used.first() {
        return Err(refused("in-use", format!("engine {engine} is made of it"))
            .hint("it is needed should the engine be moved, or its image be unpacked anew"));
    }
    shown(&console, console.opened.images.remove(&image)?).await.map(Json)
}

fn digest(text: &str) -> Result<Digest, No> {
    text.parse().map_err(|malformed: id::Malformed| usage(malformed.to_string()))
}

async fn shown(console: &Arc<Console>, Kept { image, bytes, whole }: Kept) -> Result<Image, No> {
    Ok(Image { image, bytes, whole, engines: crate::engine::made_of(console, &image).await? })
}
