//! Accepts TCP connections and serves HTTP/1.1 and HTTP/2 on them, with timeouts and connection limits. It replaces
//! [`axum::serve()`], which has neither.

mod accept;
mod addr;
mod address_limit;
mod server;
mod tls;
mod upgraded;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use self::accept::{AcceptedConnection, Acceptor};
use self::address_limit::AddressLimit;
use super::connection::{
    ActiveExchange, ConnectionObserver, ConnectionProgress, ConnectionState, PacedBody, WriteTimeoutStream,
};
use super::suspend_aware::{SuspendAwareSleep, SuspendAwareTimer, was_suspended};
use crate::connection::counters::DisconnectReason;
use crate::connection::observed_stream::ObservedStream;
use crate::gateway::Gateway;
use crate::limits;

use self::upgraded::HttpStream;
pub(crate) use self::upgraded::{UpgradedTcp, into_tcp};

pub use self::addr::{ListenAddr, ParseListenAddrError, ResolveError};
pub use self::server::Server;
pub use self::tls::{CertificateError, CertificateFiles, Tls};

/// Why a listening socket could not be bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket listens on the port.
    #[error("port {} is in use at {}; choose another with --addr", .0.port(), .0.ip())]
    InUse(SocketAddr),
    /// The operating system refuses for another reason.
    #[error("cannot listen on {0}: {1}")]
    Other(SocketAddr, io::Error),
    /// No address was given.
    #[error("there is no address to listen on")]
    NoAddress,
}

/// Binds the first of `addrs` that belongs to this machine. Must be called within a Tokio runtime.
///
/// # Errors
///
/// If the port is in use at one of them, or none is an address of this machine.
pub fn bind_first(addrs: &[SocketAddr]) -> Result<TcpListener, BindError> {
    let mut first_error = None;
    for addr in addrs {
        match bind(*addr) {
            Err(BindError::Other(addr, error)) => first_error = first_error.or(Some(BindError::Other(addr, error))),
            bound => return bound,
        }
    }
    Err(first_error.unwrap_or(BindError::NoAddress))
}

/// Listens on `addr`, with a backlog that is large enough for all clients of a node to reconnect at the same moment: a client outside
/// the backlog waits for a second or more. Must be called within a Tokio runtime.
///
/// # Errors
///
/// If the port is in use, or the operating system refuses.
pub fn bind(addr: SocketAddr) -> Result<TcpListener, BindError> {
    listen(addr).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(addr),
        _ => BindError::Other(addr, error),
    })
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Like `TcpListener::bind`: the port can be bound while earlier connections are in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(limits::BACKLOG)
}

/// Accepts connections until the shutdown begins; open ones continue in their own tasks. `health` answers health checks, and every
/// request on connections beyond `max_connections`.
async fn accept(listener: TcpListener, router: Router, health: Router, max_connections: usize, gateway: Gateway) {
    let (limit, counters) = (AddressLimit::new(&gateway), Arc::clone(&gateway.counters));
    let mut acceptor = match Acceptor::start(listener, health, max_connections, limit, counters) {
        Ok(acceptor) => acceptor,
        Err(error) => return tracing::error!("cannot accept connections: {error}"),
    };
    let shutdown_begun = gateway.shutdown.begun();
    tokio::pin!(shutdown_begun);
    loop {
        tokio::select! {
            () = &mut shutdown_begun => break,
            accepted = acceptor.accepted.recv() => match accepted {
                Some(accepted) => spawn_connection(accepted, &router, &gateway),
                None => return,
            },
        }
    }
    acceptor.stop();
    while let Some(accepted) = acceptor.accepted.recv().await {
        spawn_connection(accepted, &router, &gateway);
    }
}

fn spawn_connection(
    AcceptedConnection { stream, peer, permit }: AcceptedConnection,
    router: &Router,
    gateway: &Gateway,
) {
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return tracing::error!("a connection cannot be served: {error}"),
    };
    set_tcp_user_timeout(&stream);
    let (stream, router, gateway) = (ObservedStream::new(stream, permit), router.clone(), gateway.clone());
    let shutdown = gateway.shutdown.clone();
    match gateway.tls.clone() {
        None => shutdown.spawn(serve_connection(stream, Some(peer), router, gateway)),
        Some(tls) => shutdown.spawn(tls.serve_connection(stream, Some(peer), router, gateway)),
    }
}

/// Sets `TCP_USER_TIMEOUT`, which ends the connection of a peer that vanished or keeps its TCP window closed. Without support for the
/// option, the kernel's own retransmission limit applies.
fn set_tcp_user_timeout(stream: &TcpStream) {
    let limit = u32::try_from(limits::TCP_USER_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = sockopt::set_tcp_user_timeout(stream, limit) {
        tracing::debug!("TCP_USER_TIMEOUT: {error}; a vanished peer is detected late");
    }
}

/// Serves HTTP/1.1 or HTTP/2 on one stream, until it ends or is upgraded, its peer reads nothing for too long, or the shutdown has
/// begun and the last response is sent. `peer` becomes the requests' [`ConnectInfo`]. Also works for streams without a listener,
/// such as in-memory streams in tests.
pub async fn serve_connection<S>(stream: S, peer: Option<SocketAddr>, router: Router, gateway: Gateway)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let upgraded = Arc::new(AtomicBool::new(false));
    let stream = WriteTimeoutStream::new(stream, Arc::clone(&gateway.counters), Arc::clone(&upgraded));
    let share = gateway.buffers.share();
    let context = ConnectionContext {
        progress: ConnectionProgress::new(Arc::clone(&share)),
        has_request: Arc::default(),
        observer: gateway.observer_factory.as_ref().map(|new| new()),
        peer,
    };
    let stream: HttpStream<S> = ObservedStream::new(stream, context.observer.clone());
    let (router, request_context) = (TowerToHyperService::new(router), context.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let exchange = request_context.begin(&mut request);
        let split_last_byte = request.version() == Version::HTTP_2;
        let response = router.call(request);
        async move {
            let response = response.await?;
            Ok::<_, Infallible>(response.map(|body| PacedBody::new(body, exchange, split_last_byte)))
        }
    });
    let builder = builder();
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut first_request = pin!(SuspendAwareSleep::new(limits::FIRST_REQUEST_TIMEOUT));
    let (mut shutdown_begun, mut revoked) = (pin!(gateway.shutdown.begun()), pin!(share.revoked()));
    let mut checks = progress_checks();
    let (mut awaiting_first_request, mut is_accepting, mut is_closing) = (true, true, false);
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(error) = ended { tracing::debug!("connection: {error}"); }
                upgraded.store(true, Relaxed);
                return;
            }
            () = &mut shutdown_begun, if is_accepting => {
                is_accepting = false;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut first_request, if awaiting_first_request => {
                awaiting_first_request = false;
                if !context.has_request.load(Relaxed) { return; }
            }
            () = &mut revoked => return tracing::debug!("connection: closed, the node's buffers are full"),
            due = checks.tick() => match context.progress.state() {
                // The process was suspended and the peer may have read meanwhile: skip this check.
                _ if was_suspended(due) => {}
                ConnectionState::Active => {}
                ConnectionState::Stalled => {
                    gateway.counters.count_disconnect(DisconnectReason::Slow);
                    return tracing::debug!("connection: closed, the peer does not read a response");
                }
                // If the connection is still open at the next check, its peer does not read the rest.
                ConnectionState::Idle if is_closing => return,
                ConnectionState::Idle => {
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                }
            },
        }
    }
}

/// The state that all requests of a connection share.
#[derive(Clone)]
struct ConnectionContext {
    progress: Arc<ConnectionProgress>,
    /// Whether a request has arrived.
    has_request: Arc<AtomicBool>,
    observer: Option<Arc<dyn ConnectionObserver>>,
    peer: Option<SocketAddr>,
}

impl ConnectionContext {
    /// Begins an exchange, and inserts the connection's extensions into its request.
    fn begin(&self, request: &mut Request<Incoming>) -> Arc<ActiveExchange> {
        self.has_request.store(true, Relaxed);
        let exchange = self.progress.begin();
        let extensions = request.extensions_mut();
        // An upgraded stream keeps the exchange alive, so its HTTP/2 connection does not count as idle.
        extensions.insert(Arc::clone(&exchange));
        if let Some(observer) = &self.observer {
            Arc::clone(observer).insert_extensions(extensions);
        }
        if let Some(peer) = self.peer {
            extensions.insert(ConnectInfo(peer));
        }
        exchange
    }
}

fn progress_checks() -> Interval {
    let mut checks = interval_at(Instant::now() + limits::WRITE_STALL / 2, limits::WRITE_STALL / 2);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    checks
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(SuspendAwareTimer)
        .header_read_timeout(limits::REQUEST_HEAD_TIMEOUT)
        .max_buf_size(limits::REQUEST_HEAD_BYTES);
    builder
        .http2()
        .timer(SuspendAwareTimer)
        .enable_connect_protocol()
        .keep_alive_interval(limits::REQUEST_HEAD_TIMEOUT)
        .max_header_list_size(limits::REQUEST_HEAD_BYTES as u32)
        .max_concurrent_streams(limits::HTTP2_STREAMS)
        .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW)
        .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW)
        .max_send_buf_size(limits::HTTP2_SEND_BUFFER)
        .max_pending_accept_reset_streams(limits::HTTP2_PENDING_RESETS)
        .max_local_error_reset_streams(limits::HTTP2_LOCAL_RESETS);
    builder
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_connection_to_a_vanished_peer_ends() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        set_tcp_user_timeout(&stream);
        let limit = limits::TCP_USER_TIMEOUT.as_millis();
        assert_eq!(sockopt::tcp_user_timeout(&stream).map(u128::from), Ok(limit));
        assert!(limits::SSE_KEEPALIVE + limits::TCP_USER_TIMEOUT < Duration::from_secs(40));
        drop(peer);
    }
}
