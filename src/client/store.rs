//! What a tab holds of one topic: its state and what stands around it, as signals that all its components share.
//! Knows no link: it is told.

use std::future::poll_fn;
use std::sync::Mutex;
use std::task::{Poll, Waker};

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::status::TopicStatus;
use super::tab::lock;
use super::use_topic::{Pending, TopicSource, Visitor};
use crate::wire::codec::{Blob, Encoding};
use crate::wire::cursor::Cursor;
use crate::wire::person::Person;
use crate::wire::presence::Presence;
use crate::wire::session::Denied;
use crate::wire::topic::{Topic, TopicName};

/// What the server's rendering leaves in the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Seed {
    Rendered {
        me: Option<Person>,
        /// None: the server had nothing to show, and the page was rendered without.
        state: Option<(Cursor, Blob)>,
    },
    /// The page was not rendered by the server: the state comes over the link.
    Later,
}

pub(super) struct Store<T: Topic> {
    pub name: Option<TopicName>,
    pub state: ArcRwSignal<T::State>,
    pub status: ArcRwSignal<TopicStatus>,
    pub presence: ArcRwSignal<Presence>,
    pub pending: ArcRwSignal<Vec<Pending<T::Command>>>,
    pub me: ArcRwSignal<Option<Person>>,
    seed: ArcResource<Seed>,
    inner: Mutex<Inner>,
}

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
            status: ArcRwSignal::new(status),
            presence: ArcRwSignal::default(),
            pending: ArcRwSignal::default(),
            me,
            inner: Mutex::default(),
        }
    }

    /// Ready when there is a state, or when it is certain that there will be none.
    pub async fn loaded(&self) {
        match self.seed.clone().await {
            Seed::Rendered { me, state } => self.plant(me, state),
            Seed::Later => self.settled().await,
        }
    }

    /// Takes over what the server rendered.
    fn plant(&self, me: Option<Person>, state: Option<(Cursor, Blob)>) {
        if std::mem::replace(&mut lock(&self.inner).planted, true) {
            return;
        }
        if me.is_some() {
            self.me.set(me);
        }
        if let Some((cursor, state)) = state
            && let Ok(state) = state.decode(Encoding::Json)
        {
            lock(&self.inner).cursor = Some(cursor);
            self.state.set(state);
            self.set_status(TopicStatus::Resuming);
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
                None => None,
            };
            Seed::Rendered {
                me,
                state: state.map(|(cursor, json)| (cursor, Blob(json.into_bytes()))),
            }
        }
    };
    ArcResource::new_with_options(|| (), fetch, true)
}
