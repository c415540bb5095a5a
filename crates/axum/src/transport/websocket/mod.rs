//! A WebSocket connection: batched reads and writes, pings, limits and the closing handshake. The [`ConnectionHandler`] interprets
//! the messages.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::{FutureExt as _, poll};
use hyper::upgrade::Upgraded;
use tokio::time::sleep_until;

use self::closing::{BUFFERS_FULL, CloseCause, close, format_seconds};
use self::codec::{DecoderConfig, Incoming, Opcode};
use self::interruption::Interruption;
use self::socket::{RawStream, Readiness, Socket};
use self::transport::Transport;
use super::activity_meter::ActivityMeter;
use super::faults::{FaultGate, InjectedEnd};
use crate::connection::counters::DisconnectReason;
use crate::connection::keepalive::{Keepalive, KeepaliveAction};
use crate::gateway::Gateway;
use crate::identity::{CallerLogin, LoginEnd};
use crate::limits;
use crate::suspend_aware::was_suspended;
use crate::transport::handler::{ConnectionHandler, Message};
use duplex_protocol::code;

mod closing;
mod codec;
mod compression;
mod handshake_key;
mod interruption;
mod socket;
mod transport;

pub(super) use self::closing::{CloseInfo, ClosingStream};
pub use self::codec::Text;
pub(super) use self::codec::{DeflateParams, negotiate};
pub(super) use self::compression::compressed_form;
pub(super) use self::handshake_key::accept_key;

/// A WebSocket connection: it runs the handler and enforces the limits.
pub(super) struct Connection<H> {
    handler: H,
    gate: FaultGate,
    /// The connection ends with the caller's login.
    login: CallerLogin,
    gateway: Gateway,
    meter: Arc<ActivityMeter>,
    /// Messages for the next write.
    out: Vec<Message>,
    /// Bytes of messages that are queued but not written.
    unsent: usize,
    /// The agreed compression.
    deflate: Option<DeflateParams>,
}

impl<H: ConnectionHandler> Connection<H> {
    pub(super) fn new(
        handler: H,
        gateway: &Gateway,
        gate: FaultGate,
        login: CallerLogin,
        deflate: Option<DeflateParams>,
    ) -> Self {
        Self {
            handler,
            gate,
            login,
            gateway: gateway.clone(),
            meter: ActivityMeter::new(gateway.buffers.share()),
            out: Vec::new(),
            unsent: 0,
            deflate,
        }
    }

    /// Runs until one side closes. The caller then lingers on the returned stream.
    pub(super) async fn run(mut self: Box<Self>, upgraded: Upgraded) -> (CloseInfo, ClosingStream) {
        let mut socket = self.socket(upgraded);
        let cause = self.serve(&mut socket).await;
        self.meter.release();
        // Boxed: it runs once, and its state would enlarge every idle connection.
        Box::pin(close(socket, cause)).await
    }

    fn socket(&self, upgraded: Upgraded) -> Socket {
        let (transport, received) = Transport::new(upgraded);
        let raw = RawStream::new(transport, Arc::clone(&self.meter));
        let config = DecoderConfig {
            max_message: self.message_limit(),
            deflate: self.deflate,
        };
        Socket::new(raw, config, received, Arc::clone(&self.gateway.counters))
    }

    async fn serve(&mut self, socket: &mut Socket) -> CloseCause {
        let mut interruption = self.interruption();
        let ping = self.gateway.settings.ping_interval.min(H::PING_INTERVAL);
        let mut keepalive = Keepalive::new(ping, self.silence_limit(), limits::SUSPEND_GAP);
        let mut keepalive_timer = pin!(sleep_until(self.meter.instant_at(keepalive.first_check())));
        let direct = match self.gate.is_disabled() {
            true => self.handler.attach(socket.direct_writer()),
            false => None,
        };
        loop {
            if let Some(protocol) = direct {
                socket.permit_direct((protocol, self.deflate), || self.handler.park());
            }
            let event = tokio::select! {
                biased;
                event = &mut interruption => event,
                end = self.gate.ended() => Event::InjectedEnd(end),
                // Before the keepalive timer: a peer with unread bytes is not silent.
                readiness = socket.readiness() => Event::Socket(readiness),
                () = &mut keepalive_timer => Event::Keepalive,
                () = self.handler.ready() => Event::Ready,
            };
            if direct.is_some() {
                socket.revoke_direct(|| self.handler.unpark());
            }
            let served = match event {
                // Boxed, here and below, to keep the future of an idle connection small.
                Event::Shutdown => Err(Box::pin(self.shut_down(socket)).await),
                Event::BuffersFull => Err(closing::buffers_full()),
                Event::LoginEnd(end) => Err(Box::pin(self.end_login(socket, end)).await),
                Event::InjectedEnd(end) => Err(Box::pin(self.inject_end(socket, end)).await),
                Event::Socket(readiness) => self.on_readiness(socket, readiness).await,
                Event::Keepalive => Box::pin(self.check_keepalive(socket, &mut keepalive))
                    .await
                    .map(|until| {
                        keepalive_timer.as_mut().reset(self.meter.instant_at(until));
                    }),
                Event::Ready => self.write(socket).await,
            };
            if let Err(cause) = served {
                return cause;
            }
        }
    }

    /// Completes when the connection must end for a reason of the node or of the login.
    fn interruption(&self) -> Interruption<Event> {
        let (gateway, login, meter) = (self.gateway.clone(), self.login.clone(), Arc::clone(&self.meter));
        Interruption::new(async move {
            tokio::select! {
                biased;
                () = gateway.shutdown.begun() => Event::Shutdown,
                () = meter.share().revoked() => Event::BuffersFull,
                end = login.wait() => Event::LoginEnd(end),
            }
        })
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
                socket.feed(Opcode::Ping, &[]);
                self.flush(socket).await?;
                Ok(until)
            }
            KeepaliveAction::Timeout => {
                self.gateway.counters.count_disconnect(DisconnectReason::Silent);
                let reason = format!("nothing was received for {}", format_seconds(self.silence_limit()));
                Err(CloseCause::Close(code::TIMEOUT, reason.into()))
            }
        }
    }

    async fn on_readiness(&mut self, socket: &mut Socket, readiness: io::Result<Readiness>) -> Result<(), CloseCause> {
        match readiness? {
            Readiness::Bytes => self.handle_batch(socket).await,
            Readiness::End => Err(CloseCause::Lost("the connection ended without a close frame".into())),
            Readiness::Interrupted => self.flush(socket).await,
        }
    }

    /// Handles the messages that have arrived, up to one batch, then writes once.
    async fn handle_batch(&mut self, socket: &mut Socket) -> Result<(), CloseCause> {
        let read = self.read_all(socket).await;
        self.meter.set_partial(socket.partial_len());
        self.queue_messages(socket);
        read?;
        self.write(socket).await
    }

    async fn read_all(&mut self, socket: &mut Socket) -> Result<(), CloseCause> {
        let (mut messages, mut bytes) = (0, 0);
        loop {
            while let Some(message) = socket.next_message()? {
                let queued = self.out.len();
                bytes += message.payload_len();
                match message {
                    Incoming::Text(text) => self.on_message(Message::Text(text)).await?,
                    Incoming::Binary(bytes) => self.on_message(Message::Binary(bytes)).await?,
                    Incoming::Ping(payload) => socket.feed(Opcode::Pong, &payload),
                    Incoming::Pong(_) => {}
                    Incoming::Close(frame) => return Err(CloseCause::ClosedByPeer(frame)),
                }
                messages += 1;
                bytes += self.out[queued..].iter().map(Message::len).sum::<usize>();
                if messages == limits::BATCH_MESSAGES || bytes >= limits::BATCH_BYTES {
                    return Ok(());
                }
            }
            match socket.readiness().now_or_never() {
                Some(Ok(Readiness::Bytes)) => {}
                // The next read finds the end of the stream, or its error, again. The write that follows flushes the queue.
                Some(Ok(Readiness::End | Readiness::Interrupted) | Err(_)) | None => return Ok(()),
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
        self.queue_messages(socket);
        written?;
        self.flush(socket).await
    }

    async fn flush(&mut self, socket: &mut Socket) -> Result<(), CloseCause> {
        self.unsent = socket.queued();
        self.while_peer_reads(socket.flush()).await??;
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

    /// Moves the handler's messages to the socket's queue.
    fn queue_messages(&mut self, socket: &mut Socket) {
        self.count(0, self.out.len() as u64);
        for message in self.out.drain(..) {
            socket.feed_message(opcode(&message), &message, self.deflate.filter(|_| H::COMPRESSED));
        }
        if self.out.capacity() > limits::RETAINED_QUEUE_CAPACITY {
            self.out = Vec::new();
        }
    }

    /// Sends the last messages before the node shuts down.
    async fn shut_down(&mut self, socket: &mut Socket) -> CloseCause {
        let close_frame = self.handler.on_shutdown(&mut self.out);
        self.queue_messages(socket);
        match self.flush(socket).await {
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
        self.queue_messages(socket);
        match self.flush(socket).await {
            Ok(()) if is_ban => CloseCause::Fail(close_frame.code, close_frame.reason),
            Ok(()) => close_frame.into(),
            Err(cause) => cause,
        }
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
        let result = Box::pin(self.wait_for_progress(write)).await;
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
}

fn opcode(message: &Message) -> Opcode {
    match message {
        Message::Text(_) => Opcode::Text,
        Message::Binary(_) => Opcode::Binary,
        Message::Frame(encoding, _) => Opcode::of_encoding(*encoding),
    }
}

/// What a connection waits for.
enum Event {
    Shutdown,
    /// The node's buffers are full, and this connection holds the most.
    BuffersFull,
    LoginEnd(LoginEnd),
    InjectedEnd(InjectedEnd),
    Socket(io::Result<Readiness>),
    /// The keepalive timer.
    Keepalive,
    /// The handler has messages.
    Ready,
}
