//! The one link of a browser tab, shared by all topics of the page: found through the context. Knows no page.

use std::any::Any;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use leptos::prelude::*;
use send_wrapper::SendWrapper;

use super::driver::Driver;
use crate::status::{LinkStatus, Provided};
use crate::topic::store::Store;
use crate::trace::Tap;
use duplex_protocol::person::Person;
use duplex_protocol::topic::{Topic, TopicName};

/// Call once, at the root of the page: all topics of the tab share what it provides. On the server it stays quiet.
pub fn provide_link() {
    let tab = Tab::default();
    provide_context(Provided(Signal::from(tab.0.signals.status.clone())));
    provide_context(tab.clone());
    on_cleanup(move || drop(lock(&tab.0.driver).take()));
}

#[derive(Clone, Default)]
pub(crate) struct Tab(Arc<Shared>);

#[derive(Default)]
struct Shared {
    stores: Mutex<HashMap<TopicName, Weak<dyn Any + Send + Sync>>>,
    signals: Signals,
    /// From the page's start on: the inspector may come later.
    tap: Tap,
    /// Made by the first subscription, in the browser's one thread; never on the server.
    driver: Mutex<Option<SendWrapper<Rc<Driver>>>>,
}

/// What the whole page may see.
#[derive(Clone, Default)]
pub(crate) struct Signals {
    pub status: ArcRwSignal<LinkStatus>,
    pub me: ArcRwSignal<Option<Person>>,
    /// Why the visitor did not get the name that they asked for last.
    pub name_refused: ArcRwSignal<Option<String>>,
    /// What they were called when they asked.
    former: Arc<Mutex<Option<String>>>,
}

impl Signals {
    /// Shows the name as had, until the server says no.
    pub fn rename(&self, name: &str) {
        self.name_refused.set(None);
        self.me.update(|me| {
            if let Some(me) = me {
                *lock(&self.former) = Some(std::mem::replace(&mut me.name, name.to_owned()));
            }
        });
    }

    pub fn refuse_name(&self, why: String) {
        if let Some(former) = lock(&self.former).take() {
            self.me.update(|me| {
                if let Some(me) = me {
                    me.name = former;
                }
            });
        }
        self.name_refused.set(Some(why));
    }
}

impl Tab {
    /// What is provided; a component that is tested alone gets a tab of its own.
    pub fn current() -> Self {
        use_context().unwrap_or_default()
    }

    pub fn me(&self) -> ArcRwSignal<Option<Person>> {
        self.0.signals.me.clone()
    }

    pub fn signals(&self) -> &Signals {
        &self.0.signals
    }

    pub fn tap(&self) -> Tap {
        self.0.tap.clone()
    }

    /// The store of this topic, if a component has it; otherwise a new one.
    pub fn store<T: Topic>(&self, name: &TopicName) -> Arc<Store<T>> {
        let mut stores = lock(&self.0.stores);
        stores.retain(|_, store| store.strong_count() > 0);
        let held = stores.get(name).and_then(Weak::upgrade);
        if let Some(store) = held.and_then(|store| store.downcast::<Store<T>>().ok()) {
            return store;
        }
        let store = Arc::new(Store::<T>::new(Some(name.clone()), self.me()));
        let any: Arc<dyn Any + Send + Sync> = store.clone();
        stores.insert(name.clone(), Arc::downgrade(&any));
        store
    }

    /// Starts the link if there is none. Only from an effect or an event handler: those run in browsers alone.
    pub fn start(&self) -> Rc<Driver> {
        let mut driver = lock(&self.0.driver);
        let started = driver.get_or_insert_with(|| SendWrapper::new(Driver::start(self.0.signals.clone(), self.tap())));
        Rc::clone(started)
    }

    /// The link, if it was started.
    pub fn running(&self) -> Option<Rc<Driver>> {
        lock(&self.0.driver).as_ref().map(|driver| Rc::clone(driver))
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
