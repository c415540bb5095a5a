//! Bytes of a TCP connection, each counted for exactly one owner. Requests on an HTTP/1.1 connection follow each other, so a
//! change of owner has a sharp edge: what was read since the last write is the new request, and what was written before
//! answered older ones. Knows no request and no run.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock::lock;
use axum::http::Extensions;
use duplex_axum::connection::ConnectionObserver;

/// What an owner was counted.
#[derive(Debug, Default)]
pub struct TrafficTotals {
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    pub requests: AtomicU64,
    pub opened: AtomicU64,
    pub reused: AtomicU64,
    pub multiplexed: AtomicU64,
}

/// In the extensions of each request of the connection.
#[derive(Debug, Clone, Default)]
pub struct ConnectionBytes(Arc<Mutex<Flow>>);

#[derive(Debug, Default)]
struct Flow {
    /// Read since the last write: of the request that is being read or answered.
    unanswered: u64,
    asked: bool,
    owner: Option<Arc<TrafficTotals>>,
}

impl ConnectionBytes {
    /// A request begins: from its first byte on the connection counts for `owner`.
    pub fn count_for(&self, owner: Option<Arc<TrafficTotals>>) {
        let flow = &mut *self.flow();
        let fresh = !std::mem::replace(&mut flow.asked, true);
        if let Some(new) = &owner {
            new.requests.fetch_add(1, Relaxed);
        }
        let same = match (&flow.owner, &owner) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        if let Some(old) = &flow.owner {
            old.bytes_in.fetch_sub(flow.unanswered, Relaxed);
        }
        if let Some(new) = &owner {
            new.bytes_in.fetch_add(flow.unanswered, Relaxed);
            let how = if fresh { &new.opened } else { &new.reused };
            how.fetch_add(1, Relaxed);
        }
        flow.owner = owner;
    }

    /// Held for a few additions; nothing in between can panic.
    fn flow(&self) -> MutexGuard<'_, Flow> {
        lock(&self.0)
    }
}

impl ConnectionObserver for ConnectionBytes {
    fn insert_extensions(&self, extensions: &mut Extensions) {
        extensions.insert(self.clone());
    }

    fn on_read(&self, bytes: &[u8]) {
        let count = bytes.len();
        let flow = &mut *self.flow();
        flow.unanswered += count as u64;
        if let Some(owner) = &flow.owner {
            owner.bytes_in.fetch_add(count as u64, Relaxed);
        }
    }

    /// Counted before they go: who has them may ask at once what was counted.
    fn before_write(&self, count: usize) {
        if let Some(owner) = &self.flow().owner {
            owner.bytes_out.fetch_add(count as u64, Relaxed);
        }
    }

    fn on_unwritten(&self, count: usize) {
        if let Some(owner) = &self.flow().owner {
            owner.bytes_out.fetch_sub(count as u64, Relaxed);
        }
    }

    fn on_written(&self, _count: usize) {
        self.flow().unanswered = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both(totals: &TrafficTotals) -> (u64, u64) {
        (totals.bytes_in.load(Relaxed), totals.bytes_out.load(Relaxed))
    }

    proptest! {
        /// Whoever asks in whatever order: each is counted their own requests and answers, byte for byte.
        #[test]
        fn each_is_counted_their_own(asks in prop::collection::vec((0usize..4, 1usize..500, 1usize..500, 1usize..500), 1..40)) {
            let owners: [Arc<TrafficTotals>; 3] = Default::default();
            let mut expected = [(0, 0); 3];
            let connection = ConnectionBytes::default();
            for (who, head, body, answer) in asks {
                connection.on_read(&vec![0; head]);
                connection.count_for(owners.get(who).cloned());
                connection.on_read(&vec![0; body]);
                connection.before_write(answer + body);
                connection.on_unwritten(body);
                connection.on_written(answer);
                if let Some(of) = expected.get_mut(who) {
                    of.0 += (head + body) as u64;
                    of.1 += answer as u64;
                }
            }
            for (owner, expected) in owners.iter().zip(expected) {
                prop_assert_eq!(both(owner), expected);
            }
        }
    }

    #[test]
    fn a_connection_is_opened_by_the_first_who_asks() {
        let (first, second) = (Arc::<TrafficTotals>::default(), Arc::<TrafficTotals>::default());
        let connection = ConnectionBytes::default();
        for owner in [&first, &second, &second, &first] {
            connection.count_for(Some(Arc::clone(owner)));
        }
        let how = |totals: &TrafficTotals| {
            [&totals.opened, &totals.reused, &totals.requests].map(|count| count.load(Relaxed))
        };
        assert_eq!((how(&first), how(&second)), ([1, 1, 2], [0, 1, 2]));
    }
}
