//! The WebSocket transport: a [`ConnectionHandler`] that speaks the session protocol.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::awake::paused_at;
use crate::connection::counters::DisconnectReason;
use crate::gateway::Gateway;
use crate::identity::LoginEnd;
use crate::limits;
use crate::shutdown::reconnect_delay;
use crate::transport::handler::{CloseFrame, ConnectionHandler, Message, Text};
use duplex_hub::NameRefused;
use duplex_hub::session::Bucket;
use duplex_hub::session::authorize_write;
use duplex_hub::session::{Act, ProtocolError, Session};
use duplex_hub::session::{AnswerKind, Answered, Reader};
use duplex_hub::{Hub, ReadLimit};
use duplex_protocol::code;
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::cursor::Cursor;
use duplex_protocol::person::Person;
use duplex_protocol::protocol::Protocol;
use duplex_protocol::session::{ClientFrame, Closing, CommandId, ServerFrame, SessionId, Welcome};
use duplex_protocol::topic::TopicName;

pub(super) struct SessionHandler {
    state: Gateway,
    hub: Hub,
    /// `None` if the client offered no subprotocol that the server speaks.
    protocol: Option<Protocol>,
    id: SessionId,
    session: Session,
    reader: Reader,
    /// Commands that are being decided and appended, with their sizes, started in the order in which they came.
    deciding: FuturesUnordered<BoxFuture<'static, (ServerFrame, usize)>>,
    deciding_bytes: usize,
    /// Subscribes without a verdict, one for each topic: a state is made when the peer has read what came before.
    subscribes: VecDeque<(TopicName, Option<Cursor>)>,
    states: Bucket,
    /// Frames that wait for the next flush.
    answers: Vec<ServerFrame>,
    names: watch::Receiver<()>,
    began: Instant,
    hello_by: Instant,
}

impl SessionHandler {
    /// A session of `person`. `hub` has the client's rights and quotas.
    pub(super) fn new(state: &Gateway, hub: Hub, protocol: Option<Protocol>, id: SessionId, person: Person) -> Self {
        let written = protocol.unwrap_or(Protocol::JSON);
        Self {
            state: state.clone(),
            protocol,
            names: hub.names().changes(),
            reader: Reader::new(hub.clone(), written, id.clone(), person),
            hub,
            id,
            session: Session::new(state.settings.command_rate),
            deciding: FuturesUnordered::new(),
            deciding_bytes: 0,
            subscribes: VecDeque::new(),
            states: Bucket::new(limits::VERDICT_BYTES_BURST, limits::VERDICT_BYTE_INTERVAL),
            answers: Vec::new(),
            began: Instant::now(),
            hello_by: Instant::now() + limits::HELLO_WAIT,
        }
    }

    /// Whether no hello came in time although the process ran.
    fn is_hello_late(&mut self) -> bool {
        if self.session.is_greeted() || Instant::now() < self.hello_by {
            return false;
        }
        let paused = paused_at(self.hello_by);
        if paused {
            self.hello_by = Instant::now() + limits::HELLO_WAIT;
        }
        !paused
    }

    fn written(&self) -> Encoding {
        self.protocol.unwrap_or(Protocol::JSON).encoding
    }

    fn read(&self, message: &Message) -> Result<ClientFrame, ProtocolError> {
        let protocol = self.protocol.ok_or(ProtocolError::Protocol)?;
        let bytes: &[u8] = match (message, protocol.encoding) {
            (Message::Text(text), Encoding::Json) => text.as_bytes(),
            (Message::Binary(bytes), Encoding::Postcard) => bytes,
            (Message::Text(_), _) => {
                return Err(ProtocolError::Unreadable(
                    "this subprotocol's messages are binary".to_owned(),
                ));
            }
            (Message::Binary(_), _) => {
                return Err(ProtocolError::Unreadable(
                    "this subprotocol's messages are text".to_owned(),
                ));
            }
        };
        protocol
            .decode(bytes)
            .map_err(|error| ProtocolError::Unreadable(error.to_string()))
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Welcome { name } => {
                // A refused name is ignored: the welcome says which one the visitor has.
                if let Some(Ok(name)) = name.map(|name| self.choose(&name)) {
                    self.reader.rename(&name);
                }
                let welcome = welcome(&self.state, self.id.clone(), self.reader.person().clone());
                self.answers.push(ServerFrame::Welcome(welcome));
            }
            Act::Subscribe { topic, cursor } => self.subscribe(topic, cursor),
            Act::Unsubscribe { topic } => {
                self.subscribes.retain(|(known, _)| *known != topic);
                self.reader.unsubscribe(&topic);
            }
            Act::Command { topic, id, command } => self.command(topic, id, command).await,
            Act::Activity { topic, activity } => self.reader.activity(&topic, activity),
            Act::Rename { name } => match self.choose(&name) {
                Ok(name) => self.reader.rename(&name),
                Err(error) => {
                    let why = error.why.to_owned();
                    self.answers.push(ServerFrame::NameRefused { why });
                }
            },
            Act::Say(frame) => self.answers.push(frame),
        }
    }

    /// A subscribe that is repeated before its verdict replaces the earlier one.
    fn subscribe(&mut self, topic: TopicName, cursor: Option<Cursor>) {
        match self.subscribes.iter_mut().find(|(known, _)| *known == topic) {
            Some((_, known)) => *known = cursor,
            None => self.subscribes.push_back((topic, cursor)),
        }
    }

    /// When the next verdict may be given, if one is due.
    fn verdict_due(&self) -> Option<Instant> {
        let now = self.began.elapsed();
        (!self.subscribes.is_empty()).then(|| self.began + now + self.states.wait(now).unwrap_or_default())
    }

    /// Adds verdicts until the turn is full or the session has exhausted its states for now. Returns the turn's bytes.
    async fn give_verdicts(&mut self, mut bytes: usize, out: &mut Vec<Message>) -> usize {
        while bytes < limits::TURN_BYTES && self.states.wait(self.began.elapsed()).is_none() {
            let Some((topic, cursor)) = self.subscribes.pop_front() else {
                break;
            };
            let Answered { frame, kind } = self.reader.subscribe_framed(&topic, cursor).await;
            if kind == AnswerKind::Denied {
                self.session.denied(&topic);
            }
            let size = frame.as_ref().map_or(0, Bytes::len);
            self.states
                .owe(self.began.elapsed(), u32::try_from(size).unwrap_or(u32::MAX));
            bytes += size;
            out.extend(frame.and_then(|frame| message(self.written(), frame)));
        }
        bytes
    }

    fn choose(&self, name: &str) -> Result<String, NameRefused> {
        let names = self.hub.names();
        names.choose(&self.reader.person().id, self.hub.is_for_operator(), name)
    }

    /// Tells the page if an operator gave this visitor another name.
    fn look_at_the_name(&mut self) {
        let person = self.reader.person().clone();
        let named = self.hub.names().named(person.clone(), self.hub.is_for_operator());
        if self.session.is_greeted() && named != person {
            self.reader.rename(&named.name);
            let welcome = welcome(&self.state, self.id.clone(), named);
            self.answers.push(ServerFrame::Welcome(welcome));
        }
    }

    /// Starts a command. The topic is opened before the next frame is read, so commands to one topic stay in order.
    async fn command(&mut self, topic: TopicName, id: CommandId, command: Blob) {
        let (hub, person) = (&self.hub, self.reader.person().clone());
        let open = self.reader.topic(&topic);
        let written = (&command, self.written());
        match authorize_write(hub, &person, &topic, open, written).await {
            Err(answer) => self.answers.push(ServerFrame::Reply {
                id,
                answer,
                duplicate: false,
            }),
            Ok(topic) => {
                let (encoding, size) = (self.written(), command.0.len());
                self.deciding_bytes += size;
                self.deciding.push(Box::pin(async move {
                    let (answer, again) = topic.command(person, id.clone(), command, encoding).await;
                    (
                        ServerFrame::Reply {
                            id,
                            answer,
                            duplicate: again,
                        },
                        size,
                    )
                }));
                self.begin_deciding().await;
            }
        }
    }

    /// Polls a new command once, so that it enters the topic's queue. Waits only if too many are in flight.
    async fn begin_deciding(&mut self) {
        use futures_util::FutureExt as _;
        while self.deciding.len() > limits::COMMANDS_IN_FLIGHT
            || (self.deciding_bytes > limits::COMMAND_BYTES_IN_FLIGHT && self.deciding.len() > 1)
        {
            let Some(decided) = self.deciding.next().await else {
                break;
            };
            self.decided(decided);
        }
        while let Some(Some(decided)) = self.deciding.next().now_or_never() {
            self.decided(decided);
        }
    }

    fn decided(&mut self, (frame, size): (ServerFrame, usize)) {
        self.deciding_bytes -= size;
        self.answers.push(frame);
    }

    fn breach(&self, breach: &ProtocolError, out: &mut Vec<Message>) -> CloseFrame {
        self.state.counters.count_disconnect(DisconnectReason::ProtocolError);
        tracing::debug!("a session broke the protocol: {breach}");
        let retry_after_ms = u32::try_from(limits::PROTOCOL_ERROR_PAUSE.as_millis()).unwrap_or(u32::MAX);
        self.close(breach.closing(), retry_after_ms, out);
        CloseFrame::new(breach.code(), breach.to_string())
    }

    fn close(&self, reason: Closing, retry_after_ms: u32, out: &mut Vec<Message>) {
        out.extend(self.message(&ServerFrame::Closing { reason, retry_after_ms }));
    }

    fn message(&self, frame: &ServerFrame) -> Option<Message> {
        let bytes = self.reader.encoded(frame)?;
        message(self.written(), bytes)
    }
}

impl ConnectionHandler for SessionHandler {
    const PING_INTERVAL: Duration = limits::SESSION_PING;
    const SILENCE_LIMIT: Duration = limits::SESSION_SILENCE;
    const STALL_LIMIT: Duration = limits::SESSION_STALL;
    /// A command and its frame.
    const MAX_MESSAGE: usize = limits::COMMAND_BODY;

    async fn on_message(&mut self, message: Message, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        let heard = self
            .read(&message)
            .and_then(|frame| self.session.on_frame(frame, self.began.elapsed()));
        match heard {
            // Boxed, as below: an idle session should not hold the memory that its busy moments need.
            Ok(act) => Box::pin(self.act(act)).await,
            Err(breach) => return Err(self.breach(&breach, out)),
        }
        Ok(())
    }

    async fn ready(&mut self) {
        if !self.answers.is_empty() {
            return;
        }
        let hello_by = self.hello_by;
        let verdict_due = self.verdict_due();
        tokio::select! {
            Some(decided) = self.deciding.next(), if !self.deciding.is_empty() => self.decided(decided),
            () = self.reader.woken() => {}
            () = sleep_until(verdict_due.unwrap_or(hello_by)), if verdict_due.is_some() => {}
            Ok(()) = self.names.changed() => self.look_at_the_name(),
            () = sleep_until(hello_by), if !self.session.is_greeted() => {}
        }
    }

    async fn write(&mut self, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        if self.protocol.is_none() {
            return Err(self.breach(&ProtocolError::Protocol, out));
        }
        if self.is_hello_late() {
            return Err(self.breach(&ProtocolError::NoHello, out));
        }
        let answers = std::mem::take(&mut self.answers);
        out.extend(answers.iter().filter_map(|answer| self.message(answer)));
        let bytes = out.iter().map(Message::len).sum();
        let bytes = Box::pin(self.give_verdicts(bytes, out)).await;
        let mut frames = Vec::new();
        let most = ReadLimit {
            frames: limits::TURN_MESSAGES,
            bytes: limits::TURN_BYTES.saturating_sub(bytes),
        };
        Box::pin(self.reader.gather(most, &mut frames)).await;
        let encoding = self.written();
        out.extend(frames.into_iter().filter_map(|frame| message(encoding, frame)));
        Ok(())
    }

    fn on_login_end(&mut self, end: LoginEnd, out: &mut Vec<Message>) -> CloseFrame {
        tracing::info!("the session ends: {}", end.reason);
        self.close(end.closing, 0, out);
        end.into()
    }

    /// Clients are told to come back spread over time, when a successor serves.
    fn on_shutdown(&mut self, out: &mut Vec<Message>) -> CloseFrame {
        self.close(Closing::Draining, reconnect_ms(&self.id), out);
        CloseFrame::new(code::RESTART, "the server is going away; come back")
    }
}

pub(super) fn welcome(state: &Gateway, session: SessionId, person: Person) -> Welcome {
    Welcome {
        session,
        person,
        build: state.settings.build.clone(),
        node: state.settings.node.clone(),
        beat_ms: u32::try_from(limits::SESSION_BEAT.as_millis()).unwrap_or(u32::MAX),
        now_ms: duplex_hub::now(),
    }
}

/// [`reconnect_delay`] in milliseconds, for the `closing` frame.
pub(super) fn reconnect_ms(session: &SessionId) -> u32 {
    u32::try_from(reconnect_delay(session).as_millis()).unwrap_or(u32::MAX)
}

fn message(encoding: Encoding, bytes: Bytes) -> Option<Message> {
    match encoding {
        Encoding::Json => Text::try_from(bytes).ok().map(Message::Text),
        Encoding::Postcard => Some(Message::Binary(bytes)),
    }
}
