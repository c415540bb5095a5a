//! Runs the pure link in a browser: gives it time, randomness and events, and does what it asks for with real lines, one
//! timer and the topics' stores. Knows no component.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use leptos::ev;
use leptos::leptos_dom::helpers::{TimeoutHandle, WindowListenerHandle};
use leptos::prelude::*;
use leptos::task::spawn_local;
use send_wrapper::SendWrapper;
use wasm_bindgen::JsCast;
use web_sys::{HtmlMetaElement, PageTransitionEvent, VisibilityState};

use super::tab::Signals;
use super::transport::{self, Line, LineTap, Report};
use crate::session::transport_policy::Millis;
use crate::session::{Effect, Input, Link, News};
use crate::socket::machine::now;
use crate::status::{RETRY, Transport};
use crate::trace::{Disturbance, Tap, What};
use duplex_protocol::code;
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{CommandId, SessionId};
use duplex_protocol::topic::{Delivery, TopicName};

/// Where a topic's news go.
pub(crate) trait Hear {
    /// False: it cannot be read.
    fn hear(&self, news: &News) -> bool;

    /// A content of the topic, of whatever encoding, as JSON.
    fn show(&self, content: Content, encoding: Encoding, blob: &Blob) -> Option<String>;

    /// Commands that it shows are still on their way.
    fn is_waiting(&self) -> bool;
}

/// What an application put into a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Event,
    Command,
}

struct Ear {
    users: usize,
    hear: Arc<dyn Hear>,
}

pub(crate) struct Driver {
    link: RefCell<Link>,
    lines: RefCell<HashMap<u32, Box<dyn Line>>>,
    ears: RefCell<HashMap<TopicName, Ear>>,
    /// What happens while something else is being dealt with waits here.
    inputs: RefCell<VecDeque<Input>>,
    busy: Cell<bool>,
    timer: RefCell<Option<(Millis, TimeoutHandle)>>,
    /// Of the fallbacks; over WebSocket the server names the session.
    session: SessionId,
    signals: Signals,
    tap: Tap,
    /// The visitor asked for an interruption, this one: no line is opened. 0 is none.
    severed: Cell<u32>,
    interruptions: Cell<u32>,
    listeners: RefCell<Vec<WindowListenerHandle>>,
    /// While commands wait for their answers, the browser asks before the page goes: they would go with it. Not there at other
    /// times, since it keeps pages out of some browsers' back/forward cache.
    unload: RefCell<Option<WindowListenerHandle>>,
    this: Weak<Driver>,
}

impl Driver {
    pub fn start(signals: Signals, tap: Tap) -> Rc<Self> {
        let driver = Rc::new_cyclic(|this| Self {
            link: RefCell::new(Link::new(build())),
            lines: RefCell::default(),
            ears: RefCell::default(),
            inputs: RefCell::default(),
            busy: Cell::new(false),
            timer: RefCell::default(),
            session: SessionId(random_id().as_str().to_owned()),
            signals,
            tap,
            severed: Cell::default(),
            interruptions: Cell::default(),
            listeners: RefCell::default(),
            unload: RefCell::default(),
            this: this.clone(),
        });
        *driver.listeners.borrow_mut() = driver.listen_to_the_page();
        driver.input(Input::Online(window().navigator().on_line()));
        driver.input(Input::Visible(is_visible()));
        driver
    }

    fn listen_to_the_page(&self) -> Vec<WindowListenerHandle> {
        let on = |name: &str, input: fn() -> Input| {
            let this = self.this.clone();
            window_event_listener_untyped(name, move |_| tell(&this, input()))
        };
        let this = SendWrapper::new(self.this.clone());
        let shown = window_event_listener(ev::Custom::<PageTransitionEvent>::new("pageshow"), move |event| {
            if event.persisted() {
                tell(&this, Input::Thaw);
            }
        });
        vec![
            on("online", || Input::Online(true)),
            on("offline", || Input::Online(false)),
            on(RETRY, || Input::Retry),
            on("visibilitychange", || Input::Visible(is_visible())),
            on("pagehide", || Input::Freeze),
            shown,
        ]
    }

    pub fn subscribe(&self, topic: TopicName, delivery: Delivery, cursor: Option<Cursor>, hear: Arc<dyn Hear>) {
        self.ears
            .borrow_mut()
            .entry(topic.clone())
            .or_insert(Ear { users: 0, hear })
            .users += 1;
        self.input(Input::Subscribe {
            topic,
            delivery,
            cursor,
        });
    }

    pub fn unsubscribe(&self, topic: TopicName) {
        if let Some(ear) = self.ears.borrow_mut().get_mut(&topic) {
            ear.users = ear.users.saturating_sub(1);
        }
        self.input(Input::Unsubscribe { topic });
        self.ears
            .borrow_mut()
            .retain(|_, ear| ear.users > 0 || ear.hear.is_waiting());
    }

    /// Deals with what happened, and then with what happened meanwhile.
    pub fn input(&self, input: Input) {
        self.inputs.borrow_mut().push_back(input);
        if self.busy.replace(true) {
            return;
        }
        loop {
            let Some(input) = self.inputs.borrow_mut().pop_front() else {
                break;
            };
            self.tap.edit(|diary| diary.heard(now(), &input));
            let effects = self.link.borrow_mut().handle(clock(), js_sys::Math::random(), input);
            effects.into_iter().for_each(|effect| self.act(effect));
        }
        self.busy.set(false);
        self.show_status();
        self.set_timer();
    }

    fn act(&self, effect: Effect) {
        self.tap.edit(|diary| diary.acted(now(), &effect));
        match effect {
            Effect::Open {
                line,
                transport,
                topics,
            } => {
                let this = self.this.clone();
                let report = Rc::new(move |report| {
                    if let Some(driver) = this.upgrade() {
                        driver.report(line, report);
                    }
                });
                let tap = LineTap::new(&self.tap, line);
                if self.severed.get() > 0 {
                    tap.opening(transport, None);
                    return spawn_local(async move { report(Report::Closed(code::ABNORMAL)) });
                }
                let opened = transport::open(transport, &self.session, &topics, tap, report);
                self.lines.borrow_mut().insert(line, opened);
            }
            Effect::Ask { line, topics, at_once } => self.with(line, |line| line.ask(&topics, at_once)),
            Effect::Send { line, frame } => self.with(line, |line| line.send(&frame)),
            Effect::Close { line } => drop(self.lines.borrow_mut().remove(&line)),
            Effect::Tell { topic, news } => self.tell(topic, &news),
            Effect::NameRefused(why) => self.signals.refuse_name(why),
            Effect::Me(person) => {
                if self.signals.me.with_untracked(|me| me.as_ref() != Some(&person)) {
                    self.signals.me.set(Some(person));
                }
            }
        }
    }

    fn report(&self, line: u32, report: Report) {
        if matches!(report, Report::Closed(_)) {
            drop(self.lines.borrow_mut().remove(&line));
        }
        self.input(heard(line, report));
    }

    fn with(&self, line: u32, act: impl FnOnce(&dyn Line)) {
        if let Some(line) = self.lines.borrow().get(&line) {
            act(&**line);
        }
    }

    fn tell(&self, topic: TopicName, news: &News) {
        let hear = self.ears.borrow().get(&topic).map(|ear| Arc::clone(&ear.hear));
        if hear.is_some_and(|hear| !hear.hear(news)) {
            self.input(Input::Outdated { topic });
        }
    }

    fn show_status(&self) {
        let status = self.link.borrow().status();
        self.guard_unload(status.queued > 0);
        self.tap.edit(|diary| {
            if status
                .transport
                .is_some_and(|transport| transport != Transport::WebSocket)
            {
                diary.session = Some(self.session.clone());
            }
            diary.phase(now(), status.phase, status.transport);
        });
        if self.signals.status.get_untracked() != status {
            self.signals.status.set(status);
        }
    }

    fn guard_unload(&self, wanted: bool) {
        let mut unload = self.unload.borrow_mut();
        match (wanted, unload.take()) {
            (true, None) => *unload = Some(window_event_listener(ev::beforeunload, |event| event.prevent_default())),
            (true, guard) => *unload = guard,
            (false, Some(guard)) => guard.remove(),
            (false, None) => {}
        }
    }

    /// Closes every line and opens none for so long, as if the network were gone; the server sees closes with 1000.
    pub fn go_offline(&self, for_ms: u32) {
        let number = self.interruptions.get().wrapping_add(1).max(1);
        self.interruptions.set(number);
        self.severed.set(number);
        let fault = Disturbance::Offline(for_ms);
        let what = What::Fault { fault, refused: None };
        self.tap.edit(|diary| diary.moment(now(), what));
        self.input(Input::Online(false));
        let lines: Vec<u32> = self.lines.borrow_mut().drain().map(|(line, _)| line).collect();
        for line in lines {
            self.report(line, Report::Closed(code::ABNORMAL));
        }
        let this = self.this.clone();
        let restore = move || {
            if let Some(driver) = this.upgrade().filter(|driver| driver.severed.get() == number) {
                driver.severed.set(0);
                driver.tap.edit(|diary| diary.moment(now(), What::Restored));
                driver.input(Input::Online(window().navigator().on_line()));
            }
        };
        set_timeout(restore, Duration::from_millis(for_ms.into()));
    }

    /// What the link may be asked by the inspector.
    pub fn look<T>(&self, at: impl FnOnce(&Link) -> T) -> T {
        at(&self.link.borrow())
    }

    pub fn show(&self, topic: &TopicName, content: Content, encoding: Encoding, blob: &Blob) -> Option<String> {
        let hear = self.ears.borrow().get(topic).map(|ear| Arc::clone(&ear.hear))?;
        hear.show(content, encoding, blob)
    }

    /// One timer for everything. One that rings too early is not moved: it would be, with every frame.
    fn set_timer(&self) {
        let Some(at) = self.link.borrow().wake_at() else { return };
        let mut timer = self.timer.borrow_mut();
        if let Some((set, handle)) = &*timer {
            if *set <= at {
                return;
            }
            handle.clear();
        }
        let this = self.this.clone();
        let ring = move || {
            if let Some(driver) = this.upgrade() {
                *driver.timer.borrow_mut() = None;
                driver.input(Input::Timer);
            }
        };
        // A timer may ring a fraction early; a millisecond later is never too early.
        let delay = Duration::from_millis(at.saturating_sub(clock()) + 1);
        *timer = set_timeout_with_handle(ring, delay).ok().map(|handle| (at, handle));
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some((_, timer)) = self.timer.borrow_mut().take() {
            timer.clear();
        }
        for listener in self.listeners.take().into_iter().chain(self.unload.take()) {
            listener.remove();
        }
    }
}

fn tell(driver: &Weak<Driver>, input: Input) {
    if let Some(driver) = driver.upgrade() {
        driver.input(input);
    }
}

fn heard(line: u32, report: Report) -> Input {
    match report {
        Report::Opened(encoding) => Input::Opened { line, encoding },
        Report::Frame(frame) => Input::Frame { line, frame },
        Report::Unreadable => Input::Unreadable { line },
        Report::Answered(frames) => Input::Answered { line, frames },
        Report::Unsent { id, status } => Input::Unsent { line, id, status },
        Report::Closed(code) => Input::Closed { line, code },
    }
}

/// Whole milliseconds of the page's clock.
fn clock() -> Millis {
    now() as Millis
}

fn is_visible() -> bool {
    document().visibility_state() != VisibilityState::Hidden
}

/// The build of the front end that this page came with.
fn build() -> String {
    let found = document().query_selector(r#"meta[name="duplex-build"]"#);
    let meta = found
        .ok()
        .flatten()
        .and_then(|meta| meta.dyn_into::<HtmlMetaElement>().ok());
    meta.map(|meta| meta.content()).unwrap_or_default()
}

/// 128 random bits.
pub(crate) fn random_id() -> CommandId {
    CommandId::from_random(random())
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    if let Ok(crypto) = window().crypto() {
        let _ = crypto.get_random_values_with_u8_array(&mut bytes);
    }
    u128::from_le_bytes(bytes)
}

/// Of this browser's time; a command is sent under an id of the server's ([`crate::session::outbox`]).
pub(crate) fn new_id() -> CommandId {
    CommandId::at(js_sys::Date::now() as u64, random())
}
