//! A WebSocket connection on tungstenite: batched writes, pings, limits and the closing handshake. Other modules do not depend on
//! tungstenite. The [`ConnectionHandler`] interprets the messages.

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
use tokio_tungstenite::tungstenite::error::Error as TungsteniteError;
use tokio_tungstenite::tungstenite::protocol::{Message as TungsteniteMessage, Role, WebSocketConfig};

use self::closing::{BUFFERS_FULL, CloseCause, buffers_full, close, format_seconds};
use super::activity_meter::ActivityMeter;
use super::faults::{FaultGate, InjectedEnd};
use crate::connection::counters::DisconnectReason;
use crate::connection::keepalive::{Keepalive, KeepaliveAction};
use crate::connection::observed_stream::ObservedStream;
use crate::gateway::Gateway;
use crate::identity::{Caller, LoginEnd};
use crate::limits;
use crate::suspend_aware::was_suspended;
use crate::transport::handler::{ConnectionHandler, Message};
use duplex_protocol::code;
use duplex_protocol::frame::wire_len;

pub(super) use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
pub use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes as Text;

mod closing;
mod peer_close;

pub(super) use self::closing::{CloseInfo, ClosingStream};
pub(super) use self::peer_close::CloseFrameParser;

type RawStream = ObservedStream<TokioIo<Upgraded>, Arc<ActivityMeter>>;
type Socket = WebSocketStream<RawStream>;

/// A WebSocket connection: it runs the handler and enforces the limits.
pub(super) struct Connection<H> {
    handler: H,
    gate: FaultGate,
    /// The caller; the connection ends with its login.
    caller: Caller,
    gateway: Gateway,
    meter: Arc<ActivityMeter>,
    /// Messages for the next write.
    out: Vec<Message>,
    /// Bytes of messages that are written but not flushed.
    unsent: usize,
    /// Bytes of all messages so far, if each had arrived in one frame. If it equals the received bytes, no message is partially read.
    message_bytes: u64,
    /// The largest message since the buffers were allocated.
    largest_message: usize,
}

impl<H: ConnectionHandler> Connection<H> {
    pub(super) fn new(handler: H, gateway: &Gateway, gate: FaultGate, caller: Caller) -> Self {
        Self {
            handler,
            gate,
            caller,
            gateway: gateway.clone(),
            meter: ActivityMeter::new(gateway.buffers.share()),
            out: Vec::new(),
            unsent: 0,
            message_bytes: 0,
            largest_message: 0,
        }
    }

    /// Runs until one side closes. The caller then lingers on the returned stream.
    pub(super) async fn run(mut self, upgraded: Upgraded) -> (CloseInfo, ClosingStream) {
        let raw = ObservedStream::new(TokioIo::new(upgraded), Arc::clone(&self.meter));
        let socket = self.new_socket(raw).await;
        let (socket, cause) = self.serve(socket).await;
        self.meter.release();
        // Boxed: it runs once, and its state would enlarge every idle connection.
        Box::pin(close(socket, cause)).await
    }

    async fn new_socket(&mut self, raw: RawStream) -> Socket {
        let (max_written, max_read) = (self.gateway.settings.max_message, self.message_limit());
        let config = WebSocketConfig::default()
            .read_buffer_size(limits::READ_BUFFER)
            .write_buffer_size(limits::WRITE_BUFFER)
            .max_write_buffer_size(limits::WRITE_BUFFER + max_written + limits::WRITE_BUFFER_MARGIN)
            .max_message_size(Some(max_read))
            .max_frame_size(Some(max_read))
            .accept_unmasked_frames(false);
        WebSocketStream::from_raw_socket(raw, Role::Server, Some(config)).await
    }

    async fn serve(&mut self, mut socket: Socket) -> (Socket, CloseCause) {
        let shutdown = self.gateway.shutdown.clone();
        let mut shutdown = pin!(shutdown.begun());
        let caller = self.caller.clone();
        let mut login_end = caller.wait_for_login_end();
        let ping = self.gateway.settings.ping_interval.min(H::PING_INTERVAL);
        let mut keepalive = Keepalive::new(ping, self.silence_limit(), limits::SUSPEND_GAP);
        let mut keepalive_timer = pin!(sleep_until(self.meter.instant_at(keepalive.first_check())));
        loop {
            let served = tokio::select! {
                biased;
                () = &mut shutdown => Err(self.shut_down(&mut socket).await),
                () = self.meter.share().revoked() => Err(buffers_full()),
                end = &mut login_end => Err(Box::pin(self.end_login(&mut socket, end)).await),
                end = self.gate.ended() => Err(Box::pin(self.inject_end(&mut socket, end)).await),
                // Before the keepalive timer: a peer with unread bytes is not silent.
                message = socket.next() => self.handle_batch(&mut socket, message).await,
                () = &mut keepalive_timer => self.check_keepalive(&mut socket, &mut keepalive).await.map(|until| {
                    keepalive_timer.as_mut().reset(self.meter.instant_at(until));
                }),
                () = self.handler.ready() => self.write(&mut socket).await,
            };
            if let Err(cause) = served {
                return (socket, cause);
            }
            if self.can_shrink() {
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

    async fn check_keepalive(
        &mut self,
        socket: &mut Socket,
        keepalive: &mut Keepalive,
    ) -> Result<Duration, CloseCause> {
        match keepalive.check(self.meter.elapsed(), self.meter.last_received()) {
            KeepaliveAction::Wait { until } => Ok(until),
            KeepaliveAction::Ping { until } => {
                let ping = socket.send(TungsteniteMessage::Ping(Bytes::new()));
                self.while_peer_reads(ping)
                    .await?
                    .map_err(|error| self.close_cause(error))?;
                Ok(until)
            }
            KeepaliveAction::Timeout => {
                self.gateway.counters.count_disconnect(DisconnectReason::Silent);
                let reason = format!("nothing was received for {}", format_seconds(self.silence_limit()));
                Err(CloseCause::Close(code::TIMEOUT, reason.into()))
            }
        }
    }

    /// Handles the messages that have arrived, up to one batch, then writes once.
    async fn handle_batch(&mut self, socket: &mut Socket, first: Received) -> Result<(), CloseCause> {
        let read = self.read_all(socket, first).await;
        let sent = self.send_queued(socket).await;
        read?;
        sent?;
        self.write(socket).await
    }

    async fn read_all(&mut self, socket: &mut Socket, first: Received) -> Result<(), CloseCause> {
        let mut received = first;
        let (mut messages, mut bytes) = (0, 0);
        loop {
            let message = received
                .unwrap_or(Err(TungsteniteError::ConnectionClosed))
                .map_err(|error| self.close_cause(error))?;
            self.track_message(&message);
            bytes += message.len();
            let queued = self.out.len();
            match message {
                TungsteniteMessage::Close(frame) => {
                    let unsupported = self.meter.unsupported_close();
                    return Err(unsupported.map_or(CloseCause::ClosedByPeer(frame), |(code, reason)| {
                        CloseCause::ClosedWithUnknownCode(code, reason)
                    }));
                }
                TungsteniteMessage::Text(text) => self.on_message(Message::Text(text)).await?,
                TungsteniteMessage::Binary(bytes) => self.on_message(Message::Binary(bytes)).await?,
                TungsteniteMessage::Ping(_) | TungsteniteMessage::Pong(_) | TungsteniteMessage::Frame(_) => {}
            }
            messages += 1;
            bytes += self.out[queued..].iter().map(Message::len).sum::<usize>();
            if messages == limits::BATCH_MESSAGES || bytes >= limits::BATCH_BYTES {
                return Ok(());
            }
            match socket.next().now_or_never() {
                Some(next) => received = next,
                None => return Ok(()),
            }
        }
    }

    async fn on_message(&mut self, message: Message) -> Result<(), CloseCause> {
        self.count(1, 0);
        Ok(self.handler.on_message(message, &mut self.out).await?)
    }

    /// Sends the handler's pending messages, with one flush.
    async fn write(&mut self, socket: &mut Socket) -> Result<(), CloseCause> {
        if !self.gate.is_disabled() {
            Box::pin(self.wait_for_gate()).await?;
        }
        let written = self.handler.write(&mut self.out).await;
        self.send_queued(socket).await?;
        written?;
        self.while_peer_reads(socket.flush())
            .await?
            .map_err(|error| self.close_cause(error))?;
        self.unsent = 0;
        Ok(())
    }

    /// Waits while an injected fault delays writes, as for a peer that does not read.
    async fn wait_for_gate(&mut self) -> Result<(), CloseCause> {
        let (mut gate, shutdown) = (std::mem::take(&mut self.gate), self.gateway.shutdown.clone());
        let waited = self
            .while_peer_reads(async {
                tokio::select! {
                    () = gate.writable() => {}
                    () = shutdown.begun() => {}
                }
            })
            .await;
        self.gate = gate;
        waited
    }

    async fn inject_end(&mut self, socket: &mut Socket, end: InjectedEnd) -> CloseCause {
        match end {
            InjectedEnd::Abort => CloseCause::Lost("aborted by an injected fault".into()),
            InjectedEnd::Drain => self.shut_down(socket).await,
        }
    }

    async fn send_queued(&mut self, socket: &mut Socket) -> Result<(), CloseCause> {
        self.count(0, self.out.len() as u64);
        let mut out = std::mem::take(&mut self.out);
        self.unsent += out.iter().map(Message::len).sum::<usize>();
        for message in out.drain(..) {
            self.largest_message = self.largest_message.max(message.len());
            self.while_peer_reads(socket.feed(message.into()))
                .await?
                .map_err(|error| self.close_cause(error))?;
        }
        if out.capacity() <= limits::RETAINED_QUEUE_CAPACITY {
            self.out = out;
        }
        Ok(())
    }

    /// Sends the last messages before the node shuts down.
    async fn shut_down(&mut self, socket: &mut Socket) -> CloseCause {
        let close_frame = self.handler.on_shutdown(&mut self.out);
        match self.send_queued(socket).await {
            Ok(()) => close_frame.into(),
            Err(cause) => cause,
        }
    }

    /// Sends the last messages after the login has ended. The server stops reading from a banned peer.
    async fn end_login(&mut self, socket: &mut Socket, end: LoginEnd) -> CloseCause {
        let is_ban = end.is_ban();
        if is_ban {
            self.gateway.counters.count_disconnect(DisconnectReason::Banned);
        }
        let close_frame = self.handler.on_login_end(end, &mut self.out);
        match self.send_queued(socket).await {
            Ok(()) if is_ban => CloseCause::Fail(close_frame.code, close_frame.reason),
            Ok(()) => close_frame.into(),
            Err(cause) => cause,
        }
    }

    fn close_cause(&self, error: TungsteniteError) -> CloseCause {
        CloseCause::from_tungstenite(error, self.message_limit())
    }

    fn count(&self, received: u64, sent: u64) {
        if H::COUNTED {
            self.gateway.counters.count_messages(received, sent);
        }
    }

    /// Awaits `write`; fails if the peer reads nothing for the stall limit.
    async fn while_peer_reads<R>(&mut self, write: impl Future<Output = R>) -> Result<R, CloseCause> {
        let mut write = pin!(write);
        if let Poll::Ready(done) = poll!(write.as_mut()) {
            return Ok(done);
        }
        let unsent = std::mem::take(&mut self.unsent);
        self.meter.share().grow(unsent);
        let result = self.wait_for_progress(write).await;
        self.meter.share().shrink(unsent);
        self.unsent = unsent;
        self.meter.on_reading_resumed();
        result
    }

    async fn wait_for_progress<R>(&mut self, mut write: Pin<&mut impl Future<Output = R>>) -> Result<R, CloseCause> {
        let limit = H::STALL_LIMIT.min(self.gateway.settings.silence_limit);
        let mut since = self.meter.elapsed();
        loop {
            tokio::select! {
                biased;
                done = &mut write => return Ok(done),
                () = self.meter.share().revoked() => return Err(CloseCause::Lost(BUFFERS_FULL.into())),
                () = sleep_until(self.meter.instant_at(since + limit)) => {}
            }
            let last_written = self.meter.last_written();
            if was_suspended(self.meter.instant_at(since + limit)) {
                since = self.meter.elapsed();
                continue;
            }
            if last_written <= since {
                self.gateway.counters.count_disconnect(DisconnectReason::Slow);
                let reason = format!("the peer read nothing for {}", format_seconds(limit)).into();
                let sends_close = H::STALL_LIMIT < self.gateway.settings.silence_limit;
                return Err(if sends_close {
                    CloseCause::Stalled(reason)
                } else {
                    CloseCause::Lost(reason)
                });
            }
            since = last_written;
        }
    }

    fn track_message(&mut self, message: &TungsteniteMessage) {
        let payload = message.len();
        let bytes = wire_len(payload as u64, true);
        match message {
            TungsteniteMessage::Text(_) | TungsteniteMessage::Binary(_) => self.meter.on_message_received(),
            _ => self
                .meter
                .on_control_received(usize::try_from(bytes).unwrap_or(usize::MAX)),
        }
        self.message_bytes += bytes;
        self.largest_message = self.largest_message.max(payload);
    }

    /// Whether the buffers can be replaced: tungstenite keeps them as large as the largest message. They are empty when everything is
    /// flushed and the received bytes equal the bytes of the messages. Fragments and long headers need more bytes, so the two are equal
    /// only if no message is partially read.
    fn can_shrink(&self) -> bool {
        self.largest_message > limits::MAX_RETAINED_BUFFER && self.message_bytes == self.meter.bytes_in()
    }

    async fn shrink(&mut self, socket: Socket) -> Socket {
        self.largest_message = 0;
        self.new_socket(socket.into_inner()).await
    }
}

/// An item of tungstenite's stream; `None` is its end.
type Received = Option<Result<TungsteniteMessage, TungsteniteError>>;
