//! What a peer may cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use node_protocol::call::{Answer, code};
use node_protocol::frame::JSON_BYTES_MAX;
use node_protocol::{Decoder, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::tap::{Dying, Taken, Tap};
use super::world::{
    CONSOLE, NODE, Node, connected, dialled, hanging, holder, listening, nowhere, pinned, public, put,
};
use crate::console::begin;
use crate::limits::{BODY_BYTES_MAX, STREAMS_MAX};
use crate::{CallFailed, Dialler, Limits, Pins, tls};

/// The first message of a client.
async fn hello() -> Vec<u8> {
    let (near, mut far) = duplex(64 * 1024);
    let taken = Taken::default();
    let dialler = Dialler::new(holder(NODE), Limits::default());
    let dialling = dialler.begin(Tap(near, taken.clone()), nowhere(), public(CONSOLE));
    tokio::select! {
        _never = dialling => panic!("nobody answers"),
        _read = far.read_u8() => {}
    }
    taken.written()
}

#[tokio::test]
async fn garbage_and_halves_are_dropped_and_the_next_gets_in() {
    // Short, but not for who is honest on a busy machine.
    let limits = Limits { handshake: Duration::from_secs(3), ..Limits::default() };
    let (mut listener, _pins, console) = listening(limits).await;
    let hello = hello().await;
    let mut flipped = hello.clone();
    flipped[hello.len() / 2] ^= 0xff;
    let hostile: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![0],
        vec![0xff; 100_000],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        hello[..1].to_vec(),
        hello[..hello.len() / 2].to_vec(),
        hello[..hello.len() - 1].to_vec(),
        hello.clone(),
        [hello.clone(), hello.clone()].concat(),
        [hello.clone(), vec![0xff; 1000]].concat(),
        flipped,
    ];
    let address = console.addresses[0];
    let mut attack = tokio::task::JoinSet::new();
    for (bytes, closes) in hostile.into_iter().flat_map(|bytes| [(bytes.clone(), true), (bytes, false)]) {
        attack.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&bytes).await.unwrap_or_default();
            if closes {
                stream.shutdown().await.unwrap_or_default();
            }
            // One that neither goes on nor closes is hung up on at the deadline.
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap_or_default();
        });
    }
    tokio::select! {
        accepted = listener.accept() => panic!("{accepted:?}"),
        _all = attack.join_all() => {}
    }
    let (accepted, _served) = tokio::join!(listener.accept(), dialled(NODE, &console, Arc::default()));
    pinned(accepted).call(&put(), &[]).await.unwrap();
}

/// More slow ones than there are places, none of which has reached its deadline.
#[tokio::test]
async fn slow_handshakes_keep_nobody_out() {
    let limits = Limits { handshakes_max: 8, handshake: Duration::from_secs(60), ..Limits::default() };
    let (mut listener, _pins, console) = listening(limits).await;
    let hello = hello().await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(console.addresses[0]).await.unwrap();
        stream.write_all(&hello[..100]).await.unwrap();
        slow.push(stream);
    }
    let (accepted, _served) = tokio::join!(listener.accept(), dialled(NODE, &console, Arc::default()));
    pinned(accepted).call(&put(), &[]).await.unwrap();
    // The oldest were given up for those that came after.
    let mut answer = Vec::new();
    slow[0].read_to_end(&mut answer).await.unwrap_or_default();
    assert!(answer.is_empty());
}

#[tokio::test]
async fn what_is_too_long_is_not_sent_and_what_takes_too_long_is_given_up() {
    let limits = Limits { call: Duration::from_secs(2), ..Limits::default() };
    let (mut listener, _pins, console) = listening(limits).await;
    let (accepted, _served) = tokio::join!(listener.accept(), dialled(NODE, &console, Arc::default()));
    let link = pinned(accepted);
    let long = vec![0; BODY_BYTES_MAX];
    assert!(matches!(link.call(&put(), &long).await, Err(CallFailed::TooLong(_))));
    assert!(matches!(link.call(&hanging(), &[]).await, Err(CallFailed::Late)));
    link.call(&put(), &[]).await.unwrap();
}

/// A console's end without our own care: it sends what it likes.
async fn hostile_console(node: &Arc<Node>) -> SendRequest<Full<Bytes>> {
    let (near, far) = duplex(1024 * 1024);
    let pins = Pins::new([public(NODE)]);
    let acceptor = TlsAcceptor::from(Arc::new(tls::server(holder(CONSOLE), Arc::new(pins)).unwrap()));
    let dialler = Dialler::new(holder(NODE), Limits::default());
    let (dialled, accepted) =
        tokio::join!(dialler.begin(near, nowhere(), public(CONSOLE)), acceptor.accept(far));
    let (dialled, node) = (dialled.unwrap(), Arc::clone(node));
    tokio::spawn(async move { dialled.serve(node, &Limits::default()).await });
    let io = TokioIo::new(accepted.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(method: Method, path: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    let uri = format!("https://node{path}");
    Request::builder().method(method).uri(uri).body(Full::new(body.into())).unwrap()
}

#[tokio::test]
async fn a_node_answers_what_it_does_not_understand_and_goes_on() {
    let node = Arc::new(Node::default());
    let mut console = hostile_console(&node).await;
    let said = async |console: &mut SendRequest<_>, request| {
        let response = console.send_request(request).await.unwrap();
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    };
    for (method, path, status) in [
        (Method::GET, "/call", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "/status", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/", StatusCode::NOT_FOUND),
        (Method::GET, "/../etc/passwd", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(said(&mut console, request(method, path, Vec::new())).await.0, status);
    }
    let call = encode(&put(), b"object").unwrap();
    for body in [
        Vec::new(),
        vec![0; 7],
        vec![0xff; 100],
        call[..call.len() - 1].to_vec(),
        [call.clone(), vec![0]].concat(),
        encode(&"no call", b"").unwrap(),
        vec![0; BODY_BYTES_MAX + 1],
    ] {
        let (status, answer) = said(&mut console, request(Method::POST, "/call", body)).await;
        assert_eq!(status, StatusCode::OK);
        let mut decoder = Decoder::default();
        decoder.push(&answer);
        let Answer::Refused(refused) = decoder.frame().unwrap().unwrap().message().unwrap() else { panic!() };
        assert_eq!(refused.code, code::MALFORMED_MESSAGE);
    }
    assert_eq!(node.calls.load(Ordering::SeqCst), 0);
    let mut long = request(Method::GET, "/status", Vec::new());
    long.headers_mut().insert("x", "y".repeat(8 * 1024).parse().unwrap());
    let status = console.send_request(long).await.map(|response| response.status());
    assert!(!matches!(status, Ok(StatusCode::OK)), "{status:?}");
    let (status, _answer) = said(&mut console, request(Method::POST, "/call", call)).await;
    assert_eq!((status, node.calls.load(Ordering::SeqCst)), (StatusCode::OK, 1));
}

/// However many calls a console has open, the node works at two, and the others wait; and a status stream
/// that nobody reads holds up nothing.
#[tokio::test]
async fn a_console_that_asks_without_end_has_two_calls_answered_at_once() {
    let (_listener, _pins, _console, link, node, _served) = connected().await;
    let unread = link.status().await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..2 * STREAMS_MAX {
        let link = link.clone();
        calls.spawn(async move { link.call(&hanging(), &[]).await });
    }
    while node.calls.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    for record in 0..1000 {
        node.tell(record);
        tokio::task::yield_now().await;
    }
    assert_eq!(node.calls.load(Ordering::SeqCst), 2);
    calls.abort_all();
    while calls.join_next().await.is_some() {}
    link.call(&put(), &[]).await.unwrap();
    drop(unread);
}

/// The cable is cut: neither side hears of it, and each finds out by itself, though nothing is asked.
#[tokio::test]
async fn a_peer_that_is_gone_without_a_word_is_noticed_by_both() {
    let quick = Limits {
        alive_every: Duration::from_millis(50),
        alive_within: Duration::from_secs(2),
        ..Limits::default()
    };
    let (near, far) = duplex(1024 * 1024);
    let dead = Arc::new(AtomicBool::new(false));
    let (near, far) = (Dying(near, Arc::clone(&dead)), Dying(far, Arc::clone(&dead)));
    let pins = Pins::new([public(NODE)]);
    let acceptor = TlsAcceptor::from(Arc::new(tls::server(holder(CONSOLE), Arc::new(pins.clone())).unwrap()));
    let dialler = Dialler::new(holder(NODE), quick.clone());
    let limits = Arc::new(quick.clone());
    let accepting = begin(acceptor, far, nowhere(), &pins, &limits);
    let (dialled, accepted) = tokio::join!(dialler.begin(near, nowhere(), public(CONSOLE)), accepting);
    let dialled = dialled.unwrap();
    let served = tokio::spawn(async move { dialled.serve(Arc::new(Node::default()), &quick).await });
    let link = pinned(accepted.unwrap());
    link.call(&put(), &[]).await.unwrap();
    dead.store(true, Ordering::SeqCst);
    let soon = Duration::from_secs(60);
    tokio::time::timeout(soon, link.closed()).await.unwrap();
    tokio::time::timeout(soon, served).await.unwrap().unwrap();
    assert!(pins.connected().is_empty());
}

/// A node that answers what it likes: the console says that it does not understand, and goes on.
#[tokio::test]
async fn a_console_believes_no_answer_of_a_node_and_goes_on() {
    let answers: Vec<(StatusCode, Vec<u8>)> = vec![
        (StatusCode::INTERNAL_SERVER_ERROR, Vec::new()),
        (StatusCode::FOUND, Vec::new()),
        (StatusCode::OK, Vec::new()),
        (StatusCode::OK, vec![0xff; 64]),
        (StatusCode::OK, encode(&"no answer", b"").unwrap()),
        (StatusCode::OK, [encode(&Answer::Handed {}, b"").unwrap(), vec![0]].concat()),
        (StatusCode::OK, vec![0; BODY_BYTES_MAX + 1]),
    ];
    let statuses = [b"garbage\n".to_vec(), b"{}\n".to_vec(), vec![b'x'; JSON_BYTES_MAX + 64 * 1024]];
    let (near, far) = duplex(1024 * 1024);
    let pins = Pins::new([public(NODE)]);
    let acceptor = TlsAcceptor::from(Arc::new(tls::server(holder(CONSOLE), Arc::new(pins.clone())).unwrap()));
    let dialler = Dialler::new(holder(NODE), Limits::default());
    let limits = Arc::new(Limits::default());
    let accepting = begin(acceptor, far, nowhere(), &pins, &limits);
    let (dialled, accepted) = tokio::join!(dialler.begin(near, nowhere(), public(CONSOLE)), accepting);
    let (to_calls, to_statuses) = (Arc::new(answers.clone()), Arc::new(statuses.clone()));
    let next = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
        let (calls, statuses, next) = (Arc::clone(&to_calls), Arc::clone(&to_statuses), Arc::clone(&next));
        async move {
            let is_call = request.uri().path() == "/call";
            let place = next[usize::from(is_call)].fetch_add(1, Ordering::SeqCst);
            let (status, body) =
                if is_call { calls[place].clone() } else { (StatusCode::OK, statuses[place].clone()) };
            let response = http::Response::builder().status(status).body(Full::new(Bytes::from(body)));
            Ok::<_, std::convert::Infallible>(response.unwrap())
        }
    });
    let stream = TokioIo::new(dialled.unwrap().stream());
    tokio::spawn(async move {
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await
    });
    let link = pinned(accepted.unwrap());
    for (status, body) in answers {
        let failed = link.call(&put(), &[]).await.unwrap_err();
        let understood = matches!(failed, CallFailed::Ended(_)) && body.len() <= BODY_BYTES_MAX;
        assert!(!understood, "{status} and {} bytes: {failed:?}", body.len());
    }
    for line in statuses {
        let failed = link.status().await.unwrap().next().await.unwrap_err();
        assert!(matches!(failed, CallFailed::NotUnderstood(_)), "{} bytes: {failed:?}", line.len());
    }
    assert_eq!(pins.connected(), [public(NODE)]);
}
