//! Applies a session's injected faults to one connection: delays its writes and ends it.

use std::future::pending;
use std::sync::Arc;

use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

use super::{ActiveFaults, Faults};
use duplex_protocol::session::SessionId;

/// How an injected fault ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InjectedEnd {
    /// Without a close frame.
    Abort,
    /// Like the node's shutdown.
    Drain,
}

/// The faults of one connection. The default gate has none.
#[derive(Debug, Default)]
pub(crate) struct FaultGate(Option<Box<Registration>>);

#[derive(Debug)]
struct Registration {
    active: Receiver<ActiveFaults>,
    faults: Arc<Faults>,
    session: SessionId,
}

impl FaultGate {
    pub(super) fn new(active: Receiver<ActiveFaults>, faults: Arc<Faults>, session: SessionId) -> Self {
        Self(Some(Box::new(Registration {
            active,
            faults,
            session,
        })))
    }

    /// Whether no fault can be injected.
    pub(crate) const fn is_disabled(&self) -> bool {
        self.0.is_none()
    }

    /// Completes when a fault ends the connection, and consumes the fault. Cancel-safe.
    pub(crate) async fn ended(&mut self) -> InjectedEnd {
        match &mut self.0 {
            // Boxed, because most connections have no faults.
            Some(registration) => Box::pin(registration.ended()).await,
            None => pending().await,
        }
    }

    /// Completes when the connection may write: at once, after a delay, when a simulated slow reader reads again, or when the connection
    /// must end.
    pub(crate) async fn writable(&mut self) {
        let Some(registration) = &mut self.0 else { return };
        let called_at = Instant::now();
        loop {
            let active = *registration.active.borrow_and_update();
            let Some(until) = active.blocked_until(called_at) else {
                return;
            };
            tokio::select! {
                () = sleep_until(until) => {}
                changed = registration.active.changed() => if changed.is_err() { return },
            }
        }
    }
}

impl Registration {
    async fn ended(&mut self) -> InjectedEnd {
        let end = match self.active.wait_for(|active| active.end.is_some()).await {
            Ok(active) => active.end,
            Err(_) => None,
        };
        match end {
            Some(end) => {
                self.faults.take_end(&self.session);
                end
            }
            None => pending().await,
        }
    }
}

impl ActiveFaults {
    /// Until when a write that was started at `called_at` is delayed.
    fn blocked_until(&self, called_at: Instant) -> Option<Instant> {
        if self.end.is_some() {
            return None;
        }
        let now = Instant::now();
        let delayed = self
            .delay_until
            .filter(|until| *until > called_at)
            .map(|_| called_at + self.delay);
        self.slow_until.max(delayed).filter(|until| *until > now)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.faults.unregister(&self.session);
    }
}
