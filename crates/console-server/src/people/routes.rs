//! People over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use console_api::{AuditEntry, AuditQuery, NewUser, Page, PageQuery, User, UserToken, Whoami};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Asker;
use crate::api::{Answer, Body, Parameters};
use crate::node::no_longer_than;
use crate::state::Console;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .routes(routes!(user_list, user_add))
        .routes(routes!(user_remove))
        .routes(routes!(user_rotate))
        .routes(routes!(user_whoami))
        .routes(routes!(audit_list))
}

/// Everybody whom this console knows
#[utoipa::path(
    get, path = "/v1/users", operation_id = "user_list", tag = "user", params(PageQuery),
    responses((status = 200, body = Page<User>)),
)]
async fn user_list(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<User>> {
    no_longer_than(console.users()?, &query, |user| user.name.to_string()).map(Json)
}

/// Make somebody known, with a token of their own
#[utoipa::path(
    post, path = "/v1/users", operation_id = "user_add", tag = "user", request_body = NewUser,
    responses((status = 200, description = "The token, which nobody is shown again", body = UserToken)),
)]
async fn user_add(State(console): State<Arc<Console>>, Body(new): Body<NewUser>) -> Answer<UserToken> {
    console.add_user(new).await.map(Json)
}

/// Forget somebody: their token counts no more
#[utoipa::path(
    delete, path = "/v1/users/{user}", operation_id = "user_remove", tag = "user",
    params(("user" = String, Path, description = "Their name")),
    responses((status = 200, body = User)),
)]
async fn user_remove(State(console): State<Arc<Console>>, Path(user): Path<String>) -> Answer<User> {
    console.remove_user(&user).await.map(Json)
}

/// Give somebody another token; the one before counts no more
#[utoipa::path(
    post, path = "/v1/users/{user}/rotate", operation_id = "user_rotate", tag = "user",
    params(("user" = String, Path, description = "Their name")),
    responses((status = 200, description = "The token, which nobody is shown again", body = UserToken)),
)]
async fn user_rotate(State(console): State<Arc<Console>>, Path(user): Path<String>) -> Answer<UserToken> {
    console.rotate_user(&user).await.map(Json)
}

/// As whom this request comes
#[utoipa::path(
    get, path = "/v1/whoami", operation_id = "user_whoami", tag = "user",
    responses((status = 200, body = Whoami)),
)]
async fn user_whoami(Extension(asker): Extension<Asker>) -> Json<Whoami> {
    Json(asker.shown())
}

/// Who did what, oldest first
#[utoipa::path(
    get, path = "/v1/audit", operation_id = "audit_list", tag = "audit", params(AuditQuery),
    responses((status = 200, body = Page<AuditEntry>)),
)]
async fn audit_list(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<AuditQuery>,
) -> Answer<Page<AuditEntry>> {
    console.audit_page(&query).map(Json)
}
