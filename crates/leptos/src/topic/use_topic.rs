//! [`use_topic`]: a topic in a component. Its state, kept current from the first paint on, and a way to send commands.
//! The app author's whole interface; knows no transport.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use leptos::prelude::*;
use serde::de::DeserializeOwned;

use super::store::Store;
use crate::http::{HttpError, get_json};
use crate::runtime::driver::new_id;
use crate::runtime::tab::Tab;
use crate::session::outbox::Body;
use crate::session::{Fate, Input};
pub use crate::status::TopicStatus;
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::cursor::{Cursor, Epoch, Seq};
use duplex_protocol::person::Person;
use duplex_protocol::presence::Presence;
use duplex_protocol::session::{CommandId, Denied, HISTORY_PATH, Page, Rejection};
use duplex_protocol::topic::{Topic, TopicName};

/// Where the server's rendering finds a topic's state, as JSON, and the cursor at which it is true; or why the visitor does not
/// get it. In the context of a rendering on the server, and nowhere else.
#[derive(Clone)]
pub struct TopicSource(pub Arc<dyn Fn(TopicName) -> Loading + Send + Sync>);

pub type Loading = Pin<Box<dyn Future<Output = Result<(Cursor, String), Denied>> + Send>>;

/// Who the page is rendered for. In the context of a rendering on the server.
#[derive(Clone)]
pub struct Visitor(pub Person);

/// A command that is not yet part of the state.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending<C> {
    pub id: CommandId,
    pub command: C,
    pub standing: Standing,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Waits for the link.
    Queued,
    /// Waits for its answer, or, accepted, for its events.
    Sent,
    /// Came too fast and had no effect yet: it is sent again by itself, after that time at the soonest.
    Held { retry_after_ms: u32 },
    /// Had no effect; stays until it is cancelled or sent again.
    Rejected(Rejection),
}

impl Standing {
    /// What a form says of the command that it sent: that it is held, or why it had no effect.
    pub fn problem(&self, held: impl FnOnce(u32) -> String, why: impl FnOnce(&Rejection) -> String) -> Option<String> {
        match self {
            Self::Queued | Self::Sent => None,
            Self::Held { retry_after_ms } => Some(held(*retry_after_ms)),
            Self::Rejected(rejection) => Some(why(rejection)),
        }
    }
}

/// A page of what lies before the state, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct History<T: Topic> {
    pub epoch: Epoch,
    pub events: Vec<(Seq, T::Event)>,
    /// Nothing lies before this page, or nothing that is still kept.
    pub first: bool,
    /// Amendments up to this seq are in the page.
    pub until: Seq,
}

/// What [`use_topic`] returns: signals to read, and what one can do.
pub struct UseTopic<T: Topic> {
    /// The fold of all events up to now. On the server, and until the link is live, what the server rendered.
    pub state: ReadSignal<T::State>,
    /// Rises when events that were shown are not in the server's log any more, or in another place there: `state` is right,
    /// and what a page holds of events beside it is not.
    pub log: Signal<u32>,
    pub status: Signal<TopicStatus>,
    pub presence: Signal<Presence>,
    /// Who the server takes this visitor for.
    pub me: Signal<Option<Person>>,
    /// Why the visitor did not get the name that they asked for last.
    pub name_refused: Signal<Option<String>>,
    /// Commands that are not yet part of the state, in the order in which they were sent.
    pub pending: Signal<Vec<Pending<T::Command>>>,
    held: StoredValue<Held<T>>,
}

struct Held<T: Topic> {
    tab: Tab,
    store: Arc<Store<T>>,
}

impl<T: Topic> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self {
            tab: self.tab.clone(),
            store: Arc::clone(&self.store),
        }
    }
}

impl<T: Topic> Clone for UseTopic<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Topic> Copy for UseTopic<T> {}

/// The topic `T::KIND/rest` in the component that calls it: subscribed on mount, left on cleanup.
///
/// # Example
///
/// ```ignore
/// let room = use_topic::<Chat>("lobby");
/// view! {
///     <Live topic=room>
///         <p>{move || room.state.with(|chat| chat.messages.len())}</p>
///         <button on:click=move |_| { room.send(Command::Say("hello".into())); }>"say"</button>
///     </Live>
/// }
/// ```
///
/// # On the server
///
/// The state is what the page's [`TopicSource`] says, loaded before the part within [`Live`](crate::topic::Live) is
/// rendered; it and its cursor travel in the page, and the browser goes on from there.
///
/// # Cleanup
///
/// Components that use the same topic share one subscription, which ends with the last of them. Commands that were sent go
/// on without it.
pub fn use_topic<T: Topic>(rest: &str) -> UseTopic<T> {
    let tab = Tab::current();
    let store = match TopicName::of::<T>(rest) {
        Ok(name) => tab.store::<T>(&name),
        Err(_) => Arc::new(Store::new(None, tab.me())),
    };
    subscribe(tab.clone(), Arc::clone(&store));
    UseTopic {
        state: store.state.read_only().into(),
        log: Signal::from(store.log.clone()),
        status: Signal::from(store.status.clone()),
        presence: Signal::from(store.presence.clone()),
        me: Signal::from(tab.me()),
        name_refused: Signal::from(tab.signals().name_refused.clone()),
        pending: Signal::from(store.pending.clone()),
        held: StoredValue::new(Held { tab, store }),
    }
}

impl<T: Topic> UseTopic<T> {
    /// Sends when the link is live, and again with the same id until there is an answer. `pending` tells how it stands;
    /// when too many wait already, it is rejected at once.
    pub fn send(&self, command: T::Command) -> CommandId {
        let id = new_id();
        let Some(Held { tab, store }) = self.held.try_get_value() else {
            return id;
        };
        store.add(id.clone(), command.clone());
        match (store.name.clone(), Body::of(&command)) {
            (None, _) => store.stand(&id, &Fate::Rejected(Rejection::Denied(Denied::Unknown))),
            (_, Err(error)) => {
                let what = error.to_string();
                store.stand(&id, &Fate::Rejected(Rejection::Malformed { what }));
            }
            (Some(topic), Ok(body)) => {
                let id = id.clone();
                tab.start().input(Input::Send { topic, id, body });
            }
        }
        id
    }

    /// Takes back a command that was not sent yet, or strikes a rejected one off the list. What was sent may have been
    /// done, and stays until that is known.
    pub fn cancel(&self, id: &CommandId) {
        if let Some(Held { tab, store }) = self.held.try_get_value()
            && store.strike(id).is_none()
        {
            tab.start().input(Input::Cancel { id: id.clone() });
        }
    }

    /// Sends a rejected command again, as a new one.
    pub fn retry(&self, id: &CommandId) {
        let command = self.held.try_get_value().and_then(|held| held.store.strike(id));
        if let Some(command) = command {
            self.send(command);
        }
    }

    /// What this visitor is doing here, for the others' presence; none ends it. May be lost.
    pub fn activity(&self, activity: Option<&str>) {
        if let Some(Held { tab, store }) = self.held.try_get_value()
            && let Some(topic) = store.name.clone()
        {
            let activity = activity.map(str::to_owned);
            tab.start().input(Input::Activity { topic, activity });
        }
    }

    /// Changes the visitor's name, everywhere. The server tidies it once more.
    pub fn rename(&self, name: &str) {
        let Some(Held { tab, .. }) = self.held.try_get_value() else {
            return;
        };
        tab.signals().rename(name);
        let name = name.to_owned();
        tab.start().input(Input::Rename { name });
    }

    /// Hears each event after it was applied, for sounds and markers, while the calling component lives.
    pub fn on_event(&self, heard: impl Fn(Seq, &T::Event) + 'static) {
        let (held, heard) = (self.held, Rc::new(heard));
        Effect::new(move |_| {
            let Some(store) = held.try_get_value().map(|held| held.store) else {
                return;
            };
            let number = store.listen(heard.clone());
            on_cleanup(move || store.unlisten(number));
        });
    }

    /// Ready when the state is there; see [`Live`](crate::topic::Live).
    pub async fn loaded(&self) {
        if let Some(held) = self.held.try_get_value() {
            held.store.loaded().await;
        }
    }

    /// The newest `limit` events before `before`, and what amends them. Only in the browser.
    pub async fn history(&self, before: Seq, limit: usize) -> Result<History<T>, HttpError> {
        let name = self.held.try_get_value().and_then(|held| held.store.name.clone());
        let name = name.ok_or(HttpError::Status(404))?;
        let page: Page = get_json(&format!("{HISTORY_PATH}?topic={name}&before={before}&limit={limit}")).await?;
        Ok(History {
            epoch: page.epoch,
            events: events(page.events).ok_or(HttpError::Unreadable)?,
            first: page.first,
            until: page.until,
        })
    }
}

/// While the calling component lives, in the browser.
fn subscribe<T: Topic>(tab: Tab, store: Arc<Store<T>>) {
    Effect::new(move |_| {
        let Some(topic) = store.name.clone() else { return };
        let cursor = store.begin();
        tab.start().subscribe(topic.clone(), T::DELIVERY, cursor, store.clone());
        let tab = tab.clone();
        on_cleanup(move || {
            if let Some(driver) = tab.running() {
                driver.unsubscribe(topic);
            }
        });
    });
}

fn events<E: DeserializeOwned>(events: Vec<(Seq, Blob)>) -> Option<Vec<(Seq, E)>> {
    let read = |(seq, event): (Seq, Blob)| Some((seq, event.decode(Encoding::Json).ok()?));
    events.into_iter().map(read).collect()
}
