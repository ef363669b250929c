//! Orders over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use console_api::{NewOrder, Order, Page, PageQuery};
use id::Digest;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::submit::{Wanted, decode};
use crate::api::{Answer, Body, Parameters, not_found, page_of, usage};
use crate::records::{self, key, order_id_key};
use crate::state::Console;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new().routes(routes!(order_submit, order_list)).routes(routes!(order_show))
}

/// Sign an order and have a node obey it
#[utoipa::path(
    post, path = "/v1/orders", operation_id = "order_submit", tag = "order", request_body = NewOrder,
    responses((status = 200, description = "The node has it on record", body = Order)),
)]
async fn order_submit(State(console): State<Arc<Console>>, Body(new): Body<NewOrder>) -> Answer<Order> {
    let node = console.node(&new.node)?;
    let tier = console.acting(&node, new.tier)?;
    let objects = new.objects.iter().map(|text| decode(text)).collect::<Result<Vec<_>, _>>()?;
    for object in &objects {
        // What a spare is given, and what is shown as text, is looked for here. What is no object the node refuses.
        if let Ok(object) = journal::Object::from_bytes(object.clone()) {
            console.keep_object(&object)?;
        }
    }
    let wanted = Wanted { node: &node, tier: &tier, verb: &new.verb, args: new.args, objects };
    wanted.submit(&console).await.map(Json)
}

/// All orders, oldest first
#[utoipa::path(
    get, path = "/v1/orders", operation_id = "order_list", tag = "order", params(PageQuery),
    responses((status = 200, body = Page<Order>)),
)]
async fn order_list(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<Order>> {
    page_of(console.store(), "order/", &query).map(Json)
}

/// One order
#[utoipa::path(
    get, path = "/v1/orders/{order}", operation_id = "order_show", tag = "order",
    params(("order" = String, Path, description = "The digest of its envelope")),
    responses((status = 200, body = Order)),
)]
async fn order_show(State(console): State<Arc<Console>>, Path(order): Path<String>) -> Answer<Order> {
    let order: Digest = order.parse().map_err(|malformed: id::Malformed| usage(malformed.to_string()))?;
    let none = || not_found(format!("there is no order {order}"));
    let at = console.store().get(&order_id_key(order))?.ok_or_else(none)?;
    let at: String = serde_json::from_slice(&at.value).map_err(|_malformed| none())?;
    let read = records::get::<Order>(console.store(), &key(at))?.ok_or_else(none)?;
    Ok(Json(read.value))
}
