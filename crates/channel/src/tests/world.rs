//! A console that listens, nodes that dial, and what they say.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::body::Bytes;
use id::{Digest, PublicKey, Time};
use keys::SigningKey;
use node_protocol::call::{Answer, Call, Refused, Status};
use node_protocol::courier::Console;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{Accepted, Dialled, Dialler, Limits, Link, Listener, Pins, Serve, Sign, SignFailed};

/// A key in this process.
#[derive(Debug)]
pub(super) struct Holder(SigningKey);

pub(super) fn holder(seed: u8) -> Arc<dyn Sign> {
    Arc::new(Holder(SigningKey::from_seed(&[seed; 32]).unwrap()))
}

impl Sign for Holder {
    fn public(&self) -> PublicKey {
        *self.0.public()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignFailed> {
        Ok(*self.0.sign(message).as_bytes())
    }
}

/// The console's key, the tier's identity U, and somebody else's.
pub(super) const CONSOLE: u8 = 1;
pub(super) const NODE: u8 = 2;
pub(super) const OTHER: u8 = 3;

pub(super) fn public(seed: u8) -> PublicKey {
    holder(seed).public()
}

/// A listener on a free port, its pins, and how a node finds it.
pub(super) async fn listening(limits: Limits) -> (Listener, Pins, Console) {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let pins = Pins::new([public(NODE)]);
    let listener = Listener::new(tcp, holder(CONSOLE), pins.clone(), limits).unwrap();
    let console = Console { key: public(CONSOLE), addresses: vec![listener.address().unwrap()] };
    (listener, pins, console)
}

/// Serves in a task, whose end is the connection's.
pub(super) async fn dialled(seed: u8, console: &Console, serve: Arc<Node>) -> tokio::task::JoinHandle<()> {
    let limits = Limits::default();
    let dialled = Dialler::new(holder(seed), limits.clone()).dial(console).await.unwrap();
    assert!(console.addresses.contains(&dialled.address()));
    tokio::spawn(async move { dialled.serve(serve, &limits).await })
}

/// Serves what nobody asks much of.
pub(super) fn serving<S>(dialled: Dialled<S>) -> JoinSet<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut served = JoinSet::new();
    served.spawn(async move { dialled.serve(Arc::new(Node::default()), &Limits::default()).await });
    served
}

/// A node connected to a console.
pub(super) async fn connected() -> (Listener, Pins, Console, Link, Arc<Node>, tokio::task::JoinHandle<()>) {
    let (mut listener, pins, console) = listening(Limits::default()).await;
    let node = Arc::new(Node::default());
    let (accepted, served) = tokio::join!(listener.accept(), dialled(NODE, &console, Arc::clone(&node)));
    (listener, pins, console, pinned(accepted), node, served)
}

pub(super) fn pinned(accepted: Accepted) -> Link {
    match accepted {
        Accepted::Pinned(link) => link,
        Accepted::Stranger(stranger) => panic!("{stranger:?}"),
    }
}

pub(super) fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

/// Counts calls, and answers them in ways that a test can tell.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) calls: AtomicU64,
    pub(super) statuses: watch::Sender<Option<Bytes>>,
}

impl Default for Node {
    fn default() -> Self {
        Self { calls: AtomicU64::new(0), statuses: watch::channel(None).0 }
    }
}

impl Serve for Node {
    async fn call(&self, call: Call, attachment: Vec<u8>) -> (Answer, Vec<u8>) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match call {
            Call::PutObject { name } => (Answer::Stored { name }, attachment),
            Call::Receipts { about } => (Answer::Signed { number: 1 }, about.into_bytes()),
            // Never answered.
            Call::Attach { .. } | Call::Explain { .. } | Call::Denials { .. } | Call::Passed { .. } => {
                pending().await
            }
            Call::SubmitOrder {}
            | Call::ReadJournal { .. }
            | Call::Status { .. }
            | Call::GiveShare {}
            | Call::PutImage { .. }
            | Call::Image { .. }
            | Call::EngineOutput { .. }
            | Call::FreshNonce { .. } => (refused("not here".to_owned()), Vec::new()),
        }
    }

    fn statuses(&self) -> watch::Receiver<Option<Bytes>> {
        self.statuses.subscribe()
    }
}

impl Node {
    pub(super) fn tell(&self, record: u64) {
        let mut line = serde_json::to_vec(&status(record)).unwrap();
        line.push(b'\n');
        self.statuses.send_replace(Some(line.into()));
    }
}

fn refused(message: String) -> Answer {
    Answer::Refused(Refused { code: "c".to_owned(), exit: 3, message, hint: None, details: None })
}

pub(super) fn status(record: u64) -> Status {
    Status {
        name: "node-1".parse().unwrap(),
        node: None,
        at: Time::ZERO,
        record,
        digest: Digest::of(b""),
        settled: true,
        forged: 0,
        directory: None,
        tiers: Vec::new(),
        warnings: Vec::new(),
    }
}

pub(super) fn put() -> Call {
    Call::PutObject { name: Digest::of(b"object") }
}

pub(super) fn hanging() -> Call {
    Call::Attach { realm: "tenant-a".parse().unwrap() }
}
