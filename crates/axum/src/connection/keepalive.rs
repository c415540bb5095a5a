//! The keepalive state machine: when to ping a peer, and when to close its connection. Pure: the caller passes the time.

use std::time::Duration;

/// The state of one connection's keepalive. All times are durations since the connection's opening.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keepalive {
    ping_interval: Duration,
    /// Maximum silence. A peer that answers pings never reaches it.
    silence_limit: Duration,
    /// A check at least this late means that the process was suspended.
    suspend_threshold: Duration,
    next_ping: Duration,
    /// When the next check is due.
    next_check: Duration,
    /// When the process last resumed from a suspension: it could not receive anything before.
    resumed: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeepaliveAction {
    /// Nothing to do. Check again at `until`.
    Wait { until: Duration },
    /// Send a ping. Check again at `until`.
    Ping { until: Duration },
    /// Nothing was received for the silence limit: close the connection.
    Timeout,
}

impl Keepalive {
    pub(crate) fn new(ping_interval: Duration, silence_limit: Duration, suspend_threshold: Duration) -> Self {
        Self {
            ping_interval,
            silence_limit,
            suspend_threshold,
            next_ping: ping_interval,
            next_check: ping_interval.min(silence_limit),
            resumed: Duration::ZERO,
        }
    }

    /// When the first check is due.
    pub(crate) const fn first_check(&self) -> Duration {
        self.next_check
    }

    /// Checks at `now`. `last_received` is when bytes were last received, or when the server last resumed reading after a blocked
    /// write.
    pub(crate) fn check(&mut self, now: Duration, last_received: Duration) -> KeepaliveAction {
        if now >= self.next_check.saturating_add(self.suspend_threshold) {
            self.resumed = now;
        }
        let timeout_at = last_received.max(self.resumed).saturating_add(self.silence_limit);
        if now >= timeout_at {
            return KeepaliveAction::Timeout;
        }
        let ping_due = now >= self.next_ping;
        if ping_due {
            self.next_ping = now.saturating_add(self.ping_interval);
        }
        let until = self.next_ping.min(timeout_at);
        self.next_check = until;
        if ping_due {
            KeepaliveAction::Ping { until }
        } else {
            KeepaliveAction::Wait { until }
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
    fn a_silent_peer_is_pinged_and_then_times_out() {
        let mut keepalive = Keepalive::new(s(25), s(60), s(2));
        assert_eq!(keepalive.first_check(), s(25));
        assert_eq!(keepalive.check(s(25), s(0)), KeepaliveAction::Ping { until: s(50) });
        assert_eq!(keepalive.check(s(50), s(0)), KeepaliveAction::Ping { until: s(60) });
        assert_eq!(keepalive.check(s(60), s(0)), KeepaliveAction::Timeout);
    }

    #[test]
    fn a_peer_that_sends_is_kept() {
        let mut keepalive = Keepalive::new(s(25), s(60), s(2));
        assert_eq!(keepalive.check(s(26), s(25)), KeepaliveAction::Ping { until: s(51) });
        assert_eq!(keepalive.check(s(30), s(25)), KeepaliveAction::Wait { until: s(51) });
    }

    #[test]
    fn a_suspension_does_not_count_as_silence() {
        let mut keepalive = Keepalive::new(s(12), s(32), s(2));
        assert_eq!(keepalive.check(s(12), s(11)), KeepaliveAction::Ping { until: s(24) });
        assert_eq!(
            keepalive.check(s(69), s(11)),
            KeepaliveAction::Ping { until: s(81) },
            "45 s later"
        );
        assert_eq!(keepalive.check(s(81), s(11)), KeepaliveAction::Ping { until: s(93) });
        assert_eq!(keepalive.check(s(93), s(11)), KeepaliveAction::Ping { until: s(101) });
        assert_eq!(keepalive.check(s(101), s(11)), KeepaliveAction::Timeout);
    }

    proptest! {
        /// Checked exactly at each `until`, it makes progress, pings no more often than the interval, and times out exactly at the limit
        /// after the last received bytes.
        #[test]
        fn it_times_out_at_the_limit_and_never_before(
            ping in 1u64..50,
            more in 1u64..50,
            receptions in prop::collection::vec(0u64..400, 0..20),
        ) {
            let limit = ping + more;
            let mut keepalive = Keepalive::new(s(ping), s(limit), s(2));
            let mut now = keepalive.first_check();
            let mut pinged = None;
            loop {
                let received = receptions.iter().copied().filter(|at| s(*at) <= now).max().unwrap_or(0);
                match keepalive.check(now, s(received)) {
                    KeepaliveAction::Wait { until } => { prop_assert!(until > now); now = until; }
                    KeepaliveAction::Ping { until } => {
                        if let Some(before) = pinged { prop_assert!(now - before >= s(ping)); }
                        pinged = Some(now);
                        prop_assert!(until > now);
                        now = until;
                    }
                    KeepaliveAction::Timeout => { prop_assert_eq!(now, s(received + limit)); break; }
                }
            }
        }
    }
}
