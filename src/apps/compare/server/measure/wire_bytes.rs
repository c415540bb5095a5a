//! Counts a connection's bytes and attributes each byte to one owner, the counters of a run's transport. HTTP/1.1 requests are
//! sequential, so this is exact: bytes read since the last write belong to the new request, and earlier writes belong to previous
//! ones.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock::lock;
use axum::http::Extensions;
use duplex_axum::connection::ConnectionObserver;

/// The counters of an owner.
#[derive(Debug, Default)]
pub struct TrafficCounters {
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    pub requests: AtomicU64,
    pub opened: AtomicU64,
    pub reused: AtomicU64,
    pub multiplexed: AtomicU64,
}

/// The counter of a connection, stored in the extensions of each request.
#[derive(Debug, Default)]
pub struct ConnectionBytes(Mutex<ConnectionState>);

#[derive(Debug, Default)]
struct ConnectionState {
    /// Bytes read since the last write: those of the request that is being read or answered.
    unanswered: u64,
    has_request: bool,
    owner: Option<Arc<TrafficCounters>>,
}

impl ConnectionBytes {
    /// Called at a request's start: attributes its bytes, from the first one on, to `owner`.
    pub fn set_owner(&self, owner: Option<Arc<TrafficCounters>>) {
        let state = &mut *self.state();
        let is_first = !std::mem::replace(&mut state.has_request, true);
        if let Some(new) = &owner {
            new.requests.fetch_add(1, Relaxed);
        }
        let same = match (&state.owner, &owner) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        if let Some(old) = &state.owner {
            old.bytes_in.fetch_sub(state.unanswered, Relaxed);
        }
        if let Some(new) = &owner {
            new.bytes_in.fetch_add(state.unanswered, Relaxed);
            let counter = if is_first { &new.opened } else { &new.reused };
            counter.fetch_add(1, Relaxed);
        }
        state.owner = owner;
    }

    /// Locks the state. Critical sections only add numbers, so the lock is never poisoned.
    fn state(&self) -> MutexGuard<'_, ConnectionState> {
        lock(&self.0)
    }
}

impl ConnectionObserver for ConnectionBytes {
    fn insert_extensions(self: Arc<Self>, extensions: &mut Extensions) {
        extensions.insert(self);
    }

    fn on_read(&self, bytes: &[u8]) {
        let count = bytes.len();
        let state = &mut *self.state();
        state.unanswered += count as u64;
        if let Some(owner) = &state.owner {
            owner.bytes_in.fetch_add(count as u64, Relaxed);
        }
    }

    /// Counts before writing, so that a client that fetches the counts sees every byte it has received.
    fn before_write(&self, count: usize) {
        if let Some(owner) = &self.state().owner {
            owner.bytes_out.fetch_add(count as u64, Relaxed);
        }
    }

    /// The write was partial; `count` bytes were not written.
    fn on_unwritten(&self, count: usize) {
        if let Some(owner) = &self.state().owner {
            owner.bytes_out.fetch_sub(count as u64, Relaxed);
        }
    }

    fn on_written(&self, _count: usize) {
        self.state().unanswered = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_in_and_out(totals: &TrafficCounters) -> (u64, u64) {
        (totals.bytes_in.load(Relaxed), totals.bytes_out.load(Relaxed))
    }

    proptest! {
        /// In any order of requests, the requests and responses of each owner are counted byte for byte.
        #[test]
        fn bytes_count_for_their_owner(requests in prop::collection::vec((0usize..4, 1usize..500, 1usize..500, 1usize..500), 1..40)) {
            let owners: [Arc<TrafficCounters>; 3] = Default::default();
            let mut expected = [(0, 0); 3];
            let connection = ConnectionBytes::default();
            for (index, head, body, answer) in requests {
                connection.on_read(&vec![0; head]);
                connection.set_owner(owners.get(index).cloned());
                connection.on_read(&vec![0; body]);
                connection.before_write(answer + body);
                connection.on_unwritten(body);
                connection.on_written(answer);
                if let Some(counts) = expected.get_mut(index) {
                    counts.0 += (head + body) as u64;
                    counts.1 += answer as u64;
                }
            }
            for (owner, expected) in owners.iter().zip(expected) {
                prop_assert_eq!(bytes_in_and_out(owner), expected);
            }
        }
    }

    #[test]
    fn a_connection_counts_as_opened_for_its_first_owner() {
        let (first, second) = (Arc::<TrafficCounters>::default(), Arc::<TrafficCounters>::default());
        let connection = ConnectionBytes::default();
        for owner in [&first, &second, &second, &first] {
            connection.set_owner(Some(Arc::clone(owner)));
        }
        let counters = |totals: &TrafficCounters| {
            [&totals.opened, &totals.reused, &totals.requests].map(|count| count.load(Relaxed))
        };
        assert_eq!((counters(&first), counters(&second)), ([1, 1, 2], [0, 1, 2]));
    }
}
