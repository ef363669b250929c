//! Documents and journals over the API.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use console_api::{Document, Documents, TakeReceipt};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Answer, Body as Asked, No, not_found};
use crate::state::Console;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .routes(routes!(receipt_fetch))
        .routes(routes!(receipt_take))
        .routes(routes!(journal_fetch))
}

/// What nodes signed about a contract, a lease or a tier
#[utoipa::path(
    get, path = "/v1/documents/{about}", operation_id = "receipt_fetch", tag = "receipt",
    params(("about" = String, Path, description = "A contract, a lease's id or a tier's")),
    responses((status = 200, body = Documents)),
)]
async fn receipt_fetch(State(console): State<Arc<Console>>, Path(about): Path<String>) -> Answer<Documents> {
    let mut documents = Vec::new();
    let mut known = false;
    for lease in console.leases().await? {
        let meant = lease.lease.to_string() == about
            || lease.tier.to_string() == about
            || lease.contract.as_ref() == Some(&about);
        if !meant {
            continue;
        }
        known = true;
        let node = console.node(&lease.node.to_string())?;
        for by in console.tiers_on(node.node)? {
            // What the console has is good without the node; what is newer only the node has.
            drop(super::collect::fetch(&console, &node, (node.node, by.tier), &lease.tier.to_string()).await);
        }
        documents.extend(console.documents_about(lease.tier)?);
    }
    let short: String = about.chars().take(80).collect();
    if known {
        Ok(Json(Documents { documents }))
    } else {
        Err(not_found(format!("no lease is {short:?}")).hint("`leasehold lease list` shows them"))
    }
}

/// Take a receipt that another party handed over: a lease that it says has ended is ended here, too
#[utoipa::path(
    post, path = "/v1/receipts", operation_id = "receipt_take", tag = "receipt", request_body = TakeReceipt,
    responses((status = 200, body = Document)),
)]
async fn receipt_take(
    State(console): State<Arc<Console>>,
    Asked(taken): Asked<TakeReceipt>,
) -> Answer<Document> {
    super::ended::take(&console, &taken.envelope).await.map(Json)
}

/// A node's journal, as far as this console has it: `leasehold journal verify` takes it
#[utoipa::path(
    get, path = "/v1/nodes/{node}/journal", operation_id = "journal_fetch", tag = "journal",
    params(("node" = String, Path, description = "Its name, or its key's id")),
    responses((status = 200, description = "Lines", body = String, content_type = "text/plain")),
)]
async fn journal_fetch(
    State(console): State<Arc<Console>>,
    Path(node): Path<String>,
) -> Result<Response, No> {
    let node = console.node(&node)?;
    let turns = console.turns(&node)?;
    let mirror = turns.mirror.lock().await;
    if !mirror.is_known() {
        return Err(not_found(format!("the journal of node {} was not read yet", node.name)));
    }
    let lines = mirror.export()?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from(lines)).into_response())
}
