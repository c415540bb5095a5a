//! A visitor who reads and writes topics over any of the transports.

use std::collections::{BTreeMap, VecDeque};

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use duplex_protocol::codec::{Blob, Encoding};
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

use super::{Client, Node, open, within};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    WebSocket(Encoding),
    Sse,
    Poll,
}

/// One tab, as the page's link would be: it keeps a cursor for each topic, and takes no event that is not the next one.
pub struct Visitor<'a> {
    node: &'a Node,
    way: Way,
    /// Sent as a cookie: who this is.
    secret: String,
    /// A token as a header's value, and more cookies.
    bearer: Option<String>,
    cookies: String,
    session: String,
    socket: Option<Client<DuplexStream>>,
    stream: Option<(BodyDataStream, String)>,
    /// Polls go on with waiting ones, once the first of these topics was answered at once.
    asked: bool,
    heard: VecDeque<ServerFrame>,
    pub cursors: BTreeMap<TopicName, Option<Cursor>>,
    commands: u128,
}

impl<'a> Visitor<'a> {
    pub async fn new(node: &'a Node, way: Way) -> Self {
        let random = uuid::Uuid::new_v4();
        Self {
            node,
            way,
            secret: random.simple().to_string(),
            bearer: None,
            cookies: String::new(),
            session: format!("s-{random}"),
            socket: None,
            stream: None,
            asked: false,
            heard: VecDeque::new(),
            cursors: BTreeMap::new(),
            commands: random.as_u128(),
        }
    }

    /// Comes back with the cookie that a visitor had, as [`Self::cookie`] says it.
    pub fn with_secret(mut self, cookie: &str) -> Self {
        let secret = cookie
            .strip_prefix("visitor=")
            .and_then(|cookie| cookie.split(';').next());
        secret.unwrap().clone_into(&mut self.secret);
        self
    }

    /// The same visitor by another way.
    pub fn over(mut self, way: Way) -> Self {
        self.vanish();
        Self { way, ..self }
    }

    /// The same visitor at another node.
    pub fn at(self, node: &'a Node) -> Self {
        Self {
            node,
            socket: None,
            stream: None,
            ..self
        }
    }

    pub fn encoding(&self) -> Encoding {
        match self.way {
            Way::WebSocket(encoding) => encoding,
            Way::Sse | Way::Poll => Encoding::Json,
        }
    }

    /// Shows this token with each request.
    pub fn showing(mut self, token: &str) -> Self {
        self.bearer = Some(format!("Bearer {token}"));
        self
    }

    /// Sends this cookie, too, such as `operator=…`.
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
        match &self.bearer {
            Some(bearer) => request.header("authorization", bearer),
            None => request,
        }
    }

    /// Subscribes, and waits for the verdict.
    pub async fn subscribe(&mut self, topic: &str, cursor: Option<Cursor>) -> Verdict {
        let topic: TopicName = topic.parse().unwrap();
        self.cursors.insert(topic.clone(), cursor);
        match self.way {
            Way::WebSocket(_) => {
                self.say(&ClientFrame::Subscribe {
                    topic: topic.clone(),
                    cursor,
                })
                .await
            }
            Way::Sse => self.stream = None,
            Way::Poll => self.asked = false,
        }
        loop {
            if let ServerFrame::Verdict { topic: of, verdict } = self.next().await
                && of == topic
            {
                return verdict;
            }
        }
    }

    /// Waits for the next event of `T`, and checks that it is the one after the last.
    pub async fn event<T: Topic>(&mut self) -> (Seq, T::Event) {
        loop {
            if let ServerFrame::Event { topic, seq, event, .. } = self.next().await
                && topic.kind() == T::KIND
            {
                return (seq, event.decode(self.encoding()).unwrap());
            }
        }
    }

    /// Waits until the presence is as expected.
    pub async fn until_present(&mut self, so: impl Fn(&Presence) -> bool) -> Presence {
        loop {
            if let ServerFrame::Presence { presence, .. } = self.next().await
                && so(&presence)
            {
                return presence;
            }
        }
    }

    pub async fn command<C: Serialize>(&mut self, topic: &str, command: &C) -> Answer {
        self.commands = self.commands.wrapping_add(1);
        let (answer, again) = self
            .command_as(topic, CommandId::from_random(self.commands), command)
            .await;
        assert!(!again);
        answer
    }

    pub async fn command_as<C: Serialize>(&mut self, topic: &str, id: CommandId, command: &C) -> (Answer, bool) {
        let command = Blob::encode(self.encoding(), command).unwrap();
        self.command_bytes(topic, id, command).await
    }

    /// A command that is encoded already.
    pub async fn command_bytes(&mut self, topic: &str, id: CommandId, command: Blob) -> (Answer, bool) {
        let topic = topic.parse().unwrap();
        let frame = ClientFrame::Command {
            topic,
            id: id.clone(),
            command,
        };
        let reply = match self.way {
            Way::WebSocket(_) => {
                self.say(&frame).await;
                self.reply_to(&id).await
            }
            Way::Sse | Way::Poll => self.post(&frame).await.1.unwrap(),
        };
        let ServerFrame::Reply { id: of, answer, again } = reply else {
            panic!("{reply:?} is no reply")
        };
        assert_eq!(of, id);
        (answer, again)
    }

    async fn reply_to(&mut self, id: &CommandId) -> ServerFrame {
        let mut others = VecDeque::new();
        loop {
            let frame = self.take().await;
            if matches!(&frame, ServerFrame::Reply { id: of, .. } if of == id) {
                others.append(&mut self.heard);
                self.heard = others;
                return frame;
            }
            others.push_back(frame);
        }
    }

    /// Says one frame over the WebSocket, which is opened if need be.
    pub async fn say(&mut self, frame: &ClientFrame) {
        let encoding = self.encoding();
        self.socket().await.send(message(encoding, frame)).await;
    }

    pub async fn socket(&mut self) -> &mut Client<DuplexStream> {
        if self.socket.is_none() {
            let cookie = self.cookie();
            let mut headers = vec![
                ("sec-websocket-protocol", self.encoding().subprotocol()),
                ("cookie", cookie.as_str()),
            ];
            headers.extend(self.bearer.as_deref().map(|bearer| ("authorization", bearer)));
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

    /// Posts one frame; the answer's status, and its frame if it has one.
    pub async fn post(&self, frame: &ClientFrame) -> (StatusCode, Option<ServerFrame>) {
        let request = self
            .request("POST", &format!("{COMMAND_PATH}?session={}&v=2", self.session))
            .header("content-type", "application/json")
            .body(Body::from(Encoding::Json.encode(frame).unwrap()))
            .unwrap();
        let answer = within(self.node.request(request)).await;
        (answer.status, Encoding::Json.decode(answer.body.as_bytes()).ok())
    }

    /// Loses the connection without a word.
    pub fn vanish(&mut self) {
        (self.socket, self.stream, self.asked) = (None, None, false);
        self.heard.clear();
    }

    /// The next frame, whatever it is; cursors follow the frames, as a client's do.
    pub async fn next(&mut self) -> ServerFrame {
        let frame = self.take().await;
        self.follow(&frame);
        // So a client shows that it reads.
        if matches!((self.way, &frame), (Way::Sse, ServerFrame::Pong { .. })) {
            let _ = self.post(&ClientFrame::Ping { nonce: 0 }).await;
        }
        frame
    }

    async fn take(&mut self) -> ServerFrame {
        loop {
            if let Some(frame) = self.heard.pop_front() {
                return frame;
            }
            match self.way {
                Way::WebSocket(encoding) => {
                    let message = self.socket().await.receive().await;
                    self.heard.push_back(encoding.decode(&message.into_data()).unwrap());
                }
                Way::Sse => within(self.read_stream()).await,
                Way::Poll => within(self.poll()).await,
            }
        }
    }

    fn follow(&mut self, frame: &ServerFrame) {
        match frame {
            ServerFrame::Verdict {
                topic,
                verdict: Verdict::Reset { cursor, .. },
            } => {
                self.cursors.insert(topic.clone(), Some(*cursor));
            }
            ServerFrame::Event { topic, seq, check, .. } => {
                let cursor = self.cursors.get_mut(topic).unwrap().as_mut().unwrap();
                let next = cursor.seq + 1;
                assert!(
                    *seq == next || topic.kind() == "prices" && *seq > next,
                    "{seq} after {}",
                    cursor.seq
                );
                (cursor.seq, cursor.check) = (*seq, *check);
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

    async fn get(&self, path: &str, more: &str) -> axum::response::Response {
        let request = self
            .request("GET", &format!("{path}?{}{more}", self.query()))
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
                self.heard.push_back(Encoding::Json.decode(data.as_bytes()).unwrap());
            }
            *rest = more.to_owned();
        }
    }

    async fn poll(&mut self) {
        let wait = if self.asked { "" } else { "&wait=0" };
        let response = self.get(POLL_PATH, wait).await;
        self.asked = true;
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let frames: Vec<ServerFrame> = Encoding::Json.decode(&body).unwrap();
        self.heard.extend(frames);
    }
}

fn message(encoding: Encoding, frame: &ClientFrame) -> Message {
    let bytes = encoding.encode(frame).unwrap();
    match encoding {
        Encoding::Json => Message::text(String::from_utf8(bytes).unwrap()),
        Encoding::Postcard => Message::binary(bytes),
    }
}
