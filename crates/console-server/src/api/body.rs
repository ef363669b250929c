//! Bodies and queries, read strictly: what is not understood is told as a problem.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use console_api::Exit;
use serde::de::DeserializeOwned;

use super::problem::{No, usage};

/// A JSON body, whatever type the client says it has.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = No;

    async fn from_request(request: Request, state: &S) -> Result<Self, No> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                too_long()
            } else {
                usage(format!("the body did not arrive: {rejection}"))
            }
        })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| usage(format!("the body is not what is wanted here: {error}")))
    }
}

/// All of a body, before it is given to whom it is for.
pub(crate) async fn read(body: axum::body::Body) -> Result<Bytes, No> {
    let limited = http_body_util::Limited::new(body, super::BODY_BYTES_MAX);
    match http_body_util::BodyExt::collect(limited).await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_long()),
        Err(error) => Err(usage(format!("the body did not arrive: {error}"))),
    }
}

fn too_long() -> No {
    No::new("limit", Exit::Usage, format!("the body has more than {} bytes", super::BODY_BYTES_MAX))
}

/// What stands behind the question mark.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = No;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, No> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(usage(format!("the query is not understood: {rejection}"))),
        }
    }
}
