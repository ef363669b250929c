//! What travels over HTTP/2: `POST /call` with one frame each way, `GET /status` with a line a status.

use http::Response;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes};
use node_protocol::{Decoder, Frame, FrameError};
use thiserror::Error;

use crate::limits::BODY_BYTES_MAX;

/// Where calls go.
pub(crate) const CALL: &str = "/call";
/// Where statuses come from.
pub(crate) const STATUS: &str = "/status";

/// A body that is not one frame.
#[derive(Debug, Error)]
pub(crate) enum NoFrame {
    /// It did not arrive whole, or is too long.
    #[error("the body is too long or did not arrive")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is no frame.
    #[error("the body is no message")]
    Frame(#[from] FrameError),
    /// Something stands behind the frame, or the frame is not whole.
    #[error("the body is not exactly one message")]
    NotOne,
}

/// Reads a body that is exactly one frame.
pub(crate) async fn read_frame<B>(body: B) -> Result<Frame, NoFrame>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let collected = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(NoFrame::Body)?;
    one_frame(&collected.to_bytes())
}

/// The frame that these bytes are.
pub(crate) fn one_frame(bytes: &[u8]) -> Result<Frame, NoFrame> {
    let mut decoder = Decoder::default();
    decoder.push(bytes);
    match decoder.frame()? {
        Some(frame) if decoder.is_empty() => Ok(frame),
        Some(_) | None => Err(NoFrame::NotOne),
    }
}

/// An answer without a body.
pub(crate) fn bare<B: Default>(status: http::StatusCode) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = status;
    response
}
