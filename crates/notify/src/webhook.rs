//! By a request to a web server, signed as Standard Webhooks 1.0 says: `webhook-signature: v1,` and the base64 of
//! HMAC-SHA256 over `id.timestamp.body`. Whoever takes it can see that it is ours, unchanged, and not an old one.

use std::path::Path;

use aws_lc_rs::hmac;
use bytes::Bytes;
use data_encoding::BASE64;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use id::Time;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::deliver::Undelivered;
use crate::message::Message;
use crate::receiver::Webhook;
use crate::receiver::target::target;
use crate::secret::Secret;

/// The signature of a request; `timestamp` is in seconds since 1970.
#[must_use]
pub fn sign(secret: &Secret, id: &str, timestamp: u64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    format!("v1,{}", BASE64.encode(context.sign().as_ref()))
}

pub(crate) async fn post(
    webhook: &Webhook,
    folder: &Path,
    message: &Message,
    now: Time,
) -> Result<String, Undelivered> {
    let malformed = |why| Undelivered::Connect(why, std::io::ErrorKind::InvalidInput.into());
    let target = target(&webhook.url).map_err(malformed)?;
    let secret = Secret::read(&folder.join(&webhook.secret_file))?;
    let body = message.webhook_body();
    // The time of this attempt: an attempt that is repeated by somebody else is old by then.
    let timestamp = now.as_millis() / 1000;
    let signature = sign(&secret, &message.id, timestamp, body.as_bytes());
    drop(secret);
    let request = Request::builder()
        .method(Method::POST)
        .uri(&target.path)
        .header(HOST, &target.authority)
        .header(USER_AGENT, "leasehold")
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature)
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| malformed(error.to_string()))?;
    let failed = |error| Undelivered::Connect(target.authority.clone(), error);
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(failed)?;
    let status = if target.tls {
        let ca_file = webhook.ca_file.as_ref().map(|file| folder.join(file));
        let connector = TlsConnector::from(crate::tls::client(ca_file.as_deref())?);
        let name = ServerName::try_from(target.host.clone())
            .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
        exchange(connector.connect(name, stream).await.map_err(failed)?, request).await?
    } else {
        exchange(stream, request).await?
    };
    if (200..300).contains(&status) { Ok(status.to_string()) } else { Err(Undelivered::Answer(status)) }
}

/// The answer's status; what else it says is not read.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<u16, Undelivered>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // However this ends, the connection ends with it.
    let mut driven = JoinSet::new();
    driven.spawn(connection);
    Ok(sender.send_request(request).await?.status().as_u16())
}
