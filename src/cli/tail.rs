//! `duplex tail`: a topic's events as they happen, over the session protocol, each once. After a lost connection it goes on from
//! its cursor; what lies too far behind for the session is read from the log by pages, which takes an operator.

use std::error::Error;
use std::time::Duration;

use duplex::server::config::Config;
use duplex::server::operator::{EVENTS_PATH, LogPage};
use duplex::server::tls::Io;
use duplex_leptos::reconnect::Backoff;
use duplex_protocol::code;
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::cursor::{Check, Cursor, Epoch, Seq};
use duplex_protocol::session::{ClientFrame, ResetReason, SESSION_PATH, ServerFrame, Verdict};
use duplex_protocol::topic::TopicName;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::http::HttpError;
use super::output::{self, OutputError, Unread, err, out};
use super::remote::{Remote, Server};
use super::send::rand;

/// Silence after which the server is asked whether it is there, and again that long until it is given up.
const SILENCE: Duration = Duration::from_secs(20);

/// For the server to take the connection.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, clap::Args)]
pub struct Tail {
    /// Such as chat/lobby
    topic: TopicName,

    /// Begins with the event of this seq, or with the oldest that is kept [default: with what happens from now on]
    #[arg(long, value_name = "SEQ|start", value_parser = from)]
    from: Option<Seq>,

    /// One JSON object a line, with topic, seq and event
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

fn from(text: &str) -> Result<Seq, String> {
    match text {
        "start" => Ok(1),
        _ => text.parse().map_err(|_| "a seq, or start".to_owned()),
    }
}

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
enum Stop {
    /// Another attempt may do better, after so long if the server said so.
    #[error("{0}")]
    Lost(String, Option<Duration>),
    #[error("{0}")]
    Final(String),
    #[error(transparent)]
    Unread(Unread),
}

impl From<HttpError> for Stop {
    fn from(error: HttpError) -> Self {
        if error.may_retry() {
            Self::Lost(error.to_string(), None)
        } else {
            Self::Final(error.to_string())
        }
    }
}

impl From<tokio_tungstenite::tungstenite::Error> for Stop {
    fn from(error: tokio_tungstenite::tungstenite::Error) -> Self {
        use tokio_tungstenite::tungstenite::Error::Http;
        match &error {
            Http(answer) if answer.status().is_client_error() => Self::Final(error.to_string()),
            _ => Self::Lost(error.to_string(), None),
        }
    }
}

impl From<OutputError> for Stop {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::Unread(unread) => Self::Unread(unread),
            OutputError::Io(_) => Self::Final(error.to_string()),
        }
    }
}

impl Tail {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let server = self.remote.server(config)?;
        let follower = Follower {
            server,
            topic: self.topic,
            json: self.json,
            after: self.from.map(|from| from.max(1) - 1),
            check: None,
            epoch: None,
        };
        super::block_on(async {
            tokio::select! {
                why = follower.follow() => Err(why),
                nobody = output::unread() => Err(nobody.into()),
            }
        })
    }
}

struct Follower {
    server: Server,
    topic: TopicName,
    json: bool,
    /// Everything up to it was printed; none is wherever the topic is.
    after: Option<Seq>,
    /// Of the log up to `after`, if the server said it.
    check: Option<Check>,
    /// None until the server said it.
    epoch: Option<Epoch>,
}

type Socket = WebSocketStream<Box<dyn Io>>;

impl Follower {
    /// Until it cannot go on.
    async fn follow(mut self) -> Box<dyn Error> {
        let (backoff, mut attempt) = (Backoff::default(), 0);
        loop {
            let began = Instant::now();
            let (why, told) = match self.talk().await {
                Ok(never) => match never {},
                Err(Stop::Final(why)) => return why.into(),
                Err(Stop::Unread(nobody)) => return nobody.into(),
                Err(Stop::Lost(why, told)) => (why, told),
            };
            if began.elapsed() >= backoff.stable_after {
                attempt = 0;
            }
            let pause = told.unwrap_or_else(|| backoff.delay(attempt, rand()));
            attempt += 1;
            err!("duplex: {why}; again in {:.1} s", pause.as_secs_f64());
            sleep(pause).await;
        }
    }

    async fn talk(&mut self) -> Result<std::convert::Infallible, Stop> {
        let mut socket = self.open().await?;
        let hello = ClientFrame::Hello {
            build: String::new(),
            name: None,
        };
        say(&mut socket, &hello).await?;
        self.subscribe(&mut socket).await?;
        let mut asked = false;
        loop {
            match timeout(SILENCE, socket.next()).await {
                Err(_) if asked => return Err(Stop::Lost("the server is silent".to_owned(), None)),
                Err(_) => {
                    asked = true;
                    say(&mut socket, &ClientFrame::Ping { nonce: 1 }).await?;
                }
                Ok(None) => return Err(Stop::Lost("the connection ended".to_owned(), None)),
                Ok(Some(message)) => {
                    asked = false;
                    self.hear(&mut socket, message?).await?;
                }
            }
        }
    }

    async fn open(&self) -> Result<Socket, Stop> {
        let stream = self.server.connect().await?;
        let mut request = format!("ws://{}{SESSION_PATH}", self.server.authority).into_client_request()?;
        let bearer = self.server.token.as_ref().map(|token| format!("Bearer {token}"));
        let protocol = Some(Encoding::Json.subprotocol().to_owned());
        for (name, value) in [("sec-websocket-protocol", protocol), ("authorization", bearer)] {
            if let Some(value) = value.and_then(|value| value.parse().ok()) {
                request.headers_mut().insert(name, value);
            }
        }
        let opened = timeout(PATIENCE, client_async(request, stream)).await;
        let (socket, _) = opened.map_err(|_| Stop::Lost("no answer in time".to_owned(), None))??;
        Ok(socket)
    }

    fn cursor(&self) -> Option<Cursor> {
        let (epoch, seq) = self.epoch.zip(self.after)?;
        Some(Cursor::new(epoch, seq).with_check(self.check))
    }

    async fn subscribe(&self, socket: &mut Socket) -> Result<(), Stop> {
        let frame = ClientFrame::Subscribe {
            topic: self.topic.clone(),
            cursor: self.cursor(),
        };
        say(socket, &frame).await
    }

    async fn hear(&mut self, socket: &mut Socket, message: Message) -> Result<(), Stop> {
        let bytes = match message {
            Message::Text(text) => text,
            Message::Close(frame) => return Err(closed(frame.map(|frame| frame.code.into()))),
            _ => return Ok(()),
        };
        let frame = Encoding::Json.decode(bytes.as_bytes());
        match frame.map_err(|error| Stop::Final(format!("the server says what this program does not know: {error}")))? {
            ServerFrame::Verdict { verdict, .. } => self.verdict(socket, verdict).await,
            ServerFrame::Event { seq, check, event, .. } => self.print(seq, check, &event),
            ServerFrame::Closing { retry_after_ms, .. } => {
                let pause = Duration::from_millis(retry_after_ms.into());
                Err(Stop::Lost("the server closes".to_owned(), Some(pause)))
            }
            _ => Ok(()),
        }
    }

    async fn verdict(&mut self, socket: &mut Socket, verdict: Verdict) -> Result<(), Stop> {
        match verdict {
            Verdict::Resumed { .. } => Ok(()),
            Verdict::Denied { reason } if reason.may_retry() => Err(Stop::Lost(reason.to_string(), None)),
            Verdict::Denied { reason } => Err(Stop::Final(reason.to_string())),
            Verdict::Reset { reason, cursor, .. } => self.reset(socket, reason, cursor).await,
        }
    }

    async fn reset(&mut self, socket: &mut Socket, reason: ResetReason, at: Cursor) -> Result<(), Stop> {
        let known = self.epoch.replace(at.epoch);
        if known.is_some_and(|known| known != at.epoch) || reason == ResetReason::Diverged {
            err!(
                "duplex: the server's log is another one now; going on from its event {}",
                at.seq
            );
            (self.after, self.check) = (None, None);
        }
        match (self.after, reason) {
            (Some(after), _) if after < at.seq => {
                // Of the first subscription, which had no epoch to ask with, or from too far behind.
                if reason != ResetReason::New {
                    self.read_log(at.seq).await?;
                }
                self.subscribe(socket).await
            }
            (Some(after), _) if after > at.seq => Err(Stop::Final(format!(
                "the topic ends at {}, before {}",
                at.seq,
                after + 1
            ))),
            _ => {
                (self.after, self.check) = (Some(at.seq), at.check);
                Ok(())
            }
        }
    }

    /// Prints what lies between, from the log itself.
    async fn read_log(&mut self, until: Seq) -> Result<(), Stop> {
        while self.after.is_some_and(|after| after < until) {
            let after = self.after.unwrap_or(0);
            let path = format!("{EVENTS_PATH}?topic={}&after={after}", self.topic);
            let page: LogPage = self.server.get(&path).await.map_err(|error| match error {
                HttpError::Unauthorized(_) | HttpError::Forbidden(_) => Stop::Final(format!(
                    "event {} lies too far behind for a visitor; show a --token with the role read",
                    after + 1
                )),
                other => other.into(),
            })?;
            let Some((first, _)) = page.events.first() else {
                (self.after, self.check) = (Some(until), None);
                break;
            };
            if *first > after + 1 {
                err!("duplex: the events {} to {} are no longer kept", after + 1, first - 1);
            }
            for (seq, event) in &page.events {
                self.print(*seq, None, event)?;
            }
        }
        Ok(())
    }

    /// What was printed already is passed over.
    fn print(&mut self, seq: Seq, check: Option<Check>, event: &Blob) -> Result<(), Stop> {
        if self.after.is_some_and(|after| seq <= after) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&event.0);
        if self.json {
            out!(r#"{{"topic":"{}","seq":{seq},"event":{text}}}"#, self.topic)?;
        } else {
            out!("{seq} {text}")?;
        }
        (self.after, self.check) = (Some(seq), check);
        Ok(())
    }
}

fn closed(code: Option<u16>) -> Stop {
    match code {
        Some(code) if !code::may_reconnect(code) => Stop::Final(format!("the server closed with code {code}")),
        _ => Stop::Lost("the server closed".to_owned(), None),
    }
}

async fn say(socket: &mut Socket, frame: &ClientFrame) -> Result<(), Stop> {
    let text = Encoding::Json
        .encode(frame)
        .map_err(|error| Stop::Final(error.to_string()))?;
    let text = String::from_utf8(text).map_err(|error| Stop::Final(error.to_string()))?;
    Ok(socket.send(Message::text(text)).await?)
}
