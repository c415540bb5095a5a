//! What a tab holds of one topic: its state and what stands around it, as signals that all its components share.
//! Knows no link: it is told.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Mutex;
use std::task::{Poll, Waker};

use leptos::prelude::*;
use send_wrapper::SendWrapper;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::runtime::driver::{Content, Hear};
use crate::runtime::tab::lock;
use crate::session::outbox::MAX_QUEUED;
use crate::session::{Fate, News};
use crate::status::TopicStatus;
use crate::topic::{Pending, Standing, TopicSource, Visitor};
use duplex_protocol::codec::{Blob, CodecError, Encoding};
use duplex_protocol::cursor::{Check, Cursor, Seq};
use duplex_protocol::person::Person;
use duplex_protocol::presence::Presence;
use duplex_protocol::session::{CommandId, Denied};
use duplex_protocol::topic::{Topic, TopicName};

/// What the server's rendering leaves in the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Seed {
    Rendered {
        me: Option<Person>,
        /// Denied: the page was rendered without.
        state: Result<(Cursor, Blob), Denied>,
    },
    /// The page was not rendered by the server: the state comes over the link.
    Later,
}

pub(crate) struct Store<T: Topic> {
    pub name: Option<TopicName>,
    pub state: ArcRwSignal<T::State>,
    /// Rises when the server's log is another one: before `state` says so.
    pub log: ArcRwSignal<u32>,
    pub status: ArcRwSignal<TopicStatus>,
    pub presence: ArcRwSignal<Presence>,
    pub pending: ArcRwSignal<Vec<Pending<T::Command>>>,
    pub me: ArcRwSignal<Option<Person>>,
    seed: ArcResource<Seed>,
    inner: Mutex<Inner>,
    heard: Mutex<Vec<(usize, Listener<T>)>>,
}

/// Registered in the browser's one thread only.
type Listener<T> = SendWrapper<Heard<T>>;

pub(crate) type Heard<T> = Rc<dyn Fn(Seq, &<T as Topic>::Event)>;

/// Commands that are shown; the oldest rejected ones go first.
const MAX_SHOWN: usize = 2 * MAX_QUEUED;

#[derive(Default)]
struct Inner {
    /// The seed was taken, or something newer came.
    planted: bool,
    cursor: Option<Cursor>,
    waiting: Vec<Waker>,
}

impl<T: Topic> Store<T> {
    pub fn new(name: Option<TopicName>, me: ArcRwSignal<Option<Person>>) -> Self {
        let status = match name {
            Some(_) => TopicStatus::Loading,
            None => TopicStatus::Denied(Denied::Unknown),
        };
        Self {
            seed: seed(name.clone()),
            name,
            state: ArcRwSignal::default(),
            log: ArcRwSignal::default(),
            status: ArcRwSignal::new(status),
            presence: ArcRwSignal::default(),
            pending: ArcRwSignal::default(),
            me,
            inner: Mutex::default(),
            heard: Mutex::default(),
        }
    }

    /// Ready when there is a state, or when it is certain that there will be none.
    pub async fn loaded(&self) {
        match self.seed.clone().await {
            Seed::Rendered { me, state } => self.plant(me, state),
            Seed::Later => self.settled().await,
        }
    }

    /// Where a subscription begins: after what the server rendered, if it did. From effects.
    pub fn begin(&self) -> Option<Cursor> {
        if let Some(Seed::Rendered { me, state }) = self.seed.try_get_untracked().flatten() {
            self.plant(me, state);
        }
        lock(&self.inner).cursor
    }

    /// Shows a command as queued.
    pub fn add(&self, id: CommandId, command: T::Command) {
        self.pending.update(|pending| {
            let rejected = |shown: &Pending<_>| matches!(shown.standing, Standing::Rejected(_));
            if pending.len() >= MAX_SHOWN
                && let Some(oldest) = pending.iter().position(rejected)
            {
                pending.remove(oldest);
            }
            let standing = Standing::Queued;
            pending.push(Pending { id, command, standing });
        });
    }

    /// Takes a rejected command off the list.
    pub fn strike(&self, id: &CommandId) -> Option<T::Command> {
        let rejected = |shown: &Pending<_>| shown.id == *id && matches!(shown.standing, Standing::Rejected(_));
        let place = self
            .pending
            .with_untracked(|pending| pending.iter().position(rejected))?;
        self.pending.try_update(|pending| pending.remove(place).command)
    }

    /// The number under which the listener can be taken away.
    pub fn listen(&self, heard: Heard<T>) -> usize {
        let mut listeners = lock(&self.heard);
        let number = listeners.last().map_or(0, |(number, _)| number + 1);
        listeners.push((number, SendWrapper::new(heard)));
        number
    }

    pub fn unlisten(&self, number: usize) {
        lock(&self.heard).retain(|(other, _)| *other != number);
    }

    fn apply(&self, seq: Seq, check: Option<Check>, event: &T::Event) {
        self.state.update(|state| T::apply(state, seq, event));
        if let Some(cursor) = &mut lock(&self.inner).cursor {
            (cursor.seq, cursor.check) = (seq, check);
        }
        let listeners: Vec<_> = lock(&self.heard).iter().map(|(_, heard)| Rc::clone(heard)).collect();
        listeners.iter().for_each(|heard| heard(seq, event));
    }

    pub fn stand(&self, id: &CommandId, fate: &Fate) {
        self.pending.update(|pending| match fate {
            Fate::Gone => pending.retain(|shown| shown.id != *id),
            Fate::Sent | Fate::Held { .. } | Fate::Rejected(_) => {
                if let Some(shown) = pending.iter_mut().find(|shown| shown.id == *id) {
                    shown.standing = match fate {
                        Fate::Rejected(rejection) => Standing::Rejected(rejection.clone()),
                        Fate::Held { retry_after_ms } => Standing::Held {
                            retry_after_ms: *retry_after_ms,
                        },
                        _ => Standing::Sent,
                    };
                }
            }
        });
    }

    /// Takes over what the server rendered.
    fn plant(&self, me: Option<Person>, state: Result<(Cursor, Blob), Denied>) {
        if std::mem::replace(&mut lock(&self.inner).planted, true) {
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
            // What may pass is asked for over the link.
            Err(denied) if denied.may_retry() => {}
            Err(denied) => self.set_status(TopicStatus::Denied(denied)),
        }
    }

    pub fn set_status(&self, status: TopicStatus) {
        if self.status.get_untracked() != status {
            self.status.set(status);
        }
        if status != TopicStatus::Loading {
            let waiting = std::mem::take(&mut lock(&self.inner).waiting);
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    async fn settled(&self) {
        poll_fn(|context| {
            if self.status.get_untracked() != TopicStatus::Loading {
                return Poll::Ready(());
            }
            lock(&self.inner).waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl<T: Topic> Hear for Store<T> {
    fn hear(&self, news: &News) -> bool {
        match news {
            News::State {
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
                    inner.planted = true;
                    inner.cursor = Some(*cursor);
                }
                if reason.lost_events() {
                    self.log.update(|log| *log = log.wrapping_add(1));
                }
                self.state.set(state);
            }
            News::Event {
                encoding,
                seq,
                check,
                event,
            } => {
                let Ok(event) = event.decode(*encoding) else {
                    return false;
                };
                self.apply(*seq, *check, &event);
            }
            News::Presence(presence) => self.presence.set(presence.clone()),
            News::Status(status) => self.set_status(*status),
            News::Command(id, fate) => self.stand(id, fate),
        }
        true
    }

    fn show(&self, content: Content, encoding: Encoding, blob: &Blob) -> Option<String> {
        let json = match (encoding, content) {
            (Encoding::Json, _) => Ok(blob.0.clone()),
            (Encoding::Postcard, Content::Event) => again::<T::Event>(blob),
            (Encoding::Postcard, Content::Command) => again::<T::Command>(blob),
        };
        String::from_utf8(json.ok()?).ok()
    }

    fn is_waiting(&self) -> bool {
        let waits = |shown: &Pending<_>| !matches!(shown.standing, Standing::Rejected(_));
        self.pending.with_untracked(|pending| pending.iter().any(waits))
    }
}

/// The same value as JSON.
fn again<V: DeserializeOwned + Serialize>(blob: &Blob) -> Result<Vec<u8>, CodecError> {
    Encoding::Json.encode(&blob.decode::<V>(Encoding::Postcard)?)
}

/// On the server: what the page's source says. In the browser: what the server left in the page, else nothing yet.
fn seed(name: Option<TopicName>) -> ArcResource<Seed> {
    let source = use_context::<TopicSource>();
    let me = use_context::<Visitor>().map(|Visitor(person)| person);
    let later = source.is_none() && is_browser();
    let fetch = move |()| {
        let asked = source.clone().zip(name.clone()).map(|(source, name)| (source.0)(name));
        let me = me.clone();
        async move {
            if later {
                return Seed::Later;
            }
            let state = match asked {
                Some(asked) => asked.await,
                None => Err(Denied::Unavailable),
            };
            Seed::Rendered {
                me,
                state: state.map(|(cursor, json)| (cursor, Blob(json.into_bytes()))),
            }
        }
    };
    ArcResource::new_with_options(|| (), fetch, true)
}
