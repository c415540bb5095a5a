//! Quotas: limits on one client's use of this node across all transports: rates and concurrent resources, per address and per
//! person. Time is tokio's clock, which a test can pause.

mod address;
mod client_quota;
mod limit;
mod log_throttle;
mod rates;
mod resources;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub use self::address::Address;
pub(crate) use self::client_quota::ClientQuota;
pub use self::limit::{QuotaConfig, Rate, RateLimit, Resource};
pub use self::log_throttle::LogThrottle;
use self::rates::Rates;
pub use self::resources::QuotaGuard;
use self::resources::Resources;
use crate::limits;
use crate::sender::is_reserved;
use duplex_protocol::person::{Person, PersonId};

/// The keys under which a client's use is counted. `None` disables the limits of that scope: an in-memory connection has no address;
/// programs and the server have no person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientKey {
    /// The client's address.
    pub address: Option<Address>,
    /// The visitor's public id.
    pub person: Option<PersonId>,
}

impl ClientKey {
    /// The key with its person, if the person is a visitor. All programs share one id, so only their addresses count.
    #[must_use]
    pub fn with_person(self, person: &Person) -> Self {
        Self {
            person: (!is_reserved(&person.id)).then(|| person.id.clone()),
            ..self
        }
    }
}

/// A client exceeds a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("quota `{limit}` per {scope} exceeded")]
pub struct QuotaExceeded {
    /// The name of the [`Rate`] or [`Resource`].
    pub limit: &'static str,
    /// `person` or `address`.
    pub scope: &'static str,
    /// The time until the same request may succeed.
    pub retry_after: Duration,
}

impl QuotaExceeded {
    /// [`Self::retry_after`] in milliseconds, at least 1.
    pub fn retry_after_ms(&self) -> u32 {
        u32::try_from(self.retry_after.as_millis()).unwrap_or(u32::MAX).max(1)
    }

    /// [`Self::retry_after`] in whole seconds, rounded up, for the header `Retry-After` (RFC 9110 section 10.2.3).
    pub fn retry_after_seconds(&self) -> u32 {
        self.retry_after_ms().div_ceil(1000)
    }
}

/// One value for each [`Rate`] or [`Resource`].
type PerLimit<T, const N: usize> = [T; N];

/// The node's quotas: one table for each limit and scope, each with a bounded number of keys.
pub struct Quotas {
    enabled: bool,
    by_address: PerLimit<Rates<Address>, { Rate::COUNT }>,
    by_person: PerLimit<Option<Rates<PersonId>>, { Rate::COUNT }>,
    resources_by_address: PerLimit<Arc<Resources<Address>>, { Resource::COUNT }>,
    resources_by_person: PerLimit<Option<Arc<Resources<PersonId>>>, { Resource::COUNT }>,
    rejected: PerLimit<(AtomicU64, LogThrottle), { Rate::COUNT + Resource::COUNT }>,
}

impl Quotas {
    /// Quotas for a node with this configuration. With `enabled` false everything is allowed and nothing is counted.
    pub fn new(enabled: bool, config: QuotaConfig) -> Arc<Self> {
        Arc::new(Self {
            enabled,
            by_address: Rate::ALL.map(|rate| Rates::new(rate.for_address(config))),
            by_person: Rate::ALL.map(|rate| rate.for_person(config).map(Rates::new)),
            resources_by_address: Resource::ALL.map(|resource| Resources::new(resource.for_address(config))),
            resources_by_person: Resource::ALL.map(|resource| resource.for_person(config).map(Resources::new)),
            rejected: std::array::from_fn(|_| (AtomicU64::new(0), LogThrottle::new(limits::LOG_THROTTLE_PAUSE))),
        })
    }

    /// Whether limits apply.
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Takes one token of a rate.
    ///
    /// # Errors
    /// If the person or the address exceeds the rate.
    pub fn take(&self, client: &ClientKey, rate: Rate) -> Result<(), QuotaExceeded> {
        self.take_many(client, rate, 1)
    }

    /// Takes `count` tokens of a rate at once, or none. The person's rate is checked first, so the excess of one person does not
    /// count against others behind the same address.
    ///
    /// # Errors
    ///
    /// If the person or the address exceeds the rate. The rejection is counted, and logged at most once a minute for each limit.
    pub fn take_many(&self, client: &ClientKey, rate: Rate, count: u32) -> Result<(), QuotaExceeded> {
        if !self.enabled {
            return Ok(());
        }
        let person = self.by_person[rate as usize].as_ref().zip(client.person.as_ref());
        let taken = person
            .map_or(Ok(()), |(rates, person)| rates.take(person, count))
            .map_err(|wait| (wait, PERSON))
            .and_then(|()| {
                let address = client.address.as_ref();
                let taken = address.map_or(Ok(()), |address| self.by_address[rate as usize].take(address, count));
                taken.map_err(|wait| (wait, ADDRESS))
            });
        taken.map_err(|(retry_after, scope)| {
            let exceeded = QuotaExceeded {
                limit: rate.name(),
                scope,
                retry_after,
            };
            self.record_rejection(rate as usize, client, exceeded)
        })
    }

    /// Acquires one unit of a resource; the guard releases it.
    ///
    /// # Errors
    ///
    /// If the person or the address holds as many as allowed. The rejection is counted and logged as by [`Self::take_many`].
    pub fn acquire(&self, client: &ClientKey, resource: Resource) -> Result<QuotaGuard, QuotaExceeded> {
        if !self.enabled {
            return Ok(QuotaGuard::default());
        }
        let exceeded = |scope| {
            let exceeded = QuotaExceeded {
                limit: resource.name(),
                scope,
                retry_after: limits::RESOURCE_RETRY,
            };
            self.record_rejection(Rate::COUNT + resource as usize, client, exceeded)
        };
        let person = self.resources_by_person[resource as usize]
            .as_ref()
            .zip(client.person.as_ref());
        let person = person.map(|(resources, person)| Resources::acquire(resources, person));
        let person = person
            .map(|permit| permit.ok_or_else(|| exceeded(PERSON)))
            .transpose()?;
        let resources = &self.resources_by_address[resource as usize];
        let address = client
            .address
            .as_ref()
            .map(|address| Resources::acquire(resources, address));
        let address = address
            .map(|permit| permit.ok_or_else(|| exceeded(ADDRESS)))
            .transpose()?;
        Ok(QuotaGuard::new(person, address))
    }

    /// Counts the rejection, and logs it at most once a minute for each limit.
    fn record_rejection(&self, kind: usize, client: &ClientKey, exceeded: QuotaExceeded) -> QuotaExceeded {
        let (count, log_throttle) = &self.rejected[kind];
        count.fetch_add(1, Relaxed);
        if let Some(suppressed) = log_throttle.try_log() {
            let address = client.address.map(tracing::field::display);
            tracing::warn!(address, suppressed, "rejected: {exceeded}");
        }
        exceeded
    }

    /// Rejections since the start, of each limit by name.
    pub fn rejections(&self) -> Vec<(&'static str, u64)> {
        let names = Rate::ALL
            .map(Rate::name)
            .into_iter()
            .chain(Resource::ALL.map(Resource::name));
        let counts = self.rejected.iter().map(|(count, _)| count.load(Relaxed));
        names.zip(counts).collect()
    }

    /// The number of keys in all tables.
    pub fn keys(&self) -> usize {
        let rates = self.by_address.iter().map(Rates::keys);
        let people = self.by_person.iter().flatten().map(Rates::keys);
        let resources = self.resources_by_address.iter().map(|resources| resources.keys());
        let resources_of_people = self
            .resources_by_person
            .iter()
            .flatten()
            .map(|resources| resources.keys());
        rates.chain(people).chain(resources).chain(resources_of_people).sum()
    }
}

const PERSON: &str = "person";
const ADDRESS: &str = "address";
