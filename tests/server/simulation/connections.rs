//! Client transports over the simulated network, replacing those of `duplex-leptos`.

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
use super::network::{ConnectionKind, Network};

/// The timeout of a post, as in the browser.
const POST_TIMEOUT: Duration = Duration::from_secs(20);
/// The wait for the server's close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
const FORBIDDEN: u16 = 3003;

/// A session input produced by a connection. Inputs of a superseded request are discarded.
pub struct ConnectionInput {
    pub connection: u32,
    pub request: Option<u32>,
    pub input: Input,
}

/// The context shared by all connections of a tab.
#[derive(Clone)]
pub struct ClientContext {
    pub network: Arc<Network>,
    pub inputs: mpsc::UnboundedSender<ConnectionInput>,
    pub cookie: String,
    pub session: String,
    /// The encoding of a WebSocket.
    pub encoding: Encoding,
}

/// A connection, closed on drop: a WebSocket with a close frame, the others without.
pub struct Connection {
    id: u32,
    transport: Transport,
    context: ClientContext,
    request: u32,
    frames: Option<mpsc::UnboundedSender<ClientFrame>>,
    task: Option<AbortOnDrop>,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    pub fn open(id: u32, transport: Transport, topics: &Topics, context: ClientContext) -> Self {
        let mut connection = Self {
            id,
            transport,
            context,
            request: 0,
            frames: None,
            task: None,
        };
        if transport == Transport::WebSocket {
            let (sender, frames) = mpsc::unbounded_channel();
            connection.frames = Some(sender);
            tokio::spawn(run_websocket(connection.input_sender(Some(0)), frames));
        } else {
            connection.request(topics, true);
        }
        connection
    }

    pub fn is_newest(&self, request: Option<u32>) -> bool {
        request.is_none_or(|request| request == self.request)
    }

    fn input_sender(&self, request: Option<u32>) -> InputSender {
        InputSender {
            connection: self.id,
            request,
            context: self.context.clone(),
        }
    }

    pub fn send(&self, frame: ClientFrame) {
        match &self.frames {
            Some(frames) => drop(frames.send(frame)),
            None if matches!(
                frame,
                ClientFrame::Command { .. } | ClientFrame::Activity { .. } | ClientFrame::Rename { .. }
            ) =>
            {
                tokio::spawn(post(self.input_sender(None), frame));
            }
            None => {}
        }
    }

    pub fn request(&mut self, topics: &Topics, immediate: bool) {
        self.task = None;
        self.request += 1;
        let inputs = self.input_sender(Some(self.request));
        let query = query(&self.context.session, topics);
        self.task = Some(AbortOnDrop(match self.transport {
            Transport::Sse => tokio::spawn(stream(inputs, query)),
            _ => tokio::spawn(poll(inputs, query, immediate)),
        }));
    }
}

struct InputSender {
    connection: u32,
    request: Option<u32>,
    context: ClientContext,
}

impl InputSender {
    fn send(&self, input: Input) {
        let (connection, request) = (self.connection, self.request);
        // The tab may have ended.
        let _ = self.context.inputs.send(ConnectionInput {
            connection,
            request,
            input,
        });
    }

    fn send_frame(&self, encoding: Encoding, bytes: &[u8]) {
        let connection = self.connection;
        self.send(match encoding.decode::<ServerFrame>(bytes) {
            Ok(frame) => Input::Frame { connection, frame },
            Err(_) => Input::Malformed { connection },
        });
    }

    fn send_closed(&self, code: u16) {
        let connection = self.connection;
        self.send(Input::Closed { connection, code });
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

async fn run_websocket(inputs: InputSender, mut frames: mpsc::UnboundedReceiver<ClientFrame>) {
    let opened = tokio::select! {
        biased;
        // The session sends no frame before the connection is open, so the sender was dropped.
        _ = frames.recv() => return,
        opened = open(&inputs.context) => opened,
    };
    let Some(mut socket) = opened else {
        return inputs.send_closed(code::ABNORMAL);
    };
    let (connection, encoding) = (inputs.connection, inputs.context.encoding);
    inputs.send(Input::Opened { connection, encoding });
    let mut close_code = code::ABNORMAL;
    loop {
        tokio::select! {
            biased;
            frame = frames.recv() => match frame {
                Some(frame) => {
                    // Ignore errors: the session detects a lost frame.
                    let _ = timeout(CLOSE_WAIT, socket.send(message(encoding, &frame))).await;
                }
                None => return close(socket).await,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => inputs.send_frame(Encoding::Json, text.as_bytes()),
                Some(Ok(Message::Binary(bytes))) => inputs.send_frame(Encoding::Postcard, &bytes),
                Some(Ok(Message::Close(frame))) => close_code = frame.map_or(code::NO_STATUS, |frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return inputs.send_closed(close_code),
            },
        }
    }
}

async fn open(context: &ClientContext) -> Option<Socket> {
    let stream = context.network.connect(ConnectionKind::WebSocket).await.ok()?;
    let mut request = format!("ws://localhost{SESSION_PATH}").into_client_request().ok()?;
    let headers = request.headers_mut();
    headers.insert("cookie", context.cookie.parse().ok()?);
    headers.insert("sec-websocket-protocol", context.encoding.subprotocol().parse().ok()?);
    let (socket, _) = client_async(request, stream).await.ok()?;
    Some(socket)
}

async fn close(mut socket: Socket) {
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

async fn get(context: &ClientContext, kind: ConnectionKind, target: &str) -> std::io::Result<http::Response> {
    let stream = context.network.connect(kind).await?;
    http::request(stream, &format!("GET {target}"), &context.cookie, b"").await
}

/// Reads an event stream; unlike `EventSource`, it does not reconnect.
async fn stream(inputs: InputSender, query: String) {
    let response = get(
        &inputs.context,
        ConnectionKind::EventStream,
        &format!("{EVENTS_PATH}{query}"),
    )
    .await;
    if let Ok(mut response) = response
        && response.is_success()
    {
        let mut rest = Vec::new();
        while let Ok(Some(chunk)) = response.next_chunk().await {
            rest.extend(chunk);
            while let Some(end) = rest.windows(2).position(|window| window == b"\n\n") {
                let event: Vec<u8> = rest.drain(..end + 2).collect();
                if let Some(data) = event.strip_prefix(b"data: ") {
                    inputs.send_frame(Encoding::Json, &data[..data.len() - 2]);
                }
            }
        }
    }
    inputs.send_closed(code::ABNORMAL);
}

async fn poll(inputs: InputSender, query: String, immediate: bool) {
    let wait = if immediate { "&wait=0" } else { "" };
    let connection = inputs.connection;
    let response = get(
        &inputs.context,
        ConnectionKind::Request,
        &format!("{POLL_PATH}{query}{wait}"),
    )
    .await;
    let body = match response {
        Ok(response) if response.is_success() => response.body().await,
        Ok(response) if response.status == 403 => return inputs.send_closed(FORBIDDEN),
        _ => return inputs.send_closed(code::ABNORMAL),
    };
    let Ok(body) = body else {
        return inputs.send_closed(code::ABNORMAL);
    };
    let Ok(frames) = Encoding::Json.decode::<Vec<ServerFrame>>(&body) else {
        return inputs.send(Input::Malformed { connection });
    };
    let count = frames.len();
    frames
        .into_iter()
        .for_each(|frame| inputs.send(Input::Frame { connection, frame }));
    inputs.send(Input::PollAnswered {
        connection,
        frames: count,
    });
}

/// Posts a frame; it is not cancelled when the connection closes.
async fn post(inputs: InputSender, frame: ClientFrame) {
    let (connection, context) = (inputs.connection, &inputs.context);
    let body = Encoding::Json.encode(&frame).unwrap();
    let head = format!("POST {COMMAND_PATH}?session={}", context.session);
    let response = timeout(POST_TIMEOUT, async {
        let stream = context.network.connect(ConnectionKind::Request).await?;
        let response = http::request(stream, &head, &context.cookie, &body).await?;
        let (success, status) = (response.is_success(), response.status);
        Ok::<_, std::io::Error>((success, status, response.body().await?))
    });
    let status = match response.await {
        Ok(Ok((true, _, body))) => match Encoding::Json.decode(&body) {
            Ok(frame) => return inputs.send(Input::Frame { connection, frame }),
            Err(_) => None,
        },
        Ok(Ok((false, status, _))) => Some(status),
        _ => None,
    };
    if let ClientFrame::Command { id, .. } = frame {
        inputs.send(Input::SendFailed { connection, id, status });
    }
}
