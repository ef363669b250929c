//! How people's requests come in: two doors, one router, one description.

mod authority;
mod body;
mod door;
mod page;
mod problem;
mod roles;

pub(crate) use body::{Body, Parameters};
pub(crate) use door::Doors;
pub(crate) use page::page_of;
pub(crate) use problem::{Answer, No, not_found, refused, usage};

use std::sync::Arc;

use axum::Router;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use crate::state::Console;
use crate::{boundaries, console, directory, document, lease, node, order, people};

/// The longest body of a request: a boundary file, in JSON, with room.
pub(crate) const BODY_BYTES_MAX: usize = 24 * 1024 * 1024;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Leasehold console",
        description = "Manage computers that several parties share. Every refusal has the body of `Problem`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    security(("token" = [])),
    modifiers(&Token),
)]
struct Document;

struct Token;

impl utoipa::Modify for Token {
    fn modify(&self, document: &mut OpenApi) {
        let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("token", token);
    }
}

/// Every operation, a noun a line. Paths are written in full: nested routers lose their documentation.
fn nouns() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(console::routes())
        .merge(node::routes())
        .merge(order::routes())
        .merge(lease::routes())
        .merge(document::routes())
        .merge(crate::dhcp::routes())
        .merge(directory::routes())
        .merge(crate::incident::routes())
        .merge(crate::notify::routes())
        .merge(crate::spare::routes())
        .merge(boundaries::routes())
        .merge(crate::engine::routes())
        .merge(crate::image::routes())
        .merge(crate::volume::routes())
        .merge(people::routes())
}

/// The description of the API, as it is checked in: `openapi/console.json`.
///
/// # Panics
/// Never: every description has a text.
#[must_use]
pub fn document() -> String {
    let (_, document) = nouns().split_for_parts();
    document.to_pretty_json().unwrap_or_else(|error| panic!("a description without a text: {error}")) + "\n"
}

/// What answers requests, once who asks may ask that.
fn router(console: Arc<Console>) -> Router {
    let (router, document) = nouns().split_for_parts();
    let (operations, admitting) = (Arc::new(roles::Operations::of(&document)), Arc::clone(&console));
    let admit = move |known, id, path, request, next| {
        roles::admit(Arc::clone(&operations), Arc::clone(&admitting), known, id, path, request, next)
    };
    router
        .route_layer(axum::middleware::from_fn(admit))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(console)
}
