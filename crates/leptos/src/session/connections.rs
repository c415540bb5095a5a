//! The session's connections: opening, losing and reopening them, upgrading the transport, and stopping. Part of the state machine.

use super::{Effect, Request, Session};
use crate::reconnect::{self, Conditions, millis};
use crate::session::connection::{Connection, Liveness};
use crate::session::subscription::Subscription;
use crate::session::transport_policy::{AfterFailure, Millis};
use crate::status::{StopReason, Transport};
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{ClientFrame, CloseReason, Welcome};

/// Subscription changes within this time are batched into one request of a fallback.
pub(super) const REQUEST_DELAY: Millis = 20;
/// Pause between polls. After an empty response that came early, `EMPTY_POLL_PAUSE` prevents a tight loop.
const POLL_PAUSE: Millis = 50;
const EMPTY_POLL_PAUSE: Millis = 1_000;
const HIDDEN_POLL_PAUSE: Millis = 5_000;

impl Session {
    pub(super) fn open_main(&mut self) {
        let transport = self.policy.transport();
        let connection = self.new_connection(transport);
        self.next_request = None;
        (self.last_request, self.last_response_had_state) = (self.request_now(), false);
        self.main = Some(connection);
        self.topics.values_mut().for_each(Subscription::restart);
        let topics = if transport == Transport::WebSocket {
            Vec::new()
        } else {
            self.topics_to_request()
        };
        self.out.push(Effect::Open {
            connection: self.last_connection,
            transport,
            topics,
        });
    }

    fn new_connection(&mut self, transport: Transport) -> Connection {
        self.last_connection = self.last_connection.wrapping_add(1);
        Connection::new(self.last_connection, transport, self.now)
    }

    pub(super) fn on_opened(&mut self, connection: u32, encoding: Encoding) {
        let found = [&mut self.main, &mut self.candidate]
            .into_iter()
            .flatten()
            .find(|known| known.id == connection);
        let Some(found) = found else { return };
        found.encoding = Some(encoding);
        found.open = true;
        if !found.is_fallback() {
            let frame = ClientFrame::Hello {
                build: self.build.clone(),
                name: self.name.clone(),
            };
            self.name_due = false;
            self.out.push(Effect::Send { connection, frame });
        }
    }

    /// Called when the main connection receives its first frame.
    pub(super) fn on_first_frame(&mut self) {
        let Some(transport) = self.main.as_ref().map(|main| main.transport) else {
            return;
        };
        self.policy.on_first_frame(self.now, transport);
        if self.name_due {
            self.send_name();
        }
    }

    pub(super) fn send_name(&mut self) {
        if let Some(name) = self.name.clone() {
            self.name_due = false;
            self.send(ClientFrame::Rename { name });
        }
    }

    pub(super) fn welcome(&mut self, welcome: Welcome) {
        self.newer_build = !self.build.is_empty() && !welcome.build.is_empty() && self.build != welcome.build;
        // A server of the previous version does not send it.
        if welcome.now_ms > 0 {
            self.set_server_time(welcome.now_ms);
        }
        let now = self.now;
        let liveness = self.main.as_mut().map_or(Liveness::Wait, |main| {
            main.set_keepalive(welcome.keepalive_ms.into());
            main.start_round_trip(now)
        });
        self.apply_liveness(liveness);
        self.out.push(Effect::Identified(welcome.person));
    }

    /// Promotes the candidate after its welcome; all topics resume on it.
    pub(super) fn promote(&mut self, welcome: Welcome) {
        let Some(mut connection) = self.candidate.take() else {
            return;
        };
        connection.on_frame(self.now);
        self.close_main();
        self.main = Some(connection);
        self.topics.values_mut().for_each(Subscription::restart);
        self.on_first_frame();
        self.welcome(welcome);
    }

    pub(super) fn on_closed(&mut self, connection: u32, code: u16) {
        if self.is_candidate(connection) {
            self.candidate = None;
            self.policy.on_upgrade_failed(self.now);
        } else if self.is_main(connection) {
            self.on_lost(code, false);
        }
    }

    /// Called when the main connection is lost. `timed_out`: it was opened but received no frame in time.
    pub(super) fn on_lost(&mut self, code: u16, timed_out: bool) {
        let Some(connection) = self.main.take() else { return };
        self.close_candidate();
        (self.next_request, self.round_trip) = (None, None);
        self.topics.values_mut().for_each(Subscription::restart);
        if matches!(connection.closing, Some((CloseReason::Reload, _)))
            || matches!(code, code::RELOAD | code::MALFORMED)
        {
            return self.stop(StopReason::Reload);
        }
        if matches!(connection.closing, Some((CloseReason::Banned, _))) {
            return self.stop(StopReason::Closed(code::BANNED));
        }
        if !reconnect::session_may_reconnect(code) {
            return self.stop(StopReason::Closed(code));
        }
        let requested_delay = connection
            .closing
            .map(|(_, retry_after)| reconnect::retry_after(retry_after));
        if !connection.is_live() {
            // A requested retry delay also delays the other transports, so there is no fallback.
            if let Some(requested_delay) = requested_delay {
                self.schedule_retry(requested_delay.max(self.delay()));
            } else if self.policy.on_connect_failed(self.now, timed_out) == AfterFailure::Wait {
                self.schedule_retry(self.delay());
            }
            return;
        }
        let uptime = connection.uptime(self.now);
        self.policy.on_disconnect(self.now, uptime);
        self.reconnect.on_disconnect(uptime);
        self.schedule_retry(requested_delay.unwrap_or_else(|| self.delay()));
        self.retry_after_requested = requested_delay.is_some();
    }

    fn schedule_retry(&mut self, delay: Millis) {
        self.reconnect.count_failure();
        self.retry_at = Some(self.now + delay);
        self.retry_after_requested = false;
    }

    fn delay(&self) -> Millis {
        let conditions = Conditions {
            offline: self.offline,
            hidden: self.hidden,
        };
        millis(self.reconnect.delay(self.random, conditions))
    }

    /// Stops the session until the page is reloaded.
    pub(super) fn stop(&mut self, reason: StopReason) {
        self.close_all();
        self.stopped = Some(reason);
    }

    pub(super) fn freeze(&mut self) {
        self.frozen = true;
        self.close_all();
    }

    /// Closes all connections and cancels all deadlines.
    fn close_all(&mut self) {
        self.close_main();
        self.close_candidate();
        (self.retry_at, self.next_request, self.close_at, self.round_trip) = (None, None, None, None);
        self.reconnect.reset();
        self.topics.values_mut().for_each(Subscription::restart);
    }

    fn close_main(&mut self) {
        if let Some(connection) = self.main.take() {
            self.out.push(Effect::Close {
                connection: connection.id,
            });
        }
        self.next_request = None;
    }

    fn close_candidate(&mut self) {
        if let Some(connection) = self.candidate.take() {
            self.out.push(Effect::Close {
                connection: connection.id,
            });
        }
    }

    pub(super) fn set_online(&mut self, online: bool) {
        self.offline = !online;
        if online {
            self.reconnect.reset();
            self.cancel_retry_delay();
        }
        // Offline, a fallback cannot probe; the browser reports the end of its stream.
        let fallback = self.main.as_ref().is_some_and(Connection::is_fallback);
        if online || !fallback {
            self.probe(true);
        }
    }

    /// Reconnects at the visitor's request, even during a delay that the server requested.
    pub(super) fn retry(&mut self) {
        self.reconnect.reset();
        self.retry_after_requested = false;
        self.cancel_retry_delay();
        self.probe(false);
    }

    pub(super) fn set_visible(&mut self, visible: bool) {
        self.hidden = !visible;
        if visible {
            self.cancel_retry_delay();
            self.probe(false);
        }
    }

    /// Ends the delay before the next attempt, unless the server requested it.
    fn cancel_retry_delay(&mut self) {
        if !self.retry_after_requested && self.retry_at.take().is_some() {
            self.policy.reset_to_preferred();
        }
    }

    /// Probes the main connection.
    fn probe(&mut self, force: bool) {
        let now = self.now;
        let check = self
            .main
            .as_mut()
            .map_or(Liveness::Wait, |main| main.probe_now(now, force));
        self.apply_liveness(check);
    }

    fn apply_liveness(&mut self, check: Liveness) {
        let Some(main) = &self.main else { return };
        let (connection, timed_out) = (main.id, !main.is_live());
        match check {
            Liveness::Wait => (),
            Liveness::Probe(_) if main.is_fallback() => self.next_request = Some(self.request_now()),
            Liveness::Probe(nonce) => self.send(ClientFrame::Ping { nonce }),
            Liveness::Dead => {
                self.out.push(Effect::Close { connection });
                self.on_lost(code::ABNORMAL, timed_out);
            }
        }
    }

    /// Whether a WebSocket may be tried alongside the working fallback.
    pub(super) fn may_try_websocket(&self) -> bool {
        let fallback_works = self
            .main
            .as_ref()
            .is_some_and(|main| main.is_live() && main.is_fallback());
        fallback_works && self.candidate.is_none() && !self.hidden && !self.offline
    }

    pub(super) fn check_deadlines(&mut self) {
        if self.stopped.is_some() || self.frozen {
            return;
        }
        let now = self.now;
        let check = self.main.as_mut().map_or(Liveness::Wait, |main| main.check(now));
        self.apply_liveness(check);
        self.check_candidate();
        let due = |at: Option<Millis>| at.is_some_and(|at| at <= now);
        if due(self.retry_at) {
            self.retry_at = None;
        }
        if due(self.close_at) {
            self.close_all();
        }
        if due(self.policy.upgrade_at()) && self.may_try_websocket() {
            self.candidate = Some(self.new_connection(Transport::WebSocket));
            self.out.push(Effect::Open {
                connection: self.last_connection,
                transport: Transport::WebSocket,
                topics: Vec::new(),
            });
        }
        for topic in self.topics.values_mut().filter(|topic| due(topic.retry_at)) {
            topic.restart();
        }
    }

    /// Extends all deadlines after a suspension: the server's silence meanwhile does not count.
    pub(super) fn extend_deadlines(&mut self) {
        let now = self.now;
        let check = self
            .main
            .as_mut()
            .map_or(Liveness::Wait, |main| main.extend_deadline(now));
        self.apply_liveness(check);
        if let Some(candidate) = &mut self.candidate {
            candidate.extend_deadline(now);
        }
    }

    fn check_candidate(&mut self) {
        let dead = self
            .candidate
            .as_mut()
            .is_some_and(|candidate| candidate.check(self.now) == Liveness::Dead);
        if dead {
            self.close_candidate();
            self.policy.on_upgrade_failed(self.now);
        }
    }

    fn request_now(&self) -> Request {
        Request {
            at: self.now,
            immediate: true,
        }
    }

    /// Schedules the next poll after a pause, a longer one if the answer was empty.
    pub(super) fn on_poll_answered(&mut self, connection: u32, frames: usize) {
        if !self.is_main(connection) {
            return;
        }
        if self.main.as_mut().is_some_and(|main| main.on_frame(self.now)) {
            self.on_first_frame();
        }
        // No verdict means that the topic is current. Exceptions: an immediate response, and one that contained a state, in which
        // the verdict may not have fit.
        if !self.last_request.immediate && !self.last_response_had_state {
            let requested = self.topics.values_mut().filter(|topic| topic.requested);
            requested.for_each(Subscription::confirm_current);
        }
        let too_soon = !self.last_request.immediate && self.now < self.last_request.at + EMPTY_POLL_PAUSE;
        let pause = match (self.hidden, frames) {
            (true, _) => HIDDEN_POLL_PAUSE,
            (false, 0) if too_soon => EMPTY_POLL_PAUSE,
            _ => POLL_PAUSE,
        };
        let at = self.now + pause;
        let _ = self.next_request.get_or_insert(Request { at, immediate: false });
    }
}
