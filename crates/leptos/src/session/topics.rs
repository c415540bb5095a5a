//! What is said over the lines: subscriptions, verdicts, events, commands and their answers. Part of the pure machine.

use super::{Ask, Effect, Fate, Link, News, Topics};
use crate::session::connections::GATHER;
use crate::session::outbox::Body;
use crate::session::subscription::{Outcome, Step, Subscription};
use crate::session::transport_policy::Millis;
use crate::status::{Stop, TopicStatus, Transport};
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::{Answer, ClientFrame, CommandId, Rejection, ServerFrame, Verdict};
use duplex_protocol::topic::{Delivery, TopicName};

/// Commands that a WebSocket carries at once; the rest waits here.
const AT_ONCE: usize = 16;
/// A denial that may pass is asked again after this, and up to as much again.
const DENIED_RETRY: Millis = 5_000;
/// The longest that a command which came too fast is held back before it is tried again.
const LONGEST_HELD: Millis = 60_000;
/// A post that failed is made again after this.
const UNSENT_RETRY: Millis = 1_000;

impl Link {
    pub(super) fn subscribe(&mut self, topic: TopicName, delivery: Delivery, cursor: Option<Cursor>) {
        let new = || Subscription::new(delivery, cursor);
        self.topics.entry(topic).or_insert_with(new).join();
    }

    pub(super) fn unsubscribe(&mut self, topic: &TopicName) {
        if !self.topics.get_mut(topic).is_some_and(Subscription::leave) {
            return;
        }
        self.topics.remove(topic);
        self.seen(topic, Seq::MAX);
        match &self.main {
            Some(main) if main.is_fallback() => self.ask_soon(),
            Some(main) if main.open => {
                let (line, topic) = (main.id, topic.clone());
                let frame = ClientFrame::Unsubscribe { topic };
                self.out.push(Effect::Send { line, frame });
            }
            _ => (),
        }
    }

    pub(super) fn outdated(&mut self, topic: &TopicName) {
        if let Some(known) = self.topics.get_mut(topic) {
            known.outdate();
            self.newer_build = true;
            self.seen(topic, Seq::MAX);
        }
    }

    /// Where each topic that a line should carry is to go on from.
    pub(super) fn asked_topics(&mut self) -> Topics {
        let wanted = self.topics.iter_mut().filter(|(_, topic)| topic.is_wanted());
        wanted
            .map(|(name, topic)| {
                topic.asked = true;
                (name.clone(), topic.cursor())
            })
            .collect()
    }

    /// Over a WebSocket each at once, over a fallback all together.
    pub(super) fn ask_for_topics(&mut self) {
        let Some((line, fallback)) = self
            .main
            .as_ref()
            .filter(|main| main.open)
            .map(|m| (m.id, m.is_fallback()))
        else {
            return;
        };
        if fallback {
            if self.topics.values().any(Subscription::is_due) {
                self.ask_soon();
            }
            return self.ask_if_due(line);
        }
        for (name, topic) in &mut self.topics {
            if topic.is_due() {
                topic.asked = true;
                let (topic, cursor) = (name.clone(), topic.cursor());
                let frame = ClientFrame::Subscribe { topic, cursor };
                self.out.push(Effect::Send { line, frame });
            }
        }
    }

    fn ask_soon(&mut self) {
        let at = self.ask.map_or(Millis::MAX, |ask| ask.at).min(self.now + GATHER);
        self.ask = Some(Ask { at, at_once: true });
    }

    fn ask_if_due(&mut self, line: u32) {
        let Some(ask) = self.ask.filter(|ask| ask.at <= self.now) else {
            return;
        };
        (self.ask, self.polled, self.polled_state) = (None, ask, false);
        let (topics, at_once) = (self.asked_topics(), ask.at_once);
        self.out.push(Effect::Ask { line, topics, at_once });
    }

    pub(super) fn frame(&mut self, line: u32, frame: ServerFrame) {
        if self.is_trial(line) {
            if let ServerFrame::Welcome(welcome) = frame {
                self.promote(welcome);
            }
            return;
        }
        let now = self.now;
        let Some(main) = self.main.as_mut().filter(|main| main.id == line) else {
            return;
        };
        if let ServerFrame::Pong { nonce } = frame {
            self.round_trip = main.round_trip(nonce, now).or(self.round_trip);
            // A stream goes one way: its server asks whether it is read.
            if main.transport == Transport::Sse {
                let frame = ClientFrame::Ping { nonce };
                self.out.push(Effect::Send { line, frame });
            }
        }
        let encoding = main.encoding.unwrap_or(Encoding::Json);
        if main.heard(now) {
            self.first_heard();
        }
        self.said(frame, encoding);
    }

    fn said(&mut self, frame: ServerFrame, encoding: Encoding) {
        match frame {
            ServerFrame::Welcome(welcome) => self.welcome(welcome),
            ServerFrame::Verdict { topic, verdict } => self.verdict(&topic, verdict, encoding),
            ServerFrame::Event {
                topic,
                seq,
                check,
                event,
            } => {
                let known = self.topics.get_mut(&topic);
                let step = known.map_or(Step::Skip, |known| known.event(seq, check));
                match step {
                    Step::Apply => {
                        let news = News::Event {
                            encoding,
                            seq,
                            check,
                            event,
                        };
                        self.tell(&topic, news);
                        self.seen(&topic, seq);
                    }
                    Step::Gap => self.fault(),
                    Step::Skip => (),
                }
            }
            ServerFrame::Reply { id, answer, .. } => self.reply(&id, answer),
            ServerFrame::Presence { topic, presence } => {
                if self.topics.contains_key(&topic) {
                    self.tell(&topic, News::Presence(presence));
                }
            }
            ServerFrame::Pong { .. } => (),
            ServerFrame::NameRefused { why } => {
                self.name = None;
                self.out.push(Effect::NameRefused(why));
            }
            ServerFrame::Closing { reason, retry_after_ms } => {
                if let Some(main) = &mut self.main {
                    main.closing = Some((reason, retry_after_ms.into()));
                }
            }
        }
    }

    fn verdict(&mut self, topic: &TopicName, verdict: Verdict, encoding: Encoding) {
        let retry_at = self.now + DENIED_RETRY + (self.random * DENIED_RETRY as f64) as Millis;
        let Some(known) = self.topics.get_mut(topic) else {
            return;
        };
        let outcome = known.verdict(&verdict);
        match (outcome, verdict) {
            (Outcome::Reset, Verdict::Reset { reason, cursor, state }) => {
                self.polled_state = true;
                let news = News::State {
                    encoding,
                    state,
                    cursor,
                    reason,
                };
                self.tell(topic, news);
                // The state has all of them, or the log that had them is gone.
                self.seen(topic, Seq::MAX);
            }
            (Outcome::Denied, Verdict::Denied { reason }) => {
                known.retry_at = reason.may_retry().then_some(retry_at);
                self.seen(topic, Seq::MAX);
            }
            (Outcome::Fault, _) => self.fault(),
            _ => (),
        }
    }

    /// The server contradicts itself: the topic is asked for again, and if that does not help, the line is left.
    fn fault(&mut self) {
        let Some(main) = &mut self.main else { return };
        let line = main.id;
        if main.fault() {
            self.out.push(Effect::Close { line });
            self.lose(code::ABNORMAL, false);
        }
    }

    pub(super) fn command(&mut self, topic: TopicName, id: CommandId, body: Body) {
        let refused = if body.is_too_large() {
            Some(Rejection::TooLarge)
        } else if !self.outbox.push(topic.clone(), id.clone(), body) {
            let retry_after_ms = 1_000;
            Some(Rejection::TooFast { retry_after_ms })
        } else {
            None
        };
        if let Some(rejection) = refused {
            self.tell(&topic, News::Command(id, Fate::Rejected(rejection)));
        }
    }

    pub(super) fn cancel(&mut self, id: &CommandId) {
        if let Some(command) = self.outbox.cancel(id) {
            self.tell(&command.topic, News::Command(command.id, Fate::Gone));
        }
    }

    /// Sends what waits, as much at once as the line bears: posts could overtake each other.
    pub(super) fn flush(&mut self) {
        let Some(main) = self.main.as_ref().filter(|main| main.is_live()) else {
            return;
        };
        let (line, encoding) = (main.id, main.encoding.unwrap_or(Encoding::Json));
        let at_once = if main.is_fallback() { 1 } else { AT_ONCE };
        if self.now < self.outbox.not_before {
            return;
        }
        let (now, time) = (self.now, self.server_time());
        while let Some((next, first)) = self.outbox.next(line, at_once, now, time) {
            let (topic, id) = (next.topic.clone(), next.sent_as.clone());
            let command = next.body.in_encoding(encoding);
            if first {
                let (topic, news) = (topic.clone(), News::Command(next.id.clone(), Fate::Sent));
                self.out.push(Effect::Tell { topic, news });
            }
            let frame = ClientFrame::Command { topic, id, command };
            self.out.push(Effect::Send { line, frame });
        }
    }

    /// `id`: under which the command was sent.
    fn reply(&mut self, id: &CommandId, answer: Answer) {
        match answer {
            Answer::Rejected(Rejection::TooFast { retry_after_ms }) => self.hold(id, retry_after_ms),
            // It was not taken now; whether it was taken before, only an answer that is final can say.
            Answer::Rejected(rejection) if rejection.may_retry() && self.outbox.is_uncertain(id) => {
                self.outbox.put_back(id);
                self.outbox.not_before = self.now + UNSENT_RETRY;
            }
            Answer::Rejected(rejection) if self.renews(id, &rejection) => {}
            Answer::Rejected(rejection) => {
                if let Some(command) = self.outbox.take(id) {
                    self.tell(&command.topic, News::Command(command.id, Fate::Rejected(rejection)));
                }
            }
            Answer::Accepted { seq } => {
                let Some(topic) = self.outbox.accept(id, seq) else {
                    return;
                };
                let known = self.topics.get(&topic).filter(|known| known.shows_every());
                let up_to = known.map_or(Seq::MAX, |known| known.cursor().map_or(0, |cursor| cursor.seq));
                self.seen(&topic, up_to);
            }
        }
    }

    /// It waits, and goes by itself.
    fn hold(&mut self, id: &CommandId, retry_after_ms: u32) {
        let wait = Millis::from(retry_after_ms).clamp(UNSENT_RETRY, LONGEST_HELD);
        if let Some((topic, id)) = self.outbox.hold(id, self.now + wait) {
            self.tell(&topic, News::Command(id, Fate::Held { retry_after_ms }));
        }
    }

    /// Whether the command is sent anew with another id: the time in this one was not taken, and it certainly had no effect.
    fn renews(&mut self, id: &CommandId, rejection: &Rejection) -> bool {
        let (no_effect, now_ms) = match rejection {
            Rejection::IdTooNew { now_ms } => (true, *now_ms),
            Rejection::IdTooOld { no_effect, now_ms } => (*no_effect, *now_ms),
            _ => return false,
        };
        self.set_server_time(now_ms);
        (no_effect || !self.outbox.is_uncertain(id)) && self.outbox.renew(id)
    }

    /// What came instead of an answer decides whether the command is asked again.
    pub(super) fn unsent(&mut self, line: u32, id: &CommandId, status: Option<u16>) {
        if !self.is_main(line) {
            return;
        }
        let rejection = match status {
            Some(413) => Rejection::TooLarge,
            Some(status @ 400..=499) if !matches!(status, 408 | 425 | 429) => {
                let what = status.to_string();
                Rejection::Malformed { what }
            }
            _ => {
                self.outbox.put_back(id);
                self.outbox.not_before = self.now + UNSENT_RETRY;
                return;
            }
        };
        self.reply(id, Answer::Rejected(rejection));
    }

    /// Accepted commands whose events have been seen are done.
    fn seen(&mut self, topic: &TopicName, up_to: Seq) {
        for id in self.outbox.seen(topic, up_to) {
            self.tell(topic, News::Command(id, Fate::Gone));
        }
    }

    pub(super) fn rename(&mut self, name: String) {
        self.name = Some(name);
        self.name_due = true;
        if self.main.as_ref().is_some_and(|main| main.is_live()) {
            self.tell_name();
        }
    }

    /// Each topic's components hear of a change, once.
    pub(super) fn tell_statuses(&mut self) {
        let coming = self.main.is_some();
        let stopped = matches!(self.stopped, Some(Stop::Reload));
        for (name, topic) in &mut self.topics {
            let status = match topic.status(coming) {
                TopicStatus::Denied(reason) => TopicStatus::Denied(reason),
                _ if stopped => TopicStatus::Outdated,
                status => status,
            };
            if topic.told.replace(status) != Some(status) {
                let (topic, news) = (name.clone(), News::Status(status));
                self.out.push(Effect::Tell { topic, news });
            }
        }
    }
}
