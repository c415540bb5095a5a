//! One connection's view of injected faults: whether it may write now, and whether it is to end.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

use super::{ActiveFaults, Faults};
use duplex_protocol::session::SessionId;

/// How an injected fault ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Without a close frame.
    Cut,
    /// As at the node's shutdown.
    Drain,
}

/// The faults of one connection. By default none, ever.
#[derive(Debug, Default)]
pub(crate) struct FaultGate(Option<Box<Watched>>);

#[derive(Debug)]
struct Watched {
    orders: Receiver<ActiveFaults>,
    faults: Arc<Faults>,
    session: SessionId,
}

impl FaultGate {
    pub(super) fn new(orders: Receiver<ActiveFaults>, faults: Arc<Faults>, session: SessionId) -> Self {
        Self(Some(Box::new(Watched {
            orders,
            faults,
            session,
        })))
    }

    /// Whether no fault can be requested.
    pub(crate) const fn is_free(&self) -> bool {
        self.0.is_none()
    }

    /// Completes when the connection is to end, and consumes the fault. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> Ending {
        let Some(watched) = &mut self.0 else {
            return pending().await;
        };
        let ending = match watched.orders.wait_for(|orders| orders.ending.is_some()).await {
            Ok(orders) => orders.ending,
            Err(_) => None,
        };
        match ending {
            Some(ending) => {
                watched.faults.take_ending(&watched.session);
                ending
            }
            None => pending().await,
        }
    }

    /// Completes when the connection may write: at once, after a delay, when a simulated slow reader would read again, or when the
    /// connection is to end.
    pub(crate) async fn pass(&mut self) {
        let Some(watched) = &mut self.0 else { return };
        let came = Instant::now();
        loop {
            let orders = *watched.orders.borrow_and_update();
            let Some(until) = orders.closed_until(came) else { return };
            tokio::select! {
                () = sleep_until(until) => {}
                changed = watched.orders.changed() => if changed.is_err() { return },
            }
        }
    }
}

impl ActiveFaults {
    /// Until when a write that began at `came` is held back.
    fn closed_until(&self, came: Instant) -> Option<Instant> {
        if self.ending.is_some() {
            return None;
        }
        let now = Instant::now();
        let delayed = self
            .delay_until
            .filter(|until| *until > came)
            .map(|_| came + self.delay);
        self.shut_until.max(delayed).filter(|until| *until > now)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.faults.leave(&self.session);
    }
}
