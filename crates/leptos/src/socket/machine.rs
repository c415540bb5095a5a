//! The browser's side of [`use_socket`](crate::socket::use_socket): at most one socket and one timer, and the rules of
//! opening, closing and coming back. Knows no component.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use leptos::{
    ev,
    leptos_dom::helpers::{TimeoutHandle, WindowListenerHandle},
    prelude::*,
};
use send_wrapper::SendWrapper;
use web_sys::PageTransitionEvent;

use super::browser_socket::{BrowserSocket, Report};
use crate::socket::{Begun, Closed, Payload, SocketError, SocketEvent, SocketOptions, SocketState};
use duplex_protocol::code::{self, Side};

/// Where the machine lives once the component is mounted in a browser; empty on the server.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<Mounted>>>);

struct Mounted {
    machine: SendWrapper<Machine>,
    listeners: [WindowListenerHandle; 3],
}

impl Slot {
    pub fn put(&self, machine: Machine) {
        let listeners = machine.listen_to_the_page();
        *self.lock() = Some(Mounted {
            machine: SendWrapper::new(machine),
            listeners,
        });
    }

    pub fn with<T>(&self, act: impl FnOnce(&Machine) -> T) -> Option<T> {
        let machine = self.lock().as_ref().map(|mounted| (*mounted.machine).clone());
        machine.as_ref().map(act)
    }

    pub fn end(&self) {
        let mounted = self.lock().take();
        if let Some(Mounted { machine, listeners }) = mounted {
            listeners.into_iter().for_each(WindowListenerHandle::remove);
            machine.leave();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Mounted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Signals {
    pub state: RwSignal<SocketState>,
    pub message: RwSignal<Option<Payload>>,
    pub error: RwSignal<Option<SocketError>>,
}

type Address = Arc<dyn Fn() -> String + Send + Sync>;

/// What became of asking for a socket.
pub(crate) struct Dialled {
    address: String,
    /// By the browser, which then opens nothing.
    refused: Option<SocketError>,
}

/// The browser's side: at most one socket, at most one timer.
#[derive(Clone)]
pub(crate) struct Machine(Rc<Inner>);

struct Inner {
    address: Address,
    options: SocketOptions,
    signals: Signals,
    /// False after cleanup: from then on no signal may be touched.
    alive: Cell<bool>,
    socket: RefCell<Option<BrowserSocket>>,
    /// This side asked for the end.
    asked: Cell<bool>,
    /// Failures since the last stable connection.
    attempt: Cell<u32>,
    /// `performance.now()` at the last opening, in milliseconds.
    opened_at: Cell<Option<f64>>,
    retry: RefCell<Option<TimeoutHandle>>,
}

impl Machine {
    pub fn new(address: Address, options: SocketOptions, signals: Signals) -> Self {
        Self(Rc::new(Inner {
            address,
            options,
            signals,
            alive: Cell::new(true),
            socket: RefCell::new(None),
            asked: Cell::new(false),
            attempt: Cell::new(0),
            opened_at: Cell::new(None),
            retry: RefCell::new(None),
        }))
    }

    /// `pagehide` closes, `pageshow` from the back/forward cache opens again, `online` ends a wait.
    fn listen_to_the_page(&self) -> [WindowListenerHandle; 3] {
        let on = |name: &str, act: fn(&Machine)| {
            let machine = self.clone();
            window_event_listener_untyped(name, move |_| act(&machine))
        };
        let shown = {
            let machine = SendWrapper::new(self.clone());
            window_event_listener(ev::Custom::<PageTransitionEvent>::new("pageshow"), move |event| {
                if event.persisted() {
                    machine.open();
                }
            })
        };
        [on("pagehide", Machine::hide), shown, on("online", Machine::retry_now)]
    }

    pub fn open(&self) {
        self.cancel_retry();
        if self.0.socket.borrow().as_ref().is_some_and(BrowserSocket::is_live) {
            self.tell(SocketEvent::Closing {
                code: code::NORMAL,
                reason: String::new(),
            });
        }
        self.forget_socket();
        self.announce(self.dial());
    }

    /// Asks the browser for a socket, and tells nobody yet. The browser reports nothing of it before the running task is over.
    pub fn dial(&self) -> Dialled {
        let inner = &self.0;
        inner.asked.set(false);
        inner.opened_at.set(None);
        let address = (inner.address)();
        let protocols = inner.options.protocols.get_untracked();
        let machine = self.clone();
        let socket = BrowserSocket::open(&resolve(&address), &protocols, move |report| machine.hear(report));
        let refused = socket.map(|socket| *inner.socket.borrow_mut() = Some(socket)).err();
        Dialled { address, refused }
    }

    /// Takes the page's own socket in place of one that would be asked for now.
    pub fn take_over(&self, Begun { address, socket }: Begun) -> Dialled {
        let machine = self.clone();
        let socket = BrowserSocket::own(socket.take(), move |report| machine.hear(report));
        *self.0.socket.borrow_mut() = Some(socket);
        Dialled { address, refused: None }
    }

    pub fn announce(&self, Dialled { address, refused }: Dialled) {
        let signals = self.0.signals;
        signals.error.set(None);
        signals.state.set(SocketState::Connecting);
        self.tell(SocketEvent::Connecting { address });
        if let Some(error) = refused {
            signals.state.set(SocketState::Refused);
            self.tell(SocketEvent::Error(error));
        }
        // Only one that the page opened can be open by now; nobody heard of it.
        let opening = self.0.socket.borrow().as_ref().and_then(BrowserSocket::opening);
        if let Some(opening) = opening {
            self.hear(opening);
        }
    }

    pub fn send(&self, payload: Payload) -> Result<(), SocketError> {
        match self.0.socket.borrow().as_ref() {
            Some(socket) if socket.is_open() => socket.send(&payload)?,
            _ => return Err(SocketError::NotOpen),
        }
        self.tell(SocketEvent::Sent(payload));
        Ok(())
    }

    pub fn close(&self, code: u16, reason: &str) -> Result<(), SocketError> {
        code::check_close(code, reason)?;
        self.cancel_retry();
        match self.0.socket.borrow().as_ref() {
            Some(socket) if socket.is_live() => socket.close(code, reason),
            _ => return Err(SocketError::NotOpen),
        }
        self.0.asked.set(true);
        self.tell(SocketEvent::Closing {
            code,
            reason: reason.to_owned(),
        });
        Ok(())
    }

    fn hear(&self, report: Report) {
        match report {
            Report::Open { protocol, extensions } => {
                self.0.opened_at.set(Some(now()));
                self.tell(SocketEvent::Open { protocol, extensions });
            }
            Report::Message(payload) => self.tell(SocketEvent::Received(payload)),
            Report::Error => self.tell(SocketEvent::Error(SocketError::Connection)),
            Report::Close {
                code,
                reason,
                was_clean,
            } => self.ended(code, reason, was_clean),
        }
    }

    fn ended(&self, code: u16, reason: String, was_clean: bool) {
        let by = match (self.0.asked.get(), was_clean) {
            (true, _) => Side::Client,
            (false, true) => Side::Server,
            (false, false) => Side::Network,
        };
        *self.0.socket.borrow_mut() = None;
        let retry = (by != Side::Client && code != code::NORMAL)
            .then(|| self.plan_retry())
            .flatten();
        self.tell(SocketEvent::Closed(Closed {
            code,
            reason,
            was_clean,
            by,
            retry,
        }));
    }

    fn plan_retry(&self) -> Option<Duration> {
        let inner = &self.0;
        let backoff = inner.options.reconnect.get_untracked()?;
        let stable = backoff.stable_after.as_secs_f64() * 1000.0;
        if inner.opened_at.get().is_some_and(|opened| now() - opened >= stable) {
            inner.attempt.set(0);
        }
        let delay = backoff.delay(inner.attempt.get(), js_sys::Math::random());
        inner.attempt.set(inner.attempt.get().saturating_add(1));
        let machine = self.clone();
        *inner.retry.borrow_mut() = set_timeout_with_handle(move || machine.open(), delay).ok();
        Some(delay)
    }

    /// Reconnecting was switched on while the connection was already lost.
    pub fn retry_if_lost(&self) {
        let state = self.0.signals.state.get_untracked();
        if let SocketState::Closed(closed) = state
            && closed.retry.is_none()
            && closed.by != Side::Client
            && closed.code != code::NORMAL
        {
            let retry = self.plan_retry();
            self.0
                .signals
                .state
                .set(SocketState::Closed(Closed { retry, ..closed }));
        }
    }

    fn retry_now(&self) {
        if self.0.retry.borrow().is_some() {
            self.open();
        }
    }

    pub fn cancel_retry(&self) {
        let Some(timer) = self.0.retry.borrow_mut().take() else {
            return;
        };
        timer.clear();
        if let SocketState::Closed(closed) = self.0.signals.state.get_untracked() {
            self.0
                .signals
                .state
                .set(SocketState::Closed(Closed { retry: None, ..closed }));
        }
    }

    /// The page goes, perhaps for good.
    fn hide(&self) {
        let _ = self.close(code::NORMAL, "");
    }

    /// The component goes: from here on only the observer hears.
    fn leave(&self) {
        self.0.alive.set(false);
        if let Some(timer) = self.0.retry.borrow_mut().take() {
            timer.clear();
        }
        self.forget_socket();
    }

    fn forget_socket(&self) {
        let Some(socket) = self.0.socket.borrow_mut().take() else {
            return;
        };
        let observer = self.0.options.observer;
        socket.leave(move |event| {
            observer(&SocketEvent::Closed(Closed {
                code: event.code(),
                reason: event.reason(),
                was_clean: event.was_clean(),
                by: Side::Client,
                retry: None,
            }));
        });
    }

    fn tell(&self, event: SocketEvent) {
        let inner = &self.0;
        (inner.options.observer)(&event);
        if !inner.alive.get() {
            return;
        }
        match &event {
            SocketEvent::Open { protocol, extensions } => inner.signals.state.set(SocketState::Open {
                protocol: protocol.clone(),
                extensions: extensions.clone(),
            }),
            SocketEvent::Received(payload) => inner.signals.message.set(Some(payload.clone())),
            SocketEvent::Closing { .. } => inner.signals.state.set(SocketState::Closing),
            SocketEvent::Closed(closed) => inner.signals.state.set(SocketState::Closed(closed.clone())),
            SocketEvent::Error(error) => inner.signals.error.set(Some(error.clone())),
            SocketEvent::Connecting { .. } | SocketEvent::Sent(_) => (),
        }
        inner.options.on_event.run(event);
    }
}

/// Milliseconds since the page's time origin.
pub(crate) fn now() -> f64 {
    window().performance().map_or(0.0, |performance| performance.now())
}

/// A path becomes an address on the page's own host: `wss` where the page came by https.
pub fn resolve(address: &str) -> String {
    if !address.starts_with('/') {
        return address.to_owned();
    }
    let location = window().location();
    let secure = location.protocol().is_ok_and(|protocol| protocol == "https:");
    let scheme = if secure { "wss" } else { "ws" };
    format!("{scheme}://{}{address}", location.host().unwrap_or_default())
}
