//! The session of one browser tab: at most one line in use and one on trial, the tab's subscriptions and its commands.
//! Pure: time, randomness and what happened come in, effects go out. Knows no browser and no event's meaning.

mod connection;
mod connections;
mod network_tests;
pub mod outbox;
mod snapshot;
pub mod subscription;
mod tests;
mod topics;
pub mod transport_policy;

use std::collections::BTreeMap;

use super::status::{LinkStatus, Phase, Stop, TopicStatus, Transport};
use crate::reconnect::Backoff;
use crate::session::connection::Line;
use crate::session::outbox::{Body, Outbox};
pub use crate::session::snapshot::{Subscribed, Unsent};
use crate::session::subscription::Subscription;
use crate::session::transport_policy::{Ladder, Millis};
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::cursor::{Check, Cursor, Seq};
use duplex_protocol::person::Person;
use duplex_protocol::presence::Presence;
use duplex_protocol::session::{ClientFrame, CommandId, Rejection, ResetReason, ServerFrame};
use duplex_protocol::topic::{Delivery, TopicName};

/// A link that nobody needs stays open for so long: the next page may need it.
const LINGER: Millis = 2_000;

/// A timer that comes so much too late came after a pause: the machine slept, or the browser stopped the page.
const PAUSE: Millis = 5_000;

pub type Topics = Vec<(TopicName, Option<Cursor>)>;

/// What happened. Of a line that is no longer in use nothing is heard.
#[derive(Debug, Clone)]
pub enum Input {
    Opened {
        line: u32,
        encoding: Encoding,
    },
    Frame {
        line: u32,
        frame: ServerFrame,
    },
    /// A frame could not be read.
    Unreadable {
        line: u32,
    },
    /// A poll was answered; its frames, so many, were given before.
    Answered {
        line: u32,
        frames: usize,
    },
    /// A posted command got no frame for an answer; `status`: what came instead, if anything.
    Unsent {
        line: u32,
        id: CommandId,
        status: Option<u16>,
    },
    Closed {
        line: u32,
        code: u16,
    },
    /// Time passed.
    Timer,
    Online(bool),
    /// The visitor wants an attempt now.
    Retry,
    Visible(bool),
    /// The page goes, perhaps into the back/forward cache.
    Freeze,
    Thaw,
    /// `cursor`: of the state that is already there.
    Subscribe {
        topic: TopicName,
        delivery: Delivery,
        cursor: Option<Cursor>,
    },
    Unsubscribe {
        topic: TopicName,
    },
    /// A state or an event of the topic could not be read.
    Outdated {
        topic: TopicName,
    },
    Send {
        topic: TopicName,
        id: CommandId,
        body: Body,
    },
    Cancel {
        id: CommandId,
    },
    Activity {
        topic: TopicName,
        activity: Option<String>,
    },
    Rename {
        name: String,
    },
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// `topics`: what a fallback asks for; a WebSocket asks by frames.
    Open {
        line: u32,
        transport: Transport,
        topics: Topics,
    },
    /// A fallback asks again, for these; `at_once`: a poll should not wait for news.
    Ask {
        line: u32,
        topics: Topics,
        at_once: bool,
    },
    Send {
        line: u32,
        frame: ClientFrame,
    },
    /// With 1000; nothing more is heard of it.
    Close {
        line: u32,
    },
    Tell {
        topic: TopicName,
        news: News,
    },
    /// Who the server takes this visitor for.
    Me(Person),
    /// The visitor keeps the name that they had.
    NameRefused(String),
}

/// What a topic's components are told.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    State {
        encoding: Encoding,
        state: Blob,
        cursor: Cursor,
        reason: ResetReason,
    },
    Event {
        encoding: Encoding,
        seq: Seq,
        check: Option<Check>,
        event: Blob,
    },
    Presence(Presence),
    Status(TopicStatus),
    Command(CommandId, Fate),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    Sent,
    /// It came too fast and had no effect yet: it is sent again by itself, after that time at the soonest.
    Held {
        retry_after_ms: u32,
    },
    Rejected(Rejection),
    /// It is part of the state, or was taken back.
    Gone,
}

pub struct Link {
    /// The page's.
    build: String,
    /// Chosen in this tab.
    name: Option<String>,
    /// The server was not told the name.
    name_due: bool,
    topics: BTreeMap<TopicName, Subscription>,
    outbox: Outbox,
    ladder: Ladder,
    backoff: Backoff,
    /// Failures since the last stable line.
    attempt: u32,
    main: Option<Line>,
    /// A WebSocket on trial, beside a fallback that works.
    trial: Option<Line>,
    last_line: u32,
    /// When the next attempt is made.
    wait: Option<Millis>,
    /// The server said when: it is not asked before.
    told_to_wait: bool,
    /// When a fallback asks again.
    ask: Option<Ask>,
    /// The last question of a fallback.
    polled: Ask,
    /// A state came with its answer, which may have left no room for other topics.
    polled_state: bool,
    /// When a link without use is closed.
    linger: Option<Millis>,
    offline: bool,
    hidden: bool,
    frozen: bool,
    stopped: Option<Stop>,
    newer_build: bool,
    round_trip: Option<Millis>,
    /// What the server's clock showed at a time of ours.
    server_clock: Option<(Millis, u64)>,
    now: Millis,
    random: f64,
    out: Vec<Effect>,
}

#[derive(Debug, Clone, Copy)]
struct Ask {
    at: Millis,
    at_once: bool,
}

impl Link {
    pub fn new(build: String) -> Self {
        Self {
            build,
            name: None,
            name_due: false,
            topics: BTreeMap::new(),
            outbox: Outbox::default(),
            ladder: Ladder::default(),
            backoff: Backoff::default(),
            attempt: 0,
            main: None,
            trial: None,
            last_line: 0,
            wait: None,
            told_to_wait: false,
            ask: None,
            polled: Ask { at: 0, at_once: true },
            polled_state: false,
            linger: None,
            offline: false,
            hidden: false,
            frozen: false,
            stopped: None,
            newer_build: false,
            round_trip: None,
            server_clock: None,
            now: 0,
            random: 0.0,
            out: Vec::new(),
        }
    }

    /// `now` never goes back; `random` lies in 0..1.
    pub fn handle(&mut self, now: Millis, random: f64, input: Input) -> Vec<Effect> {
        let paused = self.wake_at().is_some_and(|due| now >= due.saturating_add(PAUSE));
        self.now = now.max(self.now);
        self.random = random;
        self.hear(input);
        if paused {
            self.excuse_lines();
        }
        self.look_at_the_clock();
        self.settle();
        std::mem::take(&mut self.out)
    }

    /// When the next [`Input::Timer`] is wanted; one is enough for everything.
    pub fn wake_at(&self) -> Option<Millis> {
        if self.stopped.is_some() || self.frozen {
            return None;
        }
        let probe = self.ladder.probe_at().filter(|_| self.may_try());
        let flush = (self.outbox.not_before > self.now && !self.outbox.is_empty()).then_some(self.outbox.not_before);
        let held = self.outbox.held_until(self.now);
        let lines = [&self.main, &self.trial].map(|line| line.as_ref().map(Line::due));
        let retry = self.topics.values().filter_map(|topic| topic.retry_at).min();
        let ask = self.ask.map(|ask| ask.at);
        [self.wait, self.linger, ask, probe, flush, held, retry]
            .into_iter()
            .chain(lines)
            .flatten()
            .min()
    }

    pub fn status(&self) -> LinkStatus {
        LinkStatus {
            phase: self.phase(),
            transport: self.main.as_ref().map(|line| line.transport).or_else(|| {
                let tried = self.wait.is_some();
                tried.then(|| self.ladder.rung())
            }),
            queued: self.outbox.unanswered(),
            round_trip: self.round_trip.map(|millis| millis as f64),
            newer_build: self.newer_build,
        }
    }

    fn phase(&self) -> Phase {
        match (self.stopped, &self.main, self.wait) {
            (Some(stop), ..) => Phase::Stopped(stop),
            (None, Some(line), _) if line.is_live() => Phase::Live,
            (None, Some(_), _) | (None, None, Some(_)) if self.offline => Phase::Offline,
            (None, Some(_), _) => Phase::Connecting,
            (None, None, Some(until)) => Phase::Waiting { until: until as f64 },
            (None, None, None) => Phase::Idle,
        }
    }

    fn hear(&mut self, input: Input) {
        match input {
            Input::Opened { line, encoding } => self.opened(line, encoding),
            Input::Frame { line, frame } => self.frame(line, frame),
            Input::Unreadable { line } => {
                if self.is_main(line) {
                    self.stop(Stop::Reload);
                } else {
                    self.closed(line, duplex_protocol::code::ABNORMAL);
                }
            }
            Input::Answered { line, frames } => self.answered(line, frames),
            Input::Unsent { line, id, status } => self.unsent(line, &id, status),
            Input::Closed { line, code } => self.closed(line, code),
            Input::Timer => (),
            Input::Online(online) => self.set_online(online),
            Input::Retry => self.retry(),
            Input::Visible(visible) => self.set_visible(visible),
            Input::Freeze => self.freeze(),
            Input::Thaw => self.frozen = false,
            Input::Subscribe {
                topic,
                delivery,
                cursor,
            } => self.subscribe(topic, delivery, cursor),
            Input::Unsubscribe { topic } => self.unsubscribe(&topic),
            Input::Outdated { topic } => self.outdated(&topic),
            Input::Send { topic, id, body } => self.command(topic, id, body),
            Input::Cancel { id } => self.cancel(&id),
            Input::Activity { topic, activity } => self.say(ClientFrame::Activity { topic, activity }),
            Input::Rename { name } => self.rename(name),
        }
    }

    /// Brings everything into agreement, whatever it was that happened.
    fn settle(&mut self) {
        let needed = !self.topics.is_empty() || !self.outbox.is_empty();
        if self.stopped.is_none() && !self.frozen {
            if needed {
                self.linger = None;
                if self.main.is_none() && self.wait.is_none() {
                    self.open_main();
                }
            } else if self.linger.is_none() && (self.main.is_some() || self.wait.is_some()) {
                self.linger = Some(self.now + LINGER);
            }
            self.ask_for_topics();
            self.flush();
        }
        self.tell_statuses();
    }

    fn set_server_time(&mut self, now_ms: u64) {
        self.server_clock = Some((self.now, now_ms));
    }

    /// The server's clock, in milliseconds since 1970. None until it was told.
    fn server_time(&self) -> Option<u64> {
        let (then, told) = self.server_clock?;
        Some(told.saturating_add(self.now.saturating_sub(then)))
    }

    fn is_main(&self, line: u32) -> bool {
        self.main.as_ref().is_some_and(|main| main.id == line)
    }

    fn is_trial(&self, line: u32) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.id == line)
    }

    /// Lost if nobody listens.
    fn say(&mut self, frame: ClientFrame) {
        if let Some(main) = self.main.as_ref().filter(|main| main.is_live()) {
            let line = main.id;
            self.out.push(Effect::Send { line, frame });
        }
    }

    fn tell(&mut self, topic: &TopicName, news: News) {
        let topic = topic.clone();
        self.out.push(Effect::Tell { topic, news });
    }
}
