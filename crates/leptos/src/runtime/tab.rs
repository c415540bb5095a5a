//! The session of a browser tab, shared by all topics of the page through the context.

use std::any::Any;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use leptos::prelude::*;
use send_wrapper::SendWrapper;

use super::driver::Driver;
use crate::status::{ProvidedStatus, SessionStatus};
use crate::topic::store::Store;
use crate::trace::SharedTrace;
use duplex_protocol::person::Person;
use duplex_protocol::topic::{Topic, TopicName};

/// Provides the tab's session, which all topics of the tab share. Call it once, in the root component. The session connects when
/// the first topic subscribes, and closes when the calling component is cleaned up.
///
/// # On the server
///
/// Provides the same context and opens nothing.
pub fn provide_session() {
    let tab = Tab::default();
    provide_context(ProvidedStatus(Signal::from(tab.0.signals.status.clone())));
    provide_context(tab.clone());
    on_cleanup(move || drop(lock(&tab.0.driver).take()));
}

#[derive(Clone, Default)]
pub(crate) struct Tab(Arc<Shared>);

#[derive(Default)]
struct Shared {
    stores: Mutex<HashMap<TopicName, Weak<dyn Any + Send + Sync>>>,
    signals: Signals,
    /// Recorded from the start of the page, because the inspector may be opened later.
    trace: SharedTrace,
    /// Started by the first subscription, on the browser's main thread; never on the server.
    driver: Mutex<Option<SendWrapper<Rc<Driver>>>>,
}

/// Signals of the whole page.
#[derive(Clone, Default)]
pub(crate) struct Signals {
    pub status: ArcRwSignal<SessionStatus>,
    pub me: ArcRwSignal<Option<Person>>,
    /// Why the server rejected the last new name.
    pub name_rejected: ArcRwSignal<Option<String>>,
    /// The name before the last change.
    previous_name: Arc<Mutex<Option<String>>>,
}

impl Signals {
    /// Sets the new name at once; `reject_name` reverts it.
    pub(crate) fn rename(&self, name: &str) {
        self.name_rejected.set(None);
        self.me.update(|me| {
            if let Some(me) = me {
                *lock(&self.previous_name) = Some(std::mem::replace(&mut me.name, name.to_owned()));
            }
        });
    }

    pub(crate) fn reject_name(&self, reason: String) {
        if let Some(previous) = lock(&self.previous_name).take() {
            self.me.update(|me| {
                if let Some(me) = me {
                    me.name = previous;
                }
            });
        }
        self.name_rejected.set(Some(reason));
    }
}

impl Tab {
    /// The provided tab; a new one for a component rendered without it.
    pub(crate) fn current() -> Self {
        use_context().unwrap_or_default()
    }

    pub(crate) fn me(&self) -> ArcRwSignal<Option<Person>> {
        self.0.signals.me.clone()
    }

    pub(crate) fn signals(&self) -> &Signals {
        &self.0.signals
    }

    pub(crate) fn trace(&self) -> SharedTrace {
        self.0.trace.clone()
    }

    /// The store of this topic, shared with other components, or a new one.
    pub(crate) fn store<T: Topic>(&self, name: &TopicName) -> Arc<Store<T>> {
        let mut stores = lock(&self.0.stores);
        stores.retain(|_, store| store.strong_count() > 0);
        let existing = stores.get(name).and_then(Weak::upgrade);
        if let Some(store) = existing.and_then(|store| store.downcast::<Store<T>>().ok()) {
            return store;
        }
        let store = Arc::new(Store::<T>::new(Some(name.clone()), self.me()));
        let any: Arc<dyn Any + Send + Sync> = store.clone();
        stores.insert(name.clone(), Arc::downgrade(&any));
        store
    }

    /// The driver, started if it is not running. Called only from effects and event handlers, which run only in browsers.
    pub(crate) fn driver_or_start(&self) -> Rc<Driver> {
        let mut driver = lock(&self.0.driver);
        let started =
            driver.get_or_insert_with(|| SendWrapper::new(Driver::start(self.0.signals.clone(), self.trace())));
        Rc::clone(started)
    }

    /// The driver, if it was started.
    pub(crate) fn driver(&self) -> Option<Rc<Driver>> {
        lock(&self.0.driver).as_ref().map(|driver| Rc::clone(driver))
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
