//! Takes the layers that HTTP needs off an upgraded TCP connection.

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::{self, Parts};
use std::sync::Arc;
use tokio::net::TcpStream;

use super::accept::TcpConnectionPermit;
use crate::connection::observed_stream::ObservedStream;
use crate::connection::{ConnectionObserver, WriteTimeoutStream};

/// A TCP connection whose bytes are counted.
pub(super) type TcpConnection = ObservedStream<TcpStream, TcpConnectionPermit>;

/// A stream under HTTP.
pub(super) type HttpStream<S> = ObservedStream<WriteTimeoutStream<S>, Option<Arc<dyn ConnectionObserver>>>;

/// An upgraded TCP connection.
pub(crate) type UpgradedTcp = ObservedStream<TcpConnection, Option<Arc<dyn ConnectionObserver>>>;

/// The TCP connection of an upgraded HTTP/1.1 connection without TLS, and the bytes of the new protocol that were read with the
/// request. The time limit of HTTP's writes no longer applies.
///
/// # Errors
///
/// Any other stream, unchanged.
pub(crate) fn into_tcp(upgraded: Upgraded) -> Result<(UpgradedTcp, Bytes), Upgraded> {
    let Parts { io, read_buf, .. } = upgrade::downcast::<TokioIo<HttpStream<TcpConnection>>>(upgraded)?;
    let (limited, observer) = io.into_inner().into_parts();
    Ok((ObservedStream::new(limited.into_inner(), observer), read_buf))
}
