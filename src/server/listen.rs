//! From the listening port to HTTP: takes TCP connections, as many as may be, and serves HTTP/1.1 and HTTP/2 on each.
//! Used instead of `axum::serve`, which sets no time limits and no bound on connections. Knows no route.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::hub::counters::Counters;
use super::limits;
use super::measure::wire_bytes::Connection;
use super::observed::{Observed, Observer};
use super::shutdown::Shutdown;

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("port {} is in use at {}; choose another with --addr", .0.port(), .0.ip())]
    InUse(SocketAddr),
    #[error("cannot listen at {0}: {1}")]
    Other(SocketAddr, io::Error),
}

/// Takes the port, with room for all the clients of a node that come back at the same moment: one that finds no room waits a
/// second and more before it knocks again.
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
    // As `TcpListener::bind` does: a port whose last connections are still ending may be taken again.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(limits::BACKLOG)
}

/// Takes connections until the shutdown begins; those that are open then go on in their own tasks.
pub async fn accept(
    listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
    max_connections: usize,
    counters: Arc<Counters>,
) {
    let places = Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)));
    let taking = async {
        loop {
            let Ok(permit) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let (stream, peer) = next_connection(&listener).await;
            let place = Place {
                counters: Arc::clone(&counters),
                _permit: permit,
            };
            shutdown.spawn(serve(
                Observed::new(stream, place),
                Some(peer),
                router.clone(),
                shutdown.clone(),
            ));
        }
    };
    tokio::select! {
        () = shutdown.begun() => {}
        () = taking => {}
    }
}

async fn next_connection(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Small answers must not wait for the acknowledgement of the one before.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!("TCP_NODELAY: {error}");
                }
                return (stream, peer);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!("cannot accept connections: {error}");
                sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Serves one connection until it ends or is upgraded. `peer` is shown to whoever asks for `ConnectInfo`.
pub async fn serve<S>(stream: S, peer: Option<SocketAddr>, router: Router, shutdown: Shutdown)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let asked = Arc::new(AtomicBool::new(false));
    let counted = Connection::default();
    let stream = Observed::new(stream, counted.clone());
    let router = TowerToHyperService::new(router);
    let service = {
        let asked = Arc::clone(&asked);
        service_fn(move |mut request: Request<Incoming>| {
            asked.store(true, Relaxed);
            request.extensions_mut().insert(counted.clone());
            if let Some(peer) = peer {
                request.extensions_mut().insert(ConnectInfo(peer));
            }
            router.call(request)
        })
    };
    let builder = builder();
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut first_request = pin!(sleep(limits::FIRST_REQUEST));
    let mut begun = pin!(shutdown.begun());
    let (mut waits, mut runs) = (true, true);
    loop {
        tokio::select! {
            biased;
            ended = &mut connection => {
                if let Err(error) = ended { tracing::debug!("connection: {error}"); }
                return;
            }
            () = &mut begun, if runs => {
                runs = false;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut first_request, if waits => {
                waits = false;
                if !asked.load(Relaxed) { return; }
            }
        }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::REQUEST_HEAD)
        .max_buf_size(limits::REQUEST_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .keep_alive_interval(limits::REQUEST_HEAD)
        .max_header_list_size(limits::REQUEST_HEAD_BYTES as u32);
    builder
}

/// A connection's place among those that may be open; its stream's bytes are counted. An upgrade takes the stream elsewhere, and
/// the place with it.
struct Place {
    counters: Arc<Counters>,
    _permit: OwnedSemaphorePermit,
}

impl Observer for Place {
    fn read(&self, count: usize) {
        self.counters.add_bytes(count as u64, 0);
    }

    fn wrote(&self, count: usize) {
        self.counters.add_bytes(0, count as u64);
    }
}
