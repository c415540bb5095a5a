//! The reconnect policy of sessions, simulations and sockets: the delay before the next attempt, and when to give up. Pure: the
//! caller passes time and randomness.

use std::time::Duration;

use crate::runtime::clock::Millis;
use duplex_protocol::code::{self, ClosedBy};

/// A connection that lasted this long was stable.
pub(crate) const STABLE_AFTER: Millis = 5_000;
/// The minimum delay of a hidden page, whose visitor is not waiting for it.
const HIDDEN_DELAY: Millis = 5_000;
/// The minimum delay of a page without a network. It keeps trying, because `navigator.onLine` is unreliable.
const OFFLINE_DELAY: Millis = 30_000;
/// Maximum delay that a server may request.
const MAX_RETRY_AFTER: Millis = 300_000;

/// Exponential backoff with jitter: the delay doubles from `base` up to `cap`, and equal jitter picks between half of it and all of
/// it, so that clients that lost a server at the same time do not all reconnect at the same time.
///
/// The default is 0.5 s doubled up to 30 s, stable after 5 s.
///
/// # Example
///
/// ```
/// use duplex_leptos::reconnect::Backoff;
///
/// let backoff = Backoff::default();
/// assert_eq!(backoff.delay(0, 1.0).as_millis(), 500);
/// assert_eq!(backoff.delay(9, 0.0).as_secs(), 15);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The maximum of the first delay.
    pub base: Duration,
    /// The maximum delay.
    pub cap: Duration,
    /// A connection that lasted this long resets the count of failures; a shorter one is another failure.
    pub stable_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            stable_after: Duration::from_millis(STABLE_AFTER),
        }
    }
}

impl Backoff {
    /// The delay before attempt `attempt`, the first being 0. `random` in 0..1 selects a delay between half of the attempt's maximum
    /// and all of it.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let max = self.base.saturating_mul(2_u32.saturating_pow(attempt)).min(self.cap);
        max.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

/// Page conditions under which the minimum delay is longer than the backoff's.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Conditions {
    pub offline: bool,
    pub hidden: bool,
}

/// Counts failures, and computes the delay after each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReconnectPolicy {
    pub backoff: Backoff,
    failures: u32,
}

impl ReconnectPolicy {
    pub(crate) const fn new(backoff: Backoff) -> Self {
        Self { backoff, failures: 0 }
    }

    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }

    pub(crate) const fn count_failure(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// Called when an open connection was lost after `uptime` milliseconds.
    pub(crate) fn on_disconnect(&mut self, uptime: Millis) {
        if uptime >= millis(self.backoff.stable_after) {
            self.reset();
        }
    }

    /// The delay before the next attempt.
    pub(crate) fn delay(&self, random: f64, conditions: Conditions) -> Duration {
        let minimum = match (conditions.offline, conditions.hidden) {
            (true, _) => OFFLINE_DELAY,
            (false, true) => HIDDEN_DELAY,
            (false, false) => 0,
        };
        let minimum = Duration::from_millis((minimum as f64 * (0.5 + random / 2.0)) as Millis);
        self.backoff.delay(self.failures, random).max(minimum)
    }

    /// Returns [`delay`](Self::delay), then counts a failure.
    pub(crate) fn next_delay(&mut self, random: f64, conditions: Conditions) -> Duration {
        let delay = self.delay(random, conditions);
        self.count_failure();
        delay
    }
}

/// The delay that a server requested, limited to the maximum.
pub(crate) fn retry_after(requested: Millis) -> Millis {
    requested.min(MAX_RETRY_AFTER)
}

/// Whether a session or a simulation reconnects after this close code, one of the protocol's.
pub(crate) const fn session_may_reconnect(code: u16) -> bool {
    code::may_reconnect(code)
}

/// Whether a socket reconnects. Its server need not be Duplex, so only close code 1000 and a close by this side stop it.
pub(crate) fn socket_may_reconnect(by: ClosedBy, code: u16) -> bool {
    by != ClosedBy::Client && code != code::NORMAL
}

pub(crate) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let backoff = Backoff::default();
        let longest: Vec<_> = (0..8).map(|attempt| backoff.delay(attempt, 1.0).as_millis()).collect();
        assert_eq!(longest, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    }

    #[test]
    fn a_stable_connection_resets_the_count() {
        let mut policy = ReconnectPolicy::default();
        let ordinary = Conditions::default();
        let mut next = |uptime| {
            policy.on_disconnect(uptime);
            policy.next_delay(1.0, ordinary).as_millis()
        };
        assert_eq!([next(0), next(4_999), next(0), next(5_000)], [500, 1_000, 2_000, 500]);
    }

    #[test]
    fn hidden_and_offline_pages_wait_longer_and_a_requested_delay_is_limited() {
        let policy = ReconnectPolicy::default();
        let delay = |offline, hidden| policy.delay(1.0, Conditions { offline, hidden }).as_secs_f64();
        assert_eq!(
            [delay(false, true), delay(true, false), delay(true, true)],
            [5.0, 30.0, 30.0]
        );
        assert_eq!((retry_after(7), retry_after(Millis::MAX)), (7, 300_000));
    }

    #[test]
    fn a_socket_reconnects_unless_it_was_closed_normally_or_by_this_side() {
        assert!(
            socket_may_reconnect(ClosedBy::Network, code::ABNORMAL)
                && socket_may_reconnect(ClosedBy::Server, code::BANNED)
        );
        assert!(
            !socket_may_reconnect(ClosedBy::Server, code::NORMAL)
                && !socket_may_reconnect(ClosedBy::Client, code::TRY_AGAIN)
        );
        assert!(session_may_reconnect(code::ABNORMAL) && !session_may_reconnect(code::BANNED));
    }

    proptest! {
        #[test]
        fn a_delay_is_between_half_the_base_and_the_cap(attempt: u32, random in 0.0..1.0_f64) {
            let backoff = Backoff::default();
            let delay = backoff.delay(attempt, random);
            prop_assert!(delay >= backoff.base / 2);
            prop_assert!(delay <= backoff.cap);
        }
    }
}
