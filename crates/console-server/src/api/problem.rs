//! The one body of every answer that says no.

use axum::Json;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use console_api::{Exit, Problem};

/// What a handler gives: an answer, or a reason why not.
pub(crate) type Answer<T> = Result<Json<T>, No>;

/// A problem on its way out.
#[derive(Debug)]
pub(crate) struct No(pub(crate) Box<Problem>);

impl No {
    pub(crate) fn new(code: &str, exit: Exit, message: impl Into<String>) -> Self {
        Self(Box::new(Problem::new(code, exit, message)))
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }
}

/// Asked wrongly.
pub(crate) fn usage(message: impl Into<String>) -> No {
    No::new("malformed-request", Exit::Usage, message)
}

/// There is no such thing.
pub(crate) fn not_found(message: impl Into<String>) -> No {
    No::new("not-found", Exit::NotFound, message)
}

/// A rule of the console's own says no.
pub(crate) fn refused(code: &str, message: impl Into<String>) -> No {
    No::new(code, Exit::Refused, message)
}

impl From<Problem> for No {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<store::Failed> for No {
    fn from(failed: store::Failed) -> Self {
        let causes = std::iter::successors(std::error::Error::source(&failed), |cause| cause.source());
        let told = causes.fold(failed.to_string(), |told, cause| format!("{told}: {cause}"));
        let code = match failed {
            store::Failed::Conflict { .. } => "changed-meanwhile",
            store::Failed::Limit { .. } => "limit",
            store::Failed::Held | store::Failed::Format { .. } | store::Failed::Medium { .. } => {
                "store-failed"
            }
        };
        Self::new(code, Exit::Failed, told)
    }
}

impl From<std::io::Error> for No {
    fn from(error: std::io::Error) -> Self {
        Self::new("failed", Exit::Failed, format!("the console's machine failed: {error}"))
    }
}

/// The HTTP status follows from the exit code, so that both say the same.
impl IntoResponse for No {
    fn into_response(self) -> Response {
        let status = match self.0.exit {
            2 => StatusCode::BAD_REQUEST,
            3 => StatusCode::FORBIDDEN,
            4 => StatusCode::UNAUTHORIZED,
            5 => StatusCode::NOT_FOUND,
            6 => StatusCode::CONFLICT,
            7 => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        // The door adds the request's id, which it alone knows.
        let mut response = status.into_response();
        response.extensions_mut().insert(Told(self.0));
        response
    }
}

/// A problem that the door writes out.
#[derive(Debug, Clone)]
pub(crate) struct Told(pub(crate) Box<Problem>);

pub(crate) async fn no_such_path(uri: Uri) -> No {
    not_found(format!("there is nothing at {:?}", uri.path().chars().take(80).collect::<String>()))
        .hint("openapi/console.json lists every path")
}

pub(crate) async fn no_such_method() -> No {
    usage("the path does not take this method").hint("openapi/console.json lists every path")
}
