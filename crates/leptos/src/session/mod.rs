//! The session of one browser tab as a pure state machine: it has one main connection and, on a fallback, at times a candidate
//! WebSocket, the tab's subscriptions and its outbox. It maps time, randomness and inputs to effects, and knows neither the browser
//! nor the content of events.

mod connection;
mod connections;
mod inspect;
mod io;
pub(crate) mod outbox;
pub(crate) mod subscription;
mod topics;
pub(crate) mod transport_policy;

use std::collections::BTreeMap;

use crate::reconnect::ReconnectPolicy;
use crate::session::connection::Connection;
pub use crate::session::inspect::SubscriptionInfo;
pub use crate::session::io::{CommandProgress, Effect, Input, TopicUpdate, Topics};
use crate::session::outbox::Outbox;
pub use crate::session::outbox::{EncodedCommand, QueuedCommand};
use crate::session::subscription::Subscription;
use crate::session::transport_policy::{Millis, TransportPolicy};
use crate::status::{Phase, SessionStatus, StopReason};
use duplex_protocol::session::ClientFrame;
use duplex_protocol::topic::TopicName;

/// An unused session stays open this long, because the next page may subscribe again.
const IDLE_TIMEOUT: Millis = 2_000;

/// A timer this late means that the page was suspended, by the machine's sleep or by the browser.
const SUSPEND_THRESHOLD: Millis = 5_000;

/// The session of one tab.
#[derive(Debug)]
pub struct Session {
    /// The build of the page.
    build: String,
    /// The name that was chosen in this tab.
    name: Option<String>,
    /// Whether the name still has to be sent.
    name_due: bool,
    topics: BTreeMap<TopicName, Subscription>,
    outbox: Outbox,
    policy: TransportPolicy,
    reconnect: ReconnectPolicy,
    main: Option<Connection>,
    /// A WebSocket that is tried alongside a working fallback.
    candidate: Option<Connection>,
    last_connection: u32,
    /// When the next attempt is made.
    retry_at: Option<Millis>,
    /// Whether the server requested `retry_at`; then only the visitor can end the delay early.
    retry_after_requested: bool,
    /// A fallback's next request.
    next_request: Option<Request>,
    /// The last request of a fallback.
    last_request: Request,
    /// Whether its response contained a state; then other topics may not have fit.
    last_response_had_state: bool,
    /// When the unused session is closed.
    close_at: Option<Millis>,
    offline: bool,
    hidden: bool,
    frozen: bool,
    stopped: Option<StopReason>,
    newer_build: bool,
    round_trip: Option<Millis>,
    /// The local clock, and the server's clock at the same time.
    server_clock: Option<(Millis, u64)>,
    now: Millis,
    random: f64,
    out: Vec<Effect>,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    at: Millis,
    immediate: bool,
}

impl Session {
    /// A session without topics. `build` is the front end's build, empty if unknown.
    #[must_use]
    pub fn new(build: String) -> Self {
        Self {
            build,
            name: None,
            name_due: false,
            topics: BTreeMap::new(),
            outbox: Outbox::default(),
            policy: TransportPolicy::default(),
            reconnect: ReconnectPolicy::default(),
            main: None,
            candidate: None,
            last_connection: 0,
            retry_at: None,
            retry_after_requested: false,
            next_request: None,
            last_request: Request { at: 0, immediate: true },
            last_response_had_state: false,
            close_at: None,
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

    /// Applies an input. `now` is in milliseconds of a monotonic clock, `random` in 0..1.
    #[must_use = "effects must be performed in order"]
    pub fn handle(&mut self, now: Millis, random: f64, input: Input) -> Vec<Effect> {
        let suspended = self
            .wake_at()
            .is_some_and(|due| now >= due.saturating_add(SUSPEND_THRESHOLD));
        self.now = now.max(self.now);
        self.random = random;
        self.dispatch(input);
        if suspended {
            self.extend_deadlines();
        }
        self.check_deadlines();
        self.reconcile();
        std::mem::take(&mut self.out)
    }

    /// When the next [`Input::Timer`] is due, by the clock of [`handle`](Self::handle). One timer serves all deadlines.
    #[must_use]
    pub fn wake_at(&self) -> Option<Millis> {
        if self.stopped.is_some() || self.frozen {
            return None;
        }
        let upgrade = self.policy.upgrade_at().filter(|_| self.may_try_websocket());
        let flush = (self.outbox.not_before > self.now && !self.outbox.is_empty()).then_some(self.outbox.not_before);
        let delayed = self.outbox.next_delay_end(self.now);
        let connections = [&self.main, &self.candidate].map(|connection| connection.as_ref().map(Connection::deadline));
        let retry = self.topics.values().filter_map(|topic| topic.retry_at).min();
        let request = self.next_request.map(|request| request.at);
        [self.retry_at, self.close_at, request, upgrade, flush, delayed, retry]
            .into_iter()
            .chain(connections)
            .flatten()
            .min()
    }

    /// The session's status.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        SessionStatus {
            phase: self.phase(),
            transport: self.main.as_ref().map(|connection| connection.transport).or_else(|| {
                let tried = self.retry_at.is_some();
                tried.then(|| self.policy.transport())
            }),
            queued: self.outbox.unanswered(),
            round_trip: self.round_trip.map(|millis| millis as f64),
            newer_build: self.newer_build,
        }
    }

    fn phase(&self) -> Phase {
        match (self.stopped, &self.main, self.retry_at) {
            (Some(stop), ..) => Phase::Stopped(stop),
            (None, Some(connection), _) if connection.is_live() => Phase::Live,
            (None, Some(_), _) | (None, None, Some(_)) if self.offline => Phase::Offline,
            (None, Some(_), _) => Phase::Connecting,
            (None, None, Some(until)) => Phase::Waiting { until: until as f64 },
            (None, None, None) => Phase::Idle,
        }
    }

    fn dispatch(&mut self, input: Input) {
        match input {
            Input::Opened { connection, encoding } => self.on_opened(connection, encoding),
            Input::Frame { connection, frame } => self.on_frame(connection, frame),
            Input::Malformed { connection } => {
                if self.is_main(connection) {
                    self.stop(StopReason::Reload);
                } else {
                    self.on_closed(connection, duplex_protocol::code::ABNORMAL);
                }
            }
            Input::PollAnswered { connection, frames } => self.on_poll_answered(connection, frames),
            Input::SendFailed { connection, id, status } => self.on_send_failed(connection, &id, status),
            Input::Closed { connection, code } => self.on_closed(connection, code),
            Input::Timer => (),
            Input::Online(online) => self.set_online(online),
            Input::Retry => self.retry(),
            Input::Visible(visible) => self.set_visible(visible),
            Input::Freeze => self.freeze(),
            Input::Resume => self.frozen = false,
            Input::Subscribe {
                topic,
                delivery,
                cursor,
            } => self.subscribe(topic, delivery, cursor),
            Input::Unsubscribe { topic } => self.unsubscribe(&topic),
            Input::Undecodable { topic } => self.on_undecodable(&topic),
            Input::Send { topic, id, body } => self.enqueue(topic, id, body),
            Input::Cancel { id } => self.cancel(&id),
            Input::Activity { topic, activity } => self.send(ClientFrame::Activity { topic, activity }),
            Input::Rename { name } => self.rename(name),
        }
    }

    /// Runs after each input: opens connections, requests topics, sends due commands, and publishes status changes.
    fn reconcile(&mut self) {
        let needed = !self.topics.is_empty() || !self.outbox.is_empty();
        if self.stopped.is_none() && !self.frozen {
            if needed {
                self.close_at = None;
                if self.main.is_none() && self.retry_at.is_none() {
                    self.open_main();
                }
            } else if self.close_at.is_none() && (self.main.is_some() || self.retry_at.is_some()) {
                self.close_at = Some(self.now + IDLE_TIMEOUT);
            }
            self.request_topics();
            self.flush();
        }
        self.notify_statuses();
    }

    fn set_server_time(&mut self, now_ms: u64) {
        self.server_clock = Some((self.now, now_ms));
    }

    /// The server's clock in milliseconds since the Unix epoch, once it is known.
    fn server_time(&self) -> Option<u64> {
        let (then, server_time) = self.server_clock?;
        Some(server_time.saturating_add(self.now.saturating_sub(then)))
    }

    fn is_main(&self, connection: u32) -> bool {
        self.main.as_ref().is_some_and(|main| main.id == connection)
    }

    fn is_candidate(&self, connection: u32) -> bool {
        self.candidate
            .as_ref()
            .is_some_and(|candidate| candidate.id == connection)
    }

    /// Sends a frame; drops it without a live connection.
    fn send(&mut self, frame: ClientFrame) {
        if let Some(main) = self.main.as_ref().filter(|main| main.is_live()) {
            let connection = main.id;
            self.out.push(Effect::Send { connection, frame });
        }
    }

    fn notify(&mut self, topic: &TopicName, update: TopicUpdate) {
        let topic = topic.clone();
        self.out.push(Effect::Notify { topic, update });
    }
}

#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod tests;
