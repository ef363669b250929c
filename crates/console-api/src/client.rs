//! A client: one request, one connection, over a unix socket or HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use zeroize::Zeroizing;

use crate::problem::Problem;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Where a console's API is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket on this machine: `unix:PATH`.
    Unix(PathBuf),
    /// `http://HOST:PORT`. Not encrypted: for the console's own machine, or a network that is.
    Http(String),
}

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no console's address: unix:PATH or http://HOST:PORT is wanted")]
pub struct MalformedAddress(String);

impl FromStr for Address {
    type Err = MalformedAddress;

    fn from_str(text: &str) -> Result<Self, MalformedAddress> {
        let malformed = || MalformedAddress(text.chars().take(80).collect());
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        let host = text.strip_prefix("http://").ok_or_else(malformed)?.trim_end_matches('/');
        let authority: http::uri::Authority = host.parse().map_err(|_no_host| malformed())?;
        if authority.port().is_none() || host.contains('@') {
            return Err(malformed());
        }
        Ok(Self::Http(host.to_owned()))
    }
}

impl Address {
    /// Whether what goes there stays on this machine: a socket, or a loopback address written out.
    #[must_use]
    pub fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Http(host) => {
                host.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
                    || host.rsplit_once(':').is_some_and(|(name, _port)| name == "localhost")
            }
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Http(host) => write!(f, "http://{host}"),
        }
    }
}

/// Why there is no answer, or one that says no.
#[derive(Debug, Error)]
pub enum Failed {
    /// The console says why not.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// Nobody answers there.
    #[error("there is no console at {address}")]
    Unreachable {
        /// Where.
        address: Address,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The connection failed.
    #[error("the connection to the console failed")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something else answered, or another version.
    #[error("the console's answer is not understood")]
    Malformed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing came in time.
    #[error("the console did not answer within {0:?}")]
    TimedOut(Duration),
}

/// A console, as one of its users sees it.
#[derive(Clone)]
pub struct Client {
    address: Address,
    token: Option<Zeroizing<String>>,
    patience: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.address)
    }
}

impl Client {
    /// A client; over a unix socket the kernel says who asks, elsewhere a token does.
    #[must_use]
    pub const fn new(address: Address, token: Option<Zeroizing<String>>, patience: Duration) -> Self {
        Self { address, token, patience }
    }

    /// Reads something.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, Failed> {
        read(&self.request(Method::GET, path, None).await?)
    }

    /// Reads something that is no JSON.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn get_bytes(&self, path: &str) -> Result<Bytes, Failed> {
        self.request(Method::GET, path, None).await
    }

    /// Asks for something to be done.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn post<A: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<A, Failed> {
        let body = serde_json::to_vec(body).map_err(|error| Failed::Malformed(error.into()))?;
        read(&self.request(Method::POST, path, Some(body)).await?)
    }

    /// Hands over something that is no JSON.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn post_bytes<A: DeserializeOwned>(&self, path: &str, bytes: Vec<u8>) -> Result<A, Failed> {
        read(&self.request(Method::POST, path, Some(bytes)).await?)
    }

    /// Takes something away.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn delete<A: DeserializeOwned>(&self, path: &str) -> Result<A, Failed> {
        read(&self.request(Method::DELETE, path, None).await?)
    }

    async fn request(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<Bytes, Failed> {
        let asked = async {
            let unreachable = |source| Failed::Unreachable { address: self.address.clone(), source };
            match &self.address {
                Address::Unix(socket) => {
                    let stream = UnixStream::connect(socket).await.map_err(unreachable)?;
                    exchange(stream, self.build(method, path, "console", body)?).await
                }
                Address::Http(host) => {
                    let stream = TcpStream::connect(host).await.map_err(unreachable)?;
                    exchange(stream, self.build(method, path, host, body)?).await
                }
            }
        };
        tokio::time::timeout(self.patience, asked).await.map_err(|_late| Failed::TimedOut(self.patience))?
    }

    fn build(
        &self,
        method: Method,
        path: &str,
        host: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Request<Full<Bytes>>, Failed> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        if let Some(token) = &self.token {
            let value = Zeroizing::new(format!("Bearer {}", token.as_str()));
            request = request.header(AUTHORIZATION, value.as_str());
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        request.body(body).map_err(|error| Failed::Malformed(error.into()))
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Bytes, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| Failed::Broken(error.into());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driven = tokio::spawn(connection);
    let answered = async {
        let answer = sender.send_request(request).await.map_err(broken)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok((status, body.map_err(Failed::Malformed)?.to_bytes()))
    }
    .await;
    driven.abort();
    let (status, body) = answered?;
    if status.is_success() { Ok(body) } else { Err(refusal(status, &body)) }
}

fn refusal(status: StatusCode, body: &[u8]) -> Failed {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => Failed::Problem(Box::new(problem)),
        Err(_something_else) => Failed::Malformed(format!("it answered {status}").into()),
    }
}

fn read<A: DeserializeOwned>(body: &[u8]) -> Result<A, Failed> {
    serde_json::from_slice(body).map_err(|error| Failed::Malformed(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_of_two_forms() {
        for text in ["unix:/run/console.sock", "http://127.0.0.1:7070", "http://[::1]:80"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in ["", "unix:", "https://a:1", "http://a", "http://u@a:1", "http://a:1/x", "a:1"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_stays_on_this_machine_is_told_by_its_address() {
        let stays = |text: &str| text.parse::<Address>().unwrap().is_of_this_machine();
        assert!(stays("unix:/x") && stays("http://127.0.0.1:1") && stays("http://[::1]:1"));
        assert!(stays("http://localhost:1"));
        assert!(
            !stays("http://10.0.0.2:1") && !stays("http://localhost.example:1") && !stays("http://0.0.0.0:1")
        );
    }

    #[test]
    fn a_client_does_not_show_its_token() {
        let token = Some(Zeroizing::new("verysecret".to_owned()));
        let client = Client::new("unix:/x".parse().unwrap(), token, Duration::ZERO);
        assert_eq!(format!("{client:?}"), "Client(unix:/x)");
    }
}
