//! Trust roots for outgoing TLS connections.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot be read: {0}")]
    File(#[from] rustls::pki_types::pem::Error),
    #[error("contains no usable CA certificate")]
    Empty,
    #[error("{0}")]
    Tls(#[from] rustls::Error),
}

/// A connection, with or without TLS.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// A client configuration that trusts the certificates of `authorities`; without it, those of the system or of `SSL_CERT_FILE`,
/// or webpki-roots (Mozilla's) if there are none.
pub fn client(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let certificates = match authorities {
        Some(file) => CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>()?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    // The system's store may contain certificates that rustls cannot parse.
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        match authorities {
            Some(_) => return Err(TlsError::Empty),
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
