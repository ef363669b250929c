//! The node's side: it dials, is the TLS client, and then the one that is asked.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use id::PublicKey;
use node_protocol::call::{Answer, Call, Refused, code};
use node_protocol::courier::Console;
use node_protocol::encode;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::body::Body;
use crate::back_off::{LONGEST, pause};
use crate::http::{CALL, STATUS, bare, read_frame};
use crate::limits::{
    CALLS_AT_ONCE, CONNECTION_WINDOW, HEADER_BYTES_MAX, Limits, SEND_BUFFER, STREAM_WINDOW, STREAMS_MAX,
};
use crate::sign::{NotSetUp, Sign};
use crate::tls;

mod body;

/// How much later each further address of a console is tried while those before it do not answer.
const STAGGER: Duration = Duration::from_millis(300);

/// What answers a console's calls.
pub trait Serve: Send + Sync + 'static {
    /// Answers a call.
    fn call(&self, call: Call, attachment: Vec<u8>) -> impl Future<Output = (Answer, Vec<u8>)> + Send;

    /// The newest status as a line of JSON with its end, none before the first one. Each change is sent to
    /// whoever listens; what changes faster than it is taken is left out.
    fn statuses(&self) -> watch::Receiver<Option<Bytes>>;
}

/// What befalls a dialler, for its log.
#[derive(Debug)]
pub enum Told<'a> {
    /// The console is connected.
    Connected(&'a PublicKey, SocketAddr),
    /// No address answered as the console; the first reason.
    Failed(&'a PublicKey, &'a DialFailed),
    /// The connection ended.
    Ended(&'a PublicKey),
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum DialFailed {
    /// TCP, or TLS: whoever listens there does not hold the console's key, or does not want this identity.
    #[error("cannot connect to {0}")]
    Stream(SocketAddr, #[source] std::io::Error),
    /// It took too long.
    #[error("{0} did not answer in time")]
    Late(SocketAddr),
    /// Whoever listens there speaks another protocol.
    #[error("{0} does not speak this protocol")]
    Protocol(SocketAddr),
    /// The console has no address.
    #[error("the console has no address")]
    NoAddress,
    /// TLS cannot be set up.
    #[error(transparent)]
    NotSetUp(#[from] NotSetUp),
}

/// Dials consoles as one identity.
#[derive(Debug, Clone)]
pub struct Dialler {
    identity: Arc<dyn Sign>,
    limits: Limits,
}

/// A connection to a console, not served yet.
pub struct Dialled<S = TcpStream> {
    stream: TlsStream<S>,
    address: SocketAddr,
}

impl Dialler {
    /// Dials as the holder of `identity`.
    #[must_use]
    pub fn new(identity: Arc<dyn Sign>, limits: Limits) -> Self {
        Self { identity, limits }
    }

    /// Keeps a connection to a console for as long as this is awaited: dials, serves, and dials again after
    /// a pause. Randomness is an argument.
    pub async fn keep(
        &self,
        console: &Console,
        serve: Arc<impl Serve>,
        random: impl Fn() -> u32,
        tell: impl Fn(Told<'_>),
    ) {
        let mut failures = 0;
        loop {
            match self.dial(console).await {
                Ok(dialled) => {
                    tell(Told::Connected(&console.key, dialled.address));
                    let began = Instant::now();
                    dialled.serve(Arc::clone(&serve), &self.limits).await;
                    tell(Told::Ended(&console.key));
                    // A console that lets nobody in ends each connection at once.
                    failures = if began.elapsed() > LONGEST { 1 } else { failures + 1 };
                }
                Err(why) => {
                    tell(Told::Failed(&console.key, &why));
                    failures += 1;
                }
            }
            sleep(pause(failures, random())).await;
        }
    }

    /// The first connection that any address of the console gives.
    ///
    /// # Errors
    /// [`DialFailed`]: the first address that failed.
    pub async fn dial(&self, console: &Console) -> Result<Dialled, DialFailed> {
        let mut dialling = JoinSet::new();
        let mut wait = Duration::ZERO;
        for address in console.addresses.iter().copied() {
            let (dialler, key) = (self.clone(), console.key);
            dialling.spawn(async move {
                sleep(wait).await;
                dialler.dial_one(address, key).await
            });
            wait += STAGGER;
        }
        let mut failed = DialFailed::NoAddress;
        while let Some(dialled) = dialling.join_next().await {
            match dialled {
                // The others are given up as the set is dropped.
                Ok(Ok(dialled)) => return Ok(dialled),
                Ok(Err(why)) if matches!(failed, DialFailed::NoAddress) => failed = why,
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Err(failed)
    }

    async fn dial_one(&self, address: SocketAddr, key: PublicKey) -> Result<Dialled, DialFailed> {
        let connected = timeout(self.limits.connect, TcpStream::connect(address)).await;
        let stream = connected.map_err(|_late| DialFailed::Late(address))?;
        let stream = stream.map_err(|error| DialFailed::Stream(address, error))?;
        // What is not sent at once is worth nothing here, so a failure to say so does not matter.
        stream.set_nodelay(true).unwrap_or_default();
        self.begin(stream, address, key).await
    }

    /// TLS over a stream that is open.
    pub(crate) async fn begin<S>(
        &self,
        stream: S,
        address: SocketAddr,
        console: PublicKey,
    ) -> Result<Dialled<S>, DialFailed>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = tls::client(Arc::clone(&self.identity), console).map_err(NotSetUp::from)?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(tls::no_name(), stream);
        let stream = timeout(self.limits.handshake, connecting).await;
        let stream = stream.map_err(|_late| DialFailed::Late(address))?;
        let stream = stream.map_err(|error| DialFailed::Stream(address, error))?;
        let (_stream, session) = stream.get_ref();
        if session.alpn_protocol() != Some(tls::PROTOCOL) {
            return Err(DialFailed::Protocol(address));
        }
        Ok(Dialled { stream, address })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Dialled<S> {
    /// Where the console was found.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The stream as it is, for tests that answer otherwise.
    #[cfg(test)]
    pub(crate) fn stream(self) -> TlsStream<S> {
        self.stream
    }

    /// Answers the console until the connection ends. Dropping this ends the connection.
    pub async fn serve(self, serve: Arc<impl Serve>, limits: &Limits) {
        let at_once = Arc::new(Semaphore::new(CALLS_AT_ONCE));
        let patience = limits.call;
        let service = service_fn(move |request: Request<Incoming>| {
            let (serve, at_once) = (Arc::clone(&serve), Arc::clone(&at_once));
            async move { Ok::<_, Infallible>(answer(request, serve, at_once, patience).await) }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .auto_date_header(false)
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADER_BYTES_MAX)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(limits.alive_every)
            .keep_alive_timeout(limits.alive_within);
        // However it ends: the caller dials again.
        builder.serve_connection(TokioIo::new(self.stream), service).await.unwrap_or_default();
    }
}

async fn answer(
    request: Request<Incoming>,
    serve: Arc<impl Serve>,
    at_once: Arc<Semaphore>,
    patience: Duration,
) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, STATUS) => Response::new(Body::lines(serve.statuses())),
        (&Method::POST, CALL) => {
            let Ok(_place) = at_once.acquire().await else { return bare(StatusCode::SERVICE_UNAVAILABLE) };
            let answered = timeout(patience, called(request.into_body(), serve)).await;
            answered.unwrap_or_else(|_late| bare(StatusCode::REQUEST_TIMEOUT))
        }
        (_, STATUS | CALL) => bare(StatusCode::METHOD_NOT_ALLOWED),
        _ => bare(StatusCode::NOT_FOUND),
    }
}

async fn called(body: Incoming, serve: Arc<impl Serve>) -> Response<Body> {
    let asked = read_frame(body).await.map_err(|error| error.to_string());
    let asked = asked.and_then(|frame| {
        let call: Call = frame.message().map_err(|error| error.to_string())?;
        Ok((call, frame.attachment))
    });
    let (answer, attachment) = match asked {
        Ok((call, attachment)) => serve.call(call, attachment).await,
        Err(why) => (Answer::Refused(malformed(why)), Vec::new()),
    };
    match encode(&answer, &attachment) {
        Ok(bytes) => Response::new(Body::whole(bytes)),
        Err(_too_long) => bare(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn malformed(message: String) -> Refused {
    Refused { code: code::MALFORMED_MESSAGE.to_owned(), exit: 2, message, hint: None, details: None }
}
