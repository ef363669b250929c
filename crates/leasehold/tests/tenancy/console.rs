//! In the place of the tenant's console, with its own channel key: what was said once is said again, or orders are
//! handed in.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use channel::{Accepted, Limits, Link, Listener, Pins, Sign, SignFailed};
use id::PublicKey;
use keys::{Envelope, SigningKey, read_key_file};
use node_protocol::call::{Answer, Call};
use os::namespace::Namespace;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::world::PATIENCE;

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

/// A key of a console's.
pub(crate) fn key(file: &Path) -> SigningKey {
    read_key_file(&std::fs::read(file).unwrap()).unwrap()
}

/// Says to whoever dials, one after the other, what a console once said, and waits until the node hangs up. Gives
/// what each node said.
pub(crate) fn say_again(place: &Namespace, at: SocketAddrV4, said: Vec<Vec<u8>>) -> JoinHandle<Vec<Vec<u8>>> {
    let listener = place.run(|| TcpListener::bind(at)).unwrap().unwrap();
    thread::spawn(move || {
        let answer = |said: Vec<u8>| {
            let (mut node, _from) = listener.accept().unwrap();
            node.set_read_timeout(Some(PATIENCE)).unwrap();
            // It may hang up before all is said.
            node.write_all(&said).unwrap_or_default();
            let mut heard = Vec::new();
            match node.read_to_end(&mut heard) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
            }
            heard
        };
        said.into_iter().map(answer).collect()
    })
}

/// The console itself.
pub(crate) struct Console<'a> {
    runtime: &'a Runtime,
    link: Link,
    // As long as it listens the link lives.
    _listener: Listener,
}

impl<'a> Console<'a> {
    /// Listens with a console's key until a node has dialled, has said what it is, and has dialled again.
    pub(crate) fn dialled(
        runtime: &'a Runtime,
        place: &Namespace,
        at: SocketAddrV4,
        key: SigningKey,
    ) -> Self {
        let tcp = place.run(|| TcpListener::bind(at)).unwrap().unwrap();
        tcp.set_nonblocking(true).unwrap();
        let waiting = async {
            let tcp = tokio::net::TcpListener::from_std(tcp).unwrap();
            let pins = Pins::default();
            let mut listener =
                Listener::new(tcp, Arc::new(Holder(key)), pins.clone(), Limits::default()).unwrap();
            pins.open_window(4);
            loop {
                match listener.accept().await {
                    Accepted::Stranger(stranger) => {
                        let identity = stranger.identity();
                        // One that was just leased may still be making its keys.
                        if stranger.statements().await.is_ok() {
                            pins.insert(identity);
                        }
                    }
                    Accepted::Pinned(link) => return (link, listener),
                }
            }
        };
        let (link, listener) =
            runtime.block_on(async { timeout(PATIENCE * 2, waiting).await }).expect("nobody dials");
        Self { runtime, link, _listener: listener }
    }

    pub(crate) fn order(&self, order: &Envelope) -> Answer {
        let order = order.to_json();
        self.runtime.block_on(self.link.call(&Call::SubmitOrder {}, order.as_bytes())).unwrap().0
    }
}
