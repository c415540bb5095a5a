//! A node for a test: over TCP on a free port as in life, or in memory, where the test owns the clock.
//! Waits only for what is expected, and never longer than [`PATIENCE`].

pub mod broker;
pub mod kinds;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod tls;
pub mod topics;

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
use duplex::server::vitals::Report;
use duplex::server::{router, run, site};
use duplex_axum::listen;
use duplex_hub::log::Log;
use duplex_hub::log::memory::Memory;
use duplex_hub::{DynTopic, Hub};
use duplex_protocol::cursor::Epoch;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response as Opened;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tower::ServiceExt as _;

/// For what takes milliseconds on an idle machine, on a busy one.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes that fit into an in-memory connection in each direction.
pub const PIPE: usize = 64 << 10;

pub const SOCKET: &str = "/api/socket";
pub const ECHO: &str = "/api/echo";

/// Held while a node's routes are listed: see [`routes`]. Tests make nodes all the time, while others render pages; a server
/// lists its routes once, before it serves.
pub static ROUTES: RwLock<()> = RwLock::new(());

/// All routes of a node. Listing them renders the app in a mode of the whole process, in which a page that waits for a topic
/// never ends.
pub fn routes(state: &ServerState) -> Router {
    let _alone = ROUTES.write().unwrap_or_else(PoisonError::into_inner);
    router(state.clone())
}

pub struct Node {
    pub state: ServerState,
    pub router: Router,
}

impl Node {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::at(Path::new("/nonexistent"), change)
    }

    /// With a front end in the folder `site`.
    pub fn at(site: &Path, change: impl FnOnce(&mut Settings)) -> Self {
        Self::of(kinds::all(), site, change)
    }

    /// With other kinds of topics, such as the applications' own.
    pub fn of(kinds: Vec<Box<dyn DynTopic>>, site: &Path, change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_hub(Hub::new(Arc::new(Memory::new(Epoch::new(7))), kinds), site, change)
    }

    /// With the applications' topics.
    pub fn of_apps(change: impl FnOnce(&mut Settings)) -> Self {
        Self::of(Apps::default().kinds(), Path::new("/nonexistent"), change)
    }

    /// Without limits, unless the test is about them.
    pub fn with_hub(hub: Hub, site: &Path, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            limits: false,
            ..Settings::default()
        };
        change(&mut settings);
        let apps = Arc::new(Apps::default());
        let stages = apps.stages(&Options::default());
        let state = ServerState::new(settings, site::options(site, None, None), hub, apps).with_stages(stages);
        Self {
            router: routes(&state),
            state,
        }
    }

    /// With a log of the test's own.
    pub fn on(log: Arc<dyn Log>, kinds: Vec<Box<dyn DynTopic>>) -> Self {
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
    pub async fn listen(&self) -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serving = {
            let _alone = ROUTES.write().unwrap_or_else(PoisonError::into_inner);
            run(listener, self.state.clone())
        };
        Listening {
            addr,
            running: tokio::spawn(serving),
        }
    }

    /// A connection in memory.
    pub fn connect(&self) -> DuplexStream {
        self.connected(None)
    }

    /// As from this address.
    pub fn connect_from(&self, address: IpAddr) -> DuplexStream {
        self.connected(Some(SocketAddr::new(address, 40_000)))
    }

    fn connected(&self, peer: Option<SocketAddr>) -> DuplexStream {
        let (client, server) = duplex(PIPE);
        tokio::spawn(listen::serve_connection(
            server,
            peer,
            self.router.clone(),
            self.state.gateway.clone(),
        ));
        client
    }

    /// A WebSocket in memory.
    pub async fn socket(&self, path: &str) -> Client<DuplexStream> {
        open(self.connect(), path, &[]).await.unwrap().0
    }

    /// For `localhost`, if the request names no host.
    pub async fn request(&self, mut request: Request<Body>) -> Answer {
        let host = HeaderValue::from_static("localhost");
        request.headers_mut().entry("host").or_insert(host);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// What may be a page that shows topics, never while another test's routes are listed: see [`ROUTES`].
    #[expect(clippy::await_holding_lock, reason = "who lists routes waits for no page")]
    pub async fn page(&self, request: Request<Body>) -> Answer {
        let _not_meanwhile = ROUTES.read().unwrap_or_else(PoisonError::into_inner);
        within(self.request(request)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.page(
            Request::get(path)
                .header("host", "localhost")
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    pub async fn vitals(&self) -> Report {
        serde_json::from_str(&self.get("/api/vitals").await.body).unwrap()
    }

    /// Waits until this many connections are open.
    pub async fn until_open(&self, count: u64) {
        until(async || self.vitals().await.vitals.connections == count).await;
    }
}

pub struct Listening {
    pub addr: SocketAddr,
    pub running: JoinHandle<()>,
}

impl Listening {
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    pub async fn socket(&self, path: &str) -> Client<TcpStream> {
        open(self.connect().await, path, &[]).await.unwrap().0
    }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The detail of a problem, whose other members are checked on the way.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.body);
        let problem: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["title"], self.status.canonical_reason().unwrap());
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// A WebSocket peer; each wait of it is bounded.
pub struct Client<S>(pub WebSocketStream<S>);

pub type Headers<'a> = &'a [(&'static str, &'a str)];

/// Opens a WebSocket over `stream`; the host is `localhost`.
pub async fn open<S>(stream: S, path: &str, headers: Headers<'_>) -> Result<(Client<S>, Opened), Box<Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = format!("ws://localhost{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (socket, response) = within(client_async(request, stream)).await.map_err(Box::new)?;
    Ok((Client(socket), response))
}

/// What a handshake was answered that opened nothing.
pub fn refusal(error: Error) -> axum::http::Response<Option<Vec<u8>>> {
    match error {
        Error::Http(response) => *response,
        error => panic!("{error} is no answer"),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub async fn send(&mut self, message: impl Into<Message>) {
        within(self.0.send(message.into())).await.unwrap();
    }

    /// The next message that is not the server's ping.
    pub async fn receive(&mut self) -> Message {
        loop {
            match within(self.0.next()).await.unwrap().unwrap() {
                Message::Ping(_) => {}
                message => return message,
            }
        }
    }

    pub async fn ask(&mut self, message: impl Into<Message>) -> Message {
        self.send(message).await;
        self.receive().await
    }

    pub async fn close(&mut self, frame: Option<CloseFrame>) {
        within(self.0.close(frame)).await.unwrap();
    }

    /// The close frame that comes next, and then the end of the connection itself.
    pub async fn closed(&mut self) -> Option<(u16, String)> {
        let Message::Close(frame) = self.receive().await else {
            panic!("a message after the last")
        };
        assert!(within(self.0.next()).await.is_none(), "the server hangs up");
        frame.map(|frame| (frame.code.into(), frame.reason.to_string()))
    }
}

pub fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame {
        code: code.into(),
        reason: reason.to_owned().into(),
    }
}

/// Waits for something that must come.
pub async fn within<T>(expected: impl Future<Output = T>) -> T {
    timeout(PATIENCE, expected)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain"))
}

/// Waits until something is so.
pub async fn until(so: impl AsyncFn() -> bool) {
    within(async {
        while !so().await {
            yield_now().await;
        }
    })
    .await;
}
