//! The state machine behind [`use_socket`](super::use_socket()): decides when to open, close and reopen the socket. Pure: it maps
//! time, randomness and inputs to effects.

use std::time::Duration;

use super::event::{Closed, Payload, SocketError, SocketEvent, SocketState};
use crate::reconnect::{Backoff, Conditions, ReconnectPolicy, millis, socket_may_reconnect};
use crate::runtime::clock::Millis;
use crate::runtime::page_events::PageEvent;
use duplex_protocol::code::{self, ClosedBy};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Input {
    /// Open a socket; the current one is closed with 1000 and its further events are ignored.
    Open,
    /// Attach to a preconnected socket instead of opening a new one.
    Attach { address: String },
    /// The result of [`Effect::Open`]. `error`: the browser rejected to open a socket.
    Created {
        address: String,
        error: Option<SocketError>,
    },
    /// The component was mounted. Buffered events are emitted now.
    Mount,
    /// An event of the current browser socket.
    BrowserEvent(BrowserSocketEvent),
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
pub enum BrowserSocketEvent {
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
    /// Open a browser socket with this number, and pass the result as [`Input::Created`].
    Open(u32),
    /// Close the socket with this number with 1000; only the observer is told.
    CloseDetached(u32),
    /// Send over the current socket.
    Send(Payload),
    /// Close the current socket.
    Close { code: u16, reason: String },
    /// Return this error to the caller.
    ReturnError(SocketError),
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
    last_close: Option<Closed>,
    /// Whether to reconnect after an end.
    reconnect_enabled: bool,
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
            last_close: None,
            reconnect_enabled: reconnect.is_some(),
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
            Input::Attach { address } => {
                self.start_connecting();
                self.on_created(address, None);
            }
            Input::Created { address, error } => self.on_created(address, error),
            Input::Mount => self.mount(),
            Input::BrowserEvent(event) => self.on_browser_event(event),
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
            self.effects.push(Effect::CloseDetached(self.socket));
        }
        self.start_connecting();
        self.effects.push(Effect::Open(self.socket));
    }

    fn start_connecting(&mut self) {
        self.socket = self.socket.wrapping_add(1);
        self.phase = Phase::Connecting;
        self.close_requested = false;
        self.frozen = false;
        (self.opened_at, self.last_close) = (None, None);
    }

    fn on_created(&mut self, address: String, error: Option<SocketError>) {
        if error.is_some() {
            self.phase = Phase::Idle;
        }
        if !self.mounted {
            return self.before_mount.push(Input::Created { address, error });
        }
        self.effects.push(Effect::ClearError);
        self.effects.push(Effect::State(SocketState::Connecting));
        self.emit(SocketEvent::Connecting { address });
        if let Some(error) = error {
            self.effects.push(Effect::State(SocketState::Rejected));
            self.emit(SocketEvent::Error(error));
        }
    }

    fn mount(&mut self) {
        self.mounted = true;
        for input in std::mem::take(&mut self.before_mount) {
            self.dispatch(input);
        }
    }

    fn on_browser_event(&mut self, event: BrowserSocketEvent) {
        if !self.mounted {
            return self.before_mount.push(Input::BrowserEvent(event));
        }
        match event {
            BrowserSocketEvent::Open { protocol, extensions } => {
                self.phase = Phase::Open;
                self.opened_at = Some(self.now);
                self.emit(SocketEvent::Open { protocol, extensions });
            }
            BrowserSocketEvent::Message(payload) => self.emit(SocketEvent::Received(payload)),
            BrowserSocketEvent::Error => self.emit(SocketEvent::Error(SocketError::Connection)),
            BrowserSocketEvent::Close {
                code,
                reason,
                was_clean,
            } => self.on_closed(code, reason, was_clean),
        }
    }

    fn on_closed(&mut self, code: u16, reason: String, was_clean: bool) {
        let by = match (self.close_requested, was_clean) {
            (true, _) => ClosedBy::Client,
            (false, true) => ClosedBy::Server,
            (false, false) => ClosedBy::Network,
        };
        self.phase = Phase::Idle;
        let retry_after = if socket_may_reconnect(by, code) {
            self.schedule_retry()
        } else {
            None
        };
        let closed = Closed {
            code,
            reason,
            was_clean,
            by,
            retry_after,
        };
        self.last_close = Some(closed.clone());
        self.emit(SocketEvent::Closed(closed));
    }

    fn schedule_retry(&mut self) -> Option<Duration> {
        if !self.reconnect_enabled {
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
            && let Some(closed) = &mut self.last_close
        {
            closed.retry_after = None;
            let closed = closed.clone();
            self.effects.push(Effect::State(SocketState::Closed(closed)));
        }
    }

    fn send(&mut self, payload: Payload) {
        if self.phase != Phase::Open {
            return self.effects.push(Effect::ReturnError(SocketError::NotOpen));
        }
        self.effects.push(Effect::Send(payload.clone()));
        self.emit(SocketEvent::Sent(payload));
    }

    fn close(&mut self, code: u16, reason: String) {
        if let Err(error) = code::check_close(code, &reason) {
            return self.effects.push(Effect::ReturnError(error.into()));
        }
        self.cancel_retry();
        if !self.is_live() {
            return self.effects.push(Effect::ReturnError(SocketError::NotOpen));
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
        self.reconnect_enabled = reconnect.is_some();
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
        let lost = self.last_close.as_ref();
        if lost.is_some_and(|closed| closed.retry_after.is_none() && socket_may_reconnect(closed.by, closed.code)) {
            let retry_after = self.schedule_retry();
            if let Some(closed) = &mut self.last_close {
                closed.retry_after = retry_after;
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
            PageEvent::Hide => self.close_if_open(),
            PageEvent::Freeze => {
                self.frozen |= self.is_live();
                self.close_if_open();
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
    fn close_if_open(&mut self) {
        self.close(code::NORMAL, String::new());
        self.effects.retain(|effect| !matches!(effect, Effect::ReturnError(_)));
    }

    fn unmount(&mut self) {
        self.unmounted = true;
        self.retry_at = None;
        if self.phase != Phase::Idle {
            self.effects.push(Effect::CloseDetached(self.socket));
        }
    }
}
