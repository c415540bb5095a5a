//! The [`use_topic`] hook: subscribes a component to a topic.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use leptos::prelude::*;
use serde::de::DeserializeOwned;

use super::store::Store;
use crate::http::{HttpError, get_json};
use crate::runtime::ids;
use crate::runtime::tab::Tab;
use crate::session::outbox::EncodedCommand;
use crate::session::{CommandProgress, Input};
use crate::status::TopicStatus;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Cursor, Epoch, Seq};
use duplex_protocol::person::Person;
use duplex_protocol::presence::Presence;
use duplex_protocol::session::{CommandId, Denial, HISTORY_PATH, HistoryPage, Rejection};
use duplex_protocol::topic::{Topic, TopicName};

/// Loads topic states during server rendering: returns a state as JSON with its cursor, or a denial. The server provides it in the
/// context of each rendering.
#[derive(Clone)]
pub struct TopicSource(pub(crate) Arc<dyn Fn(TopicName) -> StateFuture + Send + Sync>);

impl TopicSource {
    /// Calls `load` for each topic of the page.
    pub fn new<F>(load: impl Fn(TopicName) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(Cursor, String), Denial>> + Send + 'static,
    {
        Self(Arc::new(move |name| Box::pin(load(name))))
    }
}

/// A topic's state being loaded.
pub(crate) type StateFuture = Pin<Box<dyn Future<Output = Result<(Cursor, String), Denial>> + Send>>;

/// The visitor of the page being rendered. The server provides it in the context of each rendering.
#[derive(Clone)]
pub struct Visitor(pub Person);

/// A command that is not yet part of the state.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PendingCommand<C> {
    /// The id that [`UseTopic::send`] returned.
    pub id: CommandId,
    /// The command.
    pub command: C,
    /// Its status.
    pub status: CommandStatus,
}

impl<C> PendingCommand<C> {
    pub(crate) fn queued(id: CommandId, command: C) -> Self {
        let status = CommandStatus::Queued;
        Self { id, command, status }
    }
}

/// The status of a command that is not yet part of the state.
#[derive(Debug, Clone, PartialEq)]
pub enum CommandStatus {
    /// It waits for a connection.
    Queued,
    /// It was sent, and waits for its answer or, once accepted, for its events.
    Sent,
    /// It exceeded a rate limit and had no effect yet. It is sent again automatically.
    RateLimited {
        /// The minimum delay in milliseconds.
        retry_after_ms: u32,
    },
    /// It had no effect. It stays in the list until it is cancelled or sent again.
    Rejected(Rejection),
}

impl CommandStatus {
    /// The text to show next to a form, if its command is rate-limited or rejected. `rate_limited` receives the delay in
    /// milliseconds.
    #[must_use]
    pub fn error_text(
        &self,
        rate_limited: impl FnOnce(u32) -> String,
        rejected: impl FnOnce(&Rejection) -> String,
    ) -> Option<String> {
        match self {
            Self::Queued | Self::Sent => None,
            Self::RateLimited { retry_after_ms } => Some(rate_limited(*retry_after_ms)),
            Self::Rejected(rejection) => Some(rejected(rejection)),
        }
    }
}

/// A page of the events before the state, oldest first.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct History<T: Topic> {
    /// The log's epoch.
    pub epoch: Epoch,
    /// The events with their numbers in the log.
    pub events: Vec<(Seq, T::Event)>,
    /// Whether the log keeps no earlier events.
    pub is_first_page: bool,
    /// The page contains amendments up to this seq.
    pub amended_up_to: Seq,
}

/// The return value of [`use_topic`]: signals, and methods to send commands and to read history.
#[must_use]
pub struct UseTopic<T: Topic> {
    /// The fold of all events. On the server, and until the session is live, the state that the server rendered.
    pub state: ReadSignal<T::State>,
    /// Incremented when events that the page received are no longer in the server's log, or have other numbers there. `state` is
    /// already correct; discard any events that the page stored itself.
    pub log_generation: Signal<u32>,
    /// The topic's status.
    pub status: Signal<TopicStatus>,
    /// The topic's presence.
    pub presence: Signal<Presence>,
    /// This visitor, as identified by the server.
    pub me: Signal<Option<Person>>,
    /// Why the server rejected the last new name.
    pub name_rejected: Signal<Option<String>>,
    /// Commands that are not yet part of the state, in the order in which they were sent.
    pub pending: Signal<Vec<PendingCommand<T::Command>>>,
    handle: StoredValue<Handle<T>>,
}

struct Handle<T: Topic> {
    tab: Tab,
    store: Arc<Store<T>>,
}

impl<T: Topic> Clone for Handle<T> {
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

/// Subscribes the calling component to the topic `T::KIND/name`; unsubscribes on cleanup.
///
/// # Example
///
/// ```
/// # use duplex_leptos::topic::{Live, use_topic};
/// # use duplex_protocol::cursor::Seq;
/// # use duplex_protocol::topic::Topic;
/// # use leptos::prelude::*;
/// # struct Tally;
/// # impl Topic for Tally {
/// #     const KIND: &'static str = "tally";
/// #     type Command = u32;
/// #     type Event = u32;
/// #     type State = u64;
/// #     fn apply(total: &mut u64, _seq: Seq, added: &u32) { *total += u64::from(*added) }
/// # }
/// # #[component]
/// # fn Page() -> impl IntoView {
/// let tally = use_topic::<Tally>("one");
/// view! {
///     <Live topic=tally>
///         <p>{move || tally.state.get()}</p>
///         <button on:click=move |_| drop(tally.send(1))>"+1"</button>
///     </Live>
/// }
/// # }
/// ```
///
/// # Cleanup
///
/// Components that use the same topic share one subscription, which ends with the last of them. Commands that were sent are still
/// delivered.
///
/// # On the server
///
/// The state comes from the context's [`TopicSource`], and is loaded before the children of [`Live`](super::Live) are rendered.
/// The state and its cursor are part of the hydration data, and the browser resumes from there.
pub fn use_topic<T: Topic>(name: &str) -> UseTopic<T> {
    let tab = Tab::current();
    let store = match TopicName::of::<T>(name) {
        Ok(name) => tab.store::<T>(&name),
        Err(_) => Arc::new(Store::new(None, tab.me())),
    };
    subscribe(tab.clone(), Arc::clone(&store));
    UseTopic {
        state: store.state.read_only().into(),
        log_generation: Signal::from(store.log_generation.clone()),
        status: Signal::from(store.status.clone()),
        presence: Signal::from(store.presence.clone()),
        me: Signal::from(tab.me()),
        name_rejected: Signal::from(tab.signals().name_rejected.clone()),
        pending: Signal::from(store.pending.clone()),
        handle: StoredValue::new(Handle { tab, store }),
    }
}

impl<T: Topic> UseTopic<T> {
    /// Sends the command as soon as the session is live, and again with the same id until it is answered. `pending` contains its status.
    /// A command that cannot be encoded, is too large, or does not fit into the outbox is rejected at once.
    ///
    /// # On the server
    ///
    /// Must not be called: call it from event handlers and effects.
    pub fn send(&self, command: T::Command) -> CommandId {
        let id = ids::command_id();
        let Some(Handle { tab, store }) = self.handle.try_get_value() else {
            return id;
        };
        store.push_pending(id.clone(), command.clone());
        match (store.name.clone(), EncodedCommand::encode(&command)) {
            (None, _) => store.set_progress(&id, &CommandProgress::Rejected(Rejection::Denied(Denial::Unknown))),
            (_, Err(error)) => {
                let detail = error.to_string();
                store.set_progress(&id, &CommandProgress::Rejected(Rejection::Malformed { detail }));
            }
            (Some(topic), Ok(body)) => {
                let id = id.clone();
                tab.driver_or_start().input(Input::Send { topic, id, body });
            }
        }
        id
    }

    /// Cancels a command that was not sent yet, or removes a rejected one from `pending`. A command that was sent stays there until
    /// it is answered, because it may have had its effect.
    pub fn cancel(&self, id: &CommandId) {
        if let Some(Handle { tab, store }) = self.handle.try_get_value()
            && store.remove_rejected(id).is_none()
        {
            tab.driver_or_start().input(Input::Cancel { id: id.clone() });
        }
    }

    /// Sends a rejected command again, as a new one.
    pub fn retry(&self, id: &CommandId) {
        let command = self
            .handle
            .try_get_value()
            .and_then(|handle| handle.store.remove_rejected(id));
        if let Some(command) = command {
            self.send(command);
        }
    }

    /// Sets this visitor's activity in the others' presence, such as `"typing"`; `None` clears it. Sent once, and may be lost.
    pub fn set_activity(&self, activity: Option<&str>) {
        if let Some(Handle { tab, store }) = self.handle.try_get_value()
            && let Some(topic) = store.name.clone()
        {
            let activity = activity.map(str::to_owned);
            tab.driver_or_start().input(Input::Activity { topic, activity });
        }
    }

    /// Changes the visitor's name in all topics. Takes effect at once; the server may reject it (`name_rejected`).
    pub fn rename(&self, name: &str) {
        let Some(Handle { tab, .. }) = self.handle.try_get_value() else {
            return;
        };
        tab.signals().rename(name);
        let name = name.to_owned();
        tab.driver_or_start().input(Input::Rename { name });
    }

    /// Calls `handler` for each event after it was applied, until the calling component is cleaned up, for example to play a sound.
    pub fn on_event(&self, handler: impl Fn(Seq, &T::Event) + 'static) {
        let (handle, handler) = (self.handle, Rc::new(handler));
        Effect::new(move |_| {
            let Some(store) = handle.try_get_value().map(|handle| handle.store) else {
                return;
            };
            let number = store.add_handler(handler.clone());
            on_cleanup(move || store.remove_handler(number));
        });
    }

    /// Completes when the state is loaded or the topic is denied; see [`Live`](super::Live).
    pub async fn loaded(&self) {
        if let Some(handle) = self.handle.try_get_value() {
            handle.store.loaded().await;
        }
    }

    /// The newest `limit` events before `before`, with the events that amend them. Browser only.
    ///
    /// # Errors
    ///
    /// `Status(404)` if the topic's name is invalid, [`HttpError::Status`] if the visitor may not read the topic; otherwise any
    /// [`HttpError`].
    pub async fn history(&self, before: Seq, limit: usize) -> Result<History<T>, HttpError> {
        let name = self.handle.try_get_value().and_then(|handle| handle.store.name.clone());
        let name = name.ok_or(HttpError::Status(404))?;
        let page: HistoryPage = get_json(&format!("{HISTORY_PATH}?topic={name}&before={before}&limit={limit}")).await?;
        Ok(History {
            epoch: page.epoch,
            events: events(page.events).ok_or(HttpError::Decode)?,
            is_first_page: page.first,
            amended_up_to: page.amended_up_to,
        })
    }
}

/// Subscribes while the calling component lives. Effects run only in the browser.
fn subscribe<T: Topic>(tab: Tab, store: Arc<Store<T>>) {
    Effect::new(move |_| {
        let Some(topic) = store.name.clone() else { return };
        let cursor = store.initial_cursor();
        tab.driver_or_start()
            .subscribe(topic.clone(), T::DELIVERY, cursor, store.clone());
        let tab = tab.clone();
        on_cleanup(move || {
            if let Some(driver) = tab.driver() {
                driver.unsubscribe(topic);
            }
        });
    });
}

fn events<E: DeserializeOwned>(events: Vec<(Seq, EncodedValue)>) -> Option<Vec<(Seq, E)>> {
    let decode = |(seq, event): (Seq, EncodedValue)| Some((seq, event.decode(Encoding::Json).ok()?));
    events.into_iter().map(decode).collect()
}
