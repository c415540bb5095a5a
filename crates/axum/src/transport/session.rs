//! The WebSocket transport: a [`ConnectionHandler`] for the session protocol.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use crate::connection::counters::DisconnectReason;
use crate::gateway::Gateway;
use crate::identity::LoginEnd;
use crate::limits;
use crate::shutdown::reconnect_delay;
use crate::suspend_aware::was_suspended;
use crate::transport::handler::{CloseFrame, ConnectionHandler, Message};
use duplex_hub::NameRejection;
use duplex_hub::session::TokenBucket;
use duplex_hub::session::authorize_write;
use duplex_hub::session::{ProtocolError, Session, SessionAction};
use duplex_hub::session::{Reader, SubscribeReply, VerdictKind};
use duplex_hub::topic::DirectWriter;
use duplex_hub::{Hub, ReadLimit};
use duplex_protocol::code;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Cursor;
use duplex_protocol::person::Person;
use duplex_protocol::session::{ClientFrame, CloseReason, CommandId, ServerFrame, SessionId, Welcome};
use duplex_protocol::subprotocol::Subprotocol;
use duplex_protocol::topic::TopicName;

type CommandsInFlight = FuturesUnordered<BoxFuture<'static, (ServerFrame, usize)>>;

pub(super) struct SessionHandler {
    state: Gateway,
    hub: Hub,
    /// `None` if the client offered no subprotocol that the server supports.
    protocol: Option<Subprotocol>,
    id: SessionId,
    session: Session,
    reader: Reader,
    /// Commands in flight, with their sizes; started in order of arrival. `None` before the first.
    commands: Option<CommandsInFlight>,
    command_bytes: usize,
    /// Subscribes that await their verdict, at most one per topic. A state is encoded only after earlier frames were written.
    pending_subscribes: VecDeque<(TopicName, Option<Cursor>)>,
    /// The rate of verdicts, in bytes.
    verdict_bytes: TokenBucket,
    /// Frames for the next flush.
    replies: Vec<ServerFrame>,
    name_changes: watch::Receiver<()>,
    started: Instant,
    hello_deadline: Instant,
}

impl SessionHandler {
    /// A session of `person`. `hub` must already carry the client's rights and quotas.
    pub(super) fn new(state: &Gateway, hub: Hub, protocol: Option<Subprotocol>, id: SessionId, person: Person) -> Self {
        let frame_protocol = protocol.unwrap_or(Subprotocol::JSON);
        Self {
            state: state.clone(),
            protocol,
            name_changes: hub.name_policy().changes(),
            reader: Reader::new(hub.clone(), frame_protocol, id.clone(), person),
            hub,
            id,
            session: Session::new(state.settings.command_rate),
            commands: None,
            command_bytes: 0,
            pending_subscribes: VecDeque::new(),
            verdict_bytes: TokenBucket::new(limits::VERDICT_BYTES_BURST, limits::VERDICT_BYTE_INTERVAL),
            replies: Vec::new(),
            started: Instant::now(),
            hello_deadline: Instant::now() + limits::HELLO_TIMEOUT,
        }
    }

    /// Whether no hello arrived in time. Time during which the process was suspended does not count.
    fn is_hello_late(&mut self) -> bool {
        if self.session.has_received_hello() || Instant::now() < self.hello_deadline {
            return false;
        }
        let suspended = was_suspended(self.hello_deadline);
        if suspended {
            self.hello_deadline = Instant::now() + limits::HELLO_TIMEOUT;
        }
        !suspended
    }

    fn encoding(&self) -> Encoding {
        self.protocol.unwrap_or(Subprotocol::JSON).encoding
    }

    fn decode(&self, message: &Message) -> Result<ClientFrame, ProtocolError> {
        let protocol = self.protocol.ok_or(ProtocolError::UnsupportedSubprotocol)?;
        let bytes: &[u8] = match (message, protocol.encoding) {
            (Message::Text(text), Encoding::Json) => text.as_bytes(),
            (Message::Binary(bytes), Encoding::Postcard) => bytes,
            (Message::Frame(..), _) => return Err(ProtocolError::Malformed(String::new())),
            (Message::Text(_), _) => {
                return Err(ProtocolError::Malformed(
                    "this subprotocol's messages are binary".to_owned(),
                ));
            }
            (Message::Binary(_), _) => {
                return Err(ProtocolError::Malformed(
                    "this subprotocol's messages are text".to_owned(),
                ));
            }
        };
        protocol
            .decode(bytes)
            .map_err(|error| ProtocolError::Malformed(error.to_string()))
    }

    async fn apply_action(&mut self, action: SessionAction) {
        match action {
            SessionAction::Welcome { name } => {
                // A rejected name is ignored: the welcome contains the name that the visitor has.
                if let Some(Ok(name)) = name.map(|name| self.choose_name(&name)) {
                    self.reader.rename(&name);
                }
                let welcome = welcome(&self.state, self.id.clone(), self.reader.person().clone());
                self.replies.push(ServerFrame::Welcome(welcome));
            }
            SessionAction::Subscribe { topic, cursor } => self.subscribe(topic, cursor),
            SessionAction::Unsubscribe { topic } => {
                self.pending_subscribes.retain(|(known, _)| *known != topic);
                self.reader.unsubscribe(&topic);
            }
            SessionAction::Command { topic, id, command } => self.start_command(topic, id, command).await,
            SessionAction::Activity { topic, activity } => self.reader.set_activity(&topic, activity),
            SessionAction::Rename { name } => match self.choose_name(&name) {
                Ok(name) => self.reader.rename(&name),
                Err(error) => {
                    let reason = error.reason.to_owned();
                    self.replies.push(ServerFrame::NameRejected { reason });
                }
            },
            SessionAction::Send(frame) => self.replies.push(frame),
        }
    }

    /// A subscribe that is repeated before its verdict replaces the earlier one.
    fn subscribe(&mut self, topic: TopicName, cursor: Option<Cursor>) {
        match self.pending_subscribes.iter_mut().find(|(known, _)| *known == topic) {
            Some((_, known)) => *known = cursor,
            None => self.pending_subscribes.push_back((topic, cursor)),
        }
    }

    /// When the next verdict may be sent, if a subscribe is pending.
    fn verdict_due(&self) -> Option<Instant> {
        let now = self.started.elapsed();
        (!self.pending_subscribes.is_empty())
            .then(|| self.started + now + self.verdict_bytes.overdraft_wait(now).unwrap_or_default())
    }

    /// Adds verdicts until the batch is full or the session's rate of verdicts is exhausted. Returns the batch's bytes.
    async fn write_verdicts(&mut self, mut bytes: usize, out: &mut Vec<Message>) -> usize {
        while bytes < limits::BATCH_BYTES && self.verdict_bytes.overdraft_wait(self.started.elapsed()).is_none() {
            let Some((topic, cursor)) = self.pending_subscribes.pop_front() else {
                break;
            };
            let SubscribeReply { frame, kind } = self.reader.subscribe_encoded(&topic, cursor).await;
            if kind == VerdictKind::Denied {
                self.session.remove_denied(&topic);
            }
            let size = frame.as_ref().map_or(0, |frame| frame.len());
            self.verdict_bytes
                .take_unchecked(self.started.elapsed(), u32::try_from(size).unwrap_or(u32::MAX));
            bytes += size;
            out.extend(frame.map(|frame| Message::Frame(self.encoding(), frame)));
        }
        if self.pending_subscribes.is_empty() {
            self.pending_subscribes = VecDeque::new();
        }
        bytes
    }

    fn choose_name(&self, name: &str) -> Result<String, NameRejection> {
        let names = self.hub.name_policy();
        names.choose(&self.reader.person().id, self.hub.is_operator(), name)
    }

    /// Sends a new welcome if an operator changed this visitor's name.
    fn refresh_name(&mut self) {
        let person = self.reader.person().clone();
        let named = self.hub.name_policy().resolve(person.clone(), self.hub.is_operator());
        if self.session.has_received_hello() && named != person {
            self.reader.rename(&named.name);
            let welcome = welcome(&self.state, self.id.clone(), named);
            self.replies.push(ServerFrame::Welcome(welcome));
        }
    }

    /// Authorizes a command and starts it. The topic is opened before the next frame is read, so commands to one topic stay in
    /// order.
    async fn start_command(&mut self, topic: TopicName, id: CommandId, command: EncodedValue) {
        let (hub, person) = (&self.hub, self.reader.person().clone());
        let open = self.reader.topic(&topic);
        let encoded = (&command, self.encoding());
        match authorize_write(hub, &person, &topic, open, encoded).await {
            Err(answer) => self.replies.push(ServerFrame::Reply {
                id,
                answer,
                duplicate: false,
            }),
            Ok(topic) => {
                let (encoding, size) = (self.encoding(), command.0.len());
                self.command_bytes += size;
                let commands = self.commands.get_or_insert_default();
                commands.push(Box::pin(async move {
                    let (answer, duplicate) = topic.command(person, id.clone(), command, encoding).await;
                    (ServerFrame::Reply { id, answer, duplicate }, size)
                }));
                self.poll_commands().await;
            }
        }
    }

    /// Polls the new command once to enqueue it in the topic's task. Waits only if too many commands are in flight.
    async fn poll_commands(&mut self) {
        while let Some(commands) = &mut self.commands
            && (commands.len() > limits::COMMANDS_IN_FLIGHT
                || (self.command_bytes > limits::COMMAND_BYTES_IN_FLIGHT && commands.len() > 1))
            && let Some(completed) = commands.next().await
        {
            self.on_command_completed(completed);
        }
        self.take_completed();
    }

    /// Takes the answers that have arrived, and starts new commands.
    fn take_completed(&mut self) {
        while let Some(Some(Some(completed))) = self.commands.as_mut().map(|commands| commands.next().now_or_never()) {
            self.on_command_completed(completed);
        }
    }

    fn on_command_completed(&mut self, (frame, size): (ServerFrame, usize)) {
        self.command_bytes -= size;
        self.replies.push(frame);
    }

    fn protocol_error(&self, error: &ProtocolError, out: &mut Vec<Message>) -> CloseFrame {
        self.state.counters.count_disconnect(DisconnectReason::ProtocolError);
        tracing::debug!("a session violated the protocol: {error}");
        let retry_after_ms = u32::try_from(limits::PROTOCOL_ERROR_RETRY.as_millis()).unwrap_or(u32::MAX);
        self.close(error.closing(), retry_after_ms, out);
        CloseFrame::new(error.code(), error.to_string())
    }

    fn close(&self, reason: CloseReason, retry_after_ms: u32, out: &mut Vec<Message>) {
        out.extend(self.message(&ServerFrame::Closing { reason, retry_after_ms }));
    }

    fn message(&self, frame: &ServerFrame) -> Option<Message> {
        Some(Message::Frame(self.encoding(), self.reader.encode(frame)?))
    }
}

/// Never completes if none is in flight.
async fn next_completed(commands: &mut Option<CommandsInFlight>) -> Option<(ServerFrame, usize)> {
    match commands {
        Some(commands) if !commands.is_empty() => commands.next().await,
        _ => pending().await,
    }
}

/// Boxed, because most idle sessions wait for no deadline.
async fn sleep_until_some(due: Option<Instant>) {
    match due {
        Some(due) => Box::pin(sleep_until(due)).await,
        None => pending().await,
    }
}

impl ConnectionHandler for SessionHandler {
    const PING_INTERVAL: Duration = limits::SESSION_PING;
    const SILENCE_LIMIT: Duration = limits::SESSION_SILENCE;
    const STALL_LIMIT: Duration = limits::SESSION_STALL;
    /// A command and its frame.
    const MAX_MESSAGE: usize = limits::COMMAND_BODY;

    async fn on_message(&mut self, message: Message, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        let action = self
            .decode(&message)
            .and_then(|frame| self.session.on_frame(frame, self.started.elapsed()));
        match action {
            // Boxed, here and below, to keep the future of an idle session small.
            Ok(action) => Box::pin(self.apply_action(action)).await,
            Err(error) => return Err(self.protocol_error(&error, out)),
        }
        Ok(())
    }

    async fn ready(&mut self) {
        if !self.replies.is_empty() {
            return;
        }
        let hello_due = (!self.session.has_received_hello()).then_some(self.hello_deadline);
        let due = self.verdict_due().into_iter().chain(hello_due).min();
        tokio::select! {
            Some(completed) = next_completed(&mut self.commands) => {
                self.on_command_completed(completed);
                // The tasks that are ready run first: they may answer more commands, and one write sends all answers.
                yield_now().await;
            }
            () = self.reader.woken() => {}
            () = sleep_until_some(due) => {}
            Ok(()) = self.name_changes.changed() => self.refresh_name(),
        }
    }

    async fn write(&mut self, out: &mut Vec<Message>) -> Result<(), CloseFrame> {
        if self.protocol.is_none() {
            return Err(self.protocol_error(&ProtocolError::UnsupportedSubprotocol, out));
        }
        if self.is_hello_late() {
            return Err(self.protocol_error(&ProtocolError::NoHello, out));
        }
        self.take_completed();
        let replies = std::mem::take(&mut self.replies);
        out.extend(replies.iter().filter_map(|reply| self.message(reply)));
        let bytes = out.iter().map(Message::len).sum();
        let bytes = Box::pin(self.write_verdicts(bytes, out)).await;
        let mut frames = Vec::new();
        let limit = ReadLimit {
            frames: limits::BATCH_MESSAGES,
            bytes: limits::BATCH_BYTES.saturating_sub(bytes),
        };
        Box::pin(self.reader.gather(limit, &mut frames)).await;
        let encoding = self.encoding();
        out.extend(frames.into_iter().map(|frame| Message::Frame(encoding, frame)));
        Ok(())
    }

    fn attach(&mut self, writer: Arc<dyn DirectWriter>) -> Option<Subprotocol> {
        self.reader.set_writer(writer);
        self.protocol
    }

    fn park(&mut self) {
        self.reader.park();
    }

    fn unpark(&mut self) {
        self.reader.unpark();
    }

    fn on_login_end(&mut self, end: LoginEnd, out: &mut Vec<Message>) -> CloseFrame {
        tracing::info!("the session ends: {}", end.reason);
        self.close(end.closing, 0, out);
        end.into()
    }

    /// Asks clients to reconnect after a per-session delay, so that they do not all reconnect at once.
    fn on_shutdown(&mut self, out: &mut Vec<Message>) -> CloseFrame {
        self.close(CloseReason::Draining, reconnect_ms(&self.id), out);
        CloseFrame::new(code::RESTART, "the server is going away; come back")
    }
}

pub(super) fn welcome(state: &Gateway, session: SessionId, person: Person) -> Welcome {
    Welcome {
        session,
        person,
        build: state.settings.build.clone(),
        node: state.settings.node.clone(),
        keepalive_ms: u32::try_from(limits::SESSION_CLIENT_KEEPALIVE.as_millis()).unwrap_or(u32::MAX),
        now_ms: duplex_hub::now(),
    }
}

/// [`reconnect_delay`] in milliseconds, for the `closing` frame.
pub(super) fn reconnect_ms(session: &SessionId) -> u32 {
    u32::try_from(reconnect_delay(session).as_millis()).unwrap_or(u32::MAX)
}
