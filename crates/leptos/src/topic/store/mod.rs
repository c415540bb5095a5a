//! The store of a topic in a tab: its state, status and pending commands, as signals that all its components share. It is updated
//! by the session driver.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Mutex;
use std::task::{Poll, Waker};

use leptos::prelude::*;
use send_wrapper::SendWrapper;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::runtime::driver::{TopicObserver, ValueKind};
use crate::runtime::tab::lock;
use crate::session::outbox::MAX_QUEUED;
use crate::session::{CommandProgress, TopicUpdate};
use crate::status::TopicStatus;
use crate::topic::{CommandStatus, PendingCommand, TopicSource, Visitor};
use duplex_protocol::codec::{CodecError, EncodedValue, Encoding};
use duplex_protocol::cursor::{Checksum, Cursor, Seq};
use duplex_protocol::person::Person;
use duplex_protocol::presence::Presence;
use duplex_protocol::session::{CommandId, Denial};
use duplex_protocol::topic::{Topic, TopicName};

/// A topic's hydration data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum HydrationData {
    Rendered {
        me: Option<Person>,
        /// `Err` if the page was rendered without a state.
        state: Result<(Cursor, EncodedValue), Denial>,
    },
    /// The server did not render the page; the session loads the state.
    Absent,
}

pub(crate) struct Store<T: Topic> {
    pub name: Option<TopicName>,
    pub state: ArcRwSignal<T::State>,
    /// Incremented, before `state` changes, when the log lost events that this page had applied.
    pub log_generation: ArcRwSignal<u32>,
    pub status: ArcRwSignal<TopicStatus>,
    pub presence: ArcRwSignal<Presence>,
    pub pending: ArcRwSignal<Vec<PendingCommand<T::Command>>>,
    pub me: ArcRwSignal<Option<Person>>,
    hydration: ArcResource<HydrationData>,
    inner: Mutex<Inner>,
    handlers: Mutex<Vec<(usize, EventHandler<T>)>>,
}

/// Registered and called only on the browser's main thread.
type EventHandler<T> = SendWrapper<Handler<T>>;

pub(crate) type Handler<T> = Rc<dyn Fn(Seq, &<T as Topic>::Event)>;

/// Maximum pending commands; beyond it the oldest rejected one is removed.
const MAX_PENDING: usize = 2 * MAX_QUEUED;

#[derive(Default)]
struct Inner {
    /// Whether the hydration data was applied, or a newer state arrived.
    hydrated: bool,
    cursor: Option<Cursor>,
    wakers: Vec<Waker>,
}

impl<T: Topic> Store<T> {
    pub(crate) fn new(name: Option<TopicName>, me: ArcRwSignal<Option<Person>>) -> Self {
        let status = match name {
            Some(_) => TopicStatus::Loading,
            None => TopicStatus::Denied(Denial::Unknown),
        };
        Self {
            hydration: hydration_data(name.clone()),
            name,
            state: ArcRwSignal::default(),
            log_generation: ArcRwSignal::default(),
            status: ArcRwSignal::new(status),
            presence: ArcRwSignal::default(),
            pending: ArcRwSignal::default(),
            me,
            inner: Mutex::default(),
            handlers: Mutex::default(),
        }
    }

    /// Completes when the state is loaded or the topic is denied.
    pub(crate) async fn loaded(&self) {
        match self.hydration.clone().await {
            HydrationData::Rendered { me, state } => self.hydrate(me, state),
            HydrationData::Absent => self.wait_until_loaded().await,
        }
    }

    /// The cursor of the rendered state, if any. Call it from effects.
    pub(crate) fn initial_cursor(&self) -> Option<Cursor> {
        if let Some(HydrationData::Rendered { me, state }) = self.hydration.try_get_untracked().flatten() {
            self.hydrate(me, state);
        }
        lock(&self.inner).cursor
    }

    /// Adds a command as queued.
    pub(crate) fn push_pending(&self, id: CommandId, command: T::Command) {
        self.pending.update(|pending| {
            let rejected = |command: &PendingCommand<_>| matches!(command.status, CommandStatus::Rejected(_));
            if pending.len() >= MAX_PENDING
                && let Some(oldest) = pending.iter().position(rejected)
            {
                pending.remove(oldest);
            }
            pending.push(PendingCommand::queued(id, command));
        });
    }

    /// Removes a rejected command from the list.
    pub(crate) fn remove_rejected(&self, id: &CommandId) -> Option<T::Command> {
        let rejected =
            |command: &PendingCommand<_>| command.id == *id && matches!(command.status, CommandStatus::Rejected(_));
        let index = self
            .pending
            .with_untracked(|pending| pending.iter().position(rejected))?;
        self.pending.try_update(|pending| pending.remove(index).command)
    }

    /// Returns the handler's number, for `remove_handler`.
    pub(crate) fn add_handler(&self, handler: Handler<T>) -> usize {
        let mut handlers = lock(&self.handlers);
        let number = handlers.last().map_or(0, |(number, _)| number + 1);
        handlers.push((number, SendWrapper::new(handler)));
        number
    }

    pub(crate) fn remove_handler(&self, number: usize) {
        lock(&self.handlers).retain(|(other, _)| *other != number);
    }

    fn apply(&self, seq: Seq, checksum: Option<Checksum>, event: &T::Event) {
        self.state.update(|state| T::apply(state, seq, event));
        if let Some(cursor) = &mut lock(&self.inner).cursor {
            (cursor.seq, cursor.checksum) = (seq, checksum);
        }
        let handlers: Vec<_> = lock(&self.handlers)
            .iter()
            .map(|(_, handler)| Rc::clone(handler))
            .collect();
        handlers.iter().for_each(|handler| handler(seq, event));
    }

    pub(crate) fn set_progress(&self, id: &CommandId, progress: &CommandProgress) {
        self.pending.update(|pending| match progress {
            CommandProgress::Done => pending.retain(|command| command.id != *id),
            CommandProgress::Sent | CommandProgress::RateLimited { .. } | CommandProgress::Rejected(_) => {
                if let Some(command) = pending.iter_mut().find(|command| command.id == *id) {
                    command.status = match progress {
                        CommandProgress::Rejected(rejection) => CommandStatus::Rejected(rejection.clone()),
                        CommandProgress::RateLimited { retry_after_ms } => CommandStatus::RateLimited {
                            retry_after_ms: *retry_after_ms,
                        },
                        _ => CommandStatus::Sent,
                    };
                }
            }
        });
    }

    /// Applies the hydration data, unless something newer arrived.
    fn hydrate(&self, me: Option<Person>, state: Result<(Cursor, EncodedValue), Denial>) {
        if std::mem::replace(&mut lock(&self.inner).hydrated, true) {
            return;
        }
        if me.is_some() {
            self.me.set(me);
        }
        match state {
            Ok((cursor, state)) => {
                if let Ok(state) = state.decode(Encoding::Json) {
                    lock(&self.inner).cursor = Some(cursor);
                    self.state.set(state);
                    self.set_status(TopicStatus::Resuming);
                }
            }
            // After a temporary denial, the session subscribes again.
            Err(denial) if denial.may_retry() => {}
            Err(denial) => self.set_status(TopicStatus::Denied(denial)),
        }
    }

    pub(crate) fn set_status(&self, status: TopicStatus) {
        if self.status.get_untracked() != status {
            self.status.set(status);
        }
        if status != TopicStatus::Loading {
            let wakers = std::mem::take(&mut lock(&self.inner).wakers);
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    async fn wait_until_loaded(&self) {
        poll_fn(|context| {
            if self.status.get_untracked() != TopicStatus::Loading {
                return Poll::Ready(());
            }
            lock(&self.inner).wakers.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl<T: Topic> TopicObserver for Store<T> {
    fn on_update(&self, update: &TopicUpdate) -> bool {
        match update {
            TopicUpdate::State {
                encoding,
                state,
                cursor,
                reason,
            } => {
                let Ok(state) = state.decode(*encoding) else {
                    return false;
                };
                {
                    let mut inner = lock(&self.inner);
                    inner.hydrated = true;
                    inner.cursor = Some(*cursor);
                }
                if reason.lost_events() {
                    self.log_generation
                        .update(|generation| *generation = generation.wrapping_add(1));
                }
                self.state.set(state);
            }
            TopicUpdate::Event {
                encoding,
                seq,
                checksum,
                event,
            } => {
                let Ok(event) = event.decode(*encoding) else {
                    return false;
                };
                self.apply(*seq, *checksum, &event);
            }
            TopicUpdate::Presence(presence) => self.presence.set(presence.clone()),
            TopicUpdate::Status(status) => self.set_status(*status),
            TopicUpdate::Command(id, progress) => self.set_progress(id, progress),
        }
        true
    }

    fn to_json(&self, kind: ValueKind, encoding: Encoding, value: &EncodedValue) -> Option<String> {
        let json = match (encoding, kind) {
            (Encoding::Json, _) => Ok(value.0.clone()),
            (Encoding::Postcard, ValueKind::Event) => recode::<T::Event>(value),
            (Encoding::Postcard, ValueKind::Command) => recode::<T::Command>(value),
        };
        String::from_utf8(json.ok()?).ok()
    }

    fn has_pending(&self) -> bool {
        let waits = |command: &PendingCommand<_>| !matches!(command.status, CommandStatus::Rejected(_));
        self.pending.with_untracked(|pending| pending.iter().any(waits))
    }
}

/// Re-encodes a value as JSON.
fn recode<V: DeserializeOwned + Serialize>(value: &EncodedValue) -> Result<Vec<u8>, CodecError> {
    Encoding::Json.encode(&value.decode::<V>(Encoding::Postcard)?)
}

/// On the server the result of [`TopicSource`]; in the browser the page's hydration data, or [`HydrationData::Absent`].
fn hydration_data(name: Option<TopicName>) -> ArcResource<HydrationData> {
    let source = use_context::<TopicSource>();
    let me = use_context::<Visitor>().map(|Visitor(person)| person);
    let absent = source.is_none() && is_browser();
    let fetch = move |()| {
        let loading = source.clone().zip(name.clone()).map(|(source, name)| (source.0)(name));
        let me = me.clone();
        async move {
            if absent {
                return HydrationData::Absent;
            }
            let state = match loading {
                Some(loading) => loading.await,
                None => Err(Denial::Unavailable),
            };
            HydrationData::Rendered {
                me,
                state: state.map(|(cursor, json)| (cursor, EncodedValue(to_ascii(&json).into_bytes()))),
            }
        }
    };
    ArcResource::new_with_options(|| (), fetch, true)
}

/// Escapes the non-ASCII characters of a JSON text, which all stand in strings. Leptos writes the hydration data in `Debug` format,
/// which takes about 150 ns for a Hangul syllable and 2 ns for an ASCII character.
fn to_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len() + json.len() / 4);
    for c in json.chars() {
        if c.is_ascii() {
            ascii.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            ascii.push_str("\\u");
            let digits = [12, 8, 4, 0].map(|shift| u32::from(*unit >> shift & 0xf));
            ascii.extend(digits.into_iter().filter_map(|digit| char::from_digit(digit, 16)));
        }
    }
    ascii
}

#[cfg(test)]
mod tests;
