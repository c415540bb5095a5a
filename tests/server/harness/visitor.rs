//! A test client for topics over any transport.

use std::collections::{BTreeMap, VecDeque};

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::presence::Presence;
use duplex_protocol::session::{
    Answer, COMMAND_PATH, ClientFrame, CommandId, EVENTS_PATH, POLL_PATH, SESSION_PATH, ServerFrame, Verdict,
};
use duplex_protocol::topic::{Topic, TopicName};
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::Message;
use tower::ServiceExt as _;

use super::{Node, WebSocketClient, open, with_timeout};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    WebSocket(Encoding),
    Sse,
    Poll,
}

impl Transport {
    pub const ALL: [Self; 4] = [
        Self::WebSocket(Encoding::Json),
        Self::WebSocket(Encoding::Postcard),
        Self::Sse,
        Self::Poll,
    ];
}

/// One browser tab's session: it tracks a cursor per topic and panics if an event is out of order.
pub struct Visitor<'a> {
    node: &'a Node,
    transport: Transport,
    /// The secret of the `visitor` cookie, which identifies the visitor.
    secret: String,
    /// The value of the `authorization` header.
    authorization: Option<String>,
    /// Additional cookies.
    cookies: String,
    session: String,
    socket: Option<WebSocketClient<DuplexStream>>,
    stream: Option<(BodyDataStream, String)>,
    /// Whether a poll was sent: only the first one asks for an immediate response.
    polled: bool,
    received: VecDeque<ServerFrame>,
    pub cursors: BTreeMap<TopicName, Option<Cursor>>,
    last_command_id: u128,
}

impl<'a> Visitor<'a> {
    pub async fn new(node: &'a Node, transport: Transport) -> Self {
        let random = uuid::Uuid::new_v4();
        Self {
            node,
            transport,
            secret: random.simple().to_string(),
            authorization: None,
            cookies: String::new(),
            session: format!("s-{random}"),
            socket: None,
            stream: None,
            polled: false,
            received: VecDeque::new(),
            cursors: BTreeMap::new(),
            last_command_id: random.as_u128(),
        }
    }

    /// Uses the visitor cookie of another client, as returned by [`Self::cookie`].
    pub fn with_visitor_cookie(mut self, cookie: &str) -> Self {
        let secret = cookie
            .strip_prefix("visitor=")
            .and_then(|cookie| cookie.split(';').next());
        secret.unwrap().clone_into(&mut self.secret);
        self
    }

    /// The same visitor over another transport.
    pub fn with_transport(mut self, transport: Transport) -> Self {
        self.disconnect();
        Self { transport, ..self }
    }

    /// The same visitor at another node.
    pub fn at_node(self, node: &'a Node) -> Self {
        Self {
            node,
            socket: None,
            stream: None,
            ..self
        }
    }

    pub fn encoding(&self) -> Encoding {
        match self.transport {
            Transport::WebSocket(encoding) => encoding,
            Transport::Sse | Transport::Poll => Encoding::Json,
        }
    }

    /// Sends this token with each request.
    pub fn with_token(mut self, token: &str) -> Self {
        self.authorization = Some(format!("Bearer {token}"));
        self
    }

    /// Sends another cookie with each request, such as `operator=…`.
    pub fn with_cookie(mut self, cookie: &str) -> Self {
        self.cookies = format!("; {cookie}");
        self
    }

    pub fn cookie(&self) -> String {
        format!("visitor={}{}", self.secret, self.cookies)
    }

    fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("cookie", self.cookie());
        match &self.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }

    /// Subscribes, and waits for the verdict.
    pub async fn subscribe(&mut self, topic: &str, cursor: Option<Cursor>) -> Verdict {
        let topic: TopicName = topic.parse().unwrap();
        self.cursors.insert(topic.clone(), cursor);
        match self.transport {
            Transport::WebSocket(_) => {
                self.send(&ClientFrame::Subscribe {
                    topic: topic.clone(),
                    cursor,
                })
                .await
            }
            Transport::Sse => self.stream = None,
            Transport::Poll => self.polled = false,
        }
        loop {
            if let ServerFrame::Verdict {
                topic: verdict_topic,
                verdict,
            } = self.next_frame().await
                && verdict_topic == topic
            {
                return verdict;
            }
        }
    }

    /// Waits for the next event of `T`; its seq must follow the last one.
    pub async fn next_event<T: Topic>(&mut self) -> (Seq, T::Event) {
        loop {
            if let ServerFrame::Event { topic, seq, event, .. } = self.next_frame().await
                && topic.kind() == T::KIND
            {
                return (seq, event.decode(self.encoding()).unwrap());
            }
        }
    }

    /// Waits for a presence that matches `condition`.
    pub async fn wait_for_presence(&mut self, condition: impl Fn(&Presence) -> bool) -> Presence {
        loop {
            if let ServerFrame::Presence { presence, .. } = self.next_frame().await
                && condition(&presence)
            {
                return presence;
            }
        }
    }

    pub async fn command<C: Serialize>(&mut self, topic: &str, command: &C) -> Answer {
        self.last_command_id = self.last_command_id.wrapping_add(1);
        let (answer, duplicate) = self
            .command_with_id(topic, CommandId::from_bits(self.last_command_id), command)
            .await;
        assert!(!duplicate);
        answer
    }

    pub async fn command_with_id<C: Serialize>(&mut self, topic: &str, id: CommandId, command: &C) -> (Answer, bool) {
        let command = EncodedValue::encode(self.encoding(), command).unwrap();
        self.command_encoded(topic, id, command).await
    }

    /// Sends a command that is already encoded.
    pub async fn command_encoded(&mut self, topic: &str, id: CommandId, command: EncodedValue) -> (Answer, bool) {
        let topic = topic.parse().unwrap();
        let frame = ClientFrame::Command {
            topic,
            id: id.clone(),
            command,
        };
        let reply = match self.transport {
            Transport::WebSocket(_) => {
                self.send(&frame).await;
                self.reply_to(&id).await
            }
            Transport::Sse | Transport::Poll => self.post(&frame).await.1.unwrap(),
        };
        let ServerFrame::Reply {
            id: reply_id,
            answer,
            duplicate,
        } = reply
        else {
            panic!("not a reply: {reply:?}")
        };
        assert_eq!(reply_id, id);
        (answer, duplicate)
    }

    async fn reply_to(&mut self, id: &CommandId) -> ServerFrame {
        let mut others = VecDeque::new();
        loop {
            let frame = self.receive().await;
            if matches!(&frame, ServerFrame::Reply { id: reply_id, .. } if reply_id == id) {
                others.append(&mut self.received);
                self.received = others;
                return frame;
            }
            others.push_back(frame);
        }
    }

    /// Sends one frame over the WebSocket, which is opened on first use.
    pub async fn send(&mut self, frame: &ClientFrame) {
        let encoding = self.encoding();
        self.websocket().await.send(message(encoding, frame)).await;
    }

    pub async fn websocket(&mut self) -> &mut WebSocketClient<DuplexStream> {
        if self.socket.is_none() {
            let cookie = self.cookie();
            let mut headers = vec![
                ("sec-websocket-protocol", self.encoding().subprotocol()),
                ("cookie", cookie.as_str()),
            ];
            headers.extend(self.authorization.as_deref().map(|value| ("authorization", value)));
            let (mut client, _) = open(self.node.connect(), SESSION_PATH, &headers).await.unwrap();
            let hello = ClientFrame::Hello {
                build: String::new(),
                name: None,
            };
            client.send(message(self.encoding(), &hello)).await;
            self.socket = Some(client);
        }
        self.socket.as_mut().unwrap()
    }

    /// Posts one frame; returns the status and the frame of the response, if it has one.
    pub async fn post(&self, frame: &ClientFrame) -> (StatusCode, Option<ServerFrame>) {
        let request = self
            .request("POST", &format!("{COMMAND_PATH}?session={}&v=2", self.session))
            .header("content-type", "application/json")
            .body(Body::from(Encoding::Json.encode(frame).unwrap()))
            .unwrap();
        let response = with_timeout(self.node.request(request)).await;
        (response.status, Encoding::Json.decode(response.body.as_bytes()).ok())
    }

    /// Drops the connection without a close frame.
    pub fn disconnect(&mut self) {
        (self.socket, self.stream, self.polled) = (None, None, false);
        self.received.clear();
    }

    /// The next frame of any type; cursors are advanced as in the browser client.
    pub async fn next_frame(&mut self) -> ServerFrame {
        let frame = self.receive().await;
        self.advance_cursor(&frame);
        // An SSE client answers each pong with a ping to show that it still reads.
        if matches!((self.transport, &frame), (Transport::Sse, ServerFrame::Pong { .. })) {
            let _ = self.post(&ClientFrame::Ping { nonce: 0 }).await;
        }
        frame
    }

    async fn receive(&mut self) -> ServerFrame {
        loop {
            if let Some(frame) = self.received.pop_front() {
                return frame;
            }
            match self.transport {
                Transport::WebSocket(encoding) => {
                    let message = self.websocket().await.receive().await;
                    self.received.push_back(encoding.decode(&message.into_data()).unwrap());
                }
                Transport::Sse => with_timeout(self.read_stream()).await,
                Transport::Poll => with_timeout(self.poll()).await,
            }
        }
    }

    fn advance_cursor(&mut self, frame: &ServerFrame) {
        match frame {
            ServerFrame::Verdict {
                topic,
                verdict: Verdict::Reset { cursor, .. },
            } => {
                self.cursors.insert(topic.clone(), Some(*cursor));
            }
            ServerFrame::Event {
                topic, seq, checksum, ..
            } => {
                let cursor = self.cursors.get_mut(topic).unwrap().as_mut().unwrap();
                let next = cursor.seq + 1;
                assert!(
                    *seq == next || topic.kind() == "prices" && *seq > next,
                    "{seq} follows {}",
                    cursor.seq
                );
                (cursor.seq, cursor.checksum) = (*seq, *checksum);
            }
            _ => {}
        }
    }

    fn query(&self) -> String {
        let topics = self.cursors.iter().map(|(topic, cursor)| match cursor {
            Some(cursor) => format!("{topic}@{cursor}"),
            None => topic.to_string(),
        });
        format!(
            "session={}&v=2&topics={}",
            self.session,
            topics.collect::<Vec<_>>().join(",")
        )
    }

    async fn get(&self, path: &str, parameters: &str) -> axum::response::Response {
        let request = self
            .request("GET", &format!("{path}?{}{parameters}", self.query()))
            .body(Body::empty())
            .unwrap();
        let response = self.node.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response
    }

    async fn read_stream(&mut self) {
        if self.stream.is_none() {
            let response = self.get(EVENTS_PATH, "").await;
            self.stream = Some((response.into_body().into_data_stream(), String::new()));
        }
        let (stream, rest) = self.stream.as_mut().unwrap();
        let Some(bytes) = stream.next().await else {
            return self.stream = None;
        };
        rest.push_str(str::from_utf8(&bytes.unwrap()).unwrap());
        while let Some((event, more)) = rest.split_once("\n\n") {
            if let Some(data) = event.strip_prefix("data: ") {
                self.received.push_back(Encoding::Json.decode(data.as_bytes()).unwrap());
            }
            *rest = more.to_owned();
        }
    }

    async fn poll(&mut self) {
        let wait = if self.polled { "" } else { "&wait=0" };
        let response = self.get(POLL_PATH, wait).await;
        self.polled = true;
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let frames: Vec<ServerFrame> = Encoding::Json.decode(&body).unwrap();
        self.received.extend(frames);
    }
}

fn message(encoding: Encoding, frame: &ClientFrame) -> Message {
    let bytes = encoding.encode(frame).unwrap();
    match encoding {
        Encoding::Json => Message::text(String::from_utf8(bytes).unwrap()),
        Encoding::Postcard => Message::binary(bytes),
    }
}
