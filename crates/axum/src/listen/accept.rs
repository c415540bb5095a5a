//! The accept loop, on a thread of its own. It answers health checks itself, even if all other threads are busy or the connection
//! limit is reached. All other connections go to the server.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::address_limit::AddressLimit;
use crate::connection::counters::Counters;
use crate::connection::observed_stream::{ByteObserver, ObservedStream};
use crate::limits;
use crate::suspend_aware;
use duplex_hub::quota::LogThrottle;
use duplex_hub::quota::QuotaGuard;

/// Request-line prefixes that identify a health check.
const HEALTH_REQUESTS: [&[u8]; 4] = [b"GET /healthz", b"GET /readyz", b"HEAD /healthz", b"HEAD /readyz"];

/// Bytes that are enough to recognise a health check.
const FIRST_BYTES: usize = 16;

/// A connection whose client has sent its first bytes; they are still unread.
pub(super) struct AcceptedConnection {
    pub stream: std::net::TcpStream,
    pub peer: SocketAddr,
    pub permit: TcpConnectionPermit,
}

/// The permits that a TCP connection holds; empty beyond the limits. It also counts the stream's bytes, so it is kept for as long
/// as the stream, across upgrades. A [`ConnectionGuard`](crate::connection::counters::ConnectionGuard), in contrast, counts a
/// WebSocket, event stream or poll.
pub(crate) struct TcpConnectionPermit {
    counters: Arc<Counters>,
    _node_permit: Option<OwnedSemaphorePermit>,
    /// Counts the connection towards its address's quota.
    _address_quota: Option<QuotaGuard>,
}

impl ByteObserver for TcpConnectionPermit {
    fn on_read(&self, bytes: &[u8]) {
        let count = bytes.len();
        self.counters.count_bytes(count as u64, 0);
    }

    fn on_written(&self, count: usize) {
        self.counters.count_bytes(0, count as u64);
    }
}

/// A handle to the running accept loop, which stops when the handle is dropped.
pub(super) struct Acceptor {
    pub accepted: mpsc::Receiver<AcceptedConnection>,
    stop_on_drop: Option<DropGuard>,
}

impl Acceptor {
    /// Starts the thread. `health` answers health checks, and every request on a connection beyond `max_connections` or its address's
    /// limit.
    pub(super) fn start(
        listener: TcpListener,
        health: Router,
        max_connections: usize,
        limit: AddressLimit,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let listener = listener.into_std()?;
        let (queue, accepted) = mpsc::channel(limits::ACCEPT_QUEUE);
        let stop = CancellationToken::new();
        let accept_loop = AcceptLoop {
            permits: Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS))),
            limit,
            counters,
            health,
            queue,
            over_limit: VecDeque::new(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stopped = stop.clone();
        thread::Builder::new().name("accept".to_owned()).spawn(move || {
            let serving = stopped.run_until_cancelled(accept_loop.run(listener));
            runtime.block_on(serving);
        })?;
        Ok(Self {
            accepted,
            stop_on_drop: Some(stop.drop_guard()),
        })
    }

    /// Stops accepting. The port is closed when `accepted` ends.
    pub(super) fn stop(&mut self) {
        self.stop_on_drop = None;
    }
}

struct AcceptLoop {
    permits: Arc<Semaphore>,
    limit: AddressLimit,
    counters: Arc<Counters>,
    health: Router,
    queue: mpsc::Sender<AcceptedConnection>,
    /// Connections beyond the limits, oldest first. When full, the oldest is aborted; a health check would have been answered long
    /// before.
    over_limit: VecDeque<AbortHandle>,
}

impl AcceptLoop {
    async fn run(mut self, listener: std::net::TcpListener) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!("cannot accept connections: {error}"),
        };
        loop {
            let (stream, peer) = next_connection(&listener).await;
            // Take the permit before the first bytes arrive, so that silent connections count towards the limit, too.
            let address_quota = self.limit.try_acquire(peer);
            let node_permit = address_quota
                .as_ref()
                .and(Arc::clone(&self.permits).try_acquire_owned().ok());
            let over_limit = node_permit.is_none();
            let permit = TcpConnectionPermit {
                counters: Arc::clone(&self.counters),
                _node_permit: node_permit,
                _address_quota: address_quota,
            };
            if over_limit {
                self.answer_over_limit(stream, permit);
            } else {
                tokio::spawn(dispatch(stream, peer, permit, self.health.clone(), self.queue.clone()));
            }
        }
    }

    fn answer_over_limit(&mut self, stream: TcpStream, permit: TcpConnectionPermit) {
        if self.over_limit.len() >= limits::HEALTH_CONNECTIONS
            && let Some(oldest) = self.over_limit.pop_front()
        {
            oldest.abort();
        }
        let serving = tokio::spawn(answer_health(stream, permit, self.health.clone()));
        self.over_limit.push_back(serving.abort_handle());
    }
}

async fn dispatch(
    stream: TcpStream,
    peer: SocketAddr,
    permit: TcpConnectionPermit,
    health: Router,
    queue: mpsc::Sender<AcceptedConnection>,
) {
    let mut first = [0; FIRST_BYTES];
    let Some(Ok(count @ 1..)) = suspend_aware::timeout(limits::FIRST_REQUEST_TIMEOUT, stream.peek(&mut first)).await
    else {
        return;
    };
    if HEALTH_REQUESTS.iter().any(|check| first[..count].starts_with(check)) {
        return answer_health(stream, permit, health).await;
    }
    match stream.into_std() {
        Ok(stream) => {
            // The receiver is gone if the node is shutting down.
            let _ = queue.send(AcceptedConnection { stream, peer, permit }).await;
        }
        Err(error) => tracing::debug!("connection: {error}"),
    }
}

/// Answers one request within [`limits::HEALTH_TIMEOUT`].
async fn answer_health(stream: TcpStream, permit: TcpConnectionPermit, health: Router) {
    let stream = ObservedStream::new(stream, permit);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEALTH_TIMEOUT)
        .max_buf_size(limits::HEALTH_HEAD_BYTES)
        .keep_alive(false);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(health));
    if let Ok(Err(error)) = timeout(limits::HEALTH_TIMEOUT, connection).await {
        tracing::debug!("health check: {error}");
    }
}

async fn next_connection(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    static FAILURES: LogThrottle = LogThrottle::new(limits::LOG_THROTTLE_PAUSE);

    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Small writes must not wait for the acknowledgement of the previous one (Nagle's algorithm).
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!("TCP_NODELAY: {error}");
                }
                return (stream, peer);
            }
            Err(error) if is_connection_error(&error) => {}
            Err(error) => {
                if let Some(suppressed) = FAILURES.try_log() {
                    tracing::error!(suppressed, "cannot accept connections: {error}");
                }
                sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
