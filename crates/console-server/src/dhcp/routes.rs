//! The DHCP server over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use console_api::{Dhcp, DhcpLease, Page, PageQuery};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::kept;
use crate::api::{Answer, Parameters, not_found, page_of};
use crate::state::Console;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new().routes(routes!(dhcp_show)).routes(routes!(dhcp_list))
}

/// The DHCP server, and what a person should know of it
#[utoipa::path(
    get, path = "/v1/dhcp", operation_id = "dhcp_show", tag = "dhcp",
    responses((status = 200, body = Dhcp)),
)]
async fn dhcp_show(State(console): State<Arc<Console>>) -> Answer<Dhcp> {
    let none = || not_found("this console serves no DHCP").hint("a [dhcp] table in console.toml makes it");
    console.dhcp.as_ref().map(|office| Json(office.shown())).ok_or_else(none)
}

/// The addresses that were given, by address
#[utoipa::path(
    get, path = "/v1/dhcp/leases", operation_id = "dhcp_list", tag = "dhcp", params(PageQuery),
    responses((status = 200, body = Page<DhcpLease>)),
)]
async fn dhcp_list(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<DhcpLease>> {
    page_of(console.store(), kept::LEASES, &query).map(Json)
}
