//! `InboxModel`: the tab's subscriptions to the visitor's inbox and public topics, with pending commands applied. No markup.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlDocument;

use super::super::{
    model::{InboxState, NoticeEntry, NoticeList, receives},
    wire::{GROUPS, Inbox, InboxCommand, InboxEvent, Millis, Notices, OWN_INBOX},
};
use crate::wire::{first_visit::FirstVisit, notice::EVERYONE};
use duplex_leptos::topic::{CommandStatus, TopicStatus, UseTopic, use_topic};
use duplex_protocol::{cursor::Seq, topic::Topic};

/// Maximum timeout of one timer: browsers overflow above 2^31 ms (25 days).
const MAX_TIMEOUT: Millis = 60 * 60 * 1000;

/// Each group's topic, if the tab is subscribed to it.
type Groups = [RwSignal<Option<UseTopic<Notices>>>; GROUPS.len()];

#[derive(Clone, Copy)]
pub struct InboxModel {
    pub inbox: UseTopic<Inbox>,
    pub all: UseTopic<Notices>,
    pub groups: Groups,
    /// The inbox's state with the visitor's pending commands applied.
    pub optimistic: Memo<InboxState>,
    pub now: RwSignal<Millis>,
    pub first_visit: FirstVisit,
}

/// The current time, on the server and in the browser.
pub fn current_time() -> Millis {
    if is_browser() {
        return js_sys::Date::now() as Millis;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// In the browser: the time of the visitor's first visit.
fn first_visit() -> FirstVisit {
    let document = document();
    let cookies = document
        .dyn_ref::<HtmlDocument>()
        .and_then(|document| document.cookie().ok());
    FirstVisit::from_cookies(&cookies.unwrap_or_default())
}

impl InboxModel {
    /// Subscribes to all groups, followed or not, for the notifications page.
    pub fn with_all_groups(visitor: &str, all: UseTopic<Notices>, first_visit: FirstVisit, now: Millis) -> Self {
        let model = Self::start(visitor, all, first_visit, now);
        for (slot, group) in model.groups.iter().zip(GROUPS) {
            slot.set(Some(use_topic(group)));
        }
        model
    }

    /// Subscribes to each followed group and unsubscribes when it is unfollowed; calls `on_subscribe` after each subscription. Runs
    /// in effects, so in the browser only.
    pub fn with_followed_groups(
        visitor: &str,
        all: UseTopic<Notices>,
        on_subscribe: fn(Self, &'static str, UseTopic<Notices>),
    ) -> Self {
        let model = Self::start(visitor, all, first_visit(), current_time());
        for (slot, group) in model.groups.into_iter().zip(GROUPS) {
            let is_followed = Memo::new(move |_| model.optimistic.with(|inbox| inbox.follows.contains(group)));
            Effect::new(move |_| {
                let topic = is_followed.get().then(|| use_topic(group));
                slot.set(topic);
                if let Some(topic) = topic {
                    on_subscribe(model, group, topic);
                }
                on_cleanup(move || {
                    slot.try_set(None);
                });
            });
        }
        model
    }

    fn start(visitor: &str, all: UseTopic<Notices>, first_visit: FirstVisit, now: Millis) -> Self {
        let inbox = use_topic::<Inbox>(visitor);
        let model = Self {
            inbox,
            all,
            groups: GROUPS.map(|_| RwSignal::new(None)),
            optimistic: Memo::new(move |_| optimistic_state(inbox)),
            now: RwSignal::new(now),
            first_visit,
        };
        model.track_expiry();
        model
    }

    /// Whether the inbox has loaded. Until then, the read marks are unknown.
    pub fn is_loaded(self) -> bool {
        !matches!(self.inbox.status.get(), TopicStatus::Loading | TopicStatus::Denied(_))
    }

    /// The sources whose notices the visitor receives, the inbox first.
    pub fn sources(self) -> Vec<&'static str> {
        let all = [OWN_INBOX, EVERYONE].into_iter().chain(GROUPS);
        self.optimistic
            .with(|inbox| all.filter(|source| receives(&inbox.follows, source)).collect())
    }

    /// Calls `f` with a source's list, if the tab is subscribed to it.
    pub fn with_list(self, source: &str, read: &mut dyn FnMut(&NoticeList)) {
        match source {
            OWN_INBOX => self.inbox.state.with(|inbox| read(&inbox.list)),
            EVERYONE => self.all.state.with(read),
            group => {
                if let Some(topic) = self.group(group) {
                    topic.state.with(read);
                }
            }
        }
    }

    pub fn group(self, group: &str) -> Option<UseTopic<Notices>> {
        let index = GROUPS.iter().position(|name| *name == group)?;
        self.groups.get(index)?.get()
    }

    /// Changes when a source's log is replaced, which invalidates its cached notices.
    pub fn log_version(self) -> u32 {
        let groups = GROUPS.iter().filter_map(|group| self.group(group));
        let logs = groups.map(|group| group.log_generation.get());
        logs.fold(self.inbox.log_generation.get(), u32::wrapping_add)
            .wrapping_add(self.all.log_generation.get())
    }

    pub fn head(self, source: &str) -> Seq {
        let mut head = 0;
        self.with_list(source, &mut |list| head = list.head());
        head
    }

    pub fn unread_count(self) -> usize {
        let now = self.now.get();
        let mut sum = 0;
        for source in self.sources() {
            self.with_list(source, &mut |list| {
                sum += self
                    .optimistic
                    .with(|inbox| inbox.unread_count(source, list, self.first_visit, now));
            });
        }
        sum
    }

    pub fn is_read(self, source: &str, entry: &NoticeEntry) -> bool {
        self.optimistic
            .with(|inbox| inbox.counts_as_read(source, entry, self.first_visit))
    }

    /// Marks a notice as read. Call only from event handlers.
    pub fn mark_read(self, source: &str, seq: Seq) {
        if !self.optimistic.with_untracked(|inbox| inbox.has_read(source, seq)) {
            self.inbox.send(InboxCommand::Read {
                source: source.to_owned(),
                seqs: vec![seq],
            });
        }
    }

    /// The seq of each source's newest notice.
    pub fn heads(self) -> std::collections::BTreeMap<String, Seq> {
        let heads = self
            .sources()
            .into_iter()
            .map(|source| (source.to_owned(), self.head(source)));
        heads.filter(|(_, head)| *head > 0).collect()
    }

    /// Advances `now` whenever a notice expires.
    fn track_expiry(self) {
        Effect::new(move |_| self.now.set(current_time()));
        Effect::new(move |_| {
            let now = self.now.get();
            let Some(next) = self.next_expiry(now) else { return };
            let timeout = next.saturating_sub(current_time()).min(MAX_TIMEOUT);
            let tick = move || {
                self.now.try_set(current_time());
            };
            let timer = set_timeout_with_handle(tick, Duration::from_millis(timeout)).ok();
            on_cleanup(move || {
                if let Some(timer) = timer {
                    timer.clear();
                }
            });
        });
    }

    fn next_expiry(self, now: Millis) -> Option<Millis> {
        let mut next: Option<Millis> = None;
        for source in self.sources() {
            self.with_list(source, &mut |list| {
                let expiries = list.notices.iter().filter_map(|entry| entry.notice.expires);
                next = expiries.filter(|at| *at > now).chain(next).min();
            });
        }
        next
    }
}

/// Applies the pending commands to the inbox's state, so that the visitor's actions take effect at once.
fn optimistic_state(inbox: UseTopic<Inbox>) -> InboxState {
    let mut state = inbox.state.get();
    let seq = state.list.head();
    inbox.pending.with(|pending| {
        let not_rejected = pending
            .iter()
            .filter(|command| !matches!(command.status, CommandStatus::Rejected(_)));
        for command in not_rejected {
            let event = match command.command.clone() {
                InboxCommand::Send(_) => continue,
                InboxCommand::Read { source, seqs } => InboxEvent::Read { source, seqs },
                InboxCommand::ReadAll { heads } => InboxEvent::ReadAll { heads },
                InboxCommand::Follow { group, on: true, head } => InboxEvent::Followed { group, from: head },
                InboxCommand::Follow { group, .. } => InboxEvent::Unfollowed { group },
            };
            Inbox::apply(&mut state, seq, &event);
        }
    });
    state
}
