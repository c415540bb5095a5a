//! The client of a hub handle and its quotas.

use std::sync::Arc;

use crate::decider::Creation;
use crate::quota::{ClientKey, QuotaExceeded, QuotaGuard, Quotas, Rate, Resource};
use duplex_protocol::session::Rejection;

/// The client that a hub handle works for. The server's own work has no client quota, and uses topic slots that clients cannot
/// use.
#[derive(Clone)]
pub(crate) struct ClientQuota {
    quotas: Arc<Quotas>,
    client: ClientKey,
}

impl ClientQuota {
    pub(crate) const fn new(quotas: Arc<Quotas>, client: ClientKey) -> Self {
        Self { quotas, client }
    }

    /// The client; its presence is counted against its address.
    pub(crate) const fn client(&self) -> &ClientKey {
        &self.client
    }

    /// Charges reads of `topics` topics.
    pub(crate) fn charge_reads(&self, topics: u32) -> Result<(), QuotaExceeded> {
        self.quotas.take_many(&self.client, Rate::Reads, topics)
    }

    /// Charges the start of a topic. The guard is held while the topic is awake.
    pub(crate) fn acquire_topic(&self) -> Result<QuotaGuard, QuotaExceeded> {
        let guard = self.quotas.acquire(&self.client, Resource::Topics)?;
        self.quotas.take(&self.client, Rate::Topics)?;
        Ok(guard)
    }

    /// Charges a command of `bytes` bytes and the object that it creates.
    pub(crate) fn charge_command(&self, bytes: usize, creation: Option<Creation>) -> Result<(), Rejection> {
        let kibibytes = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let rate = creation.map(|creation| match creation {
            Creation::Shared => Rate::SharedCreations,
            Creation::Personal => Rate::PersonalCreations,
        });
        let take = |rate, count| self.quotas.take_many(&self.client, rate, count);
        take(Rate::Commands, 1)
            .and_then(|()| take(Rate::CommandBytes, kibibytes))
            .and_then(|()| rate.map_or(Ok(()), |rate| take(rate, 1)))
            .map_err(|exceeded| Rejection::TooFast {
                retry_after_ms: exceeded.retry_after_ms(),
            })
    }
}
