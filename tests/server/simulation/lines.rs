//! The three transports as a browser has them, over the simulated network, in place of the transports of `duplex-leptos`.
//! Knows no machine and no topic.

use std::sync::Arc;
use std::time::Duration;

use duplex_leptos::status::Transport;
use duplex_leptos::testing::{Input, Topics};
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{COMMAND_PATH, ClientFrame, EVENTS_PATH, POLL_PATH, SESSION_PATH, ServerFrame};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::http;
use super::network::{Kind, Network};

/// As the browser's adapter waits.
const POST_PATIENCE: Duration = Duration::from_secs(20);
/// For a peer that answers no close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
const FORBIDDEN: u16 = 3003;

/// What happened on a connection. Of a question that is no longer the newest nothing may be heard.
pub struct Heard {
    pub connection: u32,
    pub question: Option<u32>,
    pub input: Input,
}

/// What all lines of a tab share.
#[derive(Clone)]
pub struct Means {
    pub network: Arc<Network>,
    pub heard: mpsc::UnboundedSender<Heard>,
    pub cookie: String,
    pub session: String,
    /// Of a WebSocket, the first it asks for.
    pub encoding: Encoding,
}

/// Dropped, it ends: a WebSocket with a word, the others without.
pub struct Connection {
    id: u32,
    transport: Transport,
    means: Means,
    question: u32,
    says: Option<mpsc::UnboundedSender<ClientFrame>>,
    asking: Option<Asking>,
}

struct Asking(JoinHandle<()>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    pub fn open(id: u32, transport: Transport, topics: &Topics, means: Means) -> Self {
        let mut connection = Self {
            id,
            transport,
            means,
            question: 0,
            says: None,
            asking: None,
        };
        if transport == Transport::WebSocket {
            let (says, said) = mpsc::unbounded_channel();
            connection.says = Some(says);
            tokio::spawn(converse(connection.teller(Some(0)), said));
        } else {
            connection.ask(topics, true);
        }
        connection
    }

    pub fn is_newest(&self, question: Option<u32>) -> bool {
        question.is_none_or(|question| question == self.question)
    }

    fn teller(&self, question: Option<u32>) -> Teller {
        Teller {
            connection: self.id,
            question,
            means: self.means.clone(),
        }
    }

    pub fn send(&self, frame: ClientFrame) {
        match &self.says {
            Some(says) => drop(says.send(frame)),
            None if matches!(
                frame,
                ClientFrame::Command { .. } | ClientFrame::Activity { .. } | ClientFrame::Rename { .. }
            ) =>
            {
                tokio::spawn(post(self.teller(None), frame));
            }
            None => {}
        }
    }

    pub fn ask(&mut self, topics: &Topics, immediate: bool) {
        self.asking = None;
        self.question += 1;
        let teller = self.teller(Some(self.question));
        let query = query(&self.means.session, topics);
        self.asking = Some(Asking(match self.transport {
            Transport::Sse => tokio::spawn(stream(teller, query)),
            _ => tokio::spawn(poll(teller, query, immediate)),
        }));
    }
}

struct Teller {
    connection: u32,
    question: Option<u32>,
    means: Means,
}

impl Teller {
    fn tell(&self, input: Input) {
        let (connection, question) = (self.connection, self.question);
        // The tab may be gone.
        let _ = self.means.heard.send(Heard {
            connection,
            question,
            input,
        });
    }

    fn frame(&self, encoding: Encoding, bytes: &[u8]) {
        let connection = self.connection;
        self.tell(match encoding.decode::<ServerFrame>(bytes) {
            Ok(frame) => Input::Frame { connection, frame },
            Err(_) => Input::Unreadable { connection },
        });
    }

    fn closed(&self, code: u16) {
        let connection = self.connection;
        self.tell(Input::Closed { connection, code });
    }
}

fn query(session: &str, topics: &Topics) -> String {
    let topics = topics.iter().map(|(topic, cursor)| match cursor {
        Some(cursor) => format!("{topic}@{cursor}"),
        None => topic.to_string(),
    });
    format!("?session={session}&v=2&topics={}", topics.collect::<Vec<_>>().join(","))
}

type Socket = WebSocketStream<DuplexStream>;

async fn converse(teller: Teller, mut said: mpsc::UnboundedReceiver<ClientFrame>) {
    let opened = tokio::select! {
        biased;
        // Nothing is said before it is open: it was given up.
        _ = said.recv() => return,
        opened = open(&teller.means) => opened,
    };
    let Some(mut socket) = opened else {
        return teller.closed(code::ABNORMAL);
    };
    let (connection, encoding) = (teller.connection, teller.means.encoding);
    teller.tell(Input::Opened { connection, encoding });
    let mut end = code::ABNORMAL;
    loop {
        tokio::select! {
            biased;
            frame = said.recv() => match frame {
                Some(frame) => {
                    // What cannot be sent is missed at the other end, and the session finds out.
                    let _ = timeout(CLOSE_WAIT, socket.send(message(encoding, &frame))).await;
                }
                None => return leave(socket).await,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => teller.frame(Encoding::Json, text.as_bytes()),
                Some(Ok(Message::Binary(bytes))) => teller.frame(Encoding::Postcard, &bytes),
                Some(Ok(Message::Close(frame))) => end = frame.map_or(code::NO_STATUS, |frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return teller.closed(end),
            },
        }
    }
}

async fn open(means: &Means) -> Option<Socket> {
    let stream = means.network.connect(Kind::WebSocket).await.ok()?;
    let mut request = format!("ws://localhost{SESSION_PATH}").into_client_request().ok()?;
    let headers = request.headers_mut();
    headers.insert("cookie", means.cookie.parse().ok()?);
    headers.insert("sec-websocket-protocol", means.encoding.subprotocol().parse().ok()?);
    let (socket, _) = client_async(request, stream).await.ok()?;
    Some(socket)
}

async fn leave(mut socket: Socket) {
    let close = CloseFrame {
        code: code::NORMAL.into(),
        reason: "".into(),
    };
    let _ = timeout(CLOSE_WAIT, async {
        let _ = socket.close(Some(close)).await;
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
}

fn message(encoding: Encoding, frame: &ClientFrame) -> Message {
    let bytes = encoding.encode(frame).unwrap();
    match encoding {
        Encoding::Json => Message::text(String::from_utf8(bytes).unwrap()),
        Encoding::Postcard => Message::binary(bytes),
    }
}

async fn get(means: &Means, kind: Kind, target: &str) -> std::io::Result<http::Answer> {
    let stream = means.network.connect(kind).await?;
    http::ask(stream, &format!("GET {target}"), &means.cookie, b"").await
}

/// An `EventSource` whose first error ends it.
async fn stream(teller: Teller, query: String) {
    let answer = get(&teller.means, Kind::Stream, &format!("{EVENTS_PATH}{query}")).await;
    if let Ok(mut answer) = answer
        && answer.is_good()
    {
        let mut rest = Vec::new();
        while let Ok(Some(part)) = answer.next().await {
            rest.extend(part);
            while let Some(end) = rest.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = rest.drain(..end + 2).collect();
                if let Some(data) = event.strip_prefix(b"data: ") {
                    teller.frame(Encoding::Json, &data[..data.len() - 2]);
                }
            }
        }
    }
    teller.closed(code::ABNORMAL);
}

async fn poll(teller: Teller, query: String, immediate: bool) {
    let wait = if immediate { "&wait=0" } else { "" };
    let connection = teller.connection;
    let answer = get(&teller.means, Kind::Request, &format!("{POLL_PATH}{query}{wait}")).await;
    let body = match answer {
        Ok(answer) if answer.is_good() => answer.whole().await,
        Ok(answer) if answer.status == 403 => return teller.closed(FORBIDDEN),
        _ => return teller.closed(code::ABNORMAL),
    };
    let Ok(body) = body else {
        return teller.closed(code::ABNORMAL);
    };
    let Ok(said) = Encoding::Json.decode::<Vec<ServerFrame>>(&body) else {
        return teller.tell(Input::Unreadable { connection });
    };
    let frames = said.len();
    said.into_iter()
        .for_each(|frame| teller.tell(Input::Frame { connection, frame }));
    teller.tell(Input::PollAnswered { connection, frames });
}

/// Goes on when its connection is gone.
async fn post(teller: Teller, frame: ClientFrame) {
    let (connection, means) = (teller.connection, &teller.means);
    let body = Encoding::Json.encode(&frame).unwrap();
    let head = format!("POST {COMMAND_PATH}?session={}", means.session);
    let answer = timeout(POST_PATIENCE, async {
        let stream = means.network.connect(Kind::Request).await?;
        let answer = http::ask(stream, &head, &means.cookie, &body).await?;
        let (good, status) = (answer.is_good(), answer.status);
        Ok::<_, std::io::Error>((good, status, answer.whole().await?))
    });
    let status = match answer.await {
        Ok(Ok((true, _, body))) => match Encoding::Json.decode(&body) {
            Ok(frame) => return teller.tell(Input::Frame { connection, frame }),
            Err(_) => None,
        },
        Ok(Ok((false, status, _))) => Some(status),
        _ => None,
    };
    if let ClientFrame::Command { id, .. } = frame {
        teller.tell(Input::SendFailed { connection, id, status });
    }
}
