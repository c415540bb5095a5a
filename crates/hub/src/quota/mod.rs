//! Quotas: how much one client may use of this node over all transports, as rates and as resources held at once, for each address and
//! for each person. Time is tokio's clock, which a test can pause.

mod address;
mod bill;
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
pub(crate) use self::bill::Bill;
pub use self::limit::{Bound, Rate, Resource, Scale};
pub use self::log_throttle::LogThrottle;
use self::rates::Rates;
pub use self::resources::QuotaGuard;
use self::resources::Resources;
use crate::limits;
use crate::origin::is_reserved;
use duplex_protocol::person::{Person, PersonId};

/// A client. Without an address (a connection in memory) or a person (a program, the server itself) it has no limits of that kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The client's address.
    pub address: Option<Address>,
    /// The visitor's public id.
    pub person: Option<PersonId>,
}

impl Client {
    /// The client with its person, if that is a visitor. All programs have one id, so only their addresses count.
    #[must_use]
    pub fn known_as(self, person: &Person) -> Self {
        Self {
            person: (!is_reserved(&person.id)).then(|| person.id.clone()),
            ..self
        }
    }
}

/// A client is beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {what} for one {whose}")]
pub struct Exceeded {
    /// The name of the [`Rate`] or [`Resource`].
    pub what: &'static str,
    /// `person` or `address`.
    pub whose: &'static str,
    /// The time until the same request may succeed.
    pub retry_after: Duration,
}

impl Exceeded {
    /// [`Self::retry_after`] in milliseconds, at least 1.
    pub fn retry_after_ms(&self) -> u32 {
        u32::try_from(self.retry_after.as_millis()).unwrap_or(u32::MAX).max(1)
    }

    /// [`Self::retry_after`] in whole seconds, rounded up, for the header `Retry-After` (RFC 9110 section 10.2.3).
    pub fn retry_after_seconds(&self) -> u32 {
        self.retry_after_ms().div_ceil(1000)
    }
}

/// One of something for each [`Rate`] or [`Resource`].
type Each<T, const N: usize> = [T; N];

/// The node's quotas: one table for each limit and scope, each with a bounded number of keys.
pub struct Quotas {
    on: bool,
    by_address: Each<Rates<Address>, { Rate::COUNT }>,
    by_person: Each<Option<Rates<PersonId>>, { Rate::COUNT }>,
    held_by_address: Each<Arc<Resources<Address>>, { Resource::COUNT }>,
    held_by_person: Each<Option<Arc<Resources<PersonId>>>, { Resource::COUNT }>,
    refused: Each<(AtomicU64, LogThrottle), { Rate::COUNT + Resource::COUNT }>,
}

impl Quotas {
    /// Quotas for a node of this scale. With `on` false everything is allowed and nothing is counted.
    pub fn new(on: bool, scale: Scale) -> Arc<Self> {
        Arc::new(Self {
            on,
            by_address: Rate::ALL.map(|rate| Rates::new(rate.of_address(scale))),
            by_person: Rate::ALL.map(|rate| rate.of_person(scale).map(Rates::new)),
            held_by_address: Resource::ALL.map(|place| Resources::new(place.of_address(scale))),
            held_by_person: Resource::ALL.map(|place| place.of_person(scale).map(Resources::new)),
            refused: std::array::from_fn(|_| (AtomicU64::new(0), LogThrottle::new(limits::REFUSALS_LOGGED))),
        })
    }

    /// Whether limits apply.
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Takes one of a rate: [`Self::take_many`] with 1.
    ///
    /// # Errors
    ///
    /// If the person or the address is beyond the rate.
    pub fn take(&self, client: &Client, rate: Rate) -> Result<(), Exceeded> {
        self.take_many(client, rate, 1)
    }

    /// Takes `count` of a rate at once, or none. The person's rate is taken first: what one person requests too much is not taken from
    /// others behind the same address.
    ///
    /// # Errors
    ///
    /// If the person or the address is beyond the rate. It is counted, and logged at most once a minute for each limit.
    pub fn take_many(&self, client: &Client, rate: Rate, count: u32) -> Result<(), Exceeded> {
        if !self.on {
            return Ok(());
        }
        let of_person = self.by_person[rate as usize].as_ref().zip(client.person.as_ref());
        let taken = of_person
            .map_or(Ok(()), |(rates, person)| rates.take(person, count))
            .map_err(|wait| (wait, PERSON))
            .and_then(|()| {
                let address = client.address.as_ref();
                let taken = address.map_or(Ok(()), |address| self.by_address[rate as usize].take(address, count));
                taken.map_err(|wait| (wait, ADDRESS))
            });
        taken.map_err(|(retry_after, whose)| {
            let exceeded = Exceeded {
                what: rate.name(),
                whose,
                retry_after,
            };
            self.refuse(rate as usize, client, exceeded)
        })
    }

    /// Holds one of a resource until the guard is dropped.
    ///
    /// # Errors
    ///
    /// If the person or the address holds as many as allowed. It is counted and logged as by [`Self::take_many`].
    pub fn hold(&self, client: &Client, place: Resource) -> Result<QuotaGuard, Exceeded> {
        if !self.on {
            return Ok(QuotaGuard::default());
        }
        let exceeded = |whose| {
            let exceeded = Exceeded {
                what: place.name(),
                whose,
                retry_after: limits::PLACE_RETRY,
            };
            self.refuse(Rate::COUNT + place as usize, client, exceeded)
        };
        let of_person = self.held_by_person[place as usize].as_ref().zip(client.person.as_ref());
        let person = of_person.map(|(places, person)| Resources::hold(places, person));
        let person = person.map(|held| held.ok_or_else(|| exceeded(PERSON))).transpose()?;
        let places = &self.held_by_address[place as usize];
        let address = client.address.as_ref().map(|address| Resources::hold(places, address));
        let address = address.map(|held| held.ok_or_else(|| exceeded(ADDRESS))).transpose()?;
        Ok(QuotaGuard::of(person, address))
    }

    /// Counts it, and says so in the log at most once a minute for each kind.
    fn refuse(&self, kind: usize, client: &Client, exceeded: Exceeded) -> Exceeded {
        let (count, log_throttle) = &self.refused[kind];
        count.fetch_add(1, Relaxed);
        if let Some(unsaid) = log_throttle.due() {
            let address = client.address.map(tracing::field::display);
            tracing::warn!(address, unsaid, "refused: {exceeded}");
        }
        exceeded
    }

    /// Refusals since the start, of each limit by name.
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        let names = Rate::ALL
            .map(Rate::name)
            .into_iter()
            .chain(Resource::ALL.map(Resource::name));
        let counts = self.refused.iter().map(|(count, _)| count.load(Relaxed));
        names.zip(counts).collect()
    }

    /// The number of keys in all tables.
    pub fn keys(&self) -> usize {
        let rates = self.by_address.iter().map(Rates::keys);
        let people = self.by_person.iter().flatten().map(Rates::keys);
        let held = self.held_by_address.iter().map(|places| places.keys());
        let held_by_people = self.held_by_person.iter().flatten().map(|places| places.keys());
        rates.chain(people).chain(held).chain(held_by_people).sum()
    }
}

const PERSON: &str = "person";
const ADDRESS: &str = "address";
