//! The progress of one HTTP connection's exchanges: each response body notes when its peer was offered bytes and when it asked for
//! more. In HTTP/2 a peer that gives a stream no window holds the response without ever blocking the connection, so the stream below
//! cannot notice it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::BufferShare;
use crate::limits;
use crate::lock::lock;

/// The state of a connection's exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Fine,
    /// No request was open for [`limits::CONNECTION_IDLE`].
    Idle,
    /// A response was offered for [`limits::WRITE_STALL`], and the peer does not read it.
    Stalled,
}

#[derive(Debug)]
pub(crate) struct ConnectionProgress {
    began: Instant,
    exchanges: Mutex<Vec<Weak<ActiveExchange>>>,
    active: AtomicUsize,
    /// When the last exchange ended, in milliseconds after `began`.
    idle_since: AtomicU64,
    share: Arc<BufferShare>,
}

/// A request, from its head to the last byte of its response, or to the end of the stream that it was upgraded to.
#[derive(Debug)]
pub(crate) struct ActiveExchange {
    connection: Arc<ConnectionProgress>,
    /// Since when the peer does not read what it is offered, in milliseconds after the connection's begin, plus one. 0 if the
    /// server has nothing to offer.
    offered: AtomicU64,
    /// Bytes of the response that wait for the peer.
    held: AtomicUsize,
    /// Bytes received of the request's body, until it is answered.
    received: AtomicUsize,
}

impl ConnectionProgress {
    pub(crate) fn new(share: Arc<BufferShare>) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            exchanges: Mutex::default(),
            active: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            share,
        })
    }

    pub(crate) fn begin(self: &Arc<Self>) -> Arc<ActiveExchange> {
        self.active.fetch_add(1, Relaxed);
        let exchange = Arc::new(ActiveExchange {
            connection: Arc::clone(self),
            offered: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            received: AtomicUsize::new(0),
        });
        let mut exchanges = self.exchanges();
        if exchanges.len() >= exchanges.capacity() {
            exchanges.retain(|known| known.strong_count() > 0);
        }
        exchanges.push(Arc::downgrade(&exchange));
        exchange
    }

    pub(crate) fn look(&self) -> Health {
        let now = self.now();
        let too_long = |since: u64, limit: Duration| now.saturating_sub(since) >= millis(limit);
        let mut exchanges = self.exchanges();
        exchanges.retain(|known| known.strong_count() > 0);
        let stalled = exchanges.iter().filter_map(Weak::upgrade).any(|exchange| {
            let offered = exchange.offered.load(Relaxed);
            offered > 0 && too_long(offered - 1, limits::WRITE_STALL)
        });
        if stalled {
            Health::Stalled
        } else if self.active.load(Relaxed) == 0 && too_long(self.idle_since.load(Relaxed), limits::CONNECTION_IDLE) {
            Health::Idle
        } else {
            Health::Fine
        }
    }

    /// Milliseconds since the begin.
    fn now(&self) -> u64 {
        millis(self.began.elapsed())
    }

    fn exchanges(&self) -> MutexGuard<'_, Vec<Weak<ActiveExchange>>> {
        lock(&self.exchanges)
    }
}

impl ActiveExchange {
    /// Counts bytes of the request's body, which its route holds.
    pub(crate) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes, Relaxed);
        self.connection.share.grow(bytes);
    }

    /// The peer is offered a part of the response, of which `held` bytes wait.
    pub(crate) fn offers(&self, held: usize) {
        self.offered.store(self.connection.now() + 1, Relaxed);
        let before = self.held.swap(held, Relaxed);
        let share = &self.connection.share;
        share.shrink(self.received.swap(0, Relaxed));
        if held > before {
            share.grow(held - before);
        } else {
            share.shrink(before - held);
        }
    }

    /// The peer read what it was offered.
    pub(crate) fn taken(&self) {
        self.offered.store(0, Relaxed);
    }
}

impl Drop for ActiveExchange {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection
            .share
            .shrink(self.held.load(Relaxed) + self.received.load(Relaxed));
        connection.idle_since.store(connection.now(), Relaxed);
        connection.active.fetch_sub(1, Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::connection::BufferBudget;

    #[tokio::test(start_paused = true)]
    async fn only_an_offer_that_is_not_taken_is_a_stall() {
        let budget = BufferBudget::new(1000, Arc::default());
        let connection = ConnectionProgress::new(budget.share());
        let exchange = connection.begin();
        advance(10 * limits::WRITE_STALL).await;
        assert_eq!(connection.look(), Health::Fine, "the answer is not there yet");
        exchange.received(300);
        assert_eq!(budget.held(), 300);
        exchange.offers(100);
        assert_eq!(budget.held(), 100, "the request is answered");
        advance(limits::WRITE_STALL - Duration::from_millis(1)).await;
        assert_eq!(connection.look(), Health::Fine);
        advance(Duration::from_millis(1)).await;
        assert_eq!(connection.look(), Health::Stalled);
        exchange.taken();
        assert_eq!(connection.look(), Health::Fine);
        exchange.offers(10);
        assert_eq!(budget.held(), 10);
        drop(exchange);
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_nothing_was_asked_for_a_while() {
        let connection = ConnectionProgress::new(BufferBudget::new(1, Arc::default()).share());
        let exchange = connection.begin();
        advance(2 * limits::CONNECTION_IDLE).await;
        assert_eq!(connection.look(), Health::Fine);
        drop(exchange);
        advance(limits::CONNECTION_IDLE - Duration::from_millis(1)).await;
        assert_eq!(connection.look(), Health::Fine);
        advance(Duration::from_millis(1)).await;
        assert_eq!(connection.look(), Health::Idle);
    }
}
