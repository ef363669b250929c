//! What is negotiated, and what a peer learns from a handshake.

use std::sync::Arc;

use id::PublicKey;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::{ClientConfig, NamedGroup, ServerConfig, ServerConnection};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::tap::{Taken, Tap, contains};
use super::world::{CONSOLE, NODE, OTHER, holder, nowhere, public, serving};
use crate::console::begin;
use crate::sign::{Sign, SignFailed};
use crate::tls::{self, Admit};
use crate::{DialFailed, Dialler, Limits, Pins};

/// Lets everybody in.
#[derive(Debug)]
struct Anybody;

impl Admit for Anybody {
    fn admits(&self, _key: &PublicKey) -> bool {
        true
    }
}

fn anybodys_server(seed: u8) -> ServerConfig {
    tls::server(holder(seed), Arc::new(Anybody)).unwrap()
}

fn client() -> ClientConfig {
    tls::client(holder(NODE), public(CONSOLE)).unwrap()
}

/// Both ends' results of a handshake in memory.
async fn shake(
    client: ClientConfig,
    server: ServerConfig,
) -> (
    std::io::Result<tokio_rustls::client::TlsStream<DuplexStream>>,
    std::io::Result<tokio_rustls::server::TlsStream<DuplexStream>>,
) {
    let (near, far) = duplex(64 * 1024);
    let connector = TlsConnector::from(Arc::new(client));
    tokio::join!(connector.connect(tls::no_name(), near), TlsAcceptor::from(Arc::new(server)).accept(far))
}

#[tokio::test]
async fn the_key_exchange_is_hybrid_and_the_protocol_ours() {
    let (client, server) = shake(client(), anybodys_server(CONSOLE)).await;
    let (client, server) = (client.unwrap(), server.unwrap());
    let (near, far) = (client.get_ref().1, server.get_ref().1);
    for group in [near.negotiated_key_exchange_group(), far.negotiated_key_exchange_group()] {
        assert_eq!(group.unwrap().name(), NamedGroup::X25519MLKEM768);
    }
    assert_eq!(near.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(far.alpn_protocol(), Some(b"leasehold/1".as_slice()));
}

#[tokio::test]
async fn another_key_exchange_or_protocol_is_refused() {
    let provider = rustls::crypto::CryptoProvider { kx_groups: vec![kx_group::X25519], ..default_provider() };
    let verifier = Arc::new(Believing::default());
    let mut classic = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    classic.alpn_protocols = client().alpn_protocols;
    let (near, far) = shake(classic, anybodys_server(CONSOLE)).await;
    assert!(near.is_err() && far.is_err());

    for protocols in [vec![b"h2".to_vec()], vec![b"leasehold/2".to_vec()]] {
        let mut other = client();
        other.alpn_protocols = protocols;
        let (near, far) = shake(other, anybodys_server(CONSOLE)).await;
        assert!(near.is_err() && far.is_err());
    }
    // Who names no protocol gets through TLS, and no further.
    let mut silent = client();
    silent.alpn_protocols = Vec::new();
    let (near, far) = duplex(64 * 1024);
    let acceptor = TlsAcceptor::from(Arc::new(anybodys_server(CONSOLE)));
    let limits = Arc::new(Limits::default());
    let pins = Pins::new([public(NODE)]);
    let connector = TlsConnector::from(Arc::new(silent));
    let (_near, accepted) = tokio::join!(
        connector.connect(tls::no_name(), near),
        begin(acceptor, far, nowhere(), &pins, &limits)
    );
    assert!(accepted.is_none());
    let mut server = anybodys_server(CONSOLE);
    server.alpn_protocols = Vec::new();
    let (near, far) = duplex(64 * 1024);
    let dialler = Dialler::new(holder(NODE), Limits::default());
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let (dialled, _far) = tokio::join!(dialler.begin(near, nowhere(), public(CONSOLE)), acceptor.accept(far));
    assert!(matches!(dialled, Err(DialFailed::Protocol(_))));
}

/// Shows the console's key without having it.
#[derive(Debug)]
struct Impostor;

impl Sign for Impostor {
    fn public(&self) -> PublicKey {
        public(CONSOLE)
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignFailed> {
        holder(OTHER).sign(message)
    }
}

/// The trap of a node that would show U before it knows to whom: the server is verified first. A rogue that
/// decrypts all it is sent has seen no key, and the node has sent nothing but its first message and the
/// reason why it hangs up.
#[tokio::test]
async fn a_rogue_console_learns_nothing_about_the_identity() {
    let rogues = [anybodys_server(OTHER), tls::server(Arc::new(Impostor), Arc::new(Anybody)).unwrap()];
    for rogue in rogues {
        let (near, mut far) = duplex(64 * 1024);
        let taken = Taken::default();
        let dialler = Dialler::new(holder(NODE), Limits::default());
        let dialling = dialler.begin(Tap(near, taken.clone()), nowhere(), public(CONSOLE));
        let server = async {
            let mut session = ServerConnection::new(Arc::new(rogue)).unwrap();
            let mut bytes = [0; 16 * 1024];
            loop {
                let length = far.read(&mut bytes).await.unwrap_or(0);
                if length == 0 {
                    break;
                }
                let mut arrived = &bytes[..length];
                while !arrived.is_empty() {
                    session.read_tls(&mut arrived).unwrap();
                    if session.process_new_packets().is_err() {
                        break;
                    }
                }
                let mut out = Vec::new();
                while session.wants_write() {
                    session.write_tls(&mut out).unwrap();
                }
                tokio::io::AsyncWriteExt::write_all(&mut far, &out).await.unwrap_or_default();
            }
            session
        };
        let (dialled, session) = tokio::join!(dialling, server);
        assert!(matches!(dialled, Err(DialFailed::Stream(..))));
        assert!(session.is_handshaking());
        assert!(session.peer_certificates().is_none());
        let sent = taken.written();
        assert!(!contains(&sent, public(NODE).as_bytes()));
        let kinds = records(&sent);
        // A client's first message; then at most change-cipher-spec and an alert, which is encrypted.
        assert_eq!(kinds[0], (22, 1));
        assert!(kinds[1..].iter().all(|(kind, _)| matches!(kind, 20 | 21 | 23)), "{kinds:?}");
        let after: usize = sent.len() - first_record(&sent);
        assert!(after < 64, "{after} bytes after the first message: too many for an alert alone");
    }
}

/// Whoever looks on sees no identity either: it goes encrypted.
#[tokio::test]
async fn who_looks_on_sees_no_key() {
    let (near, far) = duplex(64 * 1024);
    let taken = Taken::default();
    let dialler = Dialler::new(holder(NODE), Limits::default());
    let dialling = dialler.begin(Tap(near, taken.clone()), nowhere(), public(CONSOLE));
    let pins = Pins::new([public(NODE)]);
    let acceptor = TlsAcceptor::from(Arc::new(tls::server(holder(CONSOLE), Arc::new(pins.clone())).unwrap()));
    let limits = Arc::new(Limits::default());
    let (dialled, accepted) = tokio::join!(
        async {
            let dialled = dialling.await.unwrap();
            serving(dialled)
        },
        begin(acceptor, far, nowhere(), &pins, &limits)
    );
    assert!(accepted.is_some());
    for bytes in [taken.read(), taken.written()] {
        assert!(bytes.len() > 1000);
        for seed in [NODE, CONSOLE] {
            assert!(!contains(&bytes, public(seed).as_bytes()));
        }
    }
    drop(dialled);
}

/// Believes any server, and remembers its key.
#[derive(Debug, Default)]
struct Believing(std::sync::Mutex<Option<PublicKey>>);

impl rustls::client::danger::ServerCertVerifier for Believing {
    fn verify_server_cert(
        &self,
        end: &rustls::pki_types::CertificateDer<'_>,
        _further: &[rustls::pki_types::CertificateDer<'_>],
        _name: &rustls::pki_types::ServerName<'_>,
        _ocsp: &[u8],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = crate::raw_key::decode(end);
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _shown: &rustls::pki_types::CertificateDer<'_>,
        _signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _shown: &rustls::pki_types::CertificateDer<'_>,
        _signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Why the node must be the client: a TLS server shows its key to whoever asks, also to one whom it then
/// refuses. It is the console's key that is shown so, which is no secret.
#[tokio::test]
async fn a_server_shows_its_key_to_strangers_so_the_node_is_none() {
    let believing = Arc::new(Believing::default());
    let mut stranger = tls::client(holder(OTHER), public(CONSOLE)).unwrap();
    stranger.dangerous().set_certificate_verifier(Arc::<Believing>::clone(&believing));
    let pins = Pins::new([public(NODE)]);
    let (_near, far) = shake(stranger, tls::server(holder(CONSOLE), Arc::new(pins)).unwrap()).await;
    assert!(far.is_err());
    assert_eq!(*believing.0.lock().unwrap(), Some(public(CONSOLE)));
}

/// Kind and, of a handshake message in the clear, type of each TLS record.
fn records(bytes: &[u8]) -> Vec<(u8, u8)> {
    let mut kinds = Vec::new();
    let mut rest = bytes;
    while rest.len() > 5 {
        kinds.push((rest[0], rest[5]));
        rest = &rest[first_record(rest)..];
    }
    kinds
}

fn first_record(bytes: &[u8]) -> usize {
    5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]))
}
