//! Whom a connection trusts: this machine's certificates, or those of one file.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use crate::deliver::Undelivered;

/// The certificates of a PEM file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Undelivered> {
    let wrong = |why: String| Undelivered::Certificates(format!("{}: {why}", path.display()));
    let read = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let read: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| wrong(error.to_string()))?;
    if read.is_empty() { Err(wrong("it has no certificate".to_owned())) } else { Ok(read) }
}

/// TLS to a web server.
pub(crate) fn client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, Undelivered> {
    let wrong = |error: rustls::Error| Undelivered::Certificates(error.to_string());
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(wrong)?;
            }
        }
        None => {
            // Of what a machine has, some is always older than what is understood today.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
