//! Resources that keys hold at the same time. A key that holds none is not stored.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock;
use duplex_protocol::person::PersonId;

use super::Address;

/// Bounded by what is held: the node's connections, seats and topics have bounds of their own.
pub(super) struct Resources<K> {
    most: u32,
    held: Mutex<HashMap<K, u32>>,
}

impl<K: Hash + Eq + Clone> Resources<K> {
    pub(super) fn new(most: u32) -> Arc<Self> {
        let held = Mutex::default();
        Arc::new(Self { most, held })
    }

    pub(super) fn hold(this: &Arc<Self>, key: &K) -> Option<One<K>> {
        let mut held = this.lock();
        let count = held.get(key).copied().unwrap_or(0);
        if count >= this.most {
            return None;
        }
        held.insert(key.clone(), count + 1);
        Some(One(Arc::clone(this), key.clone()))
    }

    pub(super) fn keys(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, u32>> {
        lock::lock(&self.held)
    }
}

/// One place, until it is dropped.
pub(super) struct One<K: Hash + Eq + Clone>(Arc<Resources<K>>, K);

impl<K: Hash + Eq + Clone> Drop for One<K> {
    fn drop(&mut self) {
        let mut held = self.0.lock();
        match held.get_mut(&self.1) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.remove(&self.1)),
        }
    }
}

/// A resource that a client holds, counted for its person and for its address until this is dropped.
#[must_use = "the resource is released when this is dropped"]
#[derive(Default)]
pub struct QuotaGuard {
    _person: Option<One<PersonId>>,
    _address: Option<One<Address>>,
}

impl QuotaGuard {
    pub(super) const fn of(person: Option<One<PersonId>>, address: Option<One<Address>>) -> Self {
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
    fn a_place_is_free_again_when_it_is_dropped() {
        let places = Resources::new(2);
        let first = Resources::hold(&places, &'a');
        let second = Resources::hold(&places, &'a');
        assert!(first.is_some() && second.is_some() && Resources::hold(&places, &'a').is_none());
        assert!(Resources::hold(&places, &'b').is_some());
        drop(first);
        assert!(Resources::hold(&places, &'a').is_some());
        drop(second);
        assert_eq!(places.keys(), 0, "who holds nothing is forgotten");
    }

    proptest! {
        #[test]
        fn no_key_holds_more_than_it_may(steps in prop::collection::vec((0_u8..3, any::<bool>()), 0..100)) {
            let places = Resources::new(3);
            let mut held: HashMap<u8, Vec<One<u8>>> = HashMap::new();
            for (key, takes) in steps {
                let mine = held.entry(key).or_default();
                if takes {
                    let one = Resources::hold(&places, &key);
                    prop_assert_eq!(one.is_some(), mine.len() < 3);
                    mine.extend(one);
                } else {
                    mine.pop();
                }
                prop_assert_eq!(places.keys(), held.values().filter(|held| !held.is_empty()).count());
            }
        }
    }
}
