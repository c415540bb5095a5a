//! Opens the connection to the MQTT broker: TCP, TLS where the address asks for it, and a bound for the packets that come.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::mqtt_size::Bounded;
use super::url::Broker;

/// What the client library wants of a connection.
pub trait Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Socket for S {}

/// The library gives up an attempt that takes too long.
pub async fn connect(broker: Broker, tls: Option<Arc<ClientConfig>>) -> io::Result<Bounded<Box<dyn Socket>>> {
    let stream = TcpStream::connect((broker.host.as_str(), broker.port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok(Bounded::new(Box::new(stream)));
    };
    let name = ServerName::try_from(broker.host).map_err(io::Error::other)?;
    let stream = TlsConnector::from(tls).connect(name, stream).await?;
    Ok(Bounded::new(Box::new(stream)))
}
