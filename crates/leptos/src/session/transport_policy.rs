//! Which transport carries the session: WebSocket, else server-sent events, else long polling, and up again when
//! WebSocket works. Pure; knows no line and no timer.

use crate::status::Transport;

/// Milliseconds of the page's clock.
pub type Millis = u64;

/// A WebSocket that has not carried its first frame by then is taken for blocked.
const WEBSOCKET_PATIENCE: Millis = 4_000;
/// A proxy that holds a stream's first event back for so long holds back the others too.
const SSE_PATIENCE: Millis = 5_000;
/// The first answer comes at once; this is time for a slow network.
const POLL_PATIENCE: Millis = 15_000;
/// So many short-lived lines within [`DROP_WINDOW`] mean that something on the way cuts them.
const DROPS: usize = 3;
const DROP_WINDOW: Millis = 30_000;
/// A line that lived so long was worth having.
pub const STABLE_AFTER: Millis = 5_000;
/// While fallen back, WebSocket is tried again after this, then after twice that, …
const PROBE_FIRST: Millis = 60_000;
/// … up to this.
const PROBE_LAST: Millis = 600_000;

impl Transport {
    pub const fn patience(self) -> Millis {
        match self {
            Self::WebSocket => WEBSOCKET_PATIENCE,
            Self::Sse => SSE_PATIENCE,
            Self::Poll => POLL_PATIENCE,
        }
    }
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next transport down, at once.
    Step,
    /// An attempt later; the network or the server is away.
    Later,
}

#[derive(Debug)]
pub struct Ladder {
    /// What the next attempt takes.
    rung: Transport,
    /// Where an attempt begins: what worked last, or what is hoped for.
    top: Transport,
    /// WebSocket worked in this tab: a failure is then more likely the network's than a proxy's.
    proven: bool,
    drops: Vec<Millis>,
    probe_at: Option<Millis>,
    probe_delay: Millis,
}

impl Default for Ladder {
    fn default() -> Self {
        Self {
            rung: Transport::WebSocket,
            top: Transport::WebSocket,
            proven: false,
            drops: Vec::new(),
            probe_at: None,
            probe_delay: PROBE_FIRST,
        }
    }
}

impl Ladder {
    pub fn rung(&self) -> Transport {
        self.rung
    }

    /// When WebSocket should be tried beside what works.
    pub fn probe_at(&self) -> Option<Millis> {
        self.probe_at
    }

    /// The next attempt begins where the last good one was.
    pub fn begin_anew(&mut self) {
        self.rung = self.top;
    }

    /// A line carried its first frame.
    pub fn worked(&mut self, now: Millis, transport: Transport) {
        (self.rung, self.top) = (transport, transport);
        if transport == Transport::WebSocket {
            self.proven = true;
            self.probe_at = None;
        } else {
            self.probe_at = Some(now + self.probe_delay);
        }
    }

    /// A line ended before its first frame. `silent`: nothing came at all, until patience ran out.
    pub fn failed(&mut self, now: Millis, silent: bool) -> Next {
        let held = self.rung == Transport::WebSocket && self.proven && !silent && !self.drop_counts(now);
        match lower(self.rung) {
            Some(lower) if !held => {
                self.rung = lower;
                Next::Step
            }
            _ => {
                self.rung = self.top;
                Next::Later
            }
        }
    }

    /// A line ended after it had worked.
    pub fn dropped(&mut self, now: Millis, lived: Millis) {
        if lived >= PROBE_FIRST && self.rung == Transport::WebSocket {
            self.probe_delay = PROBE_FIRST;
        }
        if lived < STABLE_AFTER
            && self.drop_counts(now)
            && let Some(lower) = lower(self.rung)
        {
            (self.rung, self.top) = (lower, lower);
        }
    }

    /// WebSocket was tried beside what works, and did not.
    pub fn probe_failed(&mut self, now: Millis) {
        self.probe_delay = (self.probe_delay * 2).min(PROBE_LAST);
        self.probe_at = Some(now + self.probe_delay);
    }

    fn drop_counts(&mut self, now: Millis) -> bool {
        self.drops.retain(|at| now - at < DROP_WINDOW);
        self.drops.push(now);
        let enough = self.drops.len() >= DROPS;
        if enough {
            self.drops.clear();
            // It worked, and was cut each time: the next try should be later.
            self.probe_delay = (self.probe_delay * 2).min(PROBE_LAST);
        }
        enough
    }
}

const fn lower(transport: Transport) -> Option<Transport> {
    match transport {
        Transport::WebSocket => Some(Transport::Sse),
        Transport::Sse => Some(Transport::Poll),
        Transport::Poll => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_websocket_leads_down_step_by_step_and_an_away_server_back_up() {
        let mut ladder = Ladder::default();
        assert_eq!((ladder.failed(0, true), ladder.rung()), (Next::Step, Transport::Sse));
        assert_eq!((ladder.failed(1, true), ladder.rung()), (Next::Step, Transport::Poll));
        assert_eq!(
            (ladder.failed(2, false), ladder.rung()),
            (Next::Later, Transport::WebSocket)
        );
    }

    #[test]
    fn a_websocket_that_worked_is_given_three_chances() {
        let mut ladder = Ladder::default();
        ladder.worked(0, Transport::WebSocket);
        assert_eq!(ladder.failed(1_000, false), Next::Later);
        assert_eq!(ladder.failed(2_000, false), Next::Later);
        assert_eq!(
            (ladder.failed(3_000, false), ladder.rung()),
            (Next::Step, Transport::Sse)
        );
        ladder.worked(3_100, Transport::WebSocket);
        assert_eq!(ladder.failed(100_000, false), Next::Later);
        assert_eq!(ladder.failed(140_000, false), Next::Later);
        assert_eq!(
            ladder.failed(180_000, false),
            Next::Later,
            "far apart they count for nothing"
        );
    }

    #[test]
    fn short_lives_lead_down_and_long_ones_do_not() {
        let mut ladder = Ladder::default();
        for now in [1_000, 2_000, 3_000] {
            assert_eq!(ladder.rung(), Transport::WebSocket);
            ladder.worked(now, Transport::WebSocket);
            ladder.dropped(now + 500, 500);
        }
        assert_eq!(ladder.rung(), Transport::Sse);
        let mut ladder = Ladder::default();
        for now in [1_000, 2_000, 3_000, 4_000] {
            ladder.worked(now, Transport::WebSocket);
            ladder.dropped(now + 500, STABLE_AFTER);
        }
        assert_eq!(ladder.rung(), Transport::WebSocket);
    }

    #[test]
    fn probes_come_later_and_later_and_end_when_websocket_works() {
        let mut ladder = Ladder::default();
        ladder.failed(0, true);
        ladder.worked(0, Transport::Sse);
        let mut delays = Vec::new();
        for _ in 0..6 {
            let at = ladder.probe_at().unwrap();
            ladder.probe_failed(at);
            delays.push((ladder.probe_at().unwrap() - at) / 1000);
        }
        assert_eq!(delays, [120, 240, 480, 600, 600, 600]);
        ladder.worked(0, Transport::WebSocket);
        assert_eq!(ladder.probe_at(), None);
    }
}
