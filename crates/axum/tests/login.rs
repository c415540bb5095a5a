//! Tests of cookie logins through the public API: sessions are identified by a cookie, rejected without one, and end with their
//! login on every transport.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic fails the test"
)]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use duplex_axum::error::Problem;
use duplex_axum::identity::{Caller, Identify, IdentityRequest, LoginEnd, RevocableLogin, cookie};
use duplex_axum::{Gateway, Settings, listen, middleware};
use duplex_hub::log::memory::MemoryLog;
use duplex_hub::{Hub, dyn_topic};
use duplex_protocol::code;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Epoch;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{
    COMMAND_PATH, ClientFrame, CloseReason, CommandId, EVENTS_PATH, POLL_PATH, SESSION_PATH, ServerFrame,
};
use duplex_protocol::subprotocol::Subprotocol;
use duplex_protocol::topic::TopicName;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tower::ServiceExt as _;

use self::common::{TIMEOUT, Tally};

mod common;

/// The signed-in users, by the secret in their cookie.
#[derive(Clone, Default)]
struct Logins(Arc<Mutex<HashMap<&'static str, RevocableLogin>>>);

impl Logins {
    fn sign_in(&self, secret: &'static str) {
        self.0.lock().unwrap().insert(secret, RevocableLogin::new());
    }

    fn end(&self, secret: &str, end: LoginEnd) {
        let login = self.0.lock().unwrap().remove(secret);
        login.unwrap().end(end);
    }
}

impl Identify for Logins {
    async fn identify(&self, request: IdentityRequest<'_>) -> Result<Caller, Problem> {
        let logins = self.0.lock().unwrap();
        let known = cookie(request.headers, "login").and_then(|secret| logins.get_key_value(secret));
        let (secret, login) = known.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "Sign in first."))?;
        let person = Person {
            id: PersonId(format!("person-{secret}")),
            name: (*secret).to_owned(),
        };
        Ok(Caller::visitor(person).with_login(login.clone()))
    }
}

struct App {
    logins: Logins,
    gateway: Gateway,
    router: Router,
}

impl App {
    fn new() -> Self {
        let logins = Logins::default();
        for secret in ["ann", "bob"] {
            logins.sign_in(secret);
        }
        let hub = Hub::new(Arc::new(MemoryLog::new(Epoch::new(1))), vec![dyn_topic(Tally)]);
        let gateway = Gateway::new(hub, Settings::default(), logins.clone());
        let router = middleware::protect(duplex_axum::routes(gateway.clone()), &gateway);
        Self {
            logins,
            gateway,
            router,
        }
    }

    /// Opens an in-memory connection.
    fn connect(&self) -> DuplexStream {
        let (client, server) = duplex(64 << 10);
        tokio::spawn(listen::serve_connection(
            server,
            None,
            self.router.clone(),
            self.gateway.clone(),
        ));
        client
    }

    async fn socket(&self, cookie: &str) -> Result<Socket, Box<Error>> {
        let mut request = format!("ws://localhost{SESSION_PATH}").into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("cookie", cookie.parse().unwrap());
        headers.insert(
            "sec-websocket-protocol",
            Subprotocol::JSON.subprotocol().parse().unwrap(),
        );
        let (socket, _) = within(client_async(request, self.connect())).await.map_err(Box::new)?;
        Ok(Socket(socket))
    }

    /// Opens a session and awaits its welcome.
    async fn session(&self, who: &str) -> Socket {
        let mut socket = self.socket(&format!("login={who}")).await.unwrap();
        let (build, name) = (String::new(), None);
        socket.send(&ClientFrame::Hello { build, name }).await;
        let ServerFrame::Welcome(welcome) = socket.receive().await else {
            panic!("no welcome")
        };
        assert_eq!(welcome.person.id, PersonId(format!("person-{who}")));
        socket
    }

    async fn request(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = within(self.router.clone().oneshot(request)).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Opens an event stream and reads its head.
    async fn events(&self, who: &str) -> Stream {
        let mut stream = Stream(self.connect(), String::new());
        let head = format!(
            "GET {EVENTS_PATH}?session=s-{who}&v=2&topics=tally/one HTTP/1.1\r\nhost: localhost\r\ncookie: login={who}\r\n\r\n"
        );
        stream.0.write_all(head.as_bytes()).await.unwrap();
        stream.until("\"verdict\"").await;
        assert!(stream.1.starts_with("HTTP/1.1 200 "), "{}", stream.1);
        assert!(stream.1.contains(&format!("person-{who}")), "{}", stream.1);
        stream
    }
}

struct Socket(WebSocketStream<DuplexStream>);

impl Socket {
    async fn send(&mut self, frame: &ClientFrame) {
        let bytes = Encoding::Json.encode(frame).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        within(self.0.send(Message::text(text))).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        loop {
            match within(self.0.next()).await.unwrap().unwrap() {
                Message::Ping(_) => {}
                message => return message,
            }
        }
    }

    async fn receive(&mut self) -> ServerFrame {
        Encoding::Json.decode(&self.next().await.into_data()).unwrap()
    }

    /// The reason of the closing frame, and the close code and reason that follow it.
    async fn ended(&mut self) -> (CloseReason, u16, String) {
        let ServerFrame::Closing { reason, .. } = self.receive().await else {
            panic!("no closing frame")
        };
        let Message::Close(Some(frame)) = self.next().await else {
            panic!("no close frame")
        };
        (reason, frame.code.into(), frame.reason.to_string())
    }
}

/// An open event stream, and its received text.
struct Stream(DuplexStream, String);

impl Stream {
    async fn read(&mut self) -> usize {
        let mut buf = vec![0; 4096];
        let count = within(self.0.read(&mut buf)).await.unwrap();
        self.1.push_str(str::from_utf8(&buf[..count]).unwrap());
        count
    }

    async fn until(&mut self, text: &str) {
        while !self.1.contains(text) {
            assert!(self.read().await > 0, "the stream ended without {text}: {}", self.1);
        }
    }
}

async fn within<T>(expected: impl Future<Output = T>) -> T {
    timeout(TIMEOUT, expected).await.expect("no timeout")
}

#[tokio::test]
async fn a_rejected_caller_gets_the_logins_response_on_every_transport() {
    let app = App::new();
    for cookie in ["", "login=eve", "login=ann; login=bob"] {
        let Error::Http(response) = *app.socket(cookie).await.err().unwrap() else {
            panic!("no HTTP response")
        };
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let command = ClientFrame::Command {
            topic: TopicName::of::<Tally>("one").unwrap(),
            id: CommandId::from_bits(1),
            command: EncodedValue::encode(Encoding::Json, &1).unwrap(),
        };
        let requests = [
            Request::get(format!("{EVENTS_PATH}?session=s&v=2")).body(Body::empty()),
            Request::get(format!("{POLL_PATH}?session=s&v=2&wait=0")).body(Body::empty()),
            Request::post(format!("{COMMAND_PATH}?session=s&v=2"))
                .body(Encoding::Json.encode(&command).unwrap().into()),
        ];
        for request in requests {
            let mut request = request.unwrap();
            let headers = request.headers_mut();
            headers.insert("host", "localhost".parse().unwrap());
            headers.insert("cookie", cookie.parse().unwrap());
            let (status, problem) = app.request(request).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            assert_eq!(problem["detail"], "Sign in first.");
        }
    }
}

#[tokio::test]
async fn the_end_of_a_login_ends_its_websocket_and_no_other() {
    let app = App::new();
    let (mut ann, mut bob) = (app.session("ann").await, app.session("bob").await);
    app.logins.end("ann", LoginEnd::signed_out("signed out"));
    let expected = (CloseReason::Ended, code::ENDED, "signed out".to_owned());
    assert_eq!(ann.ended().await, expected);
    assert!(app.socket("login=ann").await.is_err(), "the cookie is no longer valid");
    bob.send(&ClientFrame::Ping { nonce: 7 }).await;
    assert_eq!(bob.receive().await, ServerFrame::Pong { nonce: 7 });
}

#[tokio::test]
async fn a_ban_closes_with_its_own_code() {
    let app = App::new();
    let mut ann = app.session("ann").await;
    app.logins.end("ann", LoginEnd::banned());
    let (closing, code, _) = ann.ended().await;
    assert_eq!((closing, code), (CloseReason::Banned, code::BANNED));
}

#[tokio::test]
async fn the_end_of_a_login_ends_its_event_stream_and_no_other() {
    let app = App::new();
    let (mut ann, mut bob) = (app.events("ann").await, app.events("bob").await);
    app.logins.end("ann", LoginEnd::signed_out("signed out"));
    ann.until(r#"{"closing":{"reason":"ended""#).await;
    ann.until("\r\n0\r\n\r\n").await;
    let command = ClientFrame::Command {
        topic: TopicName::of::<Tally>("one").unwrap(),
        id: CommandId::from_bits(1),
        command: EncodedValue::encode(Encoding::Json, &3).unwrap(),
    };
    let request = Request::post(format!("{COMMAND_PATH}?session=s-bob&v=2"))
        .header("host", "localhost")
        .header("cookie", "login=bob")
        .body(Encoding::Json.encode(&command).unwrap().into());
    let (status, reply) = app.request(request.unwrap()).await;
    assert_eq!(
        (status, &reply["reply"]["answer"]["accepted"]["seq"]),
        (StatusCode::OK, &1.into())
    );
    bob.until("\"event\"").await;
}

#[tokio::test]
async fn a_waiting_poll_is_answered_when_its_login_ends() {
    let app = App::new();
    let poll = |wait: &str| {
        let path = format!("{POLL_PATH}?session=s-ann&v=2{wait}");
        let request = Request::get(path)
            .header("host", "localhost")
            .header("cookie", "login=ann");
        app.request(request.body(Body::empty()).unwrap())
    };
    let (status, frames) = poll("&wait=0").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(frames[0]["welcome"]["person"]["id"], "person-ann");
    let waiting = poll("");
    let ending = async {
        while app.gateway.counters.snapshot().connections == 0 {
            tokio::task::yield_now().await;
        }
        app.logins.end("ann", LoginEnd::signed_out("signed out"));
    };
    let ((status, frames), ()) = tokio::join!(waiting, ending);
    assert_eq!(
        (status, &frames[0]["closing"]["reason"]),
        (StatusCode::OK, &"ended".into())
    );
    let (status, _) = poll("").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}
