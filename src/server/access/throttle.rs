//! A throttle against guessing secrets: exponential backoff per address after a few free failures, and a global rate limit on
//! failures.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::lock;
use crate::server::limits;

/// The client address of an attempt; `None` for a connection without an address.
pub type SourceAddr = Option<IpAddr>;

#[derive(Debug)]
pub struct Throttle {
    /// Failures of one address before it has to wait.
    free_failures: u32,
    max_wait: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sources: HashMap<SourceAddr, Failures>,
    /// Remaining failures of all addresses together; at most [`limits::GLOBAL_FAILURE_BURST`].
    remaining: f64,
    refilled: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    until: Instant,
}

impl Throttle {
    pub fn new(free_failures: u32, max_wait: Duration) -> Self {
        Self {
            free_failures,
            max_wait,
            state: Mutex::new(State {
                sources: HashMap::new(),
                remaining: limits::GLOBAL_FAILURE_BURST,
                refilled: Instant::now(),
            }),
        }
    }

    /// # Errors
    ///
    /// Returns the remaining wait. An attempt during the wait counts as a failure and extends it.
    pub fn check(&self, source: SourceAddr) -> Result<(), Duration> {
        let (source, now) = (network(source), Instant::now());
        let mut state = self.state();
        if state.sources.get(&source).is_some_and(|failures| failures.until > now) {
            return Err(self.count_failure(&mut state, source, now));
        }
        state.refill(now);
        if state.remaining < 1.0 {
            return Err(Duration::from_secs_f64(
                (1.0 - state.remaining) / limits::GLOBAL_FAILURES_PER_SECOND,
            ));
        }
        Ok(())
    }

    pub fn record_failure(&self, source: SourceAddr) {
        let now = Instant::now();
        let mut state = self.state();
        state.refill(now);
        state.remaining = (state.remaining - 1.0).max(0.0);
        self.count_failure(&mut state, network(source), now);
    }

    pub fn record_success(&self, source: SourceAddr) {
        self.state().sources.remove(&network(source));
    }

    fn count_failure(&self, state: &mut State, source: SourceAddr, now: Instant) -> Duration {
        if state.sources.len() >= limits::THROTTLED_SOURCES && !state.sources.contains_key(&source) {
            let max_wait = self.max_wait;
            state.sources.retain(|_, failures| failures.until + max_wait > now);
            if state.sources.len() >= limits::THROTTLED_SOURCES {
                // The table is full; the limit for all addresses together still applies.
                return Duration::ZERO;
            }
        }
        let failures = state.sources.entry(source).or_insert(Failures { count: 0, until: now });
        if failures.until + self.max_wait < now {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        let excess = failures.count.saturating_sub(self.free_failures);
        let wait = match excess {
            0 => Duration::ZERO,
            _ => Duration::from_secs(1_u64.checked_shl(excess - 1).unwrap_or(u64::MAX)).min(self.max_wait),
        };
        failures.until = now + wait;
        wait
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn refill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.remaining =
            (self.remaining + since * limits::GLOBAL_FAILURES_PER_SECOND).min(limits::GLOBAL_FAILURE_BURST);
        self.refilled = now;
    }
}

/// The network that is counted: an IPv6 client controls its whole /64.
fn network(source: SourceAddr) -> SourceAddr {
    source.map(|address| match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    })
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn throttle() -> Throttle {
        Throttle::new(5, Duration::from_secs(900))
    }

    fn source(text: &str) -> SourceAddr {
        Some(text.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn repeated_guesses_wait_longer_each_time() {
        let (throttle, guesser) = (throttle(), source("203.0.113.7"));
        let (mut tried, mut waits) = (0, Vec::new());
        for _ in 0..2_000 {
            match throttle.check(guesser) {
                Ok(()) => {
                    tried += 1;
                    throttle.record_failure(guesser);
                }
                Err(wait) => waits.push(wait),
            }
        }
        assert_eq!(tried, 6);
        assert!(waits.is_sorted() && waits[0] < waits[5]);
        assert_eq!(waits.last(), Some(&Duration::from_secs(900)));
        assert_eq!(throttle.check(source("203.0.113.8")), Ok(()), "another address");
        advance(Duration::from_secs(901)).await;
        assert_eq!(throttle.check(guesser), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_doubles_with_each_failure() {
        let (throttle, guesser) = (throttle(), source("203.0.113.7"));
        let mut waited = Duration::ZERO;
        for _ in 0..12 {
            assert_eq!(throttle.check(guesser), Ok(()), "the wait is over");
            throttle.record_failure(guesser);
            let until = throttle.state().sources[&guesser].until;
            let wait = until - Instant::now();
            waited += wait;
            advance(wait).await;
        }
        assert_eq!(waited, Duration::from_secs(127));
        throttle.record_success(guesser);
        throttle.record_failure(guesser);
        assert_eq!(throttle.check(guesser), Ok(()), "a success resets the count");
    }

    #[tokio::test(start_paused = true)]
    async fn all_addresses_together_have_a_limit() {
        let throttle = throttle();
        let mut tried = 0;
        for number in 0..2_000_u32 {
            let guesser = Some(IpAddr::from((0x0a00_0000 + number).to_be_bytes()));
            if throttle.check(guesser).is_ok() {
                tried += 1;
                throttle.record_failure(guesser);
            }
        }
        assert_eq!(f64::from(tried), limits::GLOBAL_FAILURE_BURST);
        let wait = throttle.check(source("198.51.100.1")).unwrap_err();
        advance(wait + Duration::from_millis(1)).await;
        assert_eq!(throttle.check(source("198.51.100.1")), Ok(()));
    }

    #[test]
    fn an_address_is_counted_with_its_network() {
        assert_eq!(network(source("2001:db8::1")), network(source("2001:db8::ffff:2")));
        assert_ne!(network(source("2001:db8::1")), network(source("2001:db8:0:1::1")));
        assert_eq!(network(source("::ffff:192.0.2.1")), source("192.0.2.1"));
        assert_ne!(network(source("192.0.2.1")), network(source("192.0.2.2")));
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_sources_is_limited() {
        let throttle = throttle();
        for number in 0..limits::THROTTLED_SOURCES as u32 + 100 {
            throttle.record_failure(Some(IpAddr::from((0x0a00_0000 + number).to_be_bytes())));
        }
        assert!(throttle.state().sources.len() <= limits::THROTTLED_SOURCES);
    }
}
