//! What was valid once: resumed sessions, and bytes that are sent again.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::server::ServerSessionMemoryCache;
use rustls::{ClientConfig, HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::tap::{Taken, Tap};
use super::world::{CONSOLE, NODE, holder, listening, nowhere, pinned, public, put, serving};
use crate::{Dialler, Limits, Pins, tls};

/// A party that keeps what it is given for coming back, and uses it.
fn keeping() -> Arc<ClientConfig> {
    let mut client = tls::client(holder(NODE), public(CONSOLE)).unwrap();
    client.resumption = Resumption::in_memory_sessions(8);
    Arc::new(client)
}

/// Connects, takes in what the server sends, and says how the handshake was if the server let it in.
async fn connect(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Option<HandshakeKind> {
    let (near, far) = duplex(64 * 1024);
    let served = async {
        let mut stream = TlsAcceptor::from(Arc::clone(server)).accept(far).await.ok()?;
        stream.write_all(b"in").await.ok()?;
        stream.get_ref().1.handshake_kind()
    };
    let connected = async {
        let mut stream = TlsConnector::from(Arc::clone(client)).connect(tls::no_name(), near).await.ok()?;
        let mut said = [0; 2];
        // The tickets, if any, come before.
        stream.read_exact(&mut said).await.ok()
    };
    let (kind, heard) = tokio::join!(served, connected);
    heard.and(kind)
}

/// The trap of session resumption: a resumed session asks no verifier, and so a party gets back in whose
/// pin has gone. With tickets, as rustls gives them out by default, it does (that is the mutant here); with
/// our configuration it does not.
#[tokio::test]
async fn resumption_brings_no_severed_party_back() {
    let mutant = |config: &mut ServerConfig| {
        config.send_tls13_tickets = 2;
        config.max_tls13_tickets = 2;
        config.session_storage = ServerSessionMemoryCache::new(8);
    };
    for (is_mutant, back_in) in [(false, None), (true, Some(HandshakeKind::Resumed))] {
        let pins = Pins::new([public(NODE)]);
        let mut server = tls::server(holder(CONSOLE), Arc::new(pins.clone())).unwrap();
        if is_mutant {
            mutant(&mut server);
        }
        let (client, server) = (keeping(), Arc::new(server));
        assert_eq!(connect(&client, &server).await, Some(HandshakeKind::Full));
        let again = if is_mutant { HandshakeKind::Resumed } else { HandshakeKind::Full };
        assert_eq!(connect(&client, &server).await, Some(again));
        pins.remove(&public(NODE));
        assert_eq!(connect(&client, &server).await, back_in, "mutant: {is_mutant}");
    }
}

#[test]
fn nothing_early_and_nothing_kept() {
    let server = tls::server(holder(CONSOLE), Arc::new(Pins::default())).unwrap();
    assert_eq!((server.send_tls13_tickets, server.max_tls13_tickets), (0, 0));
    assert_eq!(server.max_early_data_size, 0);
    assert!(!server.ticketer.enabled() && !server.session_storage.can_cache());
    let client = tls::client(holder(NODE), public(CONSOLE)).unwrap();
    assert!(!client.enable_early_data && !client.enable_sni);
}

/// All that a node ever sent in a session, sent again byte by byte: to the same console, with the pin still
/// there. It never becomes a connection; nothing of it reaches anybody.
#[tokio::test]
async fn a_session_that_is_replayed_is_refused() {
    let (mut listener, pins, console) = listening(Limits::default()).await;
    let address = console.addresses[0];
    let taken = Taken::default();
    let stream = Tap(TcpStream::connect(address).await.unwrap(), taken.clone());
    let dialler = Dialler::new(holder(NODE), Limits::default());
    let dialling = async {
        let dialled = dialler.begin(stream, nowhere(), console.key).await.unwrap();
        serving(dialled)
    };
    let (accepted, mut served) = tokio::join!(listener.accept(), dialling);
    let link = pinned(accepted);
    link.call(&put(), b"object").await.unwrap();
    link.close();
    served.join_next().await.unwrap().unwrap();

    let sent = taken.written();
    for size in [sent.len(), 1000, 1] {
        let mut replayed = TcpStream::connect(address).await.unwrap();
        let replaying = async {
            for part in sent.chunks(size) {
                // The console may have hung up by now.
                if replayed.write_all(part).await.is_err() {
                    break;
                }
            }
            let mut answer = Vec::new();
            replayed.read_to_end(&mut answer).await.unwrap_or_default()
        };
        tokio::select! {
            accepted = listener.accept() => panic!("{accepted:?}"),
            _length = replaying => {}
        }
        assert!(pins.connected().is_empty());
    }
}
