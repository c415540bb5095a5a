//! For whom the hub works, and what that client may still ask of it. Knows no transport.

use std::sync::Arc;

use crate::decider::Makes;
use crate::quota::{Client, Exceeded, QuotaGuard, Quotas, Rate, Resource};
use duplex_protocol::session::Rejection;

/// The client that a handle of the hub works for. The server's own work has no bill, and finds places that clients cannot take.
#[derive(Clone)]
pub(crate) struct Bill {
    quotas: Arc<Quotas>,
    client: Client,
}

impl Bill {
    pub(crate) const fn new(quotas: Arc<Quotas>, client: Client) -> Self {
        Self { quotas, client }
    }

    /// Whose presence counts for which address.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// So many topics are read.
    pub(crate) fn read(&self, topics: u32) -> Result<(), Exceeded> {
        self.quotas.take_many(&self.client, Rate::Reads, topics)
    }

    /// A topic is started; what is returned is held while it is awake.
    pub(crate) fn topic(&self) -> Result<QuotaGuard, Exceeded> {
        let held = self.quotas.hold(&self.client, Resource::Topics)?;
        self.quotas.take(&self.client, Rate::Topics)?;
        Ok(held)
    }

    /// A command of so many bytes, and what it makes.
    pub(crate) fn command(&self, bytes: usize, makes: Option<Makes>) -> Result<(), Rejection> {
        let kibibytes = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let made = makes.map(|makes| match makes {
            Makes::ForAll => Rate::Rooms,
            Makes::ForOne => Rate::Alerts,
        });
        let take = |rate, count| self.quotas.take_many(&self.client, rate, count);
        take(Rate::Commands, 1)
            .and_then(|()| take(Rate::CommandBytes, kibibytes))
            .and_then(|()| made.map_or(Ok(()), |rate| take(rate, 1)))
            .map_err(|exceeded| Rejection::TooFast {
                retry_after_ms: exceeded.retry_after_ms(),
            })
    }
}
