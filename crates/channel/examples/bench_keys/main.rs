//! `cargo xtask bench keys`: whole handshakes in memory, both ends on one thread, by the thread's CPU time:
//! the channel's raw keys against mutual TLS with X.509 (a P-256 authority, Ed25519 leaves), both with the
//! hybrid key exchange and without resumption. Interleaved rounds; medians with spread.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]
#![expect(clippy::print_stdout, reason = "the figures")]

use std::sync::Arc;
use std::time::Duration;

use channel::tls::{self, Admit};
use channel::{Sign, SignFailed};
use id::PublicKey;
use keys::SigningKey;
use rustix::time::{ClockId, clock_gettime};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use serde_json::json;

const ROUNDS: usize = 11;
const HANDSHAKES: u32 = 60;

/// Made once by OpenSSL for this bench; they open nothing.
const AUTHORITY: &[u8] = include_bytes!("ca.der");
const SERVER: [&[u8]; 2] = [include_bytes!("server.der"), include_bytes!("server.p8")];
const CLIENT: [&[u8]; 2] = [include_bytes!("client.der"), include_bytes!("client.p8")];

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

/// Lets the one key in.
#[derive(Debug)]
struct Only(PublicKey);

impl Admit for Only {
    fn admits(&self, key: &PublicKey) -> bool {
        *key == self.0
    }
}

/// Two ends, and the name that the client wants.
type Ends = (Arc<ClientConfig>, Arc<ServerConfig>, ServerName<'static>);

fn raw_keys() -> Ends {
    let holder = |seed| Arc::new(Holder(SigningKey::from_seed(&[seed; 32]).unwrap()));
    let (node, console) = (holder(1), holder(2));
    let client = tls::client(Arc::<Holder>::clone(&node), console.public()).unwrap();
    let server = tls::server(console, Arc::new(Only(node.public()))).unwrap();
    (Arc::new(client), Arc::new(server), tls::no_name())
}

fn x509() -> Ends {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS13_AES_256_GCM_SHA384],
        kx_groups: vec![kx_group::X25519MLKEM768],
        ..default_provider()
    });
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(AUTHORITY)).unwrap();
    let roots = Arc::new(roots);
    let chain = |of: [&'static [u8]; 2]| vec![CertificateDer::from(of[0])];
    let key = |of: [&'static [u8]; 2]| PrivatePkcs8KeyDer::from(of[1]).into();
    let servers = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
    let clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
    let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_webpki_verifier(servers.build().unwrap())
        .with_client_auth_cert(chain(CLIENT), key(CLIENT))
        .unwrap();
    client.resumption = Resumption::disabled();
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(chain(SERVER), key(SERVER))
        .unwrap();
    server.send_tls13_tickets = 0;
    server.session_storage = Arc::new(NoServerSessionStorage {});
    (Arc::new(client), Arc::new(server), ServerName::try_from("console").unwrap())
}

fn handshake((client, server, name): &Ends) {
    let mut client = ClientConnection::new(Arc::clone(client), name.clone()).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    let mut bytes = Vec::with_capacity(8 * 1024);
    while client.is_handshaking() || server.is_handshaking() {
        bytes.clear();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut sent = bytes.as_slice();
        while !sent.is_empty() {
            server.read_tls(&mut sent).unwrap();
            server.process_new_packets().unwrap();
        }
        bytes.clear();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut sent = bytes.as_slice();
        while !sent.is_empty() {
            client.read_tls(&mut sent).unwrap();
            client.process_new_packets().unwrap();
        }
    }
}

fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

/// Handshakes for each second of this thread's time.
fn rate(ends: &Ends) -> f64 {
    let began = thread_time();
    (0..HANDSHAKES).for_each(|_| handshake(ends));
    f64::from(HANDSHAKES) / (thread_time() - began).as_secs_f64()
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

fn main() {
    let (ours, theirs) = (raw_keys(), x509());
    rate(&ours);
    rate(&theirs);
    let (mut raw, mut x509) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        raw.push(rate(&ours));
        x509.push(rate(&theirs));
    }
    raw.sort_by(f64::total_cmp);
    x509.sort_by(f64::total_cmp);
    let (value, against) = (median(&raw), median(&x509));
    let spread = [raw[0], raw[ROUNDS - 1]];
    let figure = json!({
        "bench": "keys", "figure": "handshakes_per_cpu_s", "value": value, "unit": "1/s",
        "against": {"x509": against}, "ratio": value / against, "runs": ROUNDS, "spread": spread,
    });
    println!("{figure}");
    let figure = json!({
        "bench": "keys", "figure": "reconnect_10k_cpu_s", "value": 10_000.0 / value, "unit": "s",
        "against": {"x509": 10_000.0 / against}, "ratio": against / value, "runs": ROUNDS,
        "spread": [10_000.0 / spread[1], 10_000.0 / spread[0]],
    });
    println!("{figure}");
}
