//! How lines come and go: opening, losing, trying again, trying the better transport, giving up. Part of the pure machine.

use std::time::Duration;

use super::{Ask, Effect, Link};
use crate::session::connection::{Check, Line};
use crate::session::subscription::Subscription;
use crate::session::transport_policy::{Millis, Next, STABLE_AFTER};
use crate::status::{Stop, Transport};
use duplex_protocol::code;
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{ClientFrame, Closing, Welcome};

/// A hidden tab does not come back sooner: its visitor does not look.
const HIDDEN_DELAY: Millis = 5_000;
/// Nor does a tab without a network; a browser may be wrong about that, so it tries all the same.
const OFFLINE_DELAY: Millis = 30_000;
/// No server may send a tab away for longer by itself.
const LONGEST_RETRY: Millis = 300_000;
/// Several changes of the subscriptions make one new question of a fallback.
pub(super) const GATHER: Millis = 20;
/// Between two polls; an empty answer that comes sooner than it should is not a reason to ask at once.
const POLL_PAUSE: Millis = 50;
const EMPTY_POLL_PAUSE: Millis = 1_000;
const HIDDEN_POLL_PAUSE: Millis = 5_000;

impl Link {
    pub(super) fn open_main(&mut self) {
        let transport = self.ladder.rung();
        let line = self.new_line(transport);
        self.ask = None;
        (self.polled, self.polled_state) = (self.ask_now(), false);
        self.main = Some(line);
        self.topics.values_mut().for_each(Subscription::ask_anew);
        let topics = if transport == Transport::WebSocket {
            Vec::new()
        } else {
            self.asked_topics()
        };
        self.out.push(Effect::Open {
            line: self.last_line,
            transport,
            topics,
        });
    }

    fn new_line(&mut self, transport: Transport) -> Line {
        self.last_line = self.last_line.wrapping_add(1);
        Line::new(self.last_line, transport, self.now)
    }

    pub(super) fn opened(&mut self, line: u32, encoding: Encoding) {
        let found = [&mut self.main, &mut self.trial]
            .into_iter()
            .flatten()
            .find(|known| known.id == line);
        let Some(found) = found else { return };
        found.encoding = Some(encoding);
        found.open = true;
        if !found.is_fallback() {
            let frame = ClientFrame::Hello {
                build: self.build.clone(),
                name: self.name.clone(),
            };
            self.name_due = false;
            self.out.push(Effect::Send { line, frame });
        }
    }

    /// The server speaks over the main line for the first time.
    pub(super) fn first_heard(&mut self) {
        let Some(transport) = self.main.as_ref().map(|main| main.transport) else {
            return;
        };
        self.ladder.worked(self.now, transport);
        if self.name_due {
            self.tell_name();
        }
    }

    pub(super) fn tell_name(&mut self) {
        if let Some(name) = self.name.clone() {
            self.name_due = false;
            self.say(ClientFrame::Rename { name });
        }
    }

    pub(super) fn welcome(&mut self, welcome: Welcome) {
        self.newer_build = !self.build.is_empty() && !welcome.build.is_empty() && self.build != welcome.build;
        // A server of the version before does not say it.
        if welcome.now_ms > 0 {
            self.set_server_time(welcome.now_ms);
        }
        let now = self.now;
        let measure = self.main.as_mut().map_or(Check::Rest, |main| {
            main.set_beat(welcome.beat_ms.into());
            main.measure(now)
        });
        self.follow(measure);
        self.out.push(Effect::Me(welcome.person));
    }

    /// The WebSocket on trial was welcomed: it takes over, and everything resumes on it.
    pub(super) fn promote(&mut self, welcome: Welcome) {
        let Some(mut line) = self.trial.take() else { return };
        line.heard(self.now);
        self.close_main();
        self.main = Some(line);
        self.topics.values_mut().for_each(Subscription::ask_anew);
        self.first_heard();
        self.welcome(welcome);
    }

    pub(super) fn closed(&mut self, line: u32, code: u16) {
        if self.is_trial(line) {
            self.trial = None;
            self.ladder.probe_failed(self.now);
        } else if self.is_main(line) {
            self.lose(code, false);
        }
    }

    /// The main line is gone. `silent`: it never said anything, until patience ran out.
    pub(super) fn lose(&mut self, code: u16, silent: bool) {
        let Some(line) = self.main.take() else { return };
        self.end_trial();
        (self.ask, self.round_trip) = (None, None);
        self.topics.values_mut().for_each(Subscription::ask_anew);
        if matches!(line.closing, Some((Closing::Reload, _))) || matches!(code, code::RELOAD | code::MALFORMED) {
            return self.stop(Stop::Reload);
        }
        if matches!(line.closing, Some((Closing::Banned, _))) {
            return self.stop(Stop::Closed(code::BANNED));
        }
        if !code::may_return(code) {
            return self.stop(Stop::Closed(code));
        }
        let told = line.closing.map(|(_, retry_after)| retry_after.min(LONGEST_RETRY));
        if !line.is_live() {
            // Who is told to wait is told so whatever the transport.
            if let Some(told) = told {
                self.wait_for(told.max(self.delay()));
            } else if self.ladder.failed(self.now, silent) == Next::Later {
                self.wait_for(self.delay());
            }
            return;
        }
        let lived = line.lived(self.now);
        self.ladder.dropped(self.now, lived);
        if lived >= STABLE_AFTER {
            self.attempt = 0;
        }
        self.wait_for(told.unwrap_or_else(|| self.delay()));
        self.told_to_wait = told.is_some();
    }

    fn wait_for(&mut self, delay: Millis) {
        self.attempt = self.attempt.saturating_add(1);
        self.wait = Some(self.now + delay);
        self.told_to_wait = false;
    }

    fn delay(&self) -> Millis {
        let backoff = millis(self.backoff.delay(self.attempt, self.random));
        let least = match (self.offline, self.hidden) {
            (true, _) => OFFLINE_DELAY,
            (false, true) => HIDDEN_DELAY,
            (false, false) => 0,
        };
        backoff.max((least as f64 * (0.5 + self.random / 2.0)) as Millis)
    }

    /// For good, until the page is loaded again.
    pub(super) fn stop(&mut self, why: Stop) {
        self.hang_up();
        self.stopped = Some(why);
    }

    pub(super) fn freeze(&mut self) {
        self.frozen = true;
        self.hang_up();
    }

    /// Closes everything, and waits for nothing.
    fn hang_up(&mut self) {
        self.close_main();
        self.end_trial();
        (self.wait, self.ask, self.linger, self.round_trip) = (None, None, None, None);
        self.attempt = 0;
        self.topics.values_mut().for_each(Subscription::ask_anew);
    }

    fn close_main(&mut self) {
        if let Some(line) = self.main.take() {
            self.out.push(Effect::Close { line: line.id });
        }
        self.ask = None;
    }

    fn end_trial(&mut self) {
        if let Some(line) = self.trial.take() {
            self.out.push(Effect::Close { line: line.id });
        }
    }

    pub(super) fn set_online(&mut self, online: bool) {
        self.offline = !online;
        if online {
            self.attempt = 0;
            self.come_back();
        }
        // A stream cannot be asked without a network, and its browser will tell.
        let fallback = self.main.as_ref().is_some_and(Line::is_fallback);
        if online || !fallback {
            self.hurry(true);
        }
    }

    /// Also where the server or the browser said otherwise: the visitor may know better.
    pub(super) fn retry(&mut self) {
        (self.attempt, self.told_to_wait) = (0, false);
        self.come_back();
        self.hurry(false);
    }

    pub(super) fn set_visible(&mut self, visible: bool) {
        self.hidden = !visible;
        if visible {
            self.come_back();
            self.hurry(false);
        }
    }

    /// A wait ends, unless the server asked for it.
    fn come_back(&mut self) {
        if !self.told_to_wait && self.wait.take().is_some() {
            self.ladder.begin_anew();
        }
    }

    /// A line that may have died unnoticed is asked.
    fn hurry(&mut self, sure: bool) {
        let now = self.now;
        let check = self.main.as_mut().map_or(Check::Rest, |main| main.hurry(now, sure));
        self.follow(check);
    }

    fn follow(&mut self, check: Check) {
        let Some(main) = &self.main else { return };
        let (line, silent) = (main.id, !main.is_live());
        match check {
            Check::Rest => (),
            Check::Ask(_) if main.is_fallback() => self.ask = Some(self.ask_now()),
            Check::Ask(nonce) => self.say(ClientFrame::Ping { nonce }),
            Check::Dead => {
                self.out.push(Effect::Close { line });
                self.lose(code::ABNORMAL, silent);
            }
        }
    }

    /// Whether WebSocket may be tried beside what works.
    pub(super) fn may_try(&self) -> bool {
        let works = self
            .main
            .as_ref()
            .is_some_and(|main| main.is_live() && main.is_fallback());
        works && self.trial.is_none() && !self.hidden && !self.offline
    }

    pub(super) fn look_at_the_clock(&mut self) {
        if self.stopped.is_some() || self.frozen {
            return;
        }
        let now = self.now;
        let check = self.main.as_mut().map_or(Check::Rest, |main| main.check(now));
        self.follow(check);
        self.check_trial();
        let due = |at: Option<Millis>| at.is_some_and(|at| at <= now);
        if due(self.wait) {
            self.wait = None;
        }
        if due(self.linger) {
            self.hang_up();
        }
        if due(self.ladder.probe_at()) && self.may_try() {
            self.trial = Some(self.new_line(Transport::WebSocket));
            self.out.push(Effect::Open {
                line: self.last_line,
                transport: Transport::WebSocket,
                topics: Vec::new(),
            });
        }
        for topic in self.topics.values_mut().filter(|topic| due(topic.retry_at)) {
            topic.ask_anew();
        }
    }

    /// Nobody was silent while this page did not run.
    pub(super) fn excuse_lines(&mut self) {
        let now = self.now;
        let check = self.main.as_mut().map_or(Check::Rest, |main| main.excuse(now));
        self.follow(check);
        if let Some(trial) = &mut self.trial {
            trial.excuse(now);
        }
    }

    fn check_trial(&mut self) {
        let dead = self
            .trial
            .as_mut()
            .is_some_and(|trial| trial.check(self.now) == Check::Dead);
        if dead {
            self.end_trial();
            self.ladder.probe_failed(self.now);
        }
    }

    fn ask_now(&self) -> Ask {
        Ask {
            at: self.now,
            at_once: true,
        }
    }

    /// A poll was answered: the next one follows, after a pause that grows when there is nothing to hear.
    pub(super) fn answered(&mut self, line: u32, frames: usize) {
        if !self.is_main(line) {
            return;
        }
        if self.main.as_mut().is_some_and(|main| main.heard(self.now)) {
            self.first_heard();
        }
        // No verdict means no news, unless all were asked for, or states took the answer's room: then it is in the next.
        if !self.polled.at_once && !self.polled_state {
            let asked = self.topics.values_mut().filter(|topic| topic.asked);
            asked.for_each(Subscription::nothing_new);
        }
        let too_soon = !self.polled.at_once && self.now < self.polled.at + EMPTY_POLL_PAUSE;
        let pause = match (self.hidden, frames) {
            (true, _) => HIDDEN_POLL_PAUSE,
            (false, 0) if too_soon => EMPTY_POLL_PAUSE,
            _ => POLL_PAUSE,
        };
        let at = self.now + pause;
        let _ = self.ask.get_or_insert(Ask { at, at_once: false });
    }
}

fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
