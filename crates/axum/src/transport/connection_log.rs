//! Rate-limits the log lines about connections. Suppressed ones are counted, and the count is logged once a minute, so that a flood
//! of connections does not fill the disk.

use std::num::NonZeroU32;
use std::sync::LazyLock;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::limits;
use duplex_hub::quota::LogThrottle;

struct ConnectionLog {
    rate: DefaultDirectRateLimiter,
    log_throttle: LogThrottle,
}

impl ConnectionLog {
    fn new() -> Self {
        let count = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(count(limits::LOGGED_CONNECTIONS_PER_SECOND));
        Self {
            rate: RateLimiter::direct(quota.allow_burst(count(limits::LOGGED_CONNECTIONS_BURST))),
            log_throttle: LogThrottle::new(limits::LOG_THROTTLE_PAUSE),
        }
    }

    fn should_log(&self) -> bool {
        let within_rate = self.rate.check().is_ok();
        if !within_rate && let Some(suppressed) = self.log_throttle.try_log() {
            tracing::warn!(suppressed, "too many connections: individual log lines are suppressed");
        }
        within_rate
    }
}

/// Whether to log this connection's start and end at level info.
pub(super) fn should_log() -> bool {
    static LOG: LazyLock<ConnectionLog> = LazyLock::new(ConnectionLog::new);
    LOG.should_log()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_of_connections_does_not_flood_the_log() {
        let log = ConnectionLog::new();
        let burst = limits::LOGGED_CONNECTIONS_BURST as usize;
        let logged = (0..100 * burst).filter(|_| log.should_log()).count();
        assert!((burst..2 * burst).contains(&logged), "{logged}");
    }
}
