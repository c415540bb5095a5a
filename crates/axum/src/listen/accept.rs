//! The accept loop, on a thread of its own. Health checks are answered here, so a supervisor gets its answer however busy the other
//! threads are and however many connections are open; every other connection is handed over.

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
use crate::awake;
use crate::connection::counters::Counters;
use crate::connection::observed_stream::{ByteObserver, ObservedStream};
use crate::limits;
use duplex_hub::quota::LogThrottle;
use duplex_hub::quota::QuotaGuard;

/// The first bytes of health checks.
const HEALTH: [&[u8]; 4] = [b"GET /healthz", b"GET /readyz", b"HEAD /healthz", b"HEAD /readyz"];

/// Bytes that tell a health check from other requests.
const FIRST_BYTES: usize = 16;

/// A connection whose client has sent its first bytes, which are still unread.
pub(super) struct AcceptedConnection {
    pub stream: std::net::TcpStream,
    pub peer: SocketAddr,
    pub place: ConnectionPlace,
}

/// A connection's place within the limits, if it has one. It observes the stream, so it lives as long as the stream does, across
/// upgrades, and counts the stream's bytes.
pub(super) struct ConnectionPlace {
    counters: Arc<Counters>,
    _permit: Option<OwnedSemaphorePermit>,
    /// The place among those of its address.
    _held: Option<QuotaGuard>,
}

impl ByteObserver for ConnectionPlace {
    fn on_read(&self, bytes: &[u8]) {
        let count = bytes.len();
        self.counters.count_bytes(count as u64, 0);
    }

    fn on_written(&self, count: usize) {
        self.counters.count_bytes(0, count as u64);
    }
}

/// The running accept loop. It stops when this is dropped.
pub(super) struct Acceptor {
    pub accepted: mpsc::Receiver<AcceptedConnection>,
    running: Option<DropGuard>,
}

impl Acceptor {
    /// Starts the thread. `health` answers health checks, and every request on a connection beyond `max_connections` or beyond its
    /// address's limit.
    pub(super) fn start(
        listener: TcpListener,
        health: Router,
        max_connections: usize,
        limit: AddressLimit,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let listener = listener.into_std()?;
        let (arrived, accepted) = mpsc::channel(limits::ARRIVALS);
        let stop = CancellationToken::new();
        let accept_loop = AcceptLoop {
            places: Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS))),
            limit,
            counters,
            health,
            arrived,
            beyond: VecDeque::new(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let stopped = stop.clone();
        thread::Builder::new().name("accept".to_owned()).spawn(move || {
            let serving = stopped.run_until_cancelled(accept_loop.take_all(listener));
            runtime.block_on(serving);
        })?;
        Ok(Self {
            accepted,
            running: Some(stop.drop_guard()),
        })
    }

    /// Stops accepting. The port is closed once `accepted` has ended.
    pub(super) fn stop(&mut self) {
        self.running = None;
    }
}

struct AcceptLoop {
    places: Arc<Semaphore>,
    limit: AddressLimit,
    counters: Arc<Counters>,
    health: Router,
    arrived: mpsc::Sender<AcceptedConnection>,
    /// Connections without a place, oldest first. One too many aborts the oldest: a health check among them was answered at once.
    beyond: VecDeque<AbortHandle>,
}

impl AcceptLoop {
    async fn take_all(mut self, listener: std::net::TcpListener) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!("cannot accept connections: {error}"),
        };
        loop {
            let (stream, peer) = next_connection(&listener).await;
            // Counted before its first bytes: a silent connection takes a place at the least cost.
            let held = self.limit.admit(peer);
            let permit = held.as_ref().and(Arc::clone(&self.places).try_acquire_owned().ok());
            let is_beyond = permit.is_none();
            let place = ConnectionPlace {
                counters: Arc::clone(&self.counters),
                _permit: permit,
                _held: held,
            };
            if is_beyond {
                self.receive_beyond(stream, place);
            } else {
                tokio::spawn(receive(stream, peer, place, self.health.clone(), self.arrived.clone()));
            }
        }
    }

    fn receive_beyond(&mut self, stream: TcpStream, place: ConnectionPlace) {
        if self.beyond.len() >= limits::HEALTH_CONNECTIONS
            && let Some(oldest) = self.beyond.pop_front()
        {
            oldest.abort();
        }
        let serving = tokio::spawn(answer_health(stream, place, self.health.clone()));
        self.beyond.push_back(serving.abort_handle());
    }
}

async fn receive(
    stream: TcpStream,
    peer: SocketAddr,
    place: ConnectionPlace,
    health: Router,
    arrived: mpsc::Sender<AcceptedConnection>,
) {
    let mut first = [0; FIRST_BYTES];
    let Some(Ok(count @ 1..)) = awake::timeout(limits::FIRST_REQUEST, stream.peek(&mut first)).await else {
        return;
    };
    if HEALTH.iter().any(|check| first[..count].starts_with(check)) {
        return answer_health(stream, place, health).await;
    }
    match stream.into_std() {
        Ok(stream) => {
            // The receiver is gone if the node is shutting down.
            let _ = arrived.send(AcceptedConnection { stream, peer, place }).await;
        }
        Err(error) => tracing::debug!("connection: {error}"),
    }
}

/// Answers one request within [`limits::HEALTH_WAIT`].
async fn answer_health(stream: TcpStream, place: ConnectionPlace, health: Router) {
    let stream = ObservedStream::new(stream, place);
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEALTH_WAIT)
        .max_buf_size(limits::HEALTH_HEAD_BYTES)
        .keep_alive(false);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(health));
    if let Ok(Err(error)) = timeout(limits::HEALTH_WAIT, connection).await {
        tracing::debug!("health check: {error}");
    }
}

async fn next_connection(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    static FAILURES: LogThrottle = LogThrottle::new(limits::REFUSALS_LOGGED);

    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Small writes must not wait for the acknowledgement of the previous one (Nagle's algorithm).
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!("TCP_NODELAY: {error}");
                }
                return (stream, peer);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if let Some(unlogged) = FAILURES.due() {
                    tracing::error!(unlogged, "cannot accept connections: {error}");
                }
                sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
