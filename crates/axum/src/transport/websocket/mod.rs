//! A WebSocket connection on its engine, tungstenite: batched writes, pings, limits and the closing handshake. No other module names
//! the engine. What messages mean is up to the [`ConnectionHandler`].

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _, poll};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::sleep_until;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::Error as EngineError;
use tokio_tungstenite::tungstenite::protocol::{Message as EngineMessage, Role, WebSocketConfig};

use self::ending::{EndCause, FULL, finish, full, humantime};
use super::activity_meter::ActivityMeter;
use super::faults::{Ending, FaultGate};
use crate::awake::paused_at;
use crate::connection::counters::DisconnectReason;
use crate::connection::keepalive::{Keepalive, KeepaliveAction};
use crate::connection::observed_stream::ObservedStream;
use crate::gateway::Gateway;
use crate::identity::{Caller, LoginEnd};
use crate::limits;
use crate::transport::handler::{ConnectionHandler, Message};
use duplex_protocol::code;
use duplex_protocol::frame::wire_len;

pub(super) use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
pub use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes as Text;

mod ending;
mod peer_close;

pub(super) use self::ending::{ClosingStream, ConnectionEnd};
pub(super) use self::peer_close::PeerClose;

type Raw = ObservedStream<TokioIo<Upgraded>, Arc<ActivityMeter>>;
type Socket = WebSocketStream<Raw>;

/// One connection: its handler, and the limits that its peer is held to.
pub(super) struct Connection<H> {
    handler: H,
    gate: FaultGate,
    /// The caller, with whose login the connection ends.
    caller: Caller,
    gateway: Gateway,
    meter: Arc<ActivityMeter>,
    /// Messages for the next flush.
    out: Vec<Message>,
    /// Bytes of messages that are written and not flushed.
    unsent: usize,
    /// Bytes of all messages so far, had each come in one frame. If it equals the bytes received, no message is half-read.
    accounted: u64,
    /// The largest message since the buffers were allocated.
    largest: usize,
}

impl<H: ConnectionHandler> Connection<H> {
    pub(super) fn new(handler: H, gateway: &Gateway, gate: FaultGate, caller: Caller) -> Self {
        Self {
            handler,
            gate,
            caller,
            gateway: gateway.clone(),
            meter: ActivityMeter::start(gateway.buffers.share()),
            out: Vec::new(),
            unsent: 0,
            accounted: 0,
            largest: 0,
        }
    }

    /// Runs until one side closes. The caller then hangs up.
    pub(super) async fn run(mut self, upgraded: Upgraded) -> (ConnectionEnd, ClosingStream) {
        let raw = ObservedStream::new(TokioIo::new(upgraded), Arc::clone(&self.meter));
        let socket = self.socket(raw).await;
        let (socket, stop) = self.listen(socket).await;
        self.meter.release();
        // Boxed: it runs once, and its state would make every idle connection larger.
        Box::pin(finish(socket, stop)).await
    }

    async fn socket(&mut self, raw: Raw) -> Socket {
        let (may_write, may_read) = (self.gateway.settings.max_message, self.message_limit());
        let config = WebSocketConfig::default()
            .read_buffer_size(limits::READ_BUFFER)
            .write_buffer_size(limits::WRITE_BUFFER)
            .max_write_buffer_size(limits::WRITE_BUFFER + may_write + limits::WRITE_BUFFER_MARGIN)
            .max_message_size(Some(may_read))
            .max_frame_size(Some(may_read))
            .accept_unmasked_frames(false);
        WebSocketStream::from_raw_socket(raw, Role::Server, Some(config)).await
    }

    async fn listen(&mut self, mut socket: Socket) -> (Socket, EndCause) {
        let shutdown = self.gateway.shutdown.clone();
        let mut shutdown = pin!(shutdown.begun());
        let caller = self.caller.clone();
        let mut login_end = caller.login_end();
        let ping = self.gateway.settings.ping_interval.min(H::PING_INTERVAL);
        let mut keepalive = Keepalive::new(ping, self.silence_limit(), limits::CLOCK_GAP);
        let mut alarm = pin!(sleep_until(self.meter.at(keepalive.first())));
        loop {
            let turn = tokio::select! {
                biased;
                () = &mut shutdown => Err(self.shut_down(&mut socket).await),
                () = self.meter.share().revoked() => Err(full()),
                end = &mut login_end => Err(Box::pin(self.dismiss(&mut socket, end)).await),
                ending = self.gate.ended() => Err(Box::pin(self.obey(&mut socket, ending)).await),
                // Before the alarm: unread bytes are no silence.
                message = socket.next() => self.turn(&mut socket, message).await,
                () = &mut alarm => self.beat(&mut socket, &mut keepalive).await.map(|until| {
                    alarm.as_mut().reset(self.meter.at(until));
                }),
                () = self.handler.ready() => self.write(&mut socket).await,
            };
            if let Err(stop) = turn {
                return (socket, stop);
            }
            if self.may_shrink() {
                socket = self.shrink(socket).await;
            }
        }
    }

    fn message_limit(&self) -> usize {
        self.gateway.settings.max_message.min(H::MAX_MESSAGE)
    }

    fn silence_limit(&self) -> Duration {
        self.gateway.settings.silence_limit.min(H::SILENCE_LIMIT)
    }

    async fn beat(&mut self, socket: &mut Socket, keepalive: &mut Keepalive) -> Result<Duration, EndCause> {
        match keepalive.beat(self.meter.now(), self.meter.heard()) {
            KeepaliveAction::Rest { until } => Ok(until),
            KeepaliveAction::Ping { until } => {
                let ping = socket.send(EngineMessage::Ping(Bytes::new()));
                self.moving(ping).await?.map_err(|error| self.stop(error))?;
                Ok(until)
            }
            KeepaliveAction::Silent => {
                self.gateway.counters.count_disconnect(DisconnectReason::Silent);
                let reason = format!("nothing was heard for {}", humantime(self.silence_limit()));
                Err(EndCause::Leave(code::TIMEOUT, reason.into()))
            }
        }
    }

    /// Handles all messages that have arrived, then writes once.
    async fn turn(&mut self, socket: &mut Socket, first: Received) -> Result<(), EndCause> {
        let read = self.read_all(socket, first).await;
        let sent = self.feed(socket).await;
        read?;
        sent?;
        self.write(socket).await
    }

    async fn read_all(&mut self, socket: &mut Socket, first: Received) -> Result<(), EndCause> {
        let mut received = first;
        let (mut messages, mut bytes) = (0, 0);
        loop {
            let message = received
                .unwrap_or(Err(EngineError::ConnectionClosed))
                .map_err(|error| self.stop(error))?;
            self.account(&message);
            bytes += message.len();
            let answers = self.out.len();
            match message {
                EngineMessage::Close(frame) => {
                    let registered = self.meter.registered_close();
                    return Err(registered.map_or(EndCause::Closed(frame), |(code, reason)| {
                        EndCause::ClosedAs(code, reason)
                    }));
                }
                EngineMessage::Text(text) => self.on_message(Message::Text(text)).await?,
                EngineMessage::Binary(bytes) => self.on_message(Message::Binary(bytes)).await?,
                EngineMessage::Ping(_) | EngineMessage::Pong(_) | EngineMessage::Frame(_) => {}
            }
            messages += 1;
            bytes += self.out[answers..].iter().map(Message::len).sum::<usize>();
            if messages == limits::TURN_MESSAGES || bytes >= limits::TURN_BYTES {
                return Ok(());
            }
            match socket.next().now_or_never() {
                Some(next) => received = next,
                None => return Ok(()),
            }
        }
    }

    async fn on_message(&mut self, message: Message) -> Result<(), EndCause> {
        self.count(1, 0);
        Ok(self.handler.on_message(message, &mut self.out).await?)
    }

    /// Sends what the handler has to send, with one flush.
    async fn write(&mut self, socket: &mut Socket) -> Result<(), EndCause> {
        if !self.gate.is_free() {
            Box::pin(self.pass()).await?;
        }
        let said = self.handler.write(&mut self.out).await;
        self.feed(socket).await?;
        said?;
        self.moving(socket.flush()).await?.map_err(|error| self.stop(error))?;
        self.unsent = 0;
        Ok(())
    }

    /// Waits while an injected fault holds writes back, as for a peer that does not read.
    async fn pass(&mut self) -> Result<(), EndCause> {
        let (mut gate, shutdown) = (std::mem::take(&mut self.gate), self.gateway.shutdown.clone());
        let passed = self
            .moving(async {
                tokio::select! {
                    () = gate.pass() => {}
                    () = shutdown.begun() => {}
                }
            })
            .await;
        self.gate = gate;
        passed
    }

    async fn obey(&mut self, socket: &mut Socket, ending: Ending) -> EndCause {
        match ending {
            Ending::Cut => EndCause::Lost("cut, as its visitor asked".into()),
            Ending::Drain => self.shut_down(socket).await,
        }
    }

    async fn feed(&mut self, socket: &mut Socket) -> Result<(), EndCause> {
        self.count(0, self.out.len() as u64);
        let mut out = std::mem::take(&mut self.out);
        self.unsent += out.iter().map(Message::len).sum::<usize>();
        for message in out.drain(..) {
            self.largest = self.largest.max(message.len());
            self.moving(socket.feed(message.into()))
                .await?
                .map_err(|error| self.stop(error))?;
        }
        if out.capacity() <= limits::KEPT_MESSAGES {
            self.out = out;
        }
        Ok(())
    }

    /// Sends the last messages before the node shuts down.
    async fn shut_down(&mut self, socket: &mut Socket) -> EndCause {
        let close_frame = self.handler.on_shutdown(&mut self.out);
        match self.feed(socket).await {
            Ok(()) => close_frame.into(),
            Err(stop) => stop,
        }
    }

    /// Sends the last messages after the login has ended. A banned peer is read no further.
    async fn dismiss(&mut self, socket: &mut Socket, end: LoginEnd) -> EndCause {
        let is_ban = end.is_ban();
        if is_ban {
            self.gateway.counters.count_disconnect(DisconnectReason::Banned);
        }
        let close_frame = self.handler.on_login_end(end, &mut self.out);
        match self.feed(socket).await {
            Ok(()) if is_ban => EndCause::Refuse(close_frame.code, close_frame.reason),
            Ok(()) => close_frame.into(),
            Err(stop) => stop,
        }
    }

    fn stop(&self, error: EngineError) -> EndCause {
        EndCause::from_engine(error, self.message_limit())
    }

    fn count(&self, received: u64, sent: u64) {
        if H::COUNTED {
            self.gateway.counters.count_messages(received, sent);
        }
    }

    /// Waits for a write, as long as the peer reads some of it within the stall limit.
    async fn moving<R>(&mut self, write: impl Future<Output = R>) -> Result<R, EndCause> {
        let mut write = pin!(write);
        if let Poll::Ready(done) = poll!(write.as_mut()) {
            return Ok(done);
        }
        let held = std::mem::take(&mut self.unsent);
        self.meter.share().grow(held);
        let done = self.wait_for(write).await;
        self.meter.share().shrink(held);
        self.unsent = held;
        self.meter.listens();
        done
    }

    async fn wait_for<R>(&mut self, mut write: Pin<&mut impl Future<Output = R>>) -> Result<R, EndCause> {
        let limit = H::STALL_LIMIT.min(self.gateway.settings.silence_limit);
        let mut since = self.meter.now();
        loop {
            tokio::select! {
                biased;
                done = &mut write => return Ok(done),
                () = self.meter.share().revoked() => return Err(EndCause::Lost(FULL.into())),
                () = sleep_until(self.meter.at(since + limit)) => {}
            }
            let wrote = self.meter.wrote();
            if paused_at(self.meter.at(since + limit)) {
                since = self.meter.now();
                continue;
            }
            if wrote <= since {
                self.gateway.counters.count_disconnect(DisconnectReason::Slow);
                let reason = format!("the peer took nothing for {}", humantime(limit)).into();
                let told = H::STALL_LIMIT < self.gateway.settings.silence_limit;
                return Err(if told {
                    EndCause::Stuck(reason)
                } else {
                    EndCause::Lost(reason)
                });
            }
            since = wrote;
        }
    }

    fn account(&mut self, message: &EngineMessage) {
        let payload = message.len();
        let bytes = wire_len(payload as u64, true);
        match message {
            EngineMessage::Text(_) | EngineMessage::Binary(_) => self.meter.message_arrived(),
            _ => self.meter.control_arrived(usize::try_from(bytes).unwrap_or(usize::MAX)),
        }
        self.accounted += bytes;
        self.largest = self.largest.max(payload);
    }

    /// Whether the buffers can be replaced: the engine keeps them as large as the largest message. They are empty when everything
    /// is flushed and as many bytes were received as the messages have. Fragments and long headers cost more bytes, so the two are
    /// equal only if no message is half-read.
    fn may_shrink(&self) -> bool {
        self.largest > limits::KEPT_BUFFER && self.accounted == self.meter.bytes_in()
    }

    async fn shrink(&mut self, socket: Socket) -> Socket {
        self.largest = 0;
        self.socket(socket.into_inner()).await
    }
}

/// An item of the engine's stream; `None` is its end.
type Received = Option<Result<EngineMessage, EngineError>>;
