//! The directory over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use console_api::{Directory, DirectoryPublished, NewDirectory};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::spread::{current, publish, pushes};
use crate::api::{Answer, Body, not_found, usage};
use crate::state::Console;

/// The longest file: what the store takes as one value, with room for what the console fills in.
const TEXT_BYTES_MAX: usize = 256 * 1024;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new().routes(routes!(directory_show, directory_publish))
}

/// The directory, and which nodes have it
#[utoipa::path(
    get, path = "/v1/directory", operation_id = "directory_show", tag = "directory",
    responses((status = 200, body = Directory)),
)]
async fn directory_show(State(console): State<Arc<Console>>) -> Answer<Directory> {
    let none = || {
        not_found("no directory was published yet")
            .hint("`leasehold directory publish FILE`, or `realms` in console.toml, makes one")
    };
    let current = current(&console)?.ok_or_else(none)?.value;
    let envelope = console.object(&current.object).ok_or_else(none)?;
    Ok(Json(Directory {
        serial: current.serial,
        signer: *console.opened.keys.directory.public(),
        envelope: String::from_utf8_lossy(envelope.content()).into_owned(),
        nodes: pushes(&console, &current).await?,
        text: current.text,
    }))
}

/// Sign a directory and give it to every node
#[utoipa::path(
    post, path = "/v1/directory", operation_id = "directory_publish", tag = "directory",
    request_body = NewDirectory,
    responses((status = 200, body = DirectoryPublished)),
)]
async fn directory_publish(
    State(console): State<Arc<Console>>,
    Body(new): Body<NewDirectory>,
) -> Answer<DirectoryPublished> {
    if new.text.len() > TEXT_BYTES_MAX {
        return Err(usage(format!("the file has more than {TEXT_BYTES_MAX} bytes")));
    }
    let given = boundary::Directory::parse(new.text.as_bytes())
        .map_err(|problems| usage(format!("this is no directory: {problems}")))?;
    let _turn = console.addressing.lock().await;
    let present = current(&console)?.map(|read| read.value.serial);
    if given.serial().is_some_and(|serial| present.is_some_and(|present| serial < present)) {
        return Err(usage("the file is older than the directory that is published")
            .hint("leave `serial` out: the console counts"));
    }
    let current = publish(&console, Some(new.text)).await?;
    let nodes = pushes(&console, &current).await?;
    Ok(Json(DirectoryPublished { serial: current.serial, nodes }))
}
