//! A client's connection to a simulation: a WebSocket, or sequential posts.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::transport_policy::{NextStep, SimulationTransport, SimulationTransportPolicy, TIMEOUT};
use super::{ConnectionStatus, SimulationClient};
use crate::http::{HttpError, post_bytes};
use crate::runtime::clock::now_millis;
use crate::runtime::ids::random_id;
use crate::runtime::page_events::{PageEvent, PageEvents};
use crate::socket::{BrowserSocket, BrowserSocketEvent, Payload, resolve};
use duplex_protocol::code;

/// Timeout of one post in milliseconds; the server answers within 10 s, with 204 if there is no frame.
const POST_TIMEOUT: u32 = 15_000;
/// The pause after a response without a frame.
const POST_PAUSE: Duration = Duration::from_millis(100);

/// The connection of a [`SimulationClient`] to a simulation. Dropping it closes it.
///
/// Uses a WebSocket at `path`, or posts to `path/turn` if no WebSocket opens. Reconnects automatically, and at once when the network
/// returns, the page is shown again, or the visitor requests it.
pub struct SimulationConnection(Rc<Inner>);

struct Inner {
    path: &'static str,
    client: Weak<dyn SimulationClient>,
    policy: RefCell<SimulationTransportPolicy>,
    socket: RefCell<Option<BrowserSocket>>,
    live: Cell<Option<SimulationTransport>>,
    timer: RefCell<Option<TimeoutHandle>>,
    /// The number of the newest attempt; reports of older ones are ignored.
    attempt: Cell<u32>,
    page_events: RefCell<Option<PageEvents>>,
}

impl SimulationConnection {
    /// Opens the connection. Browser only: call it from effects and event handlers.
    #[must_use = "dropping the connection closes it"]
    pub fn open(path: &'static str, client: Weak<dyn SimulationClient>) -> Self {
        let inner = Rc::new(Inner {
            path,
            client,
            policy: RefCell::default(),
            socket: RefCell::default(),
            live: Cell::default(),
            timer: RefCell::default(),
            attempt: Cell::default(),
            page_events: RefCell::default(),
        });
        let this = Rc::downgrade(&inner);
        inner.page_events.replace(Some(PageEvents::listen(move |event| {
            if let Some(inner) = this.upgrade() {
                inner.on_page(event);
            }
        })));
        inner.connect(SimulationTransport::WebSocket);
        Self(inner)
    }

    /// Sends the client's input at once, over a WebSocket. Over HTTP the next post sends it.
    pub fn flush(&self) {
        let inner = &self.0;
        if inner.live.get() == Some(SimulationTransport::WebSocket)
            && let (Some(client), Some(socket)) = (inner.client.upgrade(), &*inner.socket.borrow())
        {
            // Fails on a closing socket. Its close event follows.
            let _ = socket.send(&Payload::Binary(client.input()));
        }
    }
}

impl Drop for SimulationConnection {
    fn drop(&mut self) {
        self.0.close();
        self.0.page_events.replace(None);
    }
}

impl Inner {
    fn set_status(&self, status: ConnectionStatus) {
        self.live.set(match status {
            ConnectionStatus::Live(transport) => Some(transport),
            _ => None,
        });
        if let Some(client) = self.client.upgrade() {
            client.on_status(status);
        }
    }

    fn on_page(self: &Rc<Self>, event: PageEvent) {
        match event {
            PageEvent::Hide | PageEvent::Freeze => self.close(),
            PageEvent::Show { .. } | PageEvent::Resume | PageEvent::Online | PageEvent::Retry => self.reconnect(),
            PageEvent::Offline | PageEvent::Visible(_) => (),
        }
    }

    fn connect(self: &Rc<Self>, transport: SimulationTransport) {
        self.close();
        let attempt = self.attempt.get();
        match transport {
            SimulationTransport::WebSocket => {
                self.set_status(ConnectionStatus::Connecting);
                self.open_socket(attempt);
            }
            SimulationTransport::Http => {
                let inner = Rc::clone(self);
                spawn_local(async move { inner.post_loop(attempt).await });
            }
        }
    }

    /// Closes the current socket or post loop, and ignores its later reports.
    fn close(&self) {
        self.attempt.set(self.attempt.get().wrapping_add(1));
        self.live.set(None);
        if let Some(timer) = self.timer.take() {
            timer.clear();
        }
        if let Some(socket) = self.socket.take() {
            socket.close_detached(|_| ());
        }
    }

    /// Reconnects at once after the page or the network returned.
    fn reconnect(self: &Rc<Self>) {
        if self.live.get().is_none() && self.socket.borrow().is_none() {
            self.connect(SimulationTransport::WebSocket);
        }
    }

    fn open_socket(self: &Rc<Self>, attempt: u32) {
        let this = Rc::downgrade(self);
        let report = move |event| {
            if let Some(inner) = this.upgrade().filter(|inner| inner.attempt.get() == attempt) {
                inner.on_browser_event(event);
            }
        };
        match BrowserSocket::open(&resolve(self.path), &[], report) {
            Ok(socket) => {
                self.socket.replace(Some(socket));
                self.schedule(TIMEOUT, |inner| {
                    if inner.live.get().is_none() {
                        inner.apply_next_step(inner.on_socket_closed(code::ABNORMAL));
                    }
                });
            }
            Err(_) => self.connect(SimulationTransport::Http),
        }
    }

    fn on_socket_closed(&self, code: u16) -> NextStep {
        self.policy
            .borrow_mut()
            .on_close(code, now_millis(), js_sys::Math::random())
    }

    fn on_browser_event(self: &Rc<Self>, event: BrowserSocketEvent) {
        match event {
            // The server sends first. An open event alone may come from a proxy that blocks all messages.
            BrowserSocketEvent::Message(Payload::Binary(frame)) => {
                if self.live.get().is_none() {
                    self.policy.borrow_mut().on_open(now_millis());
                    self.set_status(ConnectionStatus::Live(SimulationTransport::WebSocket));
                }
                if let Some(client) = self.client.upgrade() {
                    client.on_frame(&frame);
                }
            }
            // A close event follows an error, and simulations send no text.
            BrowserSocketEvent::Open { .. }
            | BrowserSocketEvent::Message(Payload::Text(_))
            | BrowserSocketEvent::Error => {}
            BrowserSocketEvent::Close { code, .. } => {
                let next = self.on_socket_closed(code);
                self.apply_next_step(next);
            }
        }
    }

    fn apply_next_step(self: &Rc<Self>, next: NextStep) {
        self.close();
        match next {
            NextStep::Open(transport) => self.connect(transport),
            NextStep::OpenAfter(transport, delay) => {
                self.set_status(ConnectionStatus::Waiting);
                self.schedule(delay, move |inner| inner.connect(transport));
            }
            NextStep::Stop(code) => self.set_status(ConnectionStatus::Stopped(code)),
        }
    }

    fn schedule(self: &Rc<Self>, delay: Duration, act: impl FnOnce(&Rc<Self>) + 'static) {
        let (this, attempt) = (Rc::downgrade(self), self.attempt.get());
        let fire = move || {
            if let Some(inner) = this.upgrade().filter(|inner| inner.attempt.get() == attempt) {
                act(&inner);
            }
        };
        self.timer.replace(set_timeout_with_handle(fire, delay).ok());
    }

    /// Sends posts one after the other, each with the newest input.
    async fn post_loop(self: Rc<Self>, attempt: u32) {
        let address = format!("{}/turn?seat={}", self.path, random_id());
        loop {
            let Some(client) = self.client.upgrade() else {
                return;
            };
            let response = post_bytes(&address, &client.input(), POST_TIMEOUT).await;
            if self.attempt.get() != attempt {
                return;
            }
            match response {
                Ok(frame) => {
                    self.policy.borrow_mut().on_response();
                    if self.live.get().is_none() {
                        self.set_status(ConnectionStatus::Live(SimulationTransport::Http));
                    }
                    match frame {
                        Some(frame) => client.on_frame(&frame),
                        None => pause(POST_PAUSE).await,
                    }
                }
                Err(error) => {
                    let status = match error {
                        HttpError::Status(status) => Some(status),
                        _ => None,
                    };
                    let next = self.policy.borrow_mut().on_post_failed(status, js_sys::Math::random());
                    return self.apply_next_step(next);
                }
            }
        }
    }
}

async fn pause(time: Duration) {
    let timeout = js_sys::Promise::new(&mut |resolve, _| {
        set_timeout(move || drop(resolve.call0(&wasm_bindgen::JsValue::UNDEFINED)), time);
    });
    let _ = wasm_bindgen_futures::JsFuture::from(timeout).await;
}
