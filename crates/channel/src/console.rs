//! The console's side: it listens, is the TLS server, and then the one that asks.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use id::PublicKey;
use node_protocol::call::{Answer, Call, OWN_TIER, Refused, Status};
use node_protocol::frame::JSON_BYTES_MAX;
use node_protocol::{FrameError, encode};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::cut::Cut;
use crate::http::{CALL, NoFrame, STATUS, read_frame};
use crate::limits::{CONNECTION_WINDOW, HEADER_BYTES_MAX, Limits, SEND_BUFFER, STREAM_WINDOW};
use crate::lines::{Lines, TooLong};
use crate::pins::{Pins, Seat};
use crate::sign::{NotSetUp, Sign};
use crate::{raw_key, tls};

/// How long a listener that has no descriptor left waits before it accepts again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts nodes.
pub struct Listener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    pins: Pins,
    limits: Arc<Limits>,
    handshakes: JoinSet<Option<Accepted>>,
    /// The same handshakes, the oldest first.
    ages: VecDeque<AbortHandle>,
}

/// A node's courier that has proved its identity.
#[derive(Debug)]
pub enum Accepted {
    /// Its identity is pinned.
    Pinned(Link),
    /// It is not, but the enrolment window is open.
    Stranger(Stranger),
}

impl Listener {
    /// Listens as the holder of `key` to those whom `pins` has.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(tcp: TcpListener, key: Arc<dyn Sign>, pins: Pins, limits: Limits) -> Result<Self, NotSetUp> {
        let config = tls::server(key, Arc::new(pins.clone()))?;
        Ok(Self {
            tcp,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            pins,
            limits: Arc::new(limits),
            handshakes: JoinSet::new(),
            ages: VecDeque::new(),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The kernel's.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// The next one whose handshake is done. Handshakes go on only while this is awaited. Whoever fails is
    /// dropped without a word.
    pub async fn accept(&mut self) -> Accepted {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(accepted)) = done {
                        return accepted;
                    }
                }
                accepted = self.tcp.accept() => match accepted {
                    Ok((stream, from)) => self.begin(stream, from),
                    Err(_no_descriptor) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }

    fn begin(&mut self, stream: TcpStream, from: SocketAddr) {
        self.ages.retain(|handshake| !handshake.is_finished());
        if self.ages.len() >= self.limits.handshakes_max
            && let Some(oldest) = self.ages.pop_front()
        {
            oldest.abort();
        }
        let (acceptor, pins, limits) = (self.acceptor.clone(), self.pins.clone(), Arc::clone(&self.limits));
        let handshake = async move {
            // What is not sent at once is worth nothing here, so a failure to say so does not matter.
            stream.set_nodelay(true).unwrap_or_default();
            let begun = begin(acceptor, stream, from, &pins, &limits);
            timeout(limits.handshake, begun).await.ok().flatten()
        };
        self.ages.push_back(self.handshakes.spawn(handshake));
    }
}

/// TLS, then HTTP/2, over a stream that a node has opened.
pub(crate) async fn begin<S>(
    acceptor: TlsAcceptor,
    stream: S,
    from: SocketAddr,
    pins: &Pins,
    limits: &Arc<Limits>,
) -> Option<Accepted>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = acceptor.accept(stream).await.ok()?;
    let (_stream, session) = stream.get_ref();
    let protocol = session.alpn_protocol() == Some(tls::PROTOCOL);
    let identity = session.peer_certificates()?.first().and_then(|shown| raw_key::decode(shown))?;
    // The pin may have gone since the verifier looked.
    let seat = protocol.then(|| pins.seat(identity)).flatten()?;
    let stream = Cut::new(stream, seat.held.clone());
    let seat = Arc::new(seat);
    let (sender, connection) = client(limits).handshake(TokioIo::new(stream)).await.ok()?;
    let driven = Arc::clone(&seat);
    tokio::spawn(async move {
        // However it ends: the link says so to whoever uses it.
        connection.await.unwrap_or_default();
        driven.leave();
    });
    let stranger = seat.stranger;
    let link = Link { sender, seat, identity, from, limits: Arc::clone(limits) };
    Some(if stranger { Accepted::Stranger(Stranger(link)) } else { Accepted::Pinned(link) })
}

fn client(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(limits.alive_every)
        .keep_alive_timeout(limits.alive_within)
        .keep_alive_while_idle(true);
    builder
}

/// A connection to a node's courier, over which the console asks. A clone is the same connection.
#[derive(Debug, Clone)]
pub struct Link {
    sender: SendRequest<Full<Bytes>>,
    seat: Arc<Seat>,
    identity: PublicKey,
    from: SocketAddr,
    limits: Arc<Limits>,
}

/// Why a call has no answer. What the node refuses is an answer.
#[derive(Debug, Error)]
pub enum CallFailed {
    /// The call is too long.
    #[error("the call is too long")]
    TooLong(#[source] FrameError),
    /// The connection ended, or was cut.
    #[error("the connection to the node ended")]
    Ended(#[source] Option<hyper::Error>),
    /// It took too long.
    #[error("the node did not answer in time")]
    Late,
    /// The node answered something else.
    #[error("the node's answer is not understood: {0}")]
    NotUnderstood(String),
}

impl Link {
    /// The identity U that the node has shown.
    #[must_use]
    pub const fn identity(&self) -> PublicKey {
        self.identity
    }

    /// Where the node dialled from.
    #[must_use]
    pub const fn from(&self) -> SocketAddr {
        self.from
    }

    /// Asks the node's supervisor something.
    ///
    /// # Errors
    /// [`CallFailed`]. Then it is not known whether the supervisor has had the call.
    pub async fn call(&self, call: &Call, attachment: &[u8]) -> Result<(Answer, Vec<u8>), CallFailed> {
        let body = encode(call, attachment).map_err(CallFailed::TooLong)?;
        let asked = async {
            let response = self.request(Method::POST, CALL, Bytes::from(body)).await?;
            let frame = read_frame(response).await.map_err(|error| no_frame(&error))?;
            let answer = frame.message().map_err(|error| no_frame(&error.into()))?;
            Ok((answer, frame.attachment))
        };
        timeout(self.limits.call, asked).await.unwrap_or(Err(CallFailed::Late))
    }

    /// Listens to the node's status, one a second. A stream that stops means a supervisor that hangs.
    ///
    /// # Errors
    /// [`CallFailed`].
    pub async fn status(&self) -> Result<Statuses, CallFailed> {
        let asked = self.request(Method::GET, STATUS, Bytes::new());
        let body = timeout(self.limits.call, asked).await.unwrap_or(Err(CallFailed::Late))?;
        Ok(Statuses { body, lines: Lines::new(JSON_BYTES_MAX) })
    }

    /// Comes back when the connection has ended, whoever ended it.
    pub async fn closed(&self) {
        self.seat.held.clone().gone().await;
    }

    /// Ends the connection.
    pub fn close(&self) {
        self.seat.leave();
    }

    async fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Incoming, CallFailed> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        // HTTP/2 wants a whole address; the host is a word that nobody looks at.
        let address = format!("https://node{path}").parse();
        *request.uri_mut() = address.map_err(|_never| CallFailed::NotUnderstood(path.to_owned()))?;
        let mut sender = self.sender.clone();
        sender.ready().await.map_err(ended)?;
        let response = sender.send_request(request).await.map_err(ended)?;
        match response.status() {
            StatusCode::OK => Ok(response.into_body()),
            other => Err(CallFailed::NotUnderstood(format!("HTTP status {other}"))),
        }
    }
}

fn ended(error: hyper::Error) -> CallFailed {
    CallFailed::Ended(Some(error))
}

fn no_frame(error: &NoFrame) -> CallFailed {
    match error {
        NoFrame::Body(_) => CallFailed::Ended(None),
        NoFrame::Frame(_) | NoFrame::NotOne => CallFailed::NotUnderstood(error.to_string()),
    }
}

/// A node's statuses as they arrive.
#[derive(Debug)]
pub struct Statuses {
    body: Incoming,
    lines: Lines,
}

impl Statuses {
    /// The next status; none when the node ends the stream. There is no deadline here: the caller knows how
    /// long a silence means something.
    ///
    /// # Errors
    /// [`CallFailed`]: the connection has ended, or a line is no status.
    pub async fn next(&mut self) -> Result<Option<Status>, CallFailed> {
        loop {
            let line = self
                .lines
                .next_line()
                .map_err(|TooLong| CallFailed::NotUnderstood("a status line without an end".to_owned()))?;
            if let Some(line) = line {
                let parsed = serde_json::from_slice(&line);
                return parsed.map(Some).map_err(|error| CallFailed::NotUnderstood(error.to_string()));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(ended(error)),
                Some(Ok(frame)) => self.lines.push(&frame.into_data().unwrap_or_default()),
            }
        }
    }
}

/// A node's courier that nobody knows yet. It is asked one thing: what its node says that it is.
#[derive(Debug)]
pub struct Stranger(Link);

impl Stranger {
    /// The identity U that it has shown.
    #[must_use]
    pub const fn identity(&self) -> PublicKey {
        self.0.identity()
    }

    /// Where it dialled from.
    #[must_use]
    pub const fn from(&self) -> SocketAddr {
        self.0.from()
    }

    /// What the node has signed about the tier for which this courier came: envelopes, one a line, to be
    /// verified by the caller. The connection ends with it.
    ///
    /// # Errors
    /// [`CallFailed`]; a refusal is [`CallFailed::NotUnderstood`].
    pub async fn statements(self) -> Result<Vec<u8>, CallFailed> {
        let asked = self.0.call(&Call::Receipts { about: OWN_TIER.to_owned() }, &[]).await;
        self.0.close();
        match asked? {
            (Answer::Signed { .. }, lines) => Ok(lines),
            (Answer::Refused(Refused { message, .. }), _) => Err(CallFailed::NotUnderstood(message)),
            (
                Answer::Accepted { .. }
                | Answer::Stored { .. }
                | Answer::Lines { .. }
                | Answer::Status(_)
                | Answer::Nonce { .. }
                | Answer::Handed {}
                | Answer::Image(_)
                | Answer::Output {}
                | Answer::Explained(_)
                | Answer::Denials(_)
                | Answer::Passed(_),
                _,
            ) => Err(CallFailed::NotUnderstood("another answer than asked for".to_owned())),
        }
    }
}
