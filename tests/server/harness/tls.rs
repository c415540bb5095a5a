//! A certificate authority for one test, and a proxy that terminates TLS in front of a plain server.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::with_timeout;

/// A test CA and a certificate signed by it for `localhost` and `duplex.example`.
pub struct CertificateAuthority {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl CertificateAuthority {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.pem"), root.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let ca = Self { dir, issuer };
        ca.renew();
        ca
    }

    /// Replaces the certificate and its key by new ones.
    pub fn renew(&self) {
        let key = KeyPair::generate().unwrap();
        let names = ["localhost", "duplex.example"].map(str::to_owned);
        let certificate = CertificateParams::new(names).unwrap();
        let certificate = certificate.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.certificate(), certificate.pem()).unwrap();
        fs::write(self.key(), key.serialize_pem()).unwrap();
    }

    /// Opens TLS over `stream`, trusting this authority alone; `name` is the server's name.
    pub async fn connect<S>(&self, stream: S, name: &'static str, protocols: &[&str]) -> TlsStream<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(self.root_certificate()).unwrap())
            .unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(name).unwrap();
        with_timeout(TlsConnector::from(Arc::new(config)).connect(name, stream))
            .await
            .unwrap()
    }

    /// The root certificate, for the client's trust store.
    pub fn root_certificate(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("certificate.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    /// Starts a proxy that terminates TLS in front of `server`; returns its port.
    pub async fn tls_proxy(&self, server: SocketAddr) -> u16 {
        let certificate = CertificateDer::from_pem_file(self.certificate()).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.key()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                // A client that does not trust the certificate ends the handshake.
                tokio::spawn(async move {
                    let mut client = acceptor.accept(client).await?;
                    let mut upstream = TcpStream::connect(server).await?;
                    copy_bidirectional(&mut client, &mut upstream).await
                });
            }
        });
        port
    }
}
