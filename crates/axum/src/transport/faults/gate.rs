//! One connection's view of injected faults: whether it may write now, and whether it is to end.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

use super::{ActiveFaults, Faults};
use duplex_protocol::session::SessionId;

/// How a line is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Without a word.
    Cut,
    /// As before the node goes away.
    Drain,
}

/// Open for ever where faults are switched off.
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

    /// Nothing can be ordered.
    pub(crate) const fn is_free(&self) -> bool {
        self.0.is_none()
    }

    /// Ready when the line is to end; the order is then taken. May be dropped and asked for again.
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

    /// Ready when the line may write: at once, after the delay, when a client that reads slowly would read again, or when
    /// the line is to end.
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
    /// For a write that `came` then.
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
