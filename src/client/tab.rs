//! The one link of a browser tab: runs the machine with real transports, timers and listeners, and hands what it hears to
//! the topics' stores. Knows no page.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use leptos::prelude::*;

use super::status::{LinkStatus, Provided};
use super::store::Store;
use crate::wire::person::Person;
use crate::wire::topic::{Topic, TopicName};

/// Call once, at the root of the page: all topics of the tab share what it provides.
pub fn provide_link() {
    let tab = Tab::default();
    provide_context(Provided(Signal::from(tab.0.status.clone())));
    provide_context(tab);
}

#[derive(Clone, Default)]
pub(super) struct Tab(Arc<Shared>);

#[derive(Default)]
struct Shared {
    stores: Mutex<HashMap<TopicName, Weak<dyn Any + Send + Sync>>>,
    status: ArcRwSignal<LinkStatus>,
    me: ArcRwSignal<Option<Person>>,
}

impl Tab {
    /// What is provided; a component that is tested alone gets a tab of its own.
    pub fn current() -> Self {
        use_context().unwrap_or_default()
    }

    pub fn me(&self) -> ArcRwSignal<Option<Person>> {
        self.0.me.clone()
    }

    /// The store of this topic, if a component has it; otherwise a new one.
    pub fn store<T: Topic>(&self, name: &TopicName) -> Arc<Store<T>> {
        let mut stores = lock(&self.0.stores);
        stores.retain(|_, store| store.strong_count() > 0);
        let held = stores.get(name).and_then(Weak::upgrade);
        if let Some(store) = held.and_then(|store| store.downcast::<Store<T>>().ok()) {
            return store;
        }
        let store = Arc::new(Store::<T>::new(Some(name.clone()), self.0.me.clone()));
        let any: Arc<dyn Any + Send + Sync> = store.clone();
        stores.insert(name.clone(), Arc::downgrade(&any));
        store
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
