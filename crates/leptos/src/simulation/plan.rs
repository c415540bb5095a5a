//! How a stage's line is carried, and when it is tried again: a WebSocket first; plain HTTP where that does not open. Pure:
//! what happened comes in, what to do goes out.

use std::time::Duration;

use crate::reconnect::Backoff;
use duplex_protocol::code;

/// What carries a stage's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Carrier {
    WebSocket,
    Http,
}

/// A WebSocket that has brought no frame after this will not: a proxy holds it.
pub const PATIENCE: Duration = Duration::from_secs(4);
/// After so many turns without a failure HTTP is what works here, and the count of failures begins anew.
const STABLE_TURNS: u32 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Open(Carrier),
    OpenAfter(Carrier, Duration),
    /// The server wants no more of this client.
    Stop(u16),
}

#[derive(Debug, Default)]
pub struct Plan {
    failures: u32,
    turns: u32,
    /// When the WebSocket brought its first frame, in milliseconds.
    opened: Option<f64>,
}

const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(400),
    cap: Duration::from_secs(8),
    stable_after: Duration::from_secs(5),
};

impl Plan {
    pub const fn opened(&mut self, now: f64) {
        self.opened = Some(now);
    }

    pub const fn turned(&mut self) {
        self.turns += 1;
        if self.turns >= STABLE_TURNS {
            self.failures = 0;
        }
    }

    /// The WebSocket closed, or brought nothing.
    pub fn closed(&mut self, code: u16, now: f64, random: f64) -> Next {
        match self.opened.take() {
            None => Next::Open(Carrier::Http),
            Some(_) if !code::may_return(code) => Next::Stop(code),
            Some(opened) => {
                if now - opened >= BACKOFF.stable_after.as_secs_f64() * 1000.0 {
                    self.failures = 0;
                }
                Next::OpenAfter(Carrier::WebSocket, self.delay(random))
            }
        }
    }

    /// A post failed. What is understood by nobody is not said again.
    pub fn failed(&mut self, status: Option<u16>, random: f64) -> Next {
        self.turns = 0;
        match status {
            Some(400 | 403 | 404 | 413 | 415 | 422) => Next::Stop(code::MALFORMED),
            _ => Next::OpenAfter(Carrier::WebSocket, self.delay(random)),
        }
    }

    fn delay(&mut self, random: f64) -> Duration {
        let delay = BACKOFF.delay(self.failures, random);
        self.failures = self.failures.saturating_add(1);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_opened_is_replaced_by_http() {
        let mut plan = Plan::default();
        assert_eq!(plan.closed(code::ABNORMAL, 0.0, 0.5), Next::Open(Carrier::Http));
        assert!(matches!(plan.failed(None, 0.5), Next::OpenAfter(Carrier::WebSocket, _)));
        assert_eq!(plan.failed(Some(422), 0.5), Next::Stop(code::MALFORMED));
    }

    #[test]
    fn what_was_open_is_opened_again_later_each_time_until_it_lasts() {
        let mut plan = Plan::default();
        let mut after = |lasted: f64| {
            plan.opened(0.0);
            match plan.closed(code::ABNORMAL, lasted, 1.0) {
                Next::OpenAfter(Carrier::WebSocket, delay) => delay.as_millis(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            [after(10.0), after(10.0), after(10.0), after(9000.0)],
            [400, 800, 1600, 400]
        );
    }

    #[test]
    fn who_is_sent_away_for_good_stays_away() {
        let mut plan = Plan::default();
        plan.opened(0.0);
        assert_eq!(plan.closed(code::MALFORMED, 1.0, 0.5), Next::Stop(code::MALFORMED));
        plan.opened(0.0);
        assert!(matches!(plan.closed(code::TRY_AGAIN, 1.0, 0.5), Next::OpenAfter(..)));
    }
}
