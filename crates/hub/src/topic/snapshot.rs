//! Stores a topic's snapshot in the log.

use std::sync::atomic::Ordering;

use super::frames;
use super::handle::TopicShared;
use super::projection::Projection;
use crate::clock;

/// Stores a snapshot if the state has changed since the last one. A failed snapshot only makes the next start slower. Also updates
/// the topic's oldest seq, because the log removes events with the snapshot.
pub(super) async fn store_snapshot(shared: &TopicShared, projection: &mut Projection) {
    if projection.head <= projection.snapshot {
        return;
    }
    let state = match projection.state.snapshot() {
        Ok(state) => state,
        Err(error) => {
            return tracing::error!(topic = %shared.name, "the state cannot be encoded for a snapshot: {error}");
        }
    };
    let retention = frames::effective_retention(shared.kind.as_ref());
    let stored = shared
        .log
        .snapshot(&shared.name, projection.head, state, retention, clock::now())
        .await;
    if let Err(error) = stored {
        return tracing::warn!(topic = %shared.name, "the snapshot cannot be stored: {error}");
    }
    projection.snapshot = projection.head;
    if let Ok(records) = shared.log.read(&shared.name, 0, 1).await {
        let first = records.first().map_or(projection.head + 1, |first| first.seq);
        shared.oldest.store(first, Ordering::Release);
    }
}
