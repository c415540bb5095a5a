//! TLS for incoming connections: the certificate, its reload, and the handshake.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use axum::Router;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::gateway::Gateway;
use crate::limits;
use crate::lock;
use crate::shutdown::Shutdown;
use crate::{listen, suspend_aware};
use duplex_hub::quota::LogThrottle;

/// The files of a certificate and its key, in PEM (RFC 7468).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why a certificate could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A file cannot be read or parsed.
    #[error("{}: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error.
        error: pem::Error,
    },
    /// The file has no certificate.
    #[error("{} has no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    /// The file has no private key.
    #[error("{} has no private key in PEM", .0.display())]
    NoKey(PathBuf),
    /// The key belongs to another certificate.
    #[error("the key in {} does not belong to the certificate in {}", .0.key.display(), .0.certificate.display())]
    Mismatch(CertificateFiles),
    /// The TLS library rejects the certificate or its key.
    #[error("the certificate in {} cannot be used: {error}", .files.certificate.display())]
    Unusable {
        /// The files.
        files: CertificateFiles,
        /// The TLS library's reason.
        error: rustls::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

impl CertificateFiles {
    fn load(&self) -> Result<CertifiedKey, CertificateError> {
        let file = |path: &Path, error| match (error, path == self.key) {
            (pem::Error::NoItemsFound, true) => CertificateError::NoKey(path.to_owned()),
            (pem::Error::NoItemsFound, false) => CertificateError::NoCertificate(path.to_owned()),
            (error, _) => CertificateError::File {
                path: path.to_owned(),
                error,
            },
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| file(&self.certificate, error))?;
        if chain.is_empty() {
            return Err(CertificateError::NoCertificate(self.certificate.clone()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| file(&self.key, error))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch(self.clone()),
            error => CertificateError::Unusable {
                files: self.clone(),
                error,
            },
        })
    }

    /// Modification times and sizes, to detect that a file was written.
    fn modification_stamp(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.certificate, &self.key].map(|file| {
            let metadata = fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }
}

/// The certificate that new handshakes use; replaced on reload.
#[derive(Debug)]
struct CurrentCertificate(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&lock::read(&self.0)))
    }
}

/// TLS 1.2 and 1.3 for incoming connections, with HTTP/2 and HTTP/1.1 negotiated by ALPN. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    files: CertificateFiles,
    current: Arc<CurrentCertificate>,
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the certificate. Blocks on the files.
    ///
    /// # Errors
    ///
    /// If a file is missing or unreadable, or the certificate and the key do not match.
    pub fn load(files: CertificateFiles) -> Result<Self, CertificateError> {
        let current = Arc::new(CurrentCertificate(RwLock::new(Arc::new(files.load()?))));
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Session tickets: clients that all reconnect at once resume without a signature.
        config.ticketer = ring::Ticketer::new()?;
        Ok(Self {
            files,
            current,
            config: Arc::new(config),
        })
    }

    /// Reloads the certificate when its files change, and on SIGHUP, until the shutdown begins. A certificate that cannot be used, such
    /// as a half-written file, is logged, and the previous one stays in use. [`Server::serve`](super::Server::serve) runs this.
    pub async fn reload_on_change(self, shutdown: Shutdown) {
        let Ok(mut hangups) = signal(SignalKind::hangup()) else {
            return tracing::error!("cannot handle SIGHUP: the certificate is not reloaded");
        };
        let mut loaded = self.files.modification_stamp();
        let mut warned = false;
        loop {
            let requested = tokio::select! {
                () = shutdown.begun() => return,
                signal = hangups.recv() => signal.is_some(),
                () = sleep(limits::CERTIFICATE_POLL) => false,
            };
            let files = self.files.clone();
            // The stamp is read before the files: a write in between changes the next stamp.
            let read = spawn_blocking(move || {
                let stamp = files.modification_stamp();
                (requested || stamp != loaded).then(|| (stamp, files.load()))
            });
            match read.await {
                Ok(Some((stamp, Ok(certificate)))) => {
                    *lock::write(&self.current.0) = Arc::new(certificate);
                    (loaded, warned) = (stamp, false);
                    tracing::info!("a new certificate is in use");
                }
                Ok(Some((_, Err(error)))) if requested || !warned => {
                    warned = true;
                    tracing::warn!("the previous certificate stays in use: {error}");
                }
                Ok(_) => {}
                Err(error) => tracing::error!("the certificate was not read: {error}"),
            }
        }
    }

    /// Performs the handshake on `stream`, then serves the connection as [`serve_connection`](super::serve_connection) does. A handshake
    /// that fails, or takes more than 10 s, ends the connection.
    pub async fn serve_connection<S>(self, stream: S, peer: Option<SocketAddr>, router: Router, gateway: Gateway)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        static FAILURES: LogThrottle = LogThrottle::new(limits::LOG_THROTTLE_PAUSE);

        let handshake = suspend_aware::timeout(limits::TLS_HANDSHAKE, TlsAcceptor::from(self.config).accept(stream));
        let failure = tokio::select! {
            () = gateway.shutdown.begun() => return,
            result = handshake => match result {
                Some(Ok(stream)) => return listen::serve_connection(stream, peer, router, gateway).await,
                Some(Err(error)) => error.to_string(),
                None => "timeout".to_owned(),
            },
        };
        gateway.counters.count_failed_handshake();
        if let Some(suppressed) = FAILURES.try_log() {
            let peer = peer.map(tracing::field::display);
            tracing::info!(peer, suppressed, "TLS handshake failed: {failure}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusable_certificate_is_described_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let pair = || {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
        };
        let ((certificate, key), (_, other)) = (pair(), pair());
        for (name, text) in [
            ("cert", certificate.as_str()),
            ("key", &key),
            ("other", &other),
            ("text", "text"),
        ] {
            fs::write(path(name), text).unwrap();
        }
        fs::write(path("half"), &certificate[..certificate.len() / 2]).unwrap();
        let load = |certificate, key| {
            Tls::load(CertificateFiles {
                certificate: path(certificate),
                key: path(key),
            })
        };
        assert!(load("cert", "key").is_ok());
        for (certificate, key, message) in [
            ("cert", "other", "does not belong to the certificate"),
            ("text", "key", "has no certificate"),
            ("cert", "text", "has no private key"),
            ("key", "key", "has no certificate"),
            ("cert", "cert", "has no private key"),
            ("half", "key", "half: "),
            ("missing", "key", "missing: "),
            ("cert", "missing", "missing: "),
        ] {
            let error = load(certificate, key).err().unwrap().to_string();
            assert!(error.contains(message) && !error.contains('\n'), "{error}");
        }
    }
}
