//! [`Session`] methods for subscriptions and commands.

use super::{CommandProgress, Effect, Request, Session, TopicUpdate, Topics};
use crate::session::connections::REQUEST_DELAY;
use crate::session::outbox::EncodedCommand;
use crate::session::subscription::{EventAction, Subscription, VerdictOutcome};
use crate::session::transport_policy::Millis;
use crate::status::{StopReason, TopicStatus, Transport};
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::{Answer, ClientFrame, CommandId, Rejection, ServerFrame, Verdict};
use duplex_protocol::topic::{Delivery, TopicName};

/// Maximum unanswered commands on a WebSocket; the rest waits in the outbox.
const MAX_IN_FLIGHT: usize = 16;
/// A temporary denial is retried after a random delay between this and twice this.
const DENIED_RETRY: Millis = 5_000;
/// Maximum delay after a rate limit.
const MAX_COMMAND_DELAY: Millis = 60_000;
/// A failed post is repeated after this.
const RESEND_DELAY: Millis = 1_000;

impl Session {
    pub(super) fn subscribe(&mut self, topic: TopicName, delivery: Delivery, cursor: Option<Cursor>) {
        let new = || Subscription::new(delivery, cursor);
        self.topics.entry(topic).or_insert_with(new).add_user();
    }

    pub(super) fn unsubscribe(&mut self, topic: &TopicName) {
        if !self.topics.get_mut(topic).is_some_and(Subscription::remove_user) {
            return;
        }
        self.topics.remove(topic);
        self.settle_applied(topic, Seq::MAX);
        match &self.main {
            Some(main) if main.is_fallback() => self.schedule_request(),
            Some(main) if main.open => {
                let (connection, topic) = (main.id, topic.clone());
                let frame = ClientFrame::Unsubscribe { topic };
                self.out.push(Effect::Send { connection, frame });
            }
            _ => (),
        }
    }

    pub(super) fn on_undecodable(&mut self, topic: &TopicName) {
        if let Some(known) = self.topics.get_mut(topic) {
            known.set_undecodable();
            self.newer_build = true;
            self.settle_applied(topic, Seq::MAX);
        }
    }

    /// Every topic to subscribe to, with the cursor to resume from.
    pub(super) fn topics_to_request(&mut self) -> Topics {
        let wanted = self.topics.iter_mut().filter(|(_, topic)| topic.should_subscribe());
        wanted
            .map(|(name, topic)| {
                topic.requested = true;
                (name.clone(), topic.cursor())
            })
            .collect()
    }

    /// Requests topics that are due: over a WebSocket with one frame each, over a fallback with one request for all.
    pub(super) fn request_topics(&mut self) {
        let Some((connection, fallback)) = self
            .main
            .as_ref()
            .filter(|main| main.open)
            .map(|m| (m.id, m.is_fallback()))
        else {
            return;
        };
        if fallback {
            if self.topics.values().any(Subscription::needs_request) {
                self.schedule_request();
            }
            return self.request_if_due(connection);
        }
        for (name, topic) in &mut self.topics {
            if topic.needs_request() {
                topic.requested = true;
                let (topic, cursor) = (name.clone(), topic.cursor());
                let frame = ClientFrame::Subscribe { topic, cursor };
                self.out.push(Effect::Send { connection, frame });
            }
        }
    }

    fn schedule_request(&mut self) {
        let at = self
            .next_request
            .map_or(Millis::MAX, |request| request.at)
            .min(self.now + REQUEST_DELAY);
        self.next_request = Some(Request { at, immediate: true });
    }

    fn request_if_due(&mut self, connection: u32) {
        let Some(request) = self.next_request.filter(|request| request.at <= self.now) else {
            return;
        };
        (self.next_request, self.last_request, self.last_response_had_state) = (None, request, false);
        let (topics, immediate) = (self.topics_to_request(), request.immediate);
        self.out.push(Effect::Request {
            connection,
            topics,
            immediate,
        });
    }

    pub(super) fn on_frame(&mut self, connection: u32, frame: ServerFrame) {
        if self.is_candidate(connection) {
            if let ServerFrame::Welcome(welcome) = frame {
                self.promote(welcome);
            }
            return;
        }
        let now = self.now;
        let Some(main) = self.main.as_mut().filter(|main| main.id == connection) else {
            return;
        };
        if let ServerFrame::Pong { nonce } = frame {
            self.round_trip = main.round_trip(nonce, now).or(self.round_trip);
            // Over SSE, the server's keepalive is an unsolicited pong; the client acknowledges it with a posted ping.
            if main.transport == Transport::Sse {
                let frame = ClientFrame::Ping { nonce };
                self.out.push(Effect::Send { connection, frame });
            }
        }
        let encoding = main.encoding.unwrap_or(Encoding::Json);
        if main.on_frame(now) {
            self.on_first_frame();
        }
        self.on_server_frame(frame, encoding);
    }

    fn on_server_frame(&mut self, frame: ServerFrame, encoding: Encoding) {
        match frame {
            ServerFrame::Welcome(welcome) => self.welcome(welcome),
            ServerFrame::Verdict { topic, verdict } => self.verdict(&topic, verdict, encoding),
            ServerFrame::Event {
                topic,
                seq,
                checksum,
                event,
            } => {
                let known = self.topics.get_mut(&topic);
                let action = known.map_or(EventAction::Skip, |known| known.apply_event(seq, checksum));
                match action {
                    EventAction::Apply => {
                        let update = TopicUpdate::Event {
                            encoding,
                            seq,
                            checksum,
                            event,
                        };
                        self.notify(&topic, update);
                        self.settle_applied(&topic, seq);
                    }
                    EventAction::Gap => self.count_protocol_error(),
                    EventAction::Skip => (),
                }
            }
            ServerFrame::Reply { id, answer, .. } => self.reply(&id, answer),
            ServerFrame::Presence { topic, presence } => {
                if self.topics.contains_key(&topic) {
                    self.notify(&topic, TopicUpdate::Presence(presence));
                }
            }
            ServerFrame::Pong { .. } => (),
            ServerFrame::NameRejected { reason } => {
                self.name = None;
                self.out.push(Effect::NameRejected(reason));
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
        let outcome = known.apply_verdict(&verdict);
        match (outcome, verdict) {
            (VerdictOutcome::Reset, Verdict::Reset { reason, cursor, state }) => {
                self.last_response_had_state = true;
                let update = TopicUpdate::State {
                    encoding,
                    state,
                    cursor,
                    reason,
                };
                self.notify(topic, update);
                // The state contains the accepted commands, or their log no longer exists.
                self.settle_applied(topic, Seq::MAX);
            }
            (VerdictOutcome::Denied, Verdict::Denied { reason }) => {
                known.retry_at = reason.may_retry().then_some(retry_at);
                self.settle_applied(topic, Seq::MAX);
            }
            (VerdictOutcome::ProtocolError, _) => self.count_protocol_error(),
            _ => (),
        }
    }

    /// Counts an answer that violates the protocol; the connection is closed after too many.
    fn count_protocol_error(&mut self) {
        let Some(main) = &mut self.main else { return };
        let connection = main.id;
        if main.count_protocol_error() {
            self.out.push(Effect::Close { connection });
            self.on_lost(code::ABNORMAL, false);
        }
    }

    pub(super) fn enqueue(&mut self, topic: TopicName, id: CommandId, body: EncodedCommand) {
        let rejection = if body.is_too_large() {
            Some(Rejection::TooLarge)
        } else if !self.outbox.push(topic.clone(), id.clone(), body) {
            let retry_after_ms = 1_000;
            Some(Rejection::TooFast { retry_after_ms })
        } else {
            None
        };
        if let Some(rejection) = rejection {
            self.notify(&topic, TopicUpdate::Command(id, CommandProgress::Rejected(rejection)));
        }
    }

    pub(super) fn cancel(&mut self, id: &CommandId) {
        if let Some(command) = self.outbox.cancel(id) {
            self.notify(&command.topic, TopicUpdate::Command(command.id, CommandProgress::Done));
        }
    }

    /// Sends queued commands: several at once over a WebSocket, one at a time over a fallback, whose posts could overtake each other.
    pub(super) fn flush(&mut self) {
        let Some(main) = self.main.as_ref().filter(|main| main.is_live()) else {
            return;
        };
        let (connection, encoding) = (main.id, main.encoding.unwrap_or(Encoding::Json));
        let limit = if main.is_fallback() { 1 } else { MAX_IN_FLIGHT };
        if self.now < self.outbox.not_before {
            return;
        }
        let (now, time) = (self.now, self.server_time());
        while let Some((next, report)) = self.outbox.next(connection, limit, now, time) {
            let (topic, id) = (next.topic.clone(), next.wire_id.clone());
            let command = next.body.in_encoding(encoding);
            if report {
                let (topic, update) = (
                    topic.clone(),
                    TopicUpdate::Command(next.id.clone(), CommandProgress::Sent),
                );
                self.out.push(Effect::Notify { topic, update });
            }
            let frame = ClientFrame::Command { topic, id, command };
            self.out.push(Effect::Send { connection, frame });
        }
    }

    /// Handles the answer to the command with the wire id `id`.
    fn reply(&mut self, id: &CommandId, answer: Answer) {
        match answer {
            Answer::Rejected(Rejection::TooFast { retry_after_ms }) => self.delay_command(id, retry_after_ms),
            // An earlier attempt may have been accepted, so a temporary rejection of this attempt is not final.
            Answer::Rejected(rejection) if rejection.may_retry() && self.outbox.is_uncertain(id) => {
                self.outbox.requeue(id);
                self.outbox.not_before = self.now + RESEND_DELAY;
            }
            Answer::Rejected(rejection) if self.renew_id(id, &rejection) => {}
            Answer::Rejected(rejection) => {
                if let Some(command) = self.outbox.remove(id) {
                    self.notify(
                        &command.topic,
                        TopicUpdate::Command(command.id, CommandProgress::Rejected(rejection)),
                    );
                }
            }
            Answer::Accepted { seq } => {
                let Some(topic) = self.outbox.accept(id, seq) else {
                    return;
                };
                let known = self.topics.get(&topic).filter(|known| known.is_complete());
                let up_to = known.map_or(Seq::MAX, |known| known.cursor().map_or(0, |cursor| cursor.seq));
                self.settle_applied(&topic, up_to);
            }
        }
    }

    /// Delays a command that exceeded a rate limit; it is resent later.
    fn delay_command(&mut self, id: &CommandId, retry_after_ms: u32) {
        let wait = Millis::from(retry_after_ms).clamp(RESEND_DELAY, MAX_COMMAND_DELAY);
        if let Some((topic, id)) = self.outbox.delay_topic(id, self.now + wait) {
            self.notify(
                &topic,
                TopicUpdate::Command(id, CommandProgress::RateLimited { retry_after_ms }),
            );
        }
    }

    /// Whether the command gets a new id: the time in the old one was rejected, and the command certainly had no effect.
    fn renew_id(&mut self, id: &CommandId, rejection: &Rejection) -> bool {
        let (no_effect, now_ms) = match rejection {
            Rejection::IdTooNew { now_ms } => (true, *now_ms),
            Rejection::IdTooOld { no_effect, now_ms } => (*no_effect, *now_ms),
            _ => return false,
        };
        self.set_server_time(now_ms);
        (no_effect || !self.outbox.is_uncertain(id)) && self.outbox.renew(id)
    }

    /// The HTTP status decides whether the command is sent again.
    pub(super) fn on_send_failed(&mut self, connection: u32, id: &CommandId, status: Option<u16>) {
        if !self.is_main(connection) {
            return;
        }
        let rejection = match status {
            Some(413) => Rejection::TooLarge,
            Some(status @ 400..=499) if !matches!(status, 408 | 425 | 429) => {
                let detail = status.to_string();
                Rejection::Malformed { detail }
            }
            _ => {
                self.outbox.requeue(id);
                self.outbox.not_before = self.now + RESEND_DELAY;
                return;
            }
        };
        self.reply(id, Answer::Rejected(rejection));
    }

    /// Finishes accepted commands whose events are applied.
    fn settle_applied(&mut self, topic: &TopicName, up_to: Seq) {
        for id in self.outbox.take_applied(topic, up_to) {
            self.notify(topic, TopicUpdate::Command(id, CommandProgress::Done));
        }
    }

    pub(super) fn rename(&mut self, name: String) {
        self.name = Some(name);
        self.name_due = true;
        if self.main.as_ref().is_some_and(|main| main.is_live()) {
            self.send_name();
        }
    }

    /// Reports each change of a topic's status once.
    pub(super) fn notify_statuses(&mut self) {
        let connected = self.main.is_some();
        let stopped = matches!(self.stopped, Some(StopReason::Reload));
        for (name, topic) in &mut self.topics {
            let status = match topic.status(connected) {
                TopicStatus::Denied(reason) => TopicStatus::Denied(reason),
                _ if stopped => TopicStatus::Outdated,
                status => status,
            };
            if topic.reported.replace(status) != Some(status) {
                let (topic, update) = (name.clone(), TopicUpdate::Status(status));
                self.out.push(Effect::Notify { topic, update });
            }
        }
    }
}
