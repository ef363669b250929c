//! All of TLS. What is not said here is not offered: version 1.3, one hybrid key exchange, two ciphers,
//! Ed25519, raw keys, one protocol; and nothing that brings a past session back.

use std::sync::Arc;

use id::PublicKey;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    ServerConfig, SignatureAlgorithm, SignatureScheme,
};

use crate::raw_key;
use crate::sign::{NotSetUp, Sign};

/// The one protocol that is spoken (RFC 7301).
pub const PROTOCOL: &[u8] = b"leasehold/1";

/// Whom a server lets in.
pub trait Admit: std::fmt::Debug + Send + Sync {
    /// Whether a handshake with this key may go on. Asked again when the handshake is done.
    fn admits(&self, key: &PublicKey) -> bool;
}

/// The node's side: shows `identity` to the holder of the key `console`, and to nobody else.
///
/// # Errors
/// The library's: its own parts do not fit each other.
pub fn client(identity: Arc<dyn Sign>, console: PublicKey) -> Result<ClientConfig, Error> {
    let verifier = Arc::new(OnlyThisServer { console, provider: provider() });
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(identity))));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    // A session that is resumed asks no verifier.
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    // A name would be sent in the clear, and means nothing here.
    config.enable_sni = false;
    Ok(config)
}

/// The name that the library wants of a server; it is neither sent nor looked at.
#[must_use]
pub fn no_name() -> ServerName<'static> {
    ServerName::IpAddress(std::net::IpAddr::from([0, 0, 0, 0]).into())
}

/// The console's side: asks for a key, and lets in whom `admit` admits.
///
/// # Errors
/// The library's: its own parts do not fit each other.
pub fn server(key: Arc<dyn Sign>, admit: Arc<dyn Admit>) -> Result<ServerConfig, Error> {
    let verifier = Arc::new(AdmittedClients { admit, provider: provider() });
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(key))));
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    // A session that is resumed asks no verifier: a severed party would get back in (rustls gives out
    // tickets by default). The second line refuses tickets that a client asks for (RFC 9149).
    config.send_tls13_tickets = 0;
    config.max_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}

/// Has the library find out by what it draws random numbers and computes: it looks at files for that, once.
/// A process that gives up files calls this before.
///
/// # Errors
/// When there are no random numbers.
pub fn prepare() -> Result<(), NotSetUp> {
    kx_group::X25519MLKEM768.start()?;
    Ok(())
}

fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519MLKEM768],
        ..default_provider()
    }
}

fn certified(key: Arc<dyn Sign>) -> Arc<CertifiedKey> {
    let shown = raw_key::encode(&key.public());
    Arc::new(CertifiedKey::new(vec![shown], Arc::new(Key(key))))
}

/// A key that is somewhere else.
#[derive(Debug, Clone)]
struct Key(Arc<dyn Sign>);

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(raw_key::info(&self.0.public()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.0.sign(message).map_err(|failed| Error::General(failed.to_string()))?;
        Ok(signature.to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// The key that a peer has shown, where it shows nothing else.
fn shown(end: &CertificateDer<'_>, further: &[CertificateDer<'_>]) -> Result<PublicKey, Error> {
    let only = further.is_empty().then_some(end);
    only.and_then(|end| raw_key::decode(end)).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
}

fn not_admitted() -> Error {
    Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
}

/// What the two sides' verifiers have in common: a key proves itself by Ed25519 in TLS 1.3, or not at all.
macro_rules! raw_keys_alone {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _shown: &CertificateDer<'_>,
            _signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::PeerIncompatible(PeerIncompatible::Tls13RequiredForQuic))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            shown: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            if signed.scheme != SignatureScheme::ED25519 {
                return Err(not_admitted());
            }
            let info = SubjectPublicKeyInfoDer::from(shown.as_ref());
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature_with_raw_key(message, &info, signed, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

#[derive(Debug)]
struct OnlyThisServer {
    console: PublicKey,
    provider: CryptoProvider,
}

impl ServerCertVerifier for OnlyThisServer {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        further: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if shown(end, further)? == self.console {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(not_admitted())
        }
    }

    raw_keys_alone!();
}

#[derive(Debug)]
struct AdmittedClients {
    admit: Arc<dyn Admit>,
    provider: CryptoProvider,
}

impl ClientCertVerifier for AdmittedClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end: &CertificateDer<'_>,
        further: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let admitted = self.admit.admits(&shown(end, further)?);
        if admitted { Ok(ClientCertVerified::assertion()) } else { Err(not_admitted()) }
    }

    raw_keys_alone!();
}
