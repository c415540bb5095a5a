//! Slows down whoever guesses secrets: each failure of an address beyond a few makes it wait twice as long as the one before,
//! and all addresses together have so many failures a second. Knows no HTTP.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::lock::lock;
use crate::server::limits;

/// Where a guess comes from; none for a connection without an address.
pub type Source = Option<IpAddr>;

#[derive(Debug)]
pub struct Throttle {
    /// Failures of one address that cost nothing.
    free: u32,
    longest: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sources: HashMap<Source, Failures>,
    /// Failures of all addresses that may still come now; at most [`limits::GUESSES_IN_ALL`].
    left: f64,
    counted: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    until: Instant,
}

impl Throttle {
    pub fn new(free: u32, longest: Duration) -> Self {
        Self {
            free,
            longest,
            state: Mutex::new(State {
                sources: HashMap::new(),
                left: limits::GUESSES_IN_ALL,
                counted: Instant::now(),
            }),
        }
    }

    /// How long this source has to wait, if it has to. To come too early makes the wait longer.
    pub fn check(&self, source: Source) -> Result<(), Duration> {
        let (source, now) = (network(source), Instant::now());
        let mut state = self.state();
        if state.sources.get(&source).is_some_and(|failures| failures.until > now) {
            return Err(self.count(&mut state, source, now));
        }
        state.refill(now);
        if state.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - state.left) / limits::GUESSES_A_SECOND));
        }
        Ok(())
    }

    pub fn failed(&self, source: Source) {
        let now = Instant::now();
        let mut state = self.state();
        state.refill(now);
        state.left = (state.left - 1.0).max(0.0);
        self.count(&mut state, network(source), now);
    }

    pub fn succeeded(&self, source: Source) {
        self.state().sources.remove(&network(source));
    }

    fn count(&self, state: &mut State, source: Source, now: Instant) -> Duration {
        if state.sources.len() >= limits::GUESSING_SOURCES && !state.sources.contains_key(&source) {
            let longest = self.longest;
            state.sources.retain(|_, failures| failures.until + longest > now);
            if state.sources.len() >= limits::GUESSING_SOURCES {
                // Of so many sources each is slowed down by the count of all.
                return Duration::ZERO;
            }
        }
        let failures = state.sources.entry(source).or_insert(Failures { count: 0, until: now });
        if failures.until + self.longest < now {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        let beyond = failures.count.saturating_sub(self.free);
        let wait = match beyond {
            0 => Duration::ZERO,
            _ => Duration::from_secs(1_u64.checked_shl(beyond - 1).unwrap_or(u64::MAX)).min(self.longest),
        };
        failures.until = now + wait;
        wait
    }

    /// What it guards is whole at any moment: each change is one number.
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn refill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.counted).as_secs_f64();
        self.left = (self.left + since * limits::GUESSES_A_SECOND).min(limits::GUESSES_IN_ALL);
        self.counted = now;
    }
}

/// Who has one IPv6 address has all of its /64.
fn network(source: Source) -> Source {
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

    fn source(text: &str) -> Source {
        Some(text.parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn two_thousand_guesses_meet_growing_delays() {
        let (throttle, guesser) = (throttle(), source("203.0.113.7"));
        let (mut tried, mut waits) = (0, Vec::new());
        for _ in 0..2_000 {
            match throttle.check(guesser) {
                Ok(()) => {
                    tried += 1;
                    throttle.failed(guesser);
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
    async fn a_patient_guesser_waits_twice_as_long_each_time() {
        let (throttle, guesser) = (throttle(), source("203.0.113.7"));
        let mut waited = Duration::ZERO;
        for _ in 0..12 {
            assert_eq!(throttle.check(guesser), Ok(()), "it waited as it was told");
            throttle.failed(guesser);
            let until = throttle.state().sources[&guesser].until;
            let wait = until - Instant::now();
            waited += wait;
            advance(wait).await;
        }
        assert_eq!(waited, Duration::from_secs(127));
        throttle.succeeded(guesser);
        throttle.failed(guesser);
        assert_eq!(throttle.check(guesser), Ok(()), "who knew the secret may mistype again");
    }

    #[tokio::test(start_paused = true)]
    async fn all_addresses_together_have_a_limit() {
        let throttle = throttle();
        let mut tried = 0;
        for number in 0..2_000_u32 {
            let guesser = Some(IpAddr::from((0x0a00_0000 + number).to_be_bytes()));
            if throttle.check(guesser).is_ok() {
                tried += 1;
                throttle.failed(guesser);
            }
        }
        assert_eq!(f64::from(tried), limits::GUESSES_IN_ALL);
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
    async fn what_is_kept_has_a_bound() {
        let throttle = throttle();
        for number in 0..limits::GUESSING_SOURCES as u32 + 100 {
            throttle.failed(Some(IpAddr::from((0x0a00_0000 + number).to_be_bytes())));
        }
        assert!(throttle.state().sources.len() <= limits::GUESSING_SOURCES);
    }
}
