//! Receivers and the log of deliveries over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use console_api::{NotifyDelivery, NotifyReceiver, NotifyTest, Page, PageQuery};
use notify::{Delivery, DeliveryState};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::post::DELIVERIES;
use crate::api::{Answer, Body, Parameters, not_found, page_of};
use crate::node::no_longer_than;
use crate::state::Console;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new().routes(routes!(notify_list)).routes(routes!(notify_test)).routes(routes!(notify_log))
}

/// Who is told of incidents
#[utoipa::path(
    get, path = "/v1/notify", operation_id = "notify_list", tag = "notify", params(PageQuery),
    responses((status = 200, body = Page<NotifyReceiver>)),
)]
async fn notify_list(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<NotifyReceiver>> {
    let shown = |receiver: &notify::Receiver| {
        let (pending, failing) = console.post.standing(&receiver.name);
        let (name, reached_by) = (receiver.name.clone(), receiver.reached_by());
        NotifyReceiver { name, reached_by, pending, failing }
    };
    let mut receivers: Vec<_> = console.opened.settings.receiver.iter().map(shown).collect();
    receivers.sort_by(|a, b| a.name.as_str().cmp(b.name.as_str()));
    no_longer_than(receivers, &query, |receiver| receiver.name.to_string()).map(Json)
}

/// Send a test; the log says whether it was taken
#[utoipa::path(
    post, path = "/v1/notify/test", operation_id = "notify_test", tag = "notify", request_body = NotifyTest,
    responses((status = 200, body = Vec<NotifyDelivery>)),
)]
async fn notify_test(
    State(console): State<Arc<Console>>,
    Body(wanted): Body<NotifyTest>,
) -> Answer<Vec<NotifyDelivery>> {
    let mut sent = Vec::new();
    for receiver in &console.opened.settings.receiver {
        if wanted.receiver.as_ref().is_none_or(|name| *name == receiver.name) {
            sent.push(shown(console.post.test(&console, &receiver.name).await?));
        }
    }
    if sent.is_empty() {
        return Err(not_found("there is no such receiver")
            .hint("[[receiver]] in console.toml makes one; `leasehold notify list` shows all"));
    }
    Ok(Json(sent))
}

/// What was sent to whom, the newest first
#[utoipa::path(
    get, path = "/v1/notify/log", operation_id = "notify_log", tag = "notify", params(PageQuery),
    responses((status = 200, body = Page<NotifyDelivery>)),
)]
async fn notify_log(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<NotifyDelivery>> {
    let page: Page<Delivery> = page_of(console.store(), DELIVERIES, &query)?;
    Ok(Json(Page { items: page.items.into_iter().map(shown).collect(), next: page.next }))
}

fn shown(delivery: Delivery) -> NotifyDelivery {
    let state = match delivery.state {
        DeliveryState::Pending => "pending",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Failed => "failed",
    };
    let last = delivery.attempts.last().cloned();
    NotifyDelivery {
        id: delivery.message.id,
        receiver: delivery.receiver,
        incident: delivery.incident.map(|number| number.to_string()),
        subject: delivery.message.subject,
        at: delivery.at,
        state: state.to_owned(),
        tried: delivery.tried,
        told: last.as_ref().map(|attempt| attempt.told.clone()),
        tried_at: last.map(|attempt| attempt.at),
    }
}
