//! The client-side model of a room: the cached messages, the window of them in the document, and the visitor's drafts and open
//! menus. Contains no view code.

use std::collections::{HashMap, VecDeque};

use leptos::prelude::*;

use super::super::{
    model::{Message, Room, RoomEntry, fold_history, new_message},
    row_window::{Bounds, RowWindow},
    wire::{Chat, ChatCommand, ChatEvent, Rooms, room_path},
};
use super::{labels, moderation::ModerationDraft, visitor::VisitorState};
use crate::i18n::*;
use crate::ui::calendar;
use crate::ui::operator::is_operator;
use crate::wire::moderation::{ALL, Moderation};
use duplex_leptos::topic::{UseTopic, use_topic};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use duplex_protocol::topic::Topic;

/// Maximum number of cached messages; evicted ones are loaded again on demand.
const MAX_CACHED: usize = 20_000;
/// The number of messages in a page of history.
const PAGE_SIZE: usize = 100;
/// Messages of one person within this time form a group under one name.
const GROUP_MS: u64 = 5 * 60_000;

/// A row of the message list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Row {
    /// Days since 1970.
    Day(i64),
    /// The separator above unread messages.
    New,
    /// `group_start`: the message shows its author's name.
    Message { seq: Seq, group_start: bool },
}

#[derive(Default)]
struct MessageCache {
    /// Sorted; the messages are in the same order.
    seqs: Vec<Seq>,
    /// One signal per message, so that a change of a message re-renders only its row.
    messages: VecDeque<ArcRwSignal<Message>>,
    /// The cache starts at the room's first message.
    complete: bool,
}

#[derive(Clone, Copy)]
pub struct RoomModel {
    pub name: StoredValue<String>,
    i18n: LocaleSignal,
    pub chat: UseTopic<Chat>,
    pub rooms: UseTopic<Rooms>,
    pub visitor: VisitorState,
    /// The moderation topic; `None` unless the visitor is an operator.
    pub moderation: Option<UseTopic<Moderation>>,
    cache: StoredValue<MessageCache>,
    /// Incremented when messages are added or removed; edits notify the message's own signal.
    version: RwSignal<u32>,
    pub window: RwSignal<RowWindow>,
    /// Whether a page of history is loading.
    pub loading: RwSignal<bool>,
    /// The last page of history failed to load.
    pub failed: RwSignal<bool>,
    /// The number of the last message that is not new to the visitor.
    pub new_after: RwSignal<Option<u64>>,
    pub menu: RwSignal<Option<Seq>>,
    pub editing: RwSignal<Option<Seq>>,
    /// The texts of messages being edited; outlive their rows.
    pub edit_drafts: StoredValue<HashMap<Seq, ArcRwSignal<String>>>,
    /// An operator's unfinished forms in message menus; outlive their rows.
    pub moderation_drafts: StoredValue<HashMap<Seq, ModerationDraft>>,
    pub replying: RwSignal<Option<Seq>>,
    /// The message that has the focus, if any; `None` until the list is one tab stop.
    pub focused: RwSignal<Option<Option<Seq>>>,
    /// The text of the unsent message.
    pub draft: RwSignal<String>,
    /// The message that was jumped to.
    pub target: RwSignal<Option<Seq>>,
}

impl RoomModel {
    /// Creates the model, owned by the calling component; the room's state must be loaded.
    pub fn new(name: String, chat: UseTopic<Chat>, rooms: UseTopic<Rooms>, visitor: VisitorState) -> Self {
        let model = Self {
            name: StoredValue::new(name),
            i18n: use_i18n(),
            chat,
            rooms,
            visitor,
            moderation: is_operator().then(|| use_topic::<Moderation>(ALL)),
            cache: StoredValue::new(MessageCache::default()),
            version: RwSignal::new(0),
            window: RwSignal::new(RowWindow::default()),
            loading: RwSignal::new(false),
            failed: RwSignal::new(false),
            new_after: RwSignal::new(None),
            menu: RwSignal::new(None),
            editing: RwSignal::new(None),
            edit_drafts: StoredValue::default(),
            moderation_drafts: StoredValue::default(),
            replying: RwSignal::new(None),
            focused: RwSignal::new(None),
            draft: RwSignal::new(String::new()),
            target: RwSignal::new(None),
        };
        model.cache.update_value(|cache| {
            chat.state.with_untracked(|room| cache.sync(room));
        });
        chat.on_event(move |seq, event| model.apply_event(seq, event));
        Effect::new(move |before: Option<u32>| {
            let log = chat.log_generation.get();
            if before.is_some_and(|before| before != log) {
                model.cache.update_value(|cache| *cache = MessageCache::default());
                model.notify();
            }
            chat.state.with(|room| model.sync(room));
            log
        });
        model
    }

    /// Applies each event in turn: a message that is evicted from the state between two updates would otherwise be missed.
    fn apply_event(&self, seq: Seq, event: &ChatEvent) {
        let changed = self.cache.try_update_value(|cache| cache.apply_event(seq, event));
        if changed == Some(true) {
            self.notify();
        }
    }

    fn sync(&self, room: &Room) {
        if self.cache.try_update_value(|cache| cache.sync(room)) == Some(true) {
            self.notify();
        }
    }

    fn notify(&self) {
        self.version.update(|count| *count = count.wrapping_add(1));
    }

    pub fn message(&self, seq: Seq) -> Option<ArcRwSignal<Message>> {
        self.cache.with_value(|cache| cache.get(seq).cloned())
    }

    /// Reads a cached message reactively; tracks the message, and whether it is cached.
    pub fn with_message<R>(&self, seq: Seq, read: impl FnOnce(&Message) -> R) -> Option<R> {
        self.version.track();
        self.message(seq).map(|message| message.with(read))
    }

    /// The rows in the document, in order.
    pub fn rows(&self) -> Vec<Row> {
        self.version.track();
        let (local_time, new_after) = (self.visitor.local_time.get(), self.new_after.get());
        let window = self.window.get();
        self.cache
            .with_value(|cache| cache.rows(window.bounds(&cache.seqs), local_time, new_after))
    }

    /// The number of cached messages after the last row.
    pub fn count_below(&self) -> usize {
        self.version.track();
        let window = self.window.get();
        self.cache
            .with_value(|cache| cache.seqs.len() - window.bounds(&cache.seqs).1)
    }

    pub fn is_complete(&self) -> bool {
        self.version.track();
        let (start, _) = self.cache.with_value(|cache| self.window.get().bounds(&cache.seqs));
        start == 0 && self.cache.with_value(|cache| cache.complete)
    }

    fn move_window(&self, to: impl FnOnce(&RowWindow, &[Seq]) -> RowWindow) {
        let window = self.window.get_untracked();
        let moved = self.cache.with_value(|cache| to(&window, &cache.seqs));
        if moved != window {
            self.window.set(moved);
        }
    }

    pub fn follow_newest(&self) {
        self.move_window(RowWindow::follow);
    }

    pub fn pin_window(&self) {
        self.move_window(RowWindow::pin);
    }

    pub fn show_newer(&self) {
        self.move_window(RowWindow::newer);
    }

    pub fn show_newest(self) {
        self.window.set(RowWindow::default());
    }

    /// Whether there are cached messages before the first row.
    pub fn has_older(&self) -> bool {
        self.cache
            .with_value(|cache| self.window.get_untracked().bounds(&cache.seqs).0 > 0)
    }

    pub fn show_older(&self) {
        self.move_window(RowWindow::older);
    }

    pub fn show_message(&self, seq: Seq) -> bool {
        let cached = self.message(seq).is_some();
        if cached {
            self.window
                .set(self.cache.with_value(|cache| RowWindow::around(&cache.seqs, seq)));
        }
        cached
    }

    pub fn has_full_history(&self) -> bool {
        self.cache.with_value(|cache| cache.complete)
    }

    /// Loads the page of history before the cache; returns whether it was added. Messages older than the room's state are never
    /// amended, so the page stays valid.
    pub async fn load_older(&self) -> bool {
        let Some(before) = self.cache.try_with_value(|cache| cache.seqs.first().copied()).flatten() else {
            return false;
        };
        if self.has_full_history() || self.loading.get_untracked() {
            return false;
        }
        self.loading.set(true);
        let page = self.chat.history(before, PAGE_SIZE).await;
        // The visitor may have left the room meanwhile.
        if self.loading.try_set(false).is_some() {
            return false;
        }
        self.failed.set(page.is_err());
        let Ok(page) = page else { return false };
        let older = fold_history(&page.events);
        self.cache
            .update_value(|cache| cache.prepend(before, older, page.is_first_page));
        self.notify();
        true
    }

    pub fn entry(&self) -> Option<RoomEntry> {
        self.rooms
            .state
            .with(|list| self.name.with_value(|room| list.rooms.get(room).cloned()))
    }

    pub fn title(&self) -> String {
        let locale = self.i18n.get_locale();
        self.name
            .with_value(|room| labels::title(locale, room, &self.entry().unwrap_or_default()))
    }

    /// The path of the room's page.
    pub fn path(&self) -> String {
        self.name.with_value(|room| room_path(room))
    }

    /// The number of unread messages while the tab is hidden, else 0.
    pub fn unread_while_hidden(&self) -> u64 {
        let count = self.chat.state.with(|room| room.count);
        let unread = self.name.with_value(|room| self.visitor.unread(room, count));
        if self.visitor.hidden.get() { unread } else { 0 }
    }

    pub fn send(&self, command: ChatCommand) {
        self.chat.send(command);
    }

    /// Whether the person is this visitor.
    pub fn is_own(&self, by: &PersonId) -> bool {
        self.chat.me.with(|me| me.as_ref().is_some_and(|me| me.id == *by))
    }

    /// Whether the message can be amended: it must be in the room's state and not deleted.
    pub fn is_recent(&self, seq: Seq) -> bool {
        self.chat
            .state
            .with_untracked(|room| room.message(seq).is_some_and(|message| !message.is_deleted()))
    }
}

impl MessageCache {
    fn get(&self, seq: Seq) -> Option<&ArcRwSignal<Message>> {
        let index = self.seqs.binary_search(&seq).ok()?;
        self.messages.get(index)
    }

    /// Applies an event; returns whether messages were added or removed.
    fn apply_event(&mut self, seq: Seq, event: &ChatEvent) -> bool {
        if let Some(message) = new_message(seq, event) {
            return self.push(message);
        }
        if let Some(message) = Chat::amends(event).and_then(|amended| self.get(amended)) {
            message.update(|message| message.amend(event));
        }
        false
    }

    fn push(&mut self, message: Message) -> bool {
        if self.seqs.last().is_some_and(|last| *last >= message.seq) {
            return false;
        }
        self.seqs.push(message.seq);
        self.messages.push_back(ArcRwSignal::new(message));
        if self.seqs.len() > MAX_CACHED {
            self.seqs.drain(..PAGE_SIZE);
            self.messages.drain(..PAGE_SIZE);
            self.complete = false;
        }
        true
    }

    /// Replaces the cache with the state after a reset, unless the state continues the cache without a gap; returns whether
    /// messages were added or removed.
    fn sync(&mut self, room: &Room) -> bool {
        let mut changed = false;
        if !self.is_continued_by(room) {
            *self = Self::default();
            changed = true;
        }
        for message in &room.messages {
            match self.get(message.seq) {
                Some(cached) if cached.with_untracked(|cached| cached == message) => {}
                Some(cached) => cached.set(message.clone()),
                None => changed |= self.push(message.clone()),
            }
        }
        self.complete |= room.messages.front().is_none_or(|first| first.number == 1);
        changed
    }

    fn is_continued_by(&self, room: &Room) -> bool {
        let (Some(first), Some(last)) = (room.messages.front(), self.messages.back()) else {
            return self.messages.is_empty() && room.messages.is_empty();
        };
        let newest = room.messages.back().map_or(0, |message| message.seq);
        let same = |cached: &ArcRwSignal<Message>| {
            cached.with_untracked(|cached| (cached.at, cached.number) == (first.at, first.number))
        };
        let next = last.with_untracked(|last| last.seq < first.seq && last.number + 1 == first.number);
        let behind = last.with_untracked(|last| last.seq <= newest);
        behind && (next || self.get(first.seq).is_some_and(same))
    }

    fn prepend(&mut self, before: Seq, older: VecDeque<Message>, first: bool) {
        // The cache changed meanwhile: a different page is needed.
        if self.seqs.first() != Some(&before) {
            return;
        }
        self.complete = first;
        let older: Vec<_> = older.into_iter().filter(|message| message.seq < before).collect();
        self.seqs.splice(0..0, older.iter().map(|message| message.seq));
        for message in older.into_iter().rev() {
            self.messages.push_front(ArcRwSignal::new(message));
        }
    }

    fn rows(&self, (start, end): Bounds, local_time: bool, new_after: Option<u64>) -> Vec<Row> {
        let mut rows = Vec::with_capacity(end - start + 8);
        let mut previous: Option<(i64, u64, String)> = None;
        for message in self.messages.range(start..end) {
            message.with_untracked(|message| {
                let offset = if local_time {
                    calendar::utc_offset(message.at)
                } else {
                    0
                };
                let day = calendar::day(message.at, offset);
                let same_day = previous.as_ref().is_some_and(|(other, ..)| *other == day);
                if !same_day {
                    rows.push(Row::Day(day));
                }
                let is_new = new_after.is_some_and(|after| message.number == after + 1) && message.number > 1;
                if is_new {
                    rows.push(Row::New);
                }
                let same_group = previous
                    .as_ref()
                    .is_some_and(|(_, at, by)| *by == message.by.id.0 && message.at.saturating_sub(*at) < GROUP_MS);
                let group_start = !same_day || is_new || !same_group || message.reply_to.is_some();
                rows.push(Row::Message {
                    seq: message.seq,
                    group_start,
                });
                previous = Some((day, message.at, message.by.id.0.clone()));
            });
        }
        rows
    }
}
