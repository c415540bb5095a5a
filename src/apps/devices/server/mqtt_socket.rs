//! Opens the connection to the MQTT broker: TCP, TLS for `mqtts://`, and a size limit for incoming packets.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::packet_truncator::TruncatingStream;
use super::url::BrokerUrl;

/// The client library's requirements on a connection.
pub trait Socket: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Socket for S {}

/// Connects to the broker. The client library applies the connect timeout.
pub async fn connect(
    broker: BrokerUrl,
    tls: Option<Arc<ClientConfig>>,
) -> io::Result<TruncatingStream<Box<dyn Socket>>> {
    let stream = TcpStream::connect((broker.host.as_str(), broker.port)).await?;
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok(TruncatingStream::new(Box::new(stream)));
    };
    let name = ServerName::try_from(broker.host).map_err(io::Error::other)?;
    let stream = TlsConnector::from(tls).connect(name, stream).await?;
    Ok(TruncatingStream::new(Box::new(stream)))
}
