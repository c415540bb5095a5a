//! A stage of the server in a page: what the server's rendering said of it, and the line to it. Knows no application.

mod plan;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use leptos::leptos_dom::helpers::{TimeoutHandle, WindowListenerHandle};
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::de::DeserializeOwned;

use super::http::{HttpError, post_bytes};
use super::status::RETRY;
use crate::runtime::driver::random_id;
pub use crate::simulation::plan::Carrier;
use crate::simulation::plan::{Next, PATIENCE, Plan};
use crate::socket::Payload;
use crate::socket::browser_socket::{BrowserSocket, Report};
use crate::socket::machine::{now, resolve};
use duplex_protocol::code;

/// Where the server's rendering finds what a stage shows of itself, as JSON, by the stage's path. In the context of a rendering
/// on the server, and nowhere else.
#[derive(Clone)]
pub struct StageSource(pub Arc<Glances>);

type Glances = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What the stage showed when the page was rendered; it travels in the page. None where the page was not rendered by the
/// server: the stage's own line will say it.
pub fn glance<T: DeserializeOwned>(path: &'static str) -> Option<T> {
    let shown: Option<String> =
        SharedValue::new(|| use_context::<StageSource>().and_then(|StageSource(source)| source(path))).into_inner();
    serde_json::from_str(&shown?).ok()
}

/// How the line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineStatus {
    Connecting,
    Live(Carrier),
    /// It comes back by itself.
    Waiting,
    /// It does not: closed with this code.
    Stopped(u16),
}

/// Whom a line serves.
pub trait Viewer {
    /// What is to be said now.
    fn turn(&self) -> Vec<u8>;
    fn heard(&self, frame: &[u8]);
    fn stands(&self, status: LineStatus);
}

/// Milliseconds for one post: the server answers after ten seconds even without a frame.
const POST_PATIENCE: u32 = 15_000;
/// After an answer without a frame.
const POST_PAUSE: Duration = Duration::from_millis(100);

/// One seat of the server's stage. Opened in a browser only; dropped, it is closed.
pub struct StageLine(Rc<Inner>);

struct Inner {
    path: &'static str,
    viewer: Weak<dyn Viewer>,
    plan: RefCell<Plan>,
    socket: RefCell<Option<BrowserSocket>>,
    live: Cell<Option<Carrier>>,
    timer: RefCell<Option<TimeoutHandle>>,
    /// The number of the newest attempt: what older ones report is not heard.
    attempt: Cell<u32>,
    listeners: RefCell<Vec<WindowListenerHandle>>,
}

impl StageLine {
    pub fn open(path: &'static str, viewer: Weak<dyn Viewer>) -> Self {
        let inner = Rc::new(Inner {
            path,
            viewer,
            plan: RefCell::default(),
            socket: RefCell::default(),
            live: Cell::default(),
            timer: RefCell::default(),
            attempt: Cell::default(),
            listeners: RefCell::default(),
        });
        let on = |event: &str, act: fn(&Rc<Inner>)| {
            let inner = Rc::downgrade(&inner);
            window_event_listener_untyped(event, move |_| {
                if let Some(inner) = inner.upgrade() {
                    act(&inner);
                }
            })
        };
        let listeners = vec![
            on("pagehide", |inner| inner.hang_up()),
            on("pageshow", |inner| inner.wake()),
            on("online", |inner| inner.wake()),
            on(RETRY, |inner| inner.wake()),
        ];
        inner.listeners.replace(listeners);
        inner.begin(Carrier::WebSocket);
        Self(inner)
    }

    /// Says what is to be said, if the line carries it at once; over HTTP each post asks for it by itself.
    pub fn nudge(&self) {
        let inner = &self.0;
        if inner.live.get() == Some(Carrier::WebSocket)
            && let (Some(viewer), Some(socket)) = (inner.viewer.upgrade(), &*inner.socket.borrow())
        {
            // A socket that is closing takes nothing; its end is reported.
            let _ = socket.send(&Payload::Binary(viewer.turn()));
        }
    }
}

impl Drop for StageLine {
    fn drop(&mut self) {
        self.0.hang_up();
        for listener in self.0.listeners.take() {
            listener.remove();
        }
    }
}

impl Inner {
    fn stands(&self, status: LineStatus) {
        self.live.set(match status {
            LineStatus::Live(carrier) => Some(carrier),
            _ => None,
        });
        if let Some(viewer) = self.viewer.upgrade() {
            viewer.stands(status);
        }
    }

    fn begin(self: &Rc<Self>, carrier: Carrier) {
        self.hang_up();
        let attempt = self.attempt.get();
        match carrier {
            Carrier::WebSocket => {
                self.stands(LineStatus::Connecting);
                self.open_socket(attempt);
            }
            Carrier::Http => {
                let inner = Rc::clone(self);
                spawn_local(async move { inner.take_turns(attempt).await });
            }
        }
    }

    /// What was there is closed and heard no more.
    fn hang_up(&self) {
        self.attempt.set(self.attempt.get().wrapping_add(1));
        self.live.set(None);
        if let Some(timer) = self.timer.take() {
            timer.clear();
        }
        if let Some(socket) = self.socket.take() {
            socket.leave(|_| ());
        }
    }

    /// The page is back, or the network is.
    fn wake(self: &Rc<Self>) {
        if self.live.get().is_none() && self.socket.borrow().is_none() {
            self.begin(Carrier::WebSocket);
        }
    }

    fn open_socket(self: &Rc<Self>, attempt: u32) {
        let this = Rc::downgrade(self);
        let hear = move |report| {
            if let Some(inner) = this.upgrade().filter(|inner| inner.attempt.get() == attempt) {
                inner.hear(report);
            }
        };
        match BrowserSocket::open(&resolve(self.path), &[], hear) {
            Ok(socket) => {
                self.socket.replace(Some(socket));
                self.later(PATIENCE, |inner| {
                    if inner.live.get().is_none() {
                        inner.follow(inner.plan_closed(code::ABNORMAL));
                    }
                });
            }
            Err(_) => self.begin(Carrier::Http),
        }
    }

    fn plan_closed(&self, code: u16) -> Next {
        self.plan.borrow_mut().closed(code, now(), js_sys::Math::random())
    }

    fn hear(self: &Rc<Self>, report: Report) {
        match report {
            // The server speaks first. An opening alone may be a proxy's, which lets nothing else pass.
            Report::Message(Payload::Binary(frame)) => {
                if self.live.get().is_none() {
                    self.plan.borrow_mut().opened(now());
                    self.stands(LineStatus::Live(Carrier::WebSocket));
                }
                if let Some(viewer) = self.viewer.upgrade() {
                    viewer.heard(&frame);
                }
            }
            // The close event follows an error, and says more; nobody here speaks text.
            Report::Open { .. } | Report::Message(Payload::Text(_)) | Report::Error => {}
            Report::Close { code, .. } => {
                let next = self.plan_closed(code);
                self.follow(next);
            }
        }
    }

    fn follow(self: &Rc<Self>, next: Next) {
        self.hang_up();
        match next {
            Next::Open(carrier) => self.begin(carrier),
            Next::OpenAfter(carrier, delay) => {
                self.stands(LineStatus::Waiting);
                self.later(delay, move |inner| inner.begin(carrier));
            }
            Next::Stop(code) => self.stands(LineStatus::Stopped(code)),
        }
    }

    fn later(self: &Rc<Self>, delay: Duration, act: impl FnOnce(&Rc<Self>) + 'static) {
        let (this, attempt) = (Rc::downgrade(self), self.attempt.get());
        let ring = move || {
            if let Some(inner) = this.upgrade().filter(|inner| inner.attempt.get() == attempt) {
                act(&inner);
            }
        };
        self.timer.replace(set_timeout_with_handle(ring, delay).ok());
    }

    /// One post after the other, each with what is to be said by then.
    async fn take_turns(self: Rc<Self>, attempt: u32) {
        let address = format!("{}/turn?seat={}", self.path, random_id().as_str());
        loop {
            let Some(viewer) = self.viewer.upgrade() else { return };
            let answer = post_bytes(&address, &viewer.turn(), POST_PATIENCE).await;
            if self.attempt.get() != attempt {
                return;
            }
            match answer {
                Ok(frame) => {
                    self.plan.borrow_mut().turned();
                    if self.live.get().is_none() {
                        self.stands(LineStatus::Live(Carrier::Http));
                    }
                    match frame {
                        Some(frame) => viewer.heard(&frame),
                        None => pause(POST_PAUSE).await,
                    }
                }
                Err(error) => {
                    let status = match error {
                        HttpError::Status(status) => Some(status),
                        _ => None,
                    };
                    let next = self.plan.borrow_mut().failed(status, js_sys::Math::random());
                    return self.follow(next);
                }
            }
        }
    }
}

async fn pause(time: Duration) {
    let waited = js_sys::Promise::new(&mut |resolve, _| {
        set_timeout(move || drop(resolve.call0(&wasm_bindgen::JsValue::UNDEFINED)), time);
    });
    let _ = wasm_bindgen_futures::JsFuture::from(waited).await;
}
