//! The console itself: what it is, and what another party must know of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use console_api::{Console as Shown, ConsoleAt, Identity, Version};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::Answer;
use crate::state::Console;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .routes(routes!(console_health))
        .routes(routes!(console_show))
        .routes(routes!(console_identity))
}

/// Whether the console answers; without a token
#[utoipa::path(
    get, path = "/healthz", operation_id = "console_health", tag = "console",
    security(()),
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")),
)]
async fn console_health() -> &'static str {
    "ok\n"
}

/// What runs here
#[utoipa::path(
    get, path = "/v1/console", operation_id = "console_show", tag = "console",
    responses((status = 200, body = Shown)),
)]
async fn console_show(State(console): State<Arc<Console>>) -> Answer<Shown> {
    let (nodes, connected) = (console.nodes()?.len() as u64, console.live.connections() as u64);
    Ok(Json(Shown {
        name: console.opened.settings.name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at: console.world.now(),
        channel: console.at(),
        directory: *console.opened.keys.directory.public(),
        nodes,
        connected,
    }))
}

/// What another party must know to lease nodes to this one
#[utoipa::path(
    get, path = "/v1/console/identity", operation_id = "console_identity", tag = "console",
    responses((status = 200, body = Identity)),
)]
async fn console_identity(State(console): State<Arc<Console>>) -> Answer<Identity> {
    Ok(Json(Identity {
        version: Version,
        name: console.opened.settings.name.to_string(),
        controllers: console.controllers(),
        consoles: vec![console.at()],
        directory: *console.opened.keys.directory.public(),
    }))
}

impl Console {
    /// Where nodes dial.
    fn at(&self) -> ConsoleAt {
        ConsoleAt {
            key: *self.opened.keys.channel.public(),
            addresses: self.opened.settings.addresses().iter().map(ToString::to_string).collect(),
        }
    }
}
