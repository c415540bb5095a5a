//! Counts the concurrently held resources of each key. A key that holds none is not stored.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock;
use duplex_protocol::person::PersonId;

use super::Address;

/// Its size is bounded by the node's own limits on connections, participants and topics.
pub(super) struct Resources<K> {
    max: u32,
    counts: Mutex<HashMap<K, u32>>,
}

impl<K: Hash + Eq + Clone> Resources<K> {
    pub(super) fn new(max: u32) -> Arc<Self> {
        let counts = Mutex::default();
        Arc::new(Self { max, counts })
    }

    pub(super) fn acquire(this: &Arc<Self>, key: &K) -> Option<Permit<K>> {
        let mut counts = this.lock();
        let count = counts.get(key).copied().unwrap_or(0);
        if count >= this.max {
            return None;
        }
        counts.insert(key.clone(), count + 1);
        Some(Permit(Arc::clone(this), key.clone()))
    }

    pub(super) fn keys(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, u32>> {
        lock::lock(&self.counts)
    }
}

/// One held resource, released when it is dropped.
pub(super) struct Permit<K: Hash + Eq + Clone>(Arc<Resources<K>>, K);

impl<K: Hash + Eq + Clone> Drop for Permit<K> {
    fn drop(&mut self) {
        let mut counts = self.0.lock();
        match counts.get_mut(&self.1) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.1)),
        }
    }
}

/// A resource that a client holds. It counts for the client's person and address until this is dropped.
#[must_use = "the resource is released when this is dropped"]
#[derive(Default)]
pub struct QuotaGuard {
    _person: Option<Permit<PersonId>>,
    _address: Option<Permit<Address>>,
}

impl QuotaGuard {
    pub(super) const fn new(person: Option<Permit<PersonId>>, address: Option<Permit<Address>>) -> Self {
        Self {
            _person: person,
            _address: address,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_resource_is_released_when_its_guard_is_dropped() {
        let resources = Resources::new(2);
        let first = Resources::acquire(&resources, &'a');
        let second = Resources::acquire(&resources, &'a');
        assert!(first.is_some() && second.is_some() && Resources::acquire(&resources, &'a').is_none());
        assert!(Resources::acquire(&resources, &'b').is_some());
        drop(first);
        assert!(Resources::acquire(&resources, &'a').is_some());
        drop(second);
        assert_eq!(resources.keys(), 0, "a key without a resource is removed");
    }

    proptest! {
        #[test]
        fn no_key_holds_more_than_its_limit(steps in prop::collection::vec((0_u8..3, any::<bool>()), 0..100)) {
            let resources = Resources::new(3);
            let mut permits: HashMap<u8, Vec<Permit<u8>>> = HashMap::new();
            for (key, takes) in steps {
                let mine = permits.entry(key).or_default();
                if takes {
                    let held = Resources::acquire(&resources, &key);
                    prop_assert_eq!(held.is_some(), mine.len() < 3);
                    mine.extend(held);
                } else {
                    mine.pop();
                }
                prop_assert_eq!(resources.keys(), permits.values().filter(|held| !held.is_empty()).count());
            }
        }
    }
}
