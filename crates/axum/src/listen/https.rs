//! TLS for incoming connections: the certificate, its renewal while connections go on, and the handshake. Knows no route.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
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
use crate::shutdown::Shutdown;
use crate::{awake, listen};
use duplex_hub::quota::seldom::Seldom;

/// Where the certificate and its key are, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("{}: {error}", .path.display())]
    File { path: PathBuf, error: pem::Error },
    #[error("{} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    #[error("{} holds no private key in PEM", .0.display())]
    NoKey(PathBuf),
    #[error("the key in {} is not that of the certificate in {}", .0.key.display(), .0.certificate.display())]
    Mismatch(CertificateFiles),
    #[error("the certificate in {} cannot be used: {error}", .files.certificate.display())]
    Unusable {
        files: CertificateFiles,
        error: rustls::Error,
    },
    #[error("no TLS: {0}")]
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

    /// What differs once a file was written.
    fn stamp(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.certificate, &self.key].map(|file| {
            let metadata = fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }
}

/// The certificate that the next handshake shows.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// TLS as this server speaks it. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    files: CertificateFiles,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

impl Tls {
    pub fn load(files: CertificateFiles) -> Result<Self, CertificateError> {
        let current = Arc::new(Current(RwLock::new(Arc::new(files.load()?))));
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Clients that come back all at once after a restart of their network resume without a signature.
        config.ticketer = ring::Ticketer::new()?;
        Ok(Self {
            files,
            current,
            config: Arc::new(config),
        })
    }

    /// Takes the certificate anew once its files have changed, and on SIGHUP. One that cannot be used, such as a file that is
    /// half written, leaves the one before in use, with a warning.
    pub async fn renew(self, shutdown: Shutdown) {
        let Ok(mut hangups) = signal(SignalKind::hangup()) else {
            return tracing::error!("cannot hear SIGHUP, nor renew the certificate");
        };
        let mut taken = self.files.stamp();
        let mut warned = false;
        loop {
            let asked = tokio::select! {
                () = shutdown.begun() => return,
                heard = hangups.recv() => heard.is_some(),
                () = sleep(limits::CERTIFICATE_POLL) => false,
            };
            let files = self.files.clone();
            // The stamp first: what is written in between differs from it the next time.
            let read = spawn_blocking(move || {
                let stamp = files.stamp();
                (asked || stamp != taken).then(|| (stamp, files.load()))
            });
            match read.await {
                Ok(Some((stamp, Ok(certificate)))) => {
                    *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
                    (taken, warned) = (stamp, false);
                    tracing::info!("a new certificate is in use");
                }
                Ok(Some((_, Err(error)))) if asked || !warned => {
                    warned = true;
                    tracing::warn!("the certificate before stays in use: {error}");
                }
                Ok(_) => {}
                Err(error) => tracing::error!("the certificate was not read: {error}"),
            }
        }
    }

    /// Makes the handshake, then serves the connection. One that takes too long, or fails, ends.
    pub async fn serve_connection<S>(self, stream: S, peer: Option<SocketAddr>, router: Router, gateway: Gateway)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        static FAILURES: Seldom = Seldom::new(limits::REFUSALS_LOGGED);

        let handshake = awake::timeout(limits::TLS_HANDSHAKE, TlsAcceptor::from(self.config).accept(stream));
        let failure = tokio::select! {
            () = gateway.shutdown.begun() => return,
            made = handshake => match made {
                Some(Ok(stream)) => return listen::serve_connection(stream, peer, router, gateway).await,
                Some(Err(error)) => error.to_string(),
                None => "it took too long".to_owned(),
            },
        };
        gateway.counters.handshake_failed();
        if let Some(unlogged) = FAILURES.due() {
            let peer = peer.map(tracing::field::display);
            tracing::info!(peer, unlogged, "no TLS: {failure}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_certificate_is_named_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
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
            fs::write(at(name), text).unwrap();
        }
        fs::write(at("half"), &certificate[..certificate.len() / 2]).unwrap();
        let load = |certificate, key| {
            Tls::load(CertificateFiles {
                certificate: at(certificate),
                key: at(key),
            })
        };
        assert!(load("cert", "key").is_ok());
        for (certificate, key, why) in [
            ("cert", "other", "is not that of the certificate"),
            ("text", "key", "holds no certificate"),
            ("cert", "text", "holds no private key"),
            ("key", "key", "holds no certificate"),
            ("cert", "cert", "holds no private key"),
            ("half", "key", "half: "),
            ("missing", "key", "missing: "),
            ("cert", "missing", "missing: "),
        ] {
            let error = load(certificate, key).err().unwrap().to_string();
            assert!(error.contains(why) && !error.contains('\n'), "{error}");
        }
    }
}
