//! The state machine behind [`use_socket`](super::use_socket()): decides when to open, close and reopen the socket. Pure: it maps
//! time, randomness and inputs to effects.

use std::time::Duration;

use super::event::{Closed, Payload, SocketError, SocketEvent, SocketState};
use crate::reconnect::{Backoff, Conditions, ReconnectPolicy, millis, socket_may_reconnect};
use crate::runtime::clock::Millis;
use crate::runtime::page_events::PageEvent;
use duplex_protocol::code::{self, Side};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Input {
    /// Open a socket; the current one is closed with 1000 and its further events are ignored.
    Open,
    /// Attach to a preconnected socket instead of opening a new one.
    Adopt { address: String },
    /// The result of [`Effect::Open`]. `error`: the browser refused to open a socket.
    Dialed {
        address: String,
        refused: Option<SocketError>,
    },
    /// The component was mounted. Buffered events are emitted now.
    Mount,
    /// An event of the current browser socket.
    Report(SocketReport),
    /// The browser is closing the socket but has not reported it yet.
    ClosePending,
    /// Send a message.
    Send(Payload),
    /// Start the closing handshake, and stop reconnecting.
    Close { code: u16, reason: String },
    /// Reconnecting was switched on, off, or changed.
    Reconnect(Option<Backoff>),
    /// The timer set for [`Machine::wake_at`] fired.
    Timer,
    /// An event of the page.
    Page(PageEvent),
    /// The component is cleaned up.
    Unmount,
}

/// An event of a browser's socket.
#[derive(Debug, Clone, PartialEq)]
pub enum SocketReport {
    /// The opening handshake is complete.
    Open {
        /// The subprotocol that the server chose, or an empty string.
        protocol: String,
        /// The negotiated extensions.
        extensions: String,
    },
    /// A message arrived.
    Message(Payload),
    /// The connection failed. Browsers do not expose the cause; a `Close` follows:
    /// <https://websockets.spec.whatwg.org/#feedback-from-the-protocol>
    Error,
    /// The socket ended.
    Close {
        /// The close code.
        code: u16,
        /// The reason of the close frame.
        reason: String,
        /// A close frame was received and sent.
        was_clean: bool,
    },
}

/// An effect of the machine. The caller of [`Machine::handle`] performs the effects in order and stops at the first error.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Open a browser socket with this number, and pass the result as [`Input::Dialed`].
    Open(u32),
    /// Close the socket with this number with 1000; only the observer is told.
    Abandon(u32),
    /// Send over the current socket.
    Send(Payload),
    /// Close the current socket.
    Close { code: u16, reason: String },
    /// Return this error to the caller.
    Fail(SocketError),
    /// Clear the error signal.
    ClearError,
    /// Set the state signal.
    State(SocketState),
    /// Report an event, and update the signals that follow from it.
    Emit(SocketEvent),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// There is no socket.
    Idle,
    Connecting,
    Open,
    Closing,
}

#[derive(Debug)]
pub(crate) struct Machine {
    phase: Phase,
    /// The number of the newest socket.
    socket: u32,
    /// Whether this side requested the close.
    close_requested: bool,
    opened_at: Option<Millis>,
    /// How the last socket closed, until another is opened.
    ended: Option<Closed>,
    /// Whether to reconnect after an end.
    reconnects: bool,
    policy: ReconnectPolicy,
    retry_at: Option<Millis>,
    /// Whether the page was frozen with an open socket.
    frozen: bool,
    mounted: bool,
    unmounted: bool,
    /// Inputs before the mount, which are reported after it.
    before_mount: Vec<Input>,
    now: Millis,
    random: f64,
    effects: Vec<Effect>,
}

impl Machine {
    pub(crate) fn new(reconnect: Option<Backoff>) -> Self {
        Self {
            phase: Phase::Idle,
            socket: 0,
            close_requested: false,
            opened_at: None,
            ended: None,
            reconnects: reconnect.is_some(),
            policy: ReconnectPolicy::new(reconnect.unwrap_or_default()),
            retry_at: None,
            frozen: false,
            mounted: false,
            unmounted: false,
            before_mount: Vec::new(),
            now: 0,
            random: 0.0,
            effects: Vec::new(),
        }
    }

    /// Applies an input. `now` is in milliseconds of a monotonic clock, `random` in 0..1.
    #[must_use = "effects must be performed in order"]
    pub(crate) fn handle(&mut self, now: Millis, random: f64, input: Input) -> Vec<Effect> {
        (self.now, self.random) = (now.max(self.now), random);
        if !self.unmounted {
            self.dispatch(input);
        }
        std::mem::take(&mut self.effects)
    }

    /// When the next [`Input::Timer`] is due.
    pub(crate) fn wake_at(&self) -> Option<Millis> {
        self.retry_at
    }

    /// Whether this is the number of the current socket.
    pub(crate) fn is_current(&self, socket: u32) -> bool {
        !self.unmounted && self.socket == socket
    }

    fn dispatch(&mut self, input: Input) {
        match input {
            Input::Open => self.open(),
            Input::Adopt { address } => {
                self.begin();
                self.dialed(address, None);
            }
            Input::Dialed { address, refused } => self.dialed(address, refused),
            Input::Mount => self.mount(),
            Input::Report(report) => self.report(report),
            Input::ClosePending => {
                if self.is_live() {
                    self.phase = Phase::Closing;
                }
            }
            Input::Send(payload) => self.send(payload),
            Input::Close { code, reason } => self.close(code, reason),
            Input::Reconnect(reconnect) => self.set_reconnect(reconnect),
            Input::Timer => {
                if self.retry_at.is_some_and(|at| at <= self.now) {
                    self.open();
                }
            }
            Input::Page(event) => self.on_page(event),
            Input::Unmount => self.unmount(),
        }
    }

    /// Whether the socket is connecting or open.
    fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Connecting | Phase::Open)
    }

    fn emit(&mut self, event: SocketEvent) {
        self.effects.push(Effect::Emit(event));
    }

    fn open(&mut self) {
        self.cancel_retry();
        if self.is_live() {
            let reason = String::new();
            self.emit(SocketEvent::Closing {
                code: code::NORMAL,
                reason,
            });
        }
        if self.phase != Phase::Idle {
            self.effects.push(Effect::Abandon(self.socket));
        }
        self.begin();
        self.effects.push(Effect::Open(self.socket));
    }

    fn begin(&mut self) {
        self.socket = self.socket.wrapping_add(1);
        self.phase = Phase::Connecting;
        self.close_requested = false;
        self.frozen = false;
        (self.opened_at, self.ended) = (None, None);
    }

    fn dialed(&mut self, address: String, refused: Option<SocketError>) {
        if refused.is_some() {
            self.phase = Phase::Idle;
        }
        if !self.mounted {
            return self.before_mount.push(Input::Dialed { address, refused });
        }
        self.effects.push(Effect::ClearError);
        self.effects.push(Effect::State(SocketState::Connecting));
        self.emit(SocketEvent::Connecting { address });
        if let Some(error) = refused {
            self.effects.push(Effect::State(SocketState::Refused));
            self.emit(SocketEvent::Error(error));
        }
    }

    fn mount(&mut self) {
        self.mounted = true;
        for input in std::mem::take(&mut self.before_mount) {
            self.dispatch(input);
        }
    }

    fn report(&mut self, report: SocketReport) {
        if !self.mounted {
            return self.before_mount.push(Input::Report(report));
        }
        match report {
            SocketReport::Open { protocol, extensions } => {
                self.phase = Phase::Open;
                self.opened_at = Some(self.now);
                self.emit(SocketEvent::Open { protocol, extensions });
            }
            SocketReport::Message(payload) => self.emit(SocketEvent::Received(payload)),
            SocketReport::Error => self.emit(SocketEvent::Error(SocketError::Connection)),
            SocketReport::Close {
                code,
                reason,
                was_clean,
            } => self.on_closed(code, reason, was_clean),
        }
    }

    fn on_closed(&mut self, code: u16, reason: String, was_clean: bool) {
        let by = match (self.close_requested, was_clean) {
            (true, _) => Side::Client,
            (false, true) => Side::Server,
            (false, false) => Side::Network,
        };
        self.phase = Phase::Idle;
        let retry = if socket_may_reconnect(by, code) {
            self.plan_retry()
        } else {
            None
        };
        let closed = Closed {
            code,
            reason,
            was_clean,
            by,
            retry,
        };
        self.ended = Some(closed.clone());
        self.emit(SocketEvent::Closed(closed));
    }

    fn plan_retry(&mut self) -> Option<Duration> {
        if !self.reconnects {
            return None;
        }
        if let Some(opened_at) = self.opened_at {
            self.policy.on_disconnect(self.now - opened_at);
        }
        let delay = self.policy.next_delay(self.random, Conditions::default());
        self.retry_at = Some(self.now + millis(delay));
        Some(delay)
    }

    fn cancel_retry(&mut self) {
        if self.retry_at.take().is_some()
            && let Some(closed) = &mut self.ended
        {
            closed.retry = None;
            let closed = closed.clone();
            self.effects.push(Effect::State(SocketState::Closed(closed)));
        }
    }

    fn send(&mut self, payload: Payload) {
        if self.phase != Phase::Open {
            return self.effects.push(Effect::Fail(SocketError::NotOpen));
        }
        self.effects.push(Effect::Send(payload.clone()));
        self.emit(SocketEvent::Sent(payload));
    }

    fn close(&mut self, code: u16, reason: String) {
        if let Err(error) = code::check_close(code, &reason) {
            return self.effects.push(Effect::Fail(error.into()));
        }
        self.cancel_retry();
        if !self.is_live() {
            return self.effects.push(Effect::Fail(SocketError::NotOpen));
        }
        self.phase = Phase::Closing;
        self.close_requested = true;
        let closing = SocketEvent::Closing {
            code,
            reason: reason.clone(),
        };
        self.effects.push(Effect::Close { code, reason });
        self.emit(closing);
    }

    fn set_reconnect(&mut self, reconnect: Option<Backoff>) {
        self.reconnects = reconnect.is_some();
        match reconnect {
            None => self.cancel_retry(),
            Some(backoff) => {
                self.policy.backoff = backoff;
                self.retry_if_lost();
            }
        }
    }

    /// Schedules a retry if the socket was lost before reconnecting was switched on.
    fn retry_if_lost(&mut self) {
        let lost = self.ended.as_ref();
        if lost.is_some_and(|closed| closed.retry.is_none() && socket_may_reconnect(closed.by, closed.code)) {
            let retry = self.plan_retry();
            if let Some(closed) = &mut self.ended {
                closed.retry = retry;
                let closed = closed.clone();
                self.effects.push(Effect::State(SocketState::Closed(closed)));
            }
        }
    }

    fn on_page(&mut self, event: PageEvent) {
        match event {
            PageEvent::Online => {
                if self.retry_at.is_some() {
                    self.open();
                }
            }
            PageEvent::Hide => self.close_quietly(),
            PageEvent::Freeze => {
                self.frozen |= self.is_live();
                self.close_quietly();
            }
            PageEvent::Show { restored: true } => self.open(),
            PageEvent::Resume => {
                if self.frozen {
                    self.open();
                }
            }
            PageEvent::Show { restored: false } | PageEvent::Offline | PageEvent::Visible(_) | PageEvent::Retry => (),
        }
    }

    /// Closes with 1000; does nothing if there is no open socket.
    fn close_quietly(&mut self) {
        self.close(code::NORMAL, String::new());
        self.effects.retain(|effect| !matches!(effect, Effect::Fail(_)));
    }

    fn unmount(&mut self) {
        self.unmounted = true;
        self.retry_at = None;
        if self.phase != Phase::Idle {
            self.effects.push(Effect::Abandon(self.socket));
        }
    }
}
