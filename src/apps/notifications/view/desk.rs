//! What a tab knows of its visitor's notifications: their inbox, the public topics, and what of it is read. Knows no markup.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlDocument;

use super::super::{
    model::{Board, InboxState, Sent, reaches},
    wire::{GROUPS, Inbox, InboxCommand, InboxEvent, ME, Millis, Notices},
};
use crate::wire::{first_visit::FirstVisit, notice::EVERYONE};
use duplex_leptos::topic::{CommandStatus, TopicStatus, UseTopic, use_topic};
use duplex_protocol::{cursor::Seq, topic::Topic};

/// The longest wait for something to expire: browsers hold no timer for weeks.
const LONGEST_WAIT: Millis = 60 * 60 * 1000;

/// Of each group its topic, where the tab has it.
type Groups = [RwSignal<Option<UseTopic<Notices>>>; GROUPS.len()];

#[derive(Clone, Copy)]
pub struct Desk {
    pub inbox: UseTopic<Inbox>,
    pub all: UseTopic<Notices>,
    pub groups: Groups,
    /// The inbox as it will be when all that the visitor did has arrived.
    pub seen: Memo<InboxState>,
    pub now: RwSignal<Millis>,
    pub arrival: FirstVisit,
}

/// The time of day, on the server as in the browser.
pub fn clock() -> Millis {
    if is_browser() {
        return js_sys::Date::now() as Millis;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// In the browser: when the visitor came for the first time.
fn arrival() -> FirstVisit {
    let document = document();
    let cookies = document
        .dyn_ref::<HtmlDocument>()
        .and_then(|document| document.cookie().ok());
    FirstVisit::from_cookies(&cookies.unwrap_or_default())
}

impl Desk {
    /// With all groups, followed or not: for the page, which shows them.
    pub fn whole(visitor: &str, all: UseTopic<Notices>, arrival: FirstVisit, now: Millis) -> Self {
        let desk = Self::start(visitor, all, arrival, now);
        for (slot, group) in desk.groups.iter().zip(GROUPS) {
            slot.set(Some(use_topic(group)));
        }
        desk
    }

    /// With the groups that the visitor follows, from effects. `heard` is told of each as it comes.
    pub fn following(visitor: &str, all: UseTopic<Notices>, heard: fn(Self, &'static str, UseTopic<Notices>)) -> Self {
        let desk = Self::start(visitor, all, arrival(), clock());
        for (slot, group) in desk.groups.into_iter().zip(GROUPS) {
            let wanted = Memo::new(move |_| desk.seen.with(|seen| seen.follows.contains(group)));
            Effect::new(move |_| {
                let topic = wanted.get().then(|| use_topic(group));
                slot.set(topic);
                if let Some(topic) = topic {
                    heard(desk, group, topic);
                }
                on_cleanup(move || {
                    slot.try_set(None);
                });
            });
        }
        desk
    }

    fn start(visitor: &str, all: UseTopic<Notices>, arrival: FirstVisit, now: Millis) -> Self {
        let inbox = use_topic::<Inbox>(visitor);
        let desk = Self {
            inbox,
            all,
            groups: GROUPS.map(|_| RwSignal::new(None)),
            seen: Memo::new(move |_| foreseen(inbox)),
            now: RwSignal::new(now),
            arrival,
        };
        desk.follow_time();
        desk
    }

    /// Whether the inbox was heard of: before, nobody knows what is read.
    pub fn is_known(self) -> bool {
        !matches!(self.inbox.status.get(), TopicStatus::Loading | TopicStatus::Denied(_))
    }

    /// The topics whose notices reach the visitor, the inbox first.
    pub fn sources(self) -> Vec<&'static str> {
        let all = [ME, EVERYONE].into_iter().chain(GROUPS);
        self.seen
            .with(|seen| all.filter(|source| reaches(&seen.follows, source)).collect())
    }

    /// Reads what is there of a source.
    pub fn look(self, source: &str, read: &mut dyn FnMut(&Board)) {
        match source {
            ME => self.inbox.state.with(|inbox| read(&inbox.board)),
            EVERYONE => self.all.state.with(read),
            group => {
                if let Some(topic) = self.group(group) {
                    topic.state.with(read);
                }
            }
        }
    }

    pub fn group(self, group: &str) -> Option<UseTopic<Notices>> {
        let index = GROUPS.iter().position(|one| *one == group)?;
        self.groups.get(index)?.get()
    }

    /// Changes when the log of a source is another one: what is held of it is not to be trusted.
    pub fn logs(self) -> u32 {
        let groups = GROUPS.iter().filter_map(|group| self.group(group));
        let logs = groups.map(|group| group.log.get());
        logs.fold(self.inbox.log.get(), u32::wrapping_add)
            .wrapping_add(self.all.log.get())
    }

    pub fn head(self, source: &str) -> Seq {
        let mut head = 0;
        self.look(source, &mut |board| head = board.head());
        head
    }

    pub fn unread(self) -> usize {
        let now = self.now.get();
        let mut sum = 0;
        for source in self.sources() {
            self.look(source, &mut |board| {
                sum += self.seen.with(|seen| seen.unread(source, board, self.arrival, now));
            });
        }
        sum
    }

    pub fn is_read(self, source: &str, sent: &Sent) -> bool {
        self.seen.with(|seen| seen.knows(source, sent, self.arrival))
    }

    /// Only from event handlers.
    pub fn mark(self, source: &str, seq: Seq) {
        if !self.seen.with_untracked(|seen| seen.has_read(source, seq)) {
            self.inbox.send(InboxCommand::Read {
                source: source.to_owned(),
                seqs: vec![seq],
            });
        }
    }

    /// The newest notice of each source, where there is one.
    pub fn heads(self) -> std::collections::BTreeMap<String, Seq> {
        let heads = self
            .sources()
            .into_iter()
            .map(|source| (source.to_owned(), self.head(source)));
        heads.filter(|(_, head)| *head > 0).collect()
    }

    /// The clock goes on when something expires, and not before.
    fn follow_time(self) {
        Effect::new(move |_| self.now.set(clock()));
        Effect::new(move |_| {
            let now = self.now.get();
            let Some(next) = self.next_expiry(now) else { return };
            let wait = next.saturating_sub(clock()).min(LONGEST_WAIT);
            let tick = move || {
                self.now.try_set(clock());
            };
            let timer = set_timeout_with_handle(tick, Duration::from_millis(wait)).ok();
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
            self.look(source, &mut |board| {
                let expiries = board.notices.iter().filter_map(|sent| sent.notice.expires);
                next = expiries.filter(|at| *at > now).chain(next).min();
            });
        }
        next
    }
}

/// What the visitor did is shown at once: it waits for the link, and will be so.
fn foreseen(inbox: UseTopic<Inbox>) -> InboxState {
    let mut state = inbox.state.get();
    let seq = state.board.head();
    inbox.pending.with(|pending| {
        let waiting = pending
            .iter()
            .filter(|one| !matches!(one.status, CommandStatus::Rejected(_)));
        for one in waiting {
            let event = match one.command.clone() {
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
