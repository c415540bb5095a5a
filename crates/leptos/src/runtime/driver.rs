//! Runs the pure session in a browser: passes it time, randomness and inputs, and performs its effects with connections, one timer
//! and the topics' observers.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use leptos::ev;
use leptos::leptos_dom::helpers::{TimeoutHandle, WindowListenerHandle};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::JsCast;
use web_sys::HtmlMetaElement;

use super::tab::Signals;
use super::transport::{self, Connection, ConnectionEvent, ConnectionTrace};
use crate::runtime::clock::{Millis, now, now_millis};
use crate::runtime::ids::random_id;
use crate::runtime::page_events::{PageEvent, PageEvents, is_online, is_visible};
use crate::session::{Effect, Input, Session, TopicUpdate};
use crate::status::Transport;
use crate::trace::{EventKind, RequestedFault, SharedTrace};
use duplex_protocol::code;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::SessionId;
use duplex_protocol::topic::{Delivery, TopicName};

/// Receives the updates of a topic.
pub(crate) trait TopicObserver {
    /// Returns false if the update cannot be decoded.
    fn on_update(&self, update: &TopicUpdate) -> bool;

    /// Converts an event or a command of the topic to JSON.
    fn to_json(&self, kind: ValueKind, encoding: Encoding, value: &EncodedValue) -> Option<String>;

    /// Whether any of its commands is unanswered.
    fn has_pending(&self) -> bool;
}

/// Whether a frame's value is an event or a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueKind {
    Event,
    Command,
}

struct TopicEntry {
    /// The number of components that use the topic.
    users: usize,
    observer: Arc<dyn TopicObserver>,
}

pub(crate) struct Driver {
    session: RefCell<Session>,
    connections: RefCell<HashMap<u32, Box<dyn Connection>>>,
    topics: RefCell<HashMap<TopicName, TopicEntry>>,
    /// Inputs that arrive while effects are performed.
    inputs: RefCell<VecDeque<Input>>,
    busy: Cell<bool>,
    timer: RefCell<Option<(Millis, TimeoutHandle)>>,
    /// The session's id over the fallbacks; over a WebSocket the server assigns one.
    session_id: SessionId,
    signals: Signals,
    trace: SharedTrace,
    /// The number of the current simulated outage, during which no connection is opened; 0 if there is none.
    simulated_outage: Cell<u32>,
    outage_count: Cell<u32>,
    page_events: RefCell<Option<PageEvents>>,
    /// Asks the visitor to confirm leaving while commands are unanswered. Removed at other times, because such a listener excludes
    /// the page from some browsers' back/forward cache.
    beforeunload: RefCell<Option<WindowListenerHandle>>,
    this: Weak<Driver>,
}

impl Driver {
    pub(crate) fn start(signals: Signals, trace: SharedTrace) -> Rc<Self> {
        let driver = Rc::new_cyclic(|this| Self {
            session: RefCell::new(Session::new(build())),
            connections: RefCell::default(),
            topics: RefCell::default(),
            inputs: RefCell::default(),
            busy: Cell::new(false),
            timer: RefCell::default(),
            session_id: SessionId(random_id()),
            signals,
            trace,
            simulated_outage: Cell::default(),
            outage_count: Cell::default(),
            page_events: RefCell::default(),
            beforeunload: RefCell::default(),
            this: this.clone(),
        });
        let this = Rc::downgrade(&driver);
        *driver.page_events.borrow_mut() = Some(PageEvents::listen(move |event| {
            if let (Some(driver), Some(input)) = (this.upgrade(), page_input(event)) {
                driver.input(input);
            }
        }));
        driver.input(Input::Online(is_online()));
        driver.input(Input::Visible(is_visible()));
        driver
    }

    pub(crate) fn subscribe(
        &self,
        topic: TopicName,
        delivery: Delivery,
        cursor: Option<Cursor>,
        observer: Arc<dyn TopicObserver>,
    ) {
        self.topics
            .borrow_mut()
            .entry(topic.clone())
            .or_insert(TopicEntry { users: 0, observer })
            .users += 1;
        self.input(Input::Subscribe {
            topic,
            delivery,
            cursor,
        });
    }

    pub(crate) fn unsubscribe(&self, topic: TopicName) {
        if let Some(listener) = self.topics.borrow_mut().get_mut(&topic) {
            listener.users = listener.users.saturating_sub(1);
        }
        self.input(Input::Unsubscribe { topic });
        self.topics
            .borrow_mut()
            .retain(|_, listener| listener.users > 0 || listener.observer.has_pending());
    }

    /// Handles the input and any inputs queued while its effects are performed.
    pub(crate) fn input(&self, input: Input) {
        self.inputs.borrow_mut().push_back(input);
        if self.busy.replace(true) {
            return;
        }
        loop {
            let Some(input) = self.inputs.borrow_mut().pop_front() else {
                break;
            };
            self.trace.edit(|trace| trace.record_input(now(), &input));
            let effects = self
                .session
                .borrow_mut()
                .handle(now_millis(), js_sys::Math::random(), input);
            effects.into_iter().for_each(|effect| self.perform(effect));
        }
        self.busy.set(false);
        self.publish_status();
        self.set_timer();
    }

    fn perform(&self, effect: Effect) {
        self.trace.edit(|trace| trace.record_effect(now(), &effect));
        match effect {
            Effect::Open {
                connection,
                transport,
                topics,
            } => {
                let this = self.this.clone();
                let report: transport::EventSink = Rc::new(move |event| {
                    if let Some(driver) = this.upgrade() {
                        driver.on_connection_event(connection, event);
                    }
                });
                let trace = ConnectionTrace::new(&self.trace, connection);
                if self.simulated_outage.get() > 0 {
                    trace.record_opening(transport, None);
                    return spawn_local(async move { report(ConnectionEvent::Closed(code::ABNORMAL)) });
                }
                let opened = transport::open(transport, &self.session_id, &topics, trace, report);
                self.connections.borrow_mut().insert(connection, opened);
            }
            Effect::Request {
                connection,
                topics,
                immediate,
            } => self.with_connection(connection, |connection| connection.request(&topics, immediate)),
            Effect::Send { connection, frame } => {
                self.with_connection(connection, |connection| connection.send(&frame))
            }
            Effect::Close { connection } => drop(self.connections.borrow_mut().remove(&connection)),
            Effect::Notify { topic, update } => self.notify(topic, &update),
            Effect::NameRejected(reason) => self.signals.reject_name(reason),
            Effect::Identified(person) => {
                if self.signals.me.with_untracked(|me| me.as_ref() != Some(&person)) {
                    self.signals.me.set(Some(person));
                }
            }
        }
    }

    fn on_connection_event(&self, connection: u32, event: ConnectionEvent) {
        if matches!(event, ConnectionEvent::Closed(_)) {
            drop(self.connections.borrow_mut().remove(&connection));
        }
        self.input(connection_input(connection, event));
    }

    fn with_connection(&self, connection: u32, f: impl FnOnce(&dyn Connection)) {
        if let Some(connection) = self.connections.borrow().get(&connection) {
            f(&**connection);
        }
    }

    fn notify(&self, topic: TopicName, update: &TopicUpdate) {
        let observer = self
            .topics
            .borrow()
            .get(&topic)
            .map(|listener| Arc::clone(&listener.observer));
        if observer.is_some_and(|observer| !observer.on_update(update)) {
            self.input(Input::Undecodable { topic });
        }
    }

    fn publish_status(&self) {
        let status = self.session.borrow().status();
        self.set_beforeunload(status.queued > 0);
        self.trace.edit(|trace| {
            if status
                .transport
                .is_some_and(|transport| transport != Transport::WebSocket)
            {
                trace.session = Some(self.session_id.clone());
            }
            trace.record_phase(now(), status.phase, status.transport);
        });
        if self.signals.status.get_untracked() != status {
            self.signals.status.set(status);
        }
    }

    fn set_beforeunload(&self, enabled: bool) {
        let mut beforeunload = self.beforeunload.borrow_mut();
        match (enabled, beforeunload.take()) {
            (true, None) => {
                *beforeunload = Some(window_event_listener(ev::beforeunload, |event| event.prevent_default()))
            }
            (true, guard) => *beforeunload = guard,
            (false, Some(guard)) => guard.remove(),
            (false, None) => {}
        }
    }

    /// Simulates an outage of `for_ms`: closes all connections, with code 1000, and opens none.
    pub(crate) fn go_offline(&self, for_ms: u32) {
        let number = self.outage_count.get().wrapping_add(1).max(1);
        self.outage_count.set(number);
        self.simulated_outage.set(number);
        let fault = RequestedFault::Offline(for_ms);
        let kind = EventKind::Fault { fault, rejected: None };
        self.trace.edit(|trace| trace.record_event(now(), kind));
        self.input(Input::Online(false));
        let connections: Vec<u32> = self
            .connections
            .borrow_mut()
            .drain()
            .map(|(connection, _)| connection)
            .collect();
        for connection in connections {
            self.on_connection_event(connection, ConnectionEvent::Closed(code::ABNORMAL));
        }
        let this = self.this.clone();
        let restore = move || {
            if let Some(driver) = this.upgrade().filter(|driver| driver.simulated_outage.get() == number) {
                driver.simulated_outage.set(0);
                driver
                    .trace
                    .edit(|trace| trace.record_event(now(), EventKind::OfflineEnded));
                driver.input(Input::Online(is_online()));
            }
        };
        set_timeout(restore, Duration::from_millis(for_ms.into()));
    }

    /// Reads the session, for the inspector.
    pub(crate) fn inspect<T>(&self, read: impl FnOnce(&Session) -> T) -> T {
        read(&self.session.borrow())
    }

    pub(crate) fn to_json(
        &self,
        topic: &TopicName,
        kind: ValueKind,
        encoding: Encoding,
        value: &EncodedValue,
    ) -> Option<String> {
        let observer = self
            .topics
            .borrow()
            .get(topic)
            .map(|listener| Arc::clone(&listener.observer))?;
        observer.to_json(kind, encoding, value)
    }

    /// Arms the single timer for the next deadline. A timer that fires earlier is kept, so that not every frame resets it.
    fn set_timer(&self) {
        let Some(at) = self.session.borrow().wake_at() else {
            return;
        };
        let mut timer = self.timer.borrow_mut();
        if let Some((set, handle)) = &*timer {
            if *set <= at {
                return;
            }
            handle.clear();
        }
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
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some((_, timer)) = self.timer.borrow_mut().take() {
            timer.clear();
        }
        if let Some(listener) = self.beforeunload.take() {
            listener.remove();
        }
    }
}

/// The session's input for a page event.
fn page_input(event: PageEvent) -> Option<Input> {
    match event {
        PageEvent::Online => Some(Input::Online(true)),
        PageEvent::Offline => Some(Input::Online(false)),
        PageEvent::Visible(visible) => Some(Input::Visible(visible)),
        PageEvent::Hide | PageEvent::Freeze => Some(Input::Freeze),
        PageEvent::Show { restored: true } | PageEvent::Resume => Some(Input::Resume),
        PageEvent::Show { restored: false } => None,
        PageEvent::Retry => Some(Input::Retry),
    }
}

fn connection_input(connection: u32, event: ConnectionEvent) -> Input {
    match event {
        ConnectionEvent::Opened(encoding) => Input::Opened { connection, encoding },
        ConnectionEvent::Frame(frame) => Input::Frame { connection, frame },
        ConnectionEvent::Malformed => Input::Malformed { connection },
        ConnectionEvent::PollAnswered(frames) => Input::PollAnswered { connection, frames },
        ConnectionEvent::SendFailed { id, status } => Input::SendFailed { connection, id, status },
        ConnectionEvent::Closed(code) => Input::Closed { connection, code },
    }
}

/// The front end's build, from the page's `<meta name="duplex-build">`.
fn build() -> String {
    let found = document().query_selector(r#"meta[name="duplex-build"]"#);
    let meta = found
        .ok()
        .flatten()
        .and_then(|meta| meta.dyn_into::<HtmlMetaElement>().ok());
    meta.map(|meta| meta.content()).unwrap_or_default()
}
