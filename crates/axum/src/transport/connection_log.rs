//! The rate of logged connections. Beyond it connections are counted, and the count is logged once a minute, so that a flood of
//! connections does not fill the disk.

use std::num::NonZeroU32;
use std::sync::LazyLock;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::limits;
use duplex_hub::quota::LogThrottle;

struct ConnectionLog {
    rate: DefaultDirectRateLimiter,
    unlogged: LogThrottle,
}

impl ConnectionLog {
    fn new() -> Self {
        let count = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(count(limits::CONNECTIONS_LOGGED));
        Self {
            rate: RateLimiter::direct(quota.allow_burst(count(limits::CONNECTIONS_LOGGED_AT_ONCE))),
            unlogged: LogThrottle::new(limits::REFUSALS_LOGGED),
        }
    }

    fn takes(&self) -> bool {
        let taken = self.rate.check().is_ok();
        if !taken && let Some(unlogged) = self.unlogged.due() {
            tracing::warn!(unlogged, "more connections are opened than are logged one by one");
        }
        taken
    }
}

/// Whether this connection's begin and end are logged at level info.
pub(super) fn takes() -> bool {
    static LOG: LazyLock<ConnectionLog> = LazyLock::new(ConnectionLog::new);
    LOG.takes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_of_connections_is_not_a_flood_of_lines() {
        let log = ConnectionLog::new();
        let burst = limits::CONNECTIONS_LOGGED_AT_ONCE as usize;
        let logged = (0..100 * burst).filter(|_| log.takes()).count();
        assert!((burst..2 * burst).contains(&logged), "{logged}");
    }
}
