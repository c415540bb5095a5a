//! `duplex tail`: prints a topic's events as they arrive, each exactly once, over the session protocol. After a lost connection
//! it resumes from its cursor. Events older than the session can replay are read from the log in pages, which requires the role
//! `read`.

use std::error::Error;
use std::time::Duration;

use duplex::server::config::Config;
use duplex::server::operator::{EVENTS_PATH, LogPage};
use duplex::server::tls::ByteStream;
use duplex_leptos::reconnect::Backoff;
use duplex_protocol::code;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Checksum, Cursor, Epoch, Seq};
use duplex_protocol::session::{ClientFrame, ResetReason, SESSION_PATH, ServerFrame, Verdict};
use duplex_protocol::topic::TopicName;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::http::HttpError;
use super::output::{self, OutputClosed, OutputError, err, out};
use super::remote::{Remote, Server};
use super::send::random_unit;

/// Idle time before a ping, and then before the connection is closed.
const SILENCE_LIMIT: Duration = Duration::from_secs(20);

/// Timeout of the WebSocket handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub struct Tail {
    /// Topic, such as chat/lobby
    topic: TopicName,

    /// First event to print, by its seq, or start for the oldest that is retained [default: only new events]
    #[arg(long, value_name = "SEQ|start", value_parser = parse_from)]
    from: Option<Seq>,

    /// Prints one JSON object per line, with topic, seq and event
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

fn parse_from(text: &str) -> Result<Seq, String> {
    match text {
        "start" => Ok(1),
        _ => text.parse().map_err(|_| "a seq, or start".to_owned()),
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum TailError {
    /// Temporary; the delay is the server's retry-after, if it sent one.
    #[error("{0}")]
    Lost(String, Option<Duration>),
    #[error("{0}")]
    Final(String),
    #[error(transparent)]
    OutputClosed(OutputClosed),
}

impl From<HttpError> for TailError {
    fn from(error: HttpError) -> Self {
        if error.may_retry() {
            Self::Lost(error.to_string(), None)
        } else {
            Self::Final(error.to_string())
        }
    }
}

impl From<tokio_tungstenite::tungstenite::Error> for TailError {
    fn from(error: tokio_tungstenite::tungstenite::Error) -> Self {
        use tokio_tungstenite::tungstenite::Error::Http;
        match &error {
            Http(answer) if answer.status().is_client_error() => Self::Final(error.to_string()),
            _ => Self::Lost(error.to_string(), None),
        }
    }
}

impl From<OutputError> for TailError {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::OutputClosed(closed) => Self::OutputClosed(closed),
            OutputError::Io(_) => Self::Final(error.to_string()),
        }
    }
}

impl Tail {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let server = self.remote.server(config)?;
        let tailer = Tailer {
            server,
            topic: self.topic,
            json: self.json,
            after: self.from.map(|from| from.max(1) - 1),
            checksum: None,
            epoch: None,
        };
        super::block_on(async {
            tokio::select! {
                why = tailer.run() => Err(why),
                closed = output::closed() => Err(closed.into()),
            }
        })
    }
}

struct Tailer {
    server: Server,
    topic: TopicName,
    json: bool,
    /// The seq of the last printed event; `None` to begin with new events.
    after: Option<Seq>,
    /// The checksum of the log up to `after`, if the server sent it.
    checksum: Option<Checksum>,
    /// The log's epoch, once the server sent it.
    epoch: Option<Epoch>,
}

type Socket = WebSocketStream<Box<dyn ByteStream>>;

impl Tailer {
    /// Reconnects until an error is final.
    async fn run(mut self) -> Box<dyn Error> {
        let (backoff, mut attempt) = (Backoff::default(), 0);
        loop {
            let started = Instant::now();
            let (why, delay) = match self.run_session().await {
                Ok(never) => match never {},
                Err(TailError::Final(why)) => return why.into(),
                Err(TailError::OutputClosed(closed)) => return closed.into(),
                Err(TailError::Lost(why, delay)) => (why, delay),
            };
            if started.elapsed() >= backoff.stable_after {
                attempt = 0;
            }
            let pause = delay.unwrap_or_else(|| backoff.delay(attempt, random_unit()));
            attempt += 1;
            err!("duplex: {why}; reconnecting in {:.1} s", pause.as_secs_f64());
            sleep(pause).await;
        }
    }

    async fn run_session(&mut self) -> Result<std::convert::Infallible, TailError> {
        let mut socket = self.connect().await?;
        let hello = ClientFrame::Hello {
            build: String::new(),
            name: None,
        };
        send_frame(&mut socket, &hello).await?;
        self.subscribe(&mut socket).await?;
        let mut pinged = false;
        loop {
            match timeout(SILENCE_LIMIT, socket.next()).await {
                Err(_) if pinged => return Err(TailError::Lost("the server did not answer a ping".to_owned(), None)),
                Err(_) => {
                    pinged = true;
                    send_frame(&mut socket, &ClientFrame::Ping { nonce: 1 }).await?;
                }
                Ok(None) => return Err(TailError::Lost("the connection ended".to_owned(), None)),
                Ok(Some(message)) => {
                    pinged = false;
                    self.on_message(&mut socket, message?).await?;
                }
            }
        }
    }

    async fn connect(&self) -> Result<Socket, TailError> {
        let stream = self.server.connect().await?;
        let mut request = format!("ws://{}{SESSION_PATH}", self.server.authority).into_client_request()?;
        let bearer = self.server.token.as_ref().map(|token| format!("Bearer {token}"));
        let protocol = Some(Encoding::Json.subprotocol().to_owned());
        for (name, value) in [("sec-websocket-protocol", protocol), ("authorization", bearer)] {
            if let Some(value) = value.and_then(|value| value.parse().ok()) {
                request.headers_mut().insert(name, value);
            }
        }
        let opened = timeout(HANDSHAKE_TIMEOUT, client_async(request, stream)).await;
        let (socket, _) = opened.map_err(|_| TailError::Lost("no answer in time".to_owned(), None))??;
        Ok(socket)
    }

    fn cursor(&self) -> Option<Cursor> {
        let (epoch, seq) = self.epoch.zip(self.after)?;
        Some(Cursor::new(epoch, seq).with_checksum(self.checksum))
    }

    async fn subscribe(&self, socket: &mut Socket) -> Result<(), TailError> {
        let frame = ClientFrame::Subscribe {
            topic: self.topic.clone(),
            cursor: self.cursor(),
        };
        send_frame(socket, &frame).await
    }

    async fn on_message(&mut self, socket: &mut Socket, message: Message) -> Result<(), TailError> {
        let bytes = match message {
            Message::Text(text) => text,
            Message::Close(frame) => return Err(close_error(frame.map(|frame| frame.code.into()))),
            _ => return Ok(()),
        };
        let frame = Encoding::Json.decode(bytes.as_bytes());
        match frame.map_err(|error| TailError::Final(format!("cannot decode a frame of the server: {error}")))? {
            ServerFrame::Verdict { verdict, .. } => self.on_verdict(socket, verdict).await,
            ServerFrame::Event {
                seq, checksum, event, ..
            } => self.print(seq, checksum, &event),
            ServerFrame::Closing { retry_after_ms, .. } => {
                let pause = Duration::from_millis(retry_after_ms.into());
                Err(TailError::Lost("the server is closing".to_owned(), Some(pause)))
            }
            _ => Ok(()),
        }
    }

    async fn on_verdict(&mut self, socket: &mut Socket, verdict: Verdict) -> Result<(), TailError> {
        match verdict {
            Verdict::Resumed { .. } => Ok(()),
            Verdict::Denied { reason } if reason.may_retry() => Err(TailError::Lost(reason.to_string(), None)),
            Verdict::Denied { reason } => Err(TailError::Final(reason.to_string())),
            Verdict::Reset { reason, cursor, .. } => self.on_reset(socket, reason, cursor).await,
        }
    }

    async fn on_reset(&mut self, socket: &mut Socket, reason: ResetReason, at: Cursor) -> Result<(), TailError> {
        let known = self.epoch.replace(at.epoch);
        if known.is_some_and(|known| known != at.epoch) || reason == ResetReason::Diverged {
            err!(
                "duplex: the topic's log was replaced; continuing after event {}",
                at.seq
            );
            (self.after, self.checksum) = (None, None);
        }
        match (self.after, reason) {
            (Some(after), _) if after < at.seq => {
                // The first subscription had no cursor, because the epoch was unknown; or the cursor is too old to replay from.
                if reason != ResetReason::New {
                    self.read_log(at.seq).await?;
                }
                self.subscribe(socket).await
            }
            (Some(after), _) if after > at.seq => Err(TailError::Final(format!(
                "the topic's newest event is {}, before the requested {}",
                at.seq,
                after + 1
            ))),
            _ => {
                (self.after, self.checksum) = (Some(at.seq), at.checksum);
                Ok(())
            }
        }
    }

    /// Prints the missing events up to `until`, read from the log.
    async fn read_log(&mut self, until: Seq) -> Result<(), TailError> {
        while self.after.is_some_and(|after| after < until) {
            let after = self.after.unwrap_or(0);
            let path = format!("{EVENTS_PATH}?topic={}&after={after}", self.topic);
            let page: LogPage = self.server.get(&path).await.map_err(|error| match error {
                HttpError::Unauthorized(_) | HttpError::Forbidden(_) => TailError::Final(format!(
                    "reading event {} from the log requires a --token with the role read",
                    after + 1
                )),
                other => other.into(),
            })?;
            let Some((first, _)) = page.events.first() else {
                (self.after, self.checksum) = (Some(until), None);
                break;
            };
            if *first > after + 1 {
                err!(
                    "duplex: the events {} to {} are no longer retained",
                    after + 1,
                    first - 1
                );
            }
            for (seq, event) in &page.events {
                self.print(*seq, None, event)?;
            }
        }
        Ok(())
    }

    /// Prints an event, unless it was printed already.
    fn print(&mut self, seq: Seq, checksum: Option<Checksum>, event: &EncodedValue) -> Result<(), TailError> {
        if self.after.is_some_and(|after| seq <= after) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&event.0);
        if self.json {
            out!(r#"{{"topic":"{}","seq":{seq},"event":{text}}}"#, self.topic)?;
        } else {
            out!("{seq} {text}")?;
        }
        (self.after, self.checksum) = (Some(seq), checksum);
        Ok(())
    }
}

fn close_error(code: Option<u16>) -> TailError {
    match code {
        Some(code) if !code::may_reconnect(code) => TailError::Final(format!("the server closed with code {code}")),
        _ => TailError::Lost("the server closed".to_owned(), None),
    }
}

async fn send_frame(socket: &mut Socket, frame: &ClientFrame) -> Result<(), TailError> {
    let text = Encoding::Json
        .encode(frame)
        .map_err(|error| TailError::Final(error.to_string()))?;
    let text = String::from_utf8(text).map_err(|error| TailError::Final(error.to_string()))?;
    Ok(socket.send(Message::text(text)).await?)
}
