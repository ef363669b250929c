//! The tenant's console, as far as a severing concerns it: it lets a node in, and sees its connection end.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use channel::{Accepted, Limits, Link, Listener, Pins, Sign, SignFailed};
use id::PublicKey;
use keys::SigningKey;
use lab::{Facility, Failed};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// The router's address in the nodes' network: there the console listens.
const ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 0, 1), 7443);
/// Strangers that may be there at once.
const STRANGERS: usize = 4;

#[derive(Debug)]
struct Holder(SigningKey);

impl Sign for Holder {
    fn public(&self) -> PublicKey {
        *self.0.public()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignFailed> {
        Ok(*self.0.sign(message).as_bytes())
    }
}

/// A console that listens.
pub(super) struct Console {
    runtime: Runtime,
    pins: Pins,
    accepted: mpsc::UnboundedReceiver<Accepted>,
    named: tenure::Console,
}

/// A connection whose end is watched for.
pub(super) struct Watched(oneshot::Receiver<Duration>);

impl Console {
    pub(super) fn open(facility: &Facility) -> Result<Self, Failed> {
        let act = "open a console";
        let seed: [u8; 32] = os::random::bytes().map_err(|error| Failed::new(act, error))?;
        let key = SigningKey::from_seed(&seed).map_err(|error| Failed::new(act, error))?;
        let key = Arc::new(Holder(key));
        let address = SocketAddr::from(ADDRESS);
        let listened = facility.namespace("router")?.run(|| {
            let tcp = std::net::TcpListener::bind(address)?;
            tcp.set_nonblocking(true)?;
            std::io::Result::Ok(tcp)
        });
        let tcp =
            listened.map_err(|error| Failed::new(act, error))?.map_err(|error| Failed::new(act, error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| Failed::new(act, error))?;
        let (pins, (to, accepted)) = (Pins::default(), mpsc::unbounded_channel());
        let named = tenure::ConsoleAddress::new(address)
            .map_err(|error| Failed::new(act, error))
            .map(|address| tenure::Console { key: key.public(), addresses: vec![address] })?;
        let pinned = pins.clone();
        runtime.spawn(async move {
            let Ok(tcp) = tokio::net::TcpListener::from_std(tcp) else { return };
            let Ok(mut listener) = Listener::new(tcp, key, pinned, Limits::default()) else { return };
            while to.send(listener.accept().await).is_ok() {}
        });
        Ok(Self { runtime, pins, accepted, named })
    }

    /// As a lease names it.
    pub(super) fn named(&self) -> tenure::Console {
        self.named.clone()
    }

    /// Lets in whoever dials next as somebody new, and watches the connection that it has then.
    pub(super) fn connection(&mut self, patience: Duration) -> Result<Watched, Failed> {
        let late = |_elapsed| Failed::new("wait for a node", "none dials");
        let link =
            self.runtime.block_on(async { timeout(patience, let_in(&self.pins, &mut self.accepted)).await });
        let link = link.map_err(late)??;
        let (to, ended) = oneshot::channel();
        self.runtime.spawn(async move {
            link.closed().await;
            // Nobody may wait for it any more.
            to.send(os::clock::monotonic()).unwrap_or_default();
        });
        Ok(Watched(ended))
    }

    /// When it ended.
    pub(super) fn ended(&self, watched: Watched, patience: Duration) -> Result<Duration, Failed> {
        let ended = self.runtime.block_on(async { timeout(patience, watched.0).await });
        let goes_on = || Failed::new("see a connection end", "it goes on");
        ended.map_err(|_elapsed| goes_on())?.map_err(|_dropped| goes_on())
    }
}

async fn let_in(pins: &Pins, accepted: &mut mpsc::UnboundedReceiver<Accepted>) -> Result<Link, Failed> {
    let over = || Failed::new("wait for a node", "the console listens no more");
    pins.open_window(STRANGERS);
    let identity = loop {
        match accepted.recv().await.ok_or_else(over)? {
            Accepted::Stranger(stranger) => break stranger.identity(),
            // One of a lease before, which is on its way out.
            Accepted::Pinned(_link) => {}
        }
    };
    pins.close_window();
    pins.insert(identity);
    loop {
        match accepted.recv().await.ok_or_else(over)? {
            Accepted::Pinned(link) if link.identity() == identity => return Ok(link),
            Accepted::Pinned(_) | Accepted::Stranger(_) => {}
        }
    }
}
