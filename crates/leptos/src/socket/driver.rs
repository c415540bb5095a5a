//! Runs the pure [`Machine`] in a browser, with at most one socket and one timer, and updates the component's signals.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use send_wrapper::SendWrapper;

use super::browser_socket::{BrowserSocket, resolve};
use super::event::{Closed, Payload, SocketError, SocketEvent, SocketState};
use super::machine::{BrowserSocketEvent, Effect, Input, Machine};
use super::use_socket::{PreconnectedSocket, SocketOptions};
use crate::runtime::clock::{Millis, now_millis};
use crate::runtime::page_events::PageEvents;
use crate::runtime::tab::lock;
use duplex_protocol::code::ClosedBy;

/// The driver of a component in a browser; empty on the server.
#[derive(Clone, Default)]
pub(super) struct DriverSlot(Arc<Mutex<Option<SendWrapper<Rc<Driver>>>>>);

impl DriverSlot {
    pub(crate) fn set(&self, driver: Rc<Driver>) {
        *lock(&self.0) = Some(SendWrapper::new(driver));
    }

    pub(crate) fn driver(&self) -> Option<Rc<Driver>> {
        lock(&self.0).as_ref().map(|driver| Rc::clone(driver))
    }

    pub(crate) fn take_and_unmount(&self) {
        let driver = lock(&self.0).take();
        if let Some(driver) = driver {
            driver.unmount();
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Signals {
    pub state: RwSignal<SocketState>,
    pub message: RwSignal<Option<Payload>>,
    pub error: RwSignal<Option<SocketError>>,
}

pub(super) type Address = Arc<dyn Fn() -> String + Send + Sync>;

pub(super) struct Driver {
    address: Address,
    options: SocketOptions,
    signals: Signals,
    machine: RefCell<Machine>,
    /// The current socket and its number.
    socket: RefCell<Option<(u32, BrowserSocket)>>,
    timer: RefCell<Option<(Millis, TimeoutHandle)>>,
    page_events: RefCell<Option<PageEvents>>,
    this: Weak<Driver>,
}

impl Driver {
    pub(crate) fn start(address: Address, options: SocketOptions, signals: Signals) -> Rc<Self> {
        let reconnect = options.reconnect.get_untracked();
        let driver = Rc::new_cyclic(|this: &Weak<Self>| Self {
            address,
            options,
            signals,
            machine: RefCell::new(Machine::new(reconnect)),
            socket: RefCell::default(),
            timer: RefCell::default(),
            page_events: RefCell::default(),
            this: this.clone(),
        });
        let this = Rc::downgrade(&driver);
        *driver.page_events.borrow_mut() = Some(PageEvents::listen(move |event| {
            if let Some(driver) = this.upgrade() {
                driver.input(Input::Page(event));
            }
        }));
        driver
    }

    /// Attaches to a preconnected socket instead of opening a new one.
    pub(crate) fn attach(&self, preconnected: PreconnectedSocket) {
        let PreconnectedSocket { address, socket } = preconnected;
        self.input(Input::Attach { address });
        let socket = BrowserSocket::attach(socket.take(), self.event_sink(1));
        let open_event = socket.open_event();
        *self.socket.borrow_mut() = Some((1, socket));
        if let Some(event) = open_event {
            self.input(Input::BrowserEvent(event));
        }
    }

    /// Applies an input, and ignores its error.
    pub(crate) fn input(&self, input: Input) {
        let _ = self.request(input);
    }

    /// Applies an input, and returns the error of the requested action.
    pub(crate) fn request(&self, input: Input) -> Result<(), SocketError> {
        if self.is_closing() {
            // The close event is pending.
            let _ = self.handle(Input::ClosePending);
        }
        let effects = self.handle(input);
        let done = effects.into_iter().try_for_each(|effect| self.perform(effect));
        self.set_timer();
        done
    }

    fn is_closing(&self) -> bool {
        let socket = self.socket.borrow();
        socket.as_ref().is_some_and(|(_, socket)| socket.is_closing())
    }

    fn handle(&self, input: Input) -> Vec<Effect> {
        let mut machine = self.machine.borrow_mut();
        machine.handle(now_millis(), js_sys::Math::random(), input)
    }

    fn perform(&self, effect: Effect) -> Result<(), SocketError> {
        match effect {
            Effect::Open(number) => self.open(number),
            Effect::CloseDetached(number) => self.close_detached(number),
            Effect::Send(payload) => match &*self.socket.borrow() {
                Some((_, socket)) => socket.send(&payload)?,
                None => return Err(SocketError::NotOpen),
            },
            Effect::Close { code, reason } => {
                if let Some((_, socket)) = &*self.socket.borrow() {
                    socket.close(code, &reason);
                }
            }
            Effect::ReturnError(error) => return Err(error),
            Effect::ClearError => self.signals.error.set(None),
            Effect::State(state) => self.signals.state.set(state),
            Effect::Emit(event) => self.emit(event),
        }
        Ok(())
    }

    fn open(&self, number: u32) {
        if !self.machine.borrow().is_current(number) {
            return;
        }
        let address = (self.address)();
        let protocols = self.options.protocols.get_untracked();
        let opened = BrowserSocket::open(&resolve(&address), &protocols, self.event_sink(number));
        let error = opened
            .map(|socket| *self.socket.borrow_mut() = Some((number, socket)))
            .err();
        self.input(Input::Created { address, error });
    }

    fn event_sink(&self, number: u32) -> impl Fn(BrowserSocketEvent) + Clone + 'static {
        let this = self.this.clone();
        move |event| {
            let Some(driver) = this.upgrade() else { return };
            let current = driver.machine.borrow().is_current(number);
            if current {
                driver.on_browser_event(event);
            }
        }
    }

    fn on_browser_event(&self, event: BrowserSocketEvent) {
        if matches!(event, BrowserSocketEvent::Close { .. }) {
            *self.socket.borrow_mut() = None;
        }
        self.input(Input::BrowserEvent(event));
    }

    /// Closes a socket; only the observer sees its close event.
    fn close_detached(&self, number: u32) {
        let detached = self.socket.borrow_mut().take_if(|(current, _)| *current == number);
        let Some((_, socket)) = detached else { return };
        let observer = self.options.observer;
        socket.close_detached(move |event| {
            observer(&SocketEvent::Closed(Closed {
                code: event.code(),
                reason: event.reason(),
                was_clean: event.was_clean(),
                by: ClosedBy::Client,
                retry_after: None,
            }));
        });
    }

    fn emit(&self, event: SocketEvent) {
        (self.options.observer)(&event);
        match &event {
            SocketEvent::Open { protocol, extensions } => self.signals.state.set(SocketState::Open {
                protocol: protocol.clone(),
                extensions: extensions.clone(),
            }),
            SocketEvent::Received(payload) => self.signals.message.set(Some(payload.clone())),
            SocketEvent::Closing { .. } => self.signals.state.set(SocketState::Closing),
            SocketEvent::Closed(closed) => self.signals.state.set(SocketState::Closed(closed.clone())),
            SocketEvent::Error(error) => self.signals.error.set(Some(error.clone())),
            SocketEvent::Connecting { .. } | SocketEvent::Sent(_) => (),
        }
        self.options.on_event.run(event);
    }

    fn set_timer(&self) {
        let wanted = self.machine.borrow().wake_at();
        let mut timer = self.timer.borrow_mut();
        if timer.as_ref().map(|(at, _)| *at) == wanted {
            return;
        }
        if let Some((_, handle)) = timer.take() {
            handle.clear();
        }
        let Some(at) = wanted else { return };
        let this = self.this.clone();
        let fire = move || {
            if let Some(driver) = this.upgrade() {
                *driver.timer.borrow_mut() = None;
                driver.input(Input::Timer);
            }
        };
        // A timer may fire a fraction of a millisecond early.
        let delay = Duration::from_millis(at.saturating_sub(now_millis()) + 1);
        *timer = set_timeout_with_handle(fire, delay).ok().map(|handle| (at, handle));
    }

    /// Called on cleanup. No signal is set afterwards.
    fn unmount(&self) {
        *self.page_events.borrow_mut() = None;
        self.input(Input::Unmount);
    }
}
