//! The keepalive state machine: when to ping a peer and when to give it up. Pure: it takes moments and owns no timer.

use std::time::Duration;

/// The state of one connection's keepalive. All times are durations since the connection's opening.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keepalive {
    ping_every: Duration,
    /// Longest silence. A peer that answers pings never reaches it.
    silence_limit: Duration,
    /// A check that comes so much late came after a pause of the process.
    gap: Duration,
    next_ping: Duration,
    /// When the next check is due.
    due: Duration,
    /// When the process last resumed from a pause: nothing could be received before.
    resumed: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeepaliveAction {
    /// Nothing to do. Check again at `until`.
    Rest { until: Duration },
    /// Send a ping. Check again at `until`.
    Ping { until: Duration },
    /// Nothing was received for the silence limit: give the peer up.
    Silent,
}

impl Keepalive {
    pub(crate) fn new(ping_every: Duration, silence_limit: Duration, gap: Duration) -> Self {
        Self {
            ping_every,
            silence_limit,
            gap,
            next_ping: ping_every,
            due: ping_every.min(silence_limit),
            resumed: Duration::ZERO,
        }
    }

    /// When the first check is due.
    pub(crate) const fn first(&self) -> Duration {
        self.due
    }

    /// Checks at `now`. `heard` is when bytes were last received, or when the connection last did not read.
    pub(crate) fn beat(&mut self, now: Duration, heard: Duration) -> KeepaliveAction {
        if now >= self.due.saturating_add(self.gap) {
            self.resumed = now;
        }
        let silent_at = heard.max(self.resumed).saturating_add(self.silence_limit);
        if now >= silent_at {
            return KeepaliveAction::Silent;
        }
        let pings = now >= self.next_ping;
        if pings {
            self.next_ping = now.saturating_add(self.ping_every);
        }
        let until = self.next_ping.min(silent_at);
        self.due = until;
        if pings {
            KeepaliveAction::Ping { until }
        } else {
            KeepaliveAction::Rest { until }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_silent_peer_is_pinged_and_then_given_up() {
        let mut keepalive = Keepalive::new(s(25), s(60), s(2));
        assert_eq!(keepalive.first(), s(25));
        assert_eq!(keepalive.beat(s(25), s(0)), KeepaliveAction::Ping { until: s(50) });
        assert_eq!(keepalive.beat(s(50), s(0)), KeepaliveAction::Ping { until: s(60) });
        assert_eq!(keepalive.beat(s(60), s(0)), KeepaliveAction::Silent);
    }

    #[test]
    fn a_peer_that_was_heard_stays() {
        let mut keepalive = Keepalive::new(s(25), s(60), s(2));
        assert_eq!(keepalive.beat(s(26), s(25)), KeepaliveAction::Ping { until: s(51) });
        assert_eq!(keepalive.beat(s(30), s(25)), KeepaliveAction::Rest { until: s(51) });
    }

    #[test]
    fn a_pause_of_the_process_is_no_silence_of_the_peer() {
        let mut keepalive = Keepalive::new(s(12), s(32), s(2));
        assert_eq!(keepalive.beat(s(12), s(11)), KeepaliveAction::Ping { until: s(24) });
        assert_eq!(
            keepalive.beat(s(69), s(11)),
            KeepaliveAction::Ping { until: s(81) },
            "45 s later"
        );
        assert_eq!(keepalive.beat(s(81), s(11)), KeepaliveAction::Ping { until: s(93) });
        assert_eq!(keepalive.beat(s(93), s(11)), KeepaliveAction::Ping { until: s(101) });
        assert_eq!(keepalive.beat(s(101), s(11)), KeepaliveAction::Silent);
    }

    proptest! {
        /// Whenever it says to look again, looking exactly then: it never rests for ever, pings no more often than asked,
        /// and gives up exactly at the limit after the last sound.
        #[test]
        fn it_gives_up_at_the_limit_and_never_before(
            ping in 1u64..50,
            more in 1u64..50,
            sounds in prop::collection::vec(0u64..400, 0..20),
        ) {
            let limit = ping + more;
            let mut keepalive = Keepalive::new(s(ping), s(limit), s(2));
            let mut now = keepalive.first();
            let mut pinged = None;
            loop {
                let heard = sounds.iter().copied().filter(|at| s(*at) <= now).max().unwrap_or(0);
                match keepalive.beat(now, s(heard)) {
                    KeepaliveAction::Rest { until } => { prop_assert!(until > now); now = until; }
                    KeepaliveAction::Ping { until } => {
                        if let Some(before) = pinged { prop_assert!(now - before >= s(ping)); }
                        pinged = Some(now);
                        prop_assert!(until > now);
                        now = until;
                    }
                    KeepaliveAction::Silent => { prop_assert_eq!(now, s(heard + limit)); break; }
                }
            }
        }
    }
}
