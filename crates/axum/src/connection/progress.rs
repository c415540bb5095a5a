//! The progress of one HTTP connection's exchanges: each response body records when it offers bytes to its peer and when the peer
//! asks for more. In HTTP/2 a peer that sends no WINDOW_UPDATE for a stream stalls the response without blocking the connection, so
//! the TCP stream below cannot detect it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::BufferShare;
use crate::limits;
use crate::lock::lock;

/// The state of a connection's exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionState {
    Active,
    /// No request was open for [`limits::CONNECTION_IDLE`].
    Idle,
    /// The peer has not read a response for [`limits::WRITE_STALL`].
    Stalled,
}

#[derive(Debug)]
pub(crate) struct ConnectionProgress {
    started: Instant,
    exchanges: Mutex<Vec<Weak<ActiveExchange>>>,
    active: AtomicUsize,
    /// When the last exchange ended, in milliseconds after `started`.
    idle_since: AtomicU64,
    share: Arc<BufferShare>,
}

/// An exchange: a request, from its head to the last byte of its response or to the end of the stream that it was upgraded to.
#[derive(Debug)]
pub(crate) struct ActiveExchange {
    connection: Arc<ConnectionProgress>,
    /// When the unread bytes were offered: milliseconds since the connection's start, plus one; 0 if none.
    offered_at: AtomicU64,
    /// Bytes of the response that the peer has not read.
    unread: AtomicUsize,
    /// Received bytes of the request's body, until it is answered.
    received: AtomicUsize,
}

impl ConnectionProgress {
    pub(crate) fn new(share: Arc<BufferShare>) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
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
            offered_at: AtomicU64::new(0),
            unread: AtomicUsize::new(0),
            received: AtomicUsize::new(0),
        });
        let mut exchanges = self.exchanges();
        if exchanges.len() >= exchanges.capacity() {
            exchanges.retain(|known| known.strong_count() > 0);
        }
        exchanges.push(Arc::downgrade(&exchange));
        exchange
    }

    pub(crate) fn state(&self) -> ConnectionState {
        let now = self.now();
        let too_long = |since: u64, limit: Duration| now.saturating_sub(since) >= millis(limit);
        let mut exchanges = self.exchanges();
        exchanges.retain(|known| known.strong_count() > 0);
        let stalled = exchanges.iter().filter_map(Weak::upgrade).any(|exchange| {
            let offered = exchange.offered_at.load(Relaxed);
            offered > 0 && too_long(offered - 1, limits::WRITE_STALL)
        });
        if stalled {
            ConnectionState::Stalled
        } else if self.active.load(Relaxed) == 0 && too_long(self.idle_since.load(Relaxed), limits::CONNECTION_IDLE) {
            ConnectionState::Idle
        } else {
            ConnectionState::Active
        }
    }

    /// Milliseconds since the start.
    fn now(&self) -> u64 {
        millis(self.started.elapsed())
    }

    fn exchanges(&self) -> MutexGuard<'_, Vec<Weak<ActiveExchange>>> {
        lock(&self.exchanges)
    }
}

impl ActiveExchange {
    /// Counts received request-body bytes, which the handler buffers.
    pub(crate) fn on_received(&self, bytes: usize) {
        self.received.fetch_add(bytes, Relaxed);
        self.connection.share.grow(bytes);
    }

    /// Records that a part of the response is offered to the peer; `unread` bytes of it are not read yet.
    pub(crate) fn on_offered(&self, unread: usize) {
        self.offered_at.store(self.connection.now() + 1, Relaxed);
        let before = self.unread.swap(unread, Relaxed);
        let share = &self.connection.share;
        share.shrink(self.received.swap(0, Relaxed));
        if unread > before {
            share.grow(unread - before);
        } else {
            share.shrink(before - unread);
        }
    }

    /// Records that the peer read the offered bytes.
    pub(crate) fn on_peer_read(&self) {
        self.offered_at.store(0, Relaxed);
    }
}

impl Drop for ActiveExchange {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection
            .share
            .shrink(self.unread.load(Relaxed) + self.received.load(Relaxed));
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
    async fn only_unread_bytes_are_a_stall() {
        let budget = BufferBudget::new(1000, Arc::default());
        let connection = ConnectionProgress::new(budget.share());
        let exchange = connection.begin();
        advance(10 * limits::WRITE_STALL).await;
        assert_eq!(connection.state(), ConnectionState::Active, "there is no response yet");
        exchange.on_received(300);
        assert_eq!(budget.buffered(), 300);
        exchange.on_offered(100);
        assert_eq!(budget.buffered(), 100, "the request is answered");
        advance(limits::WRITE_STALL - Duration::from_millis(1)).await;
        assert_eq!(connection.state(), ConnectionState::Active);
        advance(Duration::from_millis(1)).await;
        assert_eq!(connection.state(), ConnectionState::Stalled);
        exchange.on_peer_read();
        assert_eq!(connection.state(), ConnectionState::Active);
        exchange.on_offered(10);
        assert_eq!(budget.buffered(), 10);
        drop(exchange);
        assert_eq!(budget.buffered(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_requests_is_idle() {
        let connection = ConnectionProgress::new(BufferBudget::new(1, Arc::default()).share());
        let exchange = connection.begin();
        advance(2 * limits::CONNECTION_IDLE).await;
        assert_eq!(connection.state(), ConnectionState::Active);
        drop(exchange);
        advance(limits::CONNECTION_IDLE - Duration::from_millis(1)).await;
        assert_eq!(connection.state(), ConnectionState::Active);
        advance(Duration::from_millis(1)).await;
        assert_eq!(connection.state(), ConnectionState::Idle);
    }
}
