//! The doors: a unix socket, and where the settings say so one for everybody on this machine and a TCP port. A
//! connection carries one request; each step of it has its deadline, and there is a bound for all of a door's together.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use console_api::Exit;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::authority::{self, Peer};
use super::problem::{No, Told};
use super::roles::{Known, RequestId};
use crate::Failed;
use crate::folder::Opened;
use crate::state::Console;

/// The most connections at once through each door; more wait to be accepted. Whoever fills the one that is open
/// to the network keeps nobody of this machine from the other.
const CONNECTIONS_MAX: usize = 256;
/// How long a client may take to say what it wants, without the body.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// How long a request may take, its body included.
const REQUEST_PATIENCE: Duration = Duration::from_secs(120);
/// How long a connection may last: the request, and an answer that is taken slowly.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(180);
/// How long requests under way are waited for when the console ends.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// How long nothing is accepted after accepting failed: descriptors may have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The one path that is open to all.
const HEALTH: &str = "/healthz";

/// The doors, open.
pub(crate) struct Doors {
    unix: UnixListener,
    socket: PathBuf,
    everybody: Option<(UnixListener, PathBuf)>,
    tcp: Option<(TcpListener, SocketAddr)>,
}

impl Doors {
    pub(crate) async fn open(opened: &Opened) -> Result<Self, Failed> {
        let socket = opened.socket();
        let unix = open_unix(&socket, 0o600)?;
        let everybody = match &opened.settings.socket {
            None => None,
            Some(socket) => Some((open_unix(socket, 0o666)?, socket.clone())),
        };
        let tcp = match opened.settings.api {
            None => None,
            Some(address) => {
                let failed = |error| Failed::act(format!("listen at {address}"), error);
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                Some((listener, address))
            }
        };
        Ok(Self { unix, socket, everybody, tcp })
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        let everybody = self.everybody.iter().map(|(_, socket)| socket);
        let sockets = std::iter::once(&self.socket).chain(everybody);
        let sockets = sockets.map(|socket| format!("unix:{}", socket.display()));
        sockets.chain(self.tcp.iter().map(|(_, address)| format!("http://{address}"))).collect()
    }

    /// Serves until `ended`; then lets requests under way finish, for a while.
    pub(crate) async fn serve(self, console: Arc<Console>, ended: impl Future<Output = ()> + Send) {
        let guard = Guard { router: TowerToHyperService::new(super::router(Arc::clone(&console))), console };
        let (near, middle, far) = (room(), room(), room());
        let mut connections = JoinSet::new();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                () = &mut ended => break,
                accepted = accept_near(&near, Some(&self.unix)) => match accepted {
                    Ok((stream, permit)) => {
                        let peer = peer(&stream);
                        connections.spawn(serve(guard.clone(), stream, peer, permit));
                    }
                    Err(_exhausted) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                accepted = accept_near(&middle, self.everybody.as_ref().map(|(unix, _)| unix)) => match accepted {
                    Ok((stream, permit)) => {
                        let peer = peer(&stream);
                        connections.spawn(serve(guard.clone(), stream, peer, permit));
                    }
                    Err(_exhausted) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                accepted = accept_far(&far, self.tcp.as_ref()) => match accepted {
                    Ok((stream, permit)) => {
                        connections.spawn(serve(guard.clone(), stream, Peer::Remote, permit));
                    }
                    Err(_exhausted) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
            while connections.try_join_next().is_some() {}
        }
        drop(fs::remove_file(&self.socket));
        drop(self.everybody.as_ref().map(|(_, socket)| fs::remove_file(socket)));
        let last = async { while connections.join_next().await.is_some() {} };
        drop(tokio::time::timeout(END_PATIENCE, last).await);
    }
}

fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(CONNECTIONS_MAX))
}

/// A place for a connection; it is given back when the connection ends.
async fn place(room: &Arc<Semaphore>) -> io::Result<OwnedSemaphorePermit> {
    Arc::clone(room).acquire_owned().await.map_err(io::Error::other)
}

async fn accept_near(
    room: &Arc<Semaphore>,
    unix: Option<&UnixListener>,
) -> io::Result<(UnixStream, OwnedSemaphorePermit)> {
    let Some(unix) = unix else { return std::future::pending().await };
    let permit = place(room).await?;
    Ok((unix.accept().await?.0, permit))
}

async fn accept_far(
    room: &Arc<Semaphore>,
    tcp: Option<&(TcpListener, SocketAddr)>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let Some((listener, _)) = tcp else { return std::future::pending().await };
    let permit = place(room).await?;
    Ok((listener.accept().await?.0, permit))
}

/// Who the kernel says it is.
fn peer(stream: &UnixStream) -> Peer {
    stream.peer_cred().map_or(Peer::Remote, |peer| Peer::Local(peer.uid()))
}

/// A socket that a console left behind when it was killed is taken away: the store's lock says that none lives. What
/// is no socket stays.
fn open_unix(socket: &Path, mode: u32) -> Result<UnixListener, Failed> {
    let failed = |error| Failed::act(format!("open {}", socket.display()), error);
    match fs::symlink_metadata(socket) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(socket).map_err(failed)?,
        // Binding says what is wrong.
        Ok(_) | Err(_) => {}
    }
    // The folder is its owner's alone, so that nobody gets in before the mode is right; at the door for everybody the
    // kernel says who comes.
    let listener = UnixListener::bind(socket).map_err(failed)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(mode)).map_err(failed)?;
    Ok(listener)
}

/// What stands behind every door.
#[derive(Clone)]
struct Guard {
    router: TowerToHyperService<Router>,
    console: Arc<Console>,
}

async fn serve<S>(guard: Guard, stream: S, peer: Peer, _room: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let guard = guard.clone();
        async move { Ok::<_, std::convert::Infallible>(guard.answer(request.map(Body::new), peer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // What goes wrong with a connection is its peer's business.
    drop(tokio::time::timeout(CONNECTION_PATIENCE, connection).await);
}

impl Guard {
    async fn answer(self, mut request: Request<Body>, peer: Peer) -> Response<Body> {
        let id = self.console.request_id();
        let known = authority::asker(&self.console, peer, request.headers());
        let known = match known {
            Ok(asker) => Some(asker),
            Err(no) if request.uri().path() != HEALTH => {
                return finish(axum::response::IntoResponse::into_response(no), &id);
            }
            Err(_nobody) => None,
        };
        request.extensions_mut().insert(Known(known));
        request.extensions_mut().insert(RequestId(id.clone()));
        let response = match tokio::time::timeout(REQUEST_PATIENCE, self.router.call(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_late) => axum::response::IntoResponse::into_response(No::new(
                "timed-out",
                Exit::TimedOut,
                "the request took too long; what it began may still be done",
            )),
        };
        finish(response, &id)
    }
}

/// Writes out a problem, with the request's id; every answer carries the id in its head.
fn finish(mut response: Response<Body>, id: &str) -> Response<Body> {
    if let Some(Told(mut problem)) = response.extensions_mut().remove::<Told>() {
        problem.request_id = Some(id.to_owned());
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        *response.body_mut() = Body::from(body);
        // That of the empty body.
        response.headers_mut().remove(CONTENT_LENGTH);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    } else if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        // Nothing here answers so without a problem; whatever did tells nothing.
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}
