//! Wall-clock time for the timestamps of events. Timers use tokio's clock.

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use super::decider::Millis;

/// The wall-clock time in milliseconds since the Unix epoch.
pub fn now() -> Millis {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(Millis::MAX))
}
