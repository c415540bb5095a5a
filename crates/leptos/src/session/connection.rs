//! One line to the server, as its clock: when it should have spoken, when to ask whether it lives, when it is dead. Pure.

use super::super::status::Transport;
use crate::session::transport_policy::Millis;
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::Closing;

/// Until the server says how often it speaks.
const BEAT: Millis = 25_000;
/// What a server may ask for: less would be a storm, more would find a dead line too late.
const BEATS: std::ops::RangeInclusive<Millis> = 1_000..=300_000;
/// A stream or a poll that is silent for so long is asked anew; a server says something after half of it.
const SILENCE: Millis = 45_000;
/// For an answer to a question that was asked because something seems to have changed.
const HURRY: Millis = 3_000;
/// An address or a cursor that the server contradicts so often is not worth the line.
const FAULTS: u32 = 8;

/// What a look at the clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    Rest,
    /// Ask whether it is alive, with this nonce.
    Ask(u32),
    /// Nothing came in time.
    Dead,
}

#[derive(Debug)]
pub struct Line {
    pub id: u32,
    pub transport: Transport,
    /// Known when it is open.
    pub encoding: Option<Encoding>,
    /// Frames can be sent.
    pub open: bool,
    /// When the first frame came.
    live_since: Option<Millis>,
    heard_at: Millis,
    /// A question without an answer: when it was asked, and for how long an answer is waited for.
    asked: Option<(Millis, Millis)>,
    /// The question was asked once more, because the page did not run while its answer was waited for.
    excused: bool,
    /// The newest ping: its number and when it was sent.
    nonce: u32,
    pinged_at: Millis,
    beat: Millis,
    /// The server said that it closes, and when to come back.
    pub closing: Option<(Closing, Millis)>,
    faults: u32,
}

impl Line {
    pub fn new(id: u32, transport: Transport, now: Millis) -> Self {
        let fallback = transport != Transport::WebSocket;
        Self {
            id,
            transport,
            encoding: fallback.then_some(Encoding::Json),
            open: fallback,
            live_since: None,
            heard_at: now,
            asked: Some((now, transport.patience())),
            excused: false,
            nonce: 0,
            pinged_at: now,
            beat: BEAT,
            closing: None,
            faults: 0,
        }
    }

    pub fn is_live(&self) -> bool {
        self.live_since.is_some()
    }

    pub fn is_fallback(&self) -> bool {
        self.transport != Transport::WebSocket
    }

    /// How long it has been of use.
    pub fn lived(&self, now: Millis) -> Millis {
        self.live_since.map_or(0, |since| now.saturating_sub(since))
    }

    /// Anything came. Whether it was the first.
    pub fn heard(&mut self, now: Millis) -> bool {
        self.heard_at = now;
        self.asked = None;
        self.excused = false;
        self.live_since.replace(self.live_since.unwrap_or(now)).is_none()
    }

    pub fn set_beat(&mut self, beat: Millis) {
        self.beat = beat.clamp(*BEATS.start(), *BEATS.end());
    }

    /// The round trip of the ping with this nonce, if it is the newest.
    pub fn round_trip(&self, nonce: u32, now: Millis) -> Option<Millis> {
        (nonce == self.nonce && nonce > 0).then(|| now.saturating_sub(self.pinged_at))
    }

    /// The line is new: how long is its way?
    pub fn measure(&mut self, now: Millis) -> Check {
        if self.is_fallback() {
            return Check::Rest;
        }
        self.ask(now, self.beat)
    }

    /// Another contradiction; whether it was one too many.
    pub fn fault(&mut self) -> bool {
        self.faults += 1;
        self.faults >= FAULTS
    }

    /// When to look again.
    pub fn due(&self) -> Millis {
        match (self.asked, self.is_fallback()) {
            (Some((asked, patience)), _) => asked + patience,
            (None, false) => self.heard_at + self.beat,
            (None, true) => self.heard_at + SILENCE,
        }
    }

    pub fn check(&mut self, now: Millis) -> Check {
        if now < self.due() {
            return Check::Rest;
        }
        if self.asked.is_some() {
            return Check::Dead;
        }
        let patience = if self.is_fallback() {
            self.transport.patience()
        } else {
            self.beat
        };
        self.ask(now, patience)
    }

    /// The network or the page changed: better to know now. `sure`: even if something was heard a moment ago.
    pub fn hurry(&mut self, now: Millis, sure: bool) -> Check {
        if !self.is_live() || (!sure && now < self.heard_at + HURRY) {
            return Check::Rest;
        }
        let patience = if self.is_fallback() {
            self.transport.patience()
        } else {
            HURRY
        };
        self.ask(now, patience)
    }

    /// The page did not run for a while: what the server said meanwhile is still to be read. Once for each question, so that
    /// a page that hardly ever runs finds out all the same.
    pub fn excuse(&mut self, now: Millis) -> Check {
        if self.asked.is_none() || std::mem::replace(&mut self.excused, true) {
            return Check::Rest;
        }
        if self.is_live() {
            return self.hurry(now, true);
        }
        self.asked = Some((now, self.transport.patience()));
        Check::Rest
    }

    fn ask(&mut self, now: Millis, patience: Millis) -> Check {
        self.asked = Some((now, patience));
        self.pinged_at = now;
        self.nonce = self.nonce.wrapping_add(1);
        Check::Ask(self.nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_never_speaks_is_dead_when_patience_ends() {
        let mut line = Line::new(1, Transport::WebSocket, 100);
        assert_eq!((line.due(), line.check(4_099)), (4_100, Check::Rest));
        assert_eq!(line.check(4_100), Check::Dead);
    }

    #[test]
    fn a_silent_line_is_asked_once_and_then_given_up() {
        let mut line = Line::new(1, Transport::WebSocket, 0);
        assert!(line.heard(10));
        line.set_beat(2_000);
        assert_eq!(line.check(2_010), Check::Ask(1));
        assert_eq!(line.check(3_000), Check::Rest);
        assert_eq!(
            (line.round_trip(1, 3_000), line.round_trip(2, 3_000)),
            (Some(990), None)
        );
        assert!(!line.heard(3_000));
        assert_eq!(line.check(5_000), Check::Ask(2));
        assert_eq!((line.check(7_000), line.lived(7_000)), (Check::Dead, 6_990));
    }

    #[test]
    fn a_question_that_was_slept_through_is_asked_once_more() {
        let mut line = Line::new(1, Transport::WebSocket, 0);
        line.heard(0);
        line.set_beat(2_000);
        assert_eq!(line.excuse(100), Check::Rest, "nothing was asked");
        assert_eq!(line.check(2_000), Check::Ask(1));
        assert_eq!((line.excuse(60_000), line.check(60_000)), (Check::Ask(2), Check::Rest));
        assert_eq!((line.excuse(120_000), line.check(120_000)), (Check::Rest, Check::Dead));
        let mut opening = Line::new(2, Transport::WebSocket, 0);
        assert_eq!(
            (opening.excuse(60_000), opening.check(63_999)),
            (Check::Rest, Check::Rest)
        );
        assert_eq!(opening.check(64_000), Check::Dead);
    }

    #[test]
    fn a_server_cannot_ask_for_a_storm() {
        let mut line = Line::new(1, Transport::WebSocket, 0);
        line.heard(0);
        line.set_beat(0);
        assert_eq!(line.due(), 1_000);
    }
}
