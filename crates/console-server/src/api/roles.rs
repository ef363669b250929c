//! Who may do what: each operation of the API with the least role that may ask for it. This is the one table; an
//! operation without a row is refused, and a test finds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use console_api::{AuditOutcome, Role};
use utoipa::openapi::OpenApi;

use super::body;
use super::problem::{No, Told, no_such_method, refused};
use crate::people::Asker;
use crate::people::audit::Act;
use crate::state::Console;

/// What an operation asks of who asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: anybody may.
    Nothing,
    /// At least this role. What changes something goes into the audit trail.
    Role(Role),
}

use Need::{Nothing, Role as At};
use Role::{Administer, Operate, Read};

/// The table, by the operations' names.
pub(crate) const NEEDS: &[(&str, Need)] = &[
    ("audit_list", At(Administer)),
    ("boundary_apply", At(Operate)),
    ("boundary_denials", At(Read)),
    ("boundary_explain", At(Read)),
    ("boundary_matrix", At(Read)),
    ("boundary_plan", At(Read)),
    ("boundary_replay", At(Read)),
    ("boundary_show", At(Read)),
    ("console_health", Nothing),
    ("console_identity", At(Read)),
    ("console_show", At(Read)),
    ("dhcp_list", At(Read)),
    ("dhcp_show", At(Read)),
    ("directory_publish", At(Operate)),
    ("directory_show", At(Read)),
    ("engine_act", At(Operate)),
    ("engine_deploy", At(Operate)),
    ("engine_list", At(Read)),
    ("engine_output", At(Read)),
    ("engine_show", At(Read)),
    ("image_list", At(Read)),
    ("image_put", At(Operate)),
    ("image_remove", At(Operate)),
    ("image_show", At(Read)),
    ("incident_ack", At(Operate)),
    ("incident_list", At(Read)),
    ("incident_show", At(Read)),
    ("journal_fetch", At(Read)),
    ("ladder_apply", At(Administer)),
    ("ladder_show", At(Read)),
    ("lease_consent", At(Administer)),
    ("lease_erase_below", At(Administer)),
    ("lease_grant", At(Administer)),
    ("lease_list", At(Read)),
    ("lease_offer", At(Read)),
    ("lease_plan", At(Read)),
    ("lease_reassign", At(Administer)),
    ("lease_reassign_plan", At(Read)),
    ("lease_renew", At(Administer)),
    ("lease_renew_plan", At(Read)),
    ("lease_sever", At(Administer)),
    ("lease_show", At(Read)),
    ("lease_standby", At(Administer)),
    ("lease_standby_list", At(Read)),
    ("lease_standby_remove", At(Administer)),
    ("lease_take", At(Administer)),
    ("lease_tree", At(Read)),
    ("node_close", At(Operate)),
    ("node_confirm", At(Administer)),
    ("node_enrol", At(Administer)),
    ("node_list", At(Read)),
    ("node_lock", At(Administer)),
    ("node_show", At(Read)),
    ("node_strangers", At(Read)),
    ("notify_list", At(Read)),
    ("notify_log", At(Read)),
    ("notify_test", At(Operate)),
    ("order_list", At(Read)),
    ("order_show", At(Read)),
    // An order written by hand may be any verb.
    ("order_submit", At(Administer)),
    ("receipt_fetch", At(Read)),
    ("receipt_take", At(Administer)),
    ("spare_activate", At(Administer)),
    ("spare_add", At(Administer)),
    ("spare_list", At(Read)),
    ("spare_remove", At(Administer)),
    ("user_add", At(Administer)),
    ("user_list", At(Administer)),
    ("user_remove", At(Administer)),
    ("user_rotate", At(Administer)),
    ("user_whoami", At(Read)),
    ("volume_list", At(Read)),
    ("volume_make", At(Operate)),
    // What was on it is gone for ever.
    ("volume_remove", At(Administer)),
    ("volume_remove_plan", At(Read)),
];

/// The operations by method and path, as the router names them.
pub(crate) struct Operations(BTreeMap<(String, String), Operation>);

/// One operation.
#[derive(Debug, Clone)]
struct Operation {
    name: String,
    /// None: there is no row for it.
    need: Option<Need>,
}

impl Operations {
    pub(crate) fn of(document: &OpenApi) -> Self {
        let mut operations = BTreeMap::new();
        for (path, item) in &document.paths.paths {
            let methods = [
                ("GET", &item.get),
                ("PUT", &item.put),
                ("POST", &item.post),
                ("DELETE", &item.delete),
                ("PATCH", &item.patch),
            ];
            for (method, operation) in methods {
                let Some(name) = operation.as_ref().and_then(|operation| operation.operation_id.clone())
                else {
                    continue;
                };
                let need = NEEDS.iter().find(|(row, _)| *row == name).map(|(_, need)| *need);
                operations.insert((method.to_owned(), path.clone()), Operation { name, need });
            }
        }
        Self(operations)
    }

    fn find(&self, method: &Method, path: &str) -> Option<&Operation> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        self.0.get(&(method.to_string(), path.to_owned()))
    }
}

/// Which request it is.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Who asks; nobody whom this console knows.
#[derive(Debug, Clone)]
pub(crate) struct Known(pub(crate) Option<Asker>);

/// Lets a request on to its operation, if who asks may; writes down what is more than looking.
pub(crate) async fn admit(
    operations: Arc<Operations>,
    console: Arc<Console>,
    Extension(Known(known)): Extension<Known>,
    Extension(RequestId(id)): Extension<RequestId>,
    path: MatchedPath,
    mut request: Request,
    next: Next,
) -> Response {
    // What the description does not have is not answered, whatever the router says.
    let Some(operation) = operations.find(request.method(), path.as_str()) else {
        return no_such_method().await.into_response();
    };
    let least = match operation.need {
        Some(Nothing) => return next.run(request).await,
        Some(At(least)) => least,
        None => return refused("no-rule", "nobody has said who may do this").into_response(),
    };
    // The door has told them why.
    let Some(asker) = known else { return refused("role", "who asks is nobody here").into_response() };
    request.extensions_mut().insert(asker.clone());
    let looks = least == Read || request.method().is_safe();
    if asker.role >= least && looks {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let bytes = match body::read(body).await {
        Ok(bytes) => bytes,
        Err(no) => return no.into_response(),
    };
    let act = Act {
        asker: &asker,
        operation: &operation.name,
        path: parts.uri.path(),
        body: &bytes,
        request_id: &id,
    };
    if asker.role < least {
        let no = refused("role", format!("{} may {}, and this takes {least}", asker.name, asker.role))
            .hint("ask whoever administers the console (`leasehold user list` shows who that is)");
        let written = console.audit_refusal(&act, &no.0).await;
        return written.map_or_else(No::into_response, |()| no.into_response());
    }
    let entry = match console.audit(&act, AuditOutcome::Begun).await {
        Ok(entry) => entry,
        Err(no) => return no.into_response(),
    };
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    let problem = response.extensions().get::<Told>().map(|told| &*told.0);
    // It is done already: a trail that stays at `begun` says so, too.
    drop(console.audited(entry, problem).await);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_one_row_and_every_row_an_operation() {
        let (_, document) = super::super::nouns().split_for_parts();
        let operations = Operations::of(&document);
        let without: Vec<_> =
            operations.0.values().filter(|one| one.need.is_none()).map(|one| &one.name).collect();
        assert!(without.is_empty(), "no row says who may: {without:?}");
        let mut rows: Vec<_> = NEEDS.iter().map(|(name, _)| *name).collect();
        assert!(rows.is_sorted_by(|a, b| a < b), "the table is in order, each row once");
        rows.retain(|row| !operations.0.values().any(|operation| operation.name == *row));
        assert!(rows.is_empty(), "there is no such operation: {rows:?}");
    }

    #[test]
    fn who_only_reads_changes_nothing() {
        let (_, document) = super::super::nouns().split_for_parts();
        for ((method, path), operation) in Operations::of(&document).0 {
            // A question that is too long for an address.
            let asks = ["_plan", "_explain", "_denials", "_matrix", "_replay"];
            let asks = asks.iter().any(|end| operation.name.ends_with(end));
            let reads = matches!(operation.need, Some(Nothing | At(Read)));
            assert!(method == "GET" || asks || !reads, "{method} {path} changes something for a reader");
        }
    }
}
