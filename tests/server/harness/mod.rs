//! A node for tests, over TCP on a free port or over in-memory connections, with which a test can pause the clock.
//! Every wait is bounded by [`TIMEOUT`].

pub mod broker;
pub mod kinds;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod tls;
pub mod visitor;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use duplex::apps::server::{Apps, Options};
use duplex::server::state::{ServerState, Settings};
use duplex::server::vitals::VitalsReport;
use duplex::server::{router, run, site};
use duplex_axum::listen;
use duplex_hub::log::Log;
use duplex_hub::log::memory::MemoryLog;
use duplex_hub::{DynTopic, Hub};
use duplex_protocol::cursor::Epoch;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response as HandshakeResponse;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tower::ServiceExt as _;

/// Bounds every wait. An operation that takes milliseconds on an idle machine may take seconds on a busy one.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Capacity of an in-memory connection in each direction, in bytes.
pub const PIPE_CAPACITY: usize = 64 << 10;

pub const SOCKET_PATH: &str = "/api/socket";
pub const ECHO_PATH: &str = "/api/echo";

/// Write-locked while a node's routes are listed: see [`routes`]. A server lists its routes once, before it serves; tests
/// create nodes while other tests render pages.
pub static ROUTE_LIST_LOCK: RwLock<()> = RwLock::new(());

/// All routes of a node. Listing them renders the app in a process-wide mode in which a page that waits for a topic never
/// completes.
pub fn routes(state: &ServerState) -> Router {
    let _guard = ROUTE_LIST_LOCK.write().unwrap_or_else(PoisonError::into_inner);
    router(state.clone())
}

pub struct Node {
    pub state: ServerState,
    pub router: Router,
}

impl Node {
    pub fn new() -> Self {
        Self::with_settings(|_| {})
    }

    pub fn with_settings(change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_site(Path::new("/nonexistent"), change)
    }

    /// A node that serves the site in `site`.
    pub fn with_site(site: &Path, change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_kinds(kinds::all(), site, change)
    }

    /// A node with other kinds of topics than [`kinds::all`].
    pub fn with_kinds(kinds: Vec<Box<dyn DynTopic>>, site: &Path, change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_hub(Hub::new(Arc::new(MemoryLog::new(Epoch::new(7))), kinds), site, change)
    }

    /// A node with the applications' topics.
    pub fn with_apps(change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_kinds(Apps::default().kinds(), Path::new("/nonexistent"), change)
    }

    /// A node with this hub. Limits are off unless `change` enables them.
    pub fn with_hub(hub: Hub, site: &Path, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            limits: false,
            ..Settings::default()
        };
        change(&mut settings);
        let apps = Arc::new(Apps::default());
        let simulations = apps.simulations(&Options::default());
        let state =
            ServerState::new(settings, site::options(site, None, None), hub, apps).with_simulations(simulations);
        Self {
            router: routes(&state),
            state,
        }
    }

    /// A node with this log.
    pub fn with_log(log: Arc<dyn Log>, kinds: Vec<Box<dyn DynTopic>>) -> Self {
        let site = Path::new("/nonexistent");
        let state = ServerState::new(
            Settings::default(),
            site::options(site, None, None),
            Hub::new(log, kinds),
            Arc::default(),
        );
        Self {
            router: routes(&state),
            state,
        }
    }

    /// Serves on a free port.
    pub async fn listen(&self) -> ListeningNode {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serving = {
            let _guard = ROUTE_LIST_LOCK.write().unwrap_or_else(PoisonError::into_inner);
            run(listener, self.state.clone())
        };
        ListeningNode {
            addr,
            task: tokio::spawn(serving),
        }
    }

    /// The status of a WebSocket handshake at `path`; 101 if it succeeds.
    pub async fn handshake_status(&self, path: &str, headers: Headers<'_>) -> u16 {
        match open(self.connect(), path, headers).await {
            Ok((_, response)) => response.status().as_u16(),
            Err(error) => match *error {
                Error::Http(response) => response.status().as_u16(),
                other => panic!("{path}: {other}"),
            },
        }
    }

    /// An in-memory connection.
    pub fn connect(&self) -> DuplexStream {
        self.connect_as(None)
    }

    /// An in-memory connection from this address.
    pub fn connect_from(&self, address: IpAddr) -> DuplexStream {
        self.connect_as(Some(SocketAddr::new(address, 40_000)))
    }

    fn connect_as(&self, peer: Option<SocketAddr>) -> DuplexStream {
        let (client, server) = duplex(PIPE_CAPACITY);
        tokio::spawn(listen::serve_connection(
            server,
            peer,
            self.router.clone(),
            self.state.gateway.clone(),
        ));
        client
    }

    /// A WebSocket over an in-memory connection.
    pub async fn websocket(&self, path: &str) -> WebSocketClient<DuplexStream> {
        open(self.connect(), path, &[]).await.unwrap().0
    }

    /// Sends a request to the router; its `Host` defaults to `localhost`.
    pub async fn request(&self, mut request: Request<Body>) -> Response {
        let host = HeaderValue::from_static("localhost");
        request.headers_mut().entry("host").or_insert(host);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Response {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// A request that may render a page. It does not run while another test lists routes: see [`ROUTE_LIST_LOCK`].
    #[expect(clippy::await_holding_lock, reason = "listing routes waits for no page")]
    pub async fn page(&self, request: Request<Body>) -> Response {
        let _guard = ROUTE_LIST_LOCK.read().unwrap_or_else(PoisonError::into_inner);
        with_timeout(self.request(request)).await
    }

    pub async fn get(&self, path: &str) -> Response {
        self.page(
            Request::get(path)
                .header("host", "localhost")
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    pub async fn vitals(&self) -> VitalsReport {
        serde_json::from_str(&self.get("/api/vitals").await.body).unwrap()
    }

    /// Waits until `count` connections are open.
    pub async fn wait_for_connections(&self, count: u64) {
        wait_until(async || self.vitals().await.vitals.connections == count).await;
    }
}

pub struct ListeningNode {
    pub addr: SocketAddr,
    pub task: JoinHandle<()>,
}

impl ListeningNode {
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    pub async fn websocket(&self, path: &str) -> WebSocketClient<TcpStream> {
        open(self.connect().await, path, &[]).await.unwrap().0
    }
}

pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Response {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The `detail` of a problem document (RFC 9457); checks its other members.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.body);
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["title"], self.status.canonical_reason().unwrap());
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// A WebSocket client; every wait is bounded by [`TIMEOUT`].
pub struct WebSocketClient<S>(pub WebSocketStream<S>);

pub type Headers<'a> = &'a [(&'static str, &'a str)];

/// Opens a WebSocket over `stream`; the host is `localhost`.
pub async fn open<S>(
    stream: S,
    path: &str,
    headers: Headers<'_>,
) -> Result<(WebSocketClient<S>, HandshakeResponse), Box<Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = format!("ws://localhost{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (socket, response) = with_timeout(client_async(request, stream)).await.map_err(Box::new)?;
    Ok((WebSocketClient(socket), response))
}

/// The HTTP response to a rejected handshake.
pub fn rejected_response(error: Error) -> axum::http::Response<Option<Vec<u8>>> {
    match error {
        Error::Http(response) => *response,
        error => panic!("not an HTTP response: {error}"),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketClient<S> {
    pub async fn send(&mut self, message: impl Into<Message>) {
        with_timeout(self.0.send(message.into())).await.unwrap();
    }

    /// The next message other than the server's pings.
    pub async fn receive(&mut self) -> Message {
        loop {
            match with_timeout(self.0.next()).await.unwrap().unwrap() {
                Message::Ping(_) => {}
                message => return message,
            }
        }
    }

    pub async fn send_and_receive(&mut self, message: impl Into<Message>) -> Message {
        self.send(message).await;
        self.receive().await
    }

    pub async fn close(&mut self, frame: Option<CloseFrame>) {
        with_timeout(self.0.close(frame)).await.unwrap();
    }

    /// Reads the close frame and the end of the connection that must come next.
    pub async fn expect_close(&mut self) -> Option<(u16, String)> {
        let Message::Close(frame) = self.receive().await else {
            panic!("expected a close frame")
        };
        assert!(
            with_timeout(self.0.next()).await.is_none(),
            "the server did not close the connection"
        );
        frame.map(|frame| (frame.code.into(), frame.reason.to_string()))
    }
}

pub fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame {
        code: code.into(),
        reason: reason.to_owned().into(),
    }
}

/// Waits for a future for at most [`TIMEOUT`].
pub async fn with_timeout<T>(future: impl Future<Output = T>) -> T {
    timeout(TIMEOUT, future)
        .await
        .unwrap_or_else(|_| panic!("timed out after {TIMEOUT:?}"))
}

/// Waits until a condition holds.
pub async fn wait_until(condition: impl AsyncFn() -> bool) {
    with_timeout(async {
        while !condition().await {
            yield_now().await;
        }
    })
    .await;
}
