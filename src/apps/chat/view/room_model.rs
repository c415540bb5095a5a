//! The client-side model of a room: the cached messages, the window of them in the document, and the visitor's drafts and open
//! menus. Contains no view code.

use std::collections::HashMap;

use leptos::prelude::*;

use super::super::{
    model::{MAX_MESSAGES, Message, Room, RoomEntry, fold_history},
    row_window::RowWindow,
    wire::{Chat, ChatCommand, ChatEvent, Rooms, room_path},
};
use super::{labels, message_cache::MessageCache, moderation::ModerationDraft, visitor::VisitorState};
use crate::i18n::*;
use crate::ui::hydration_queue::HydrationQueue;
use crate::ui::operator::is_operator;
use crate::wire::moderation::{ALL, Moderation};
use duplex_leptos::topic::{UseTopic, use_topic};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;

/// The number of messages in a page of history.
pub const PAGE_SIZE: usize = 100;
/// Maximum text of the rows that the server renders, in bytes: several screens of the longest messages.
const MAX_FIRST_TEXT: usize = 64 << 10;

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
    /// Hydrates the rows; `None` if the page has hydrated.
    hydration: StoredValue<Option<HydrationQueue>>,
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
            hydration: StoredValue::new(HydrationQueue::current()),
            window: RwSignal::new(chat.state.with_untracked(first_window)),
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
            if before.is_some() {
                model.hydrate_rows();
            }
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
        self.hydrate_rows();
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

    /// Hydrates the rows that still wait. Rows hydrate as the server rendered them, so it precedes every change of them.
    fn hydrate_rows(&self) {
        self.hydration
            .try_with_value(|queue| queue.as_ref().map(HydrationQueue::flush));
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
        let moved = self
            .cache
            .with_value(|cache| to(&self.window.get_untracked(), &cache.seqs));
        if moved != self.window.get_untracked() {
            self.hydrate_rows();
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
        self.move_window(|_, _| RowWindow::NEWEST);
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
            self.move_window(|_, seqs| RowWindow::around(seqs, seq));
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

/// The rows that a room shows first. The server cannot add rows later, so it renders the room's whole state, within a limit.
fn first_window(room: &Room) -> RowWindow {
    if !is_server() && HydrationQueue::current().is_none() {
        return RowWindow::NEWEST;
    }
    let lengths = room.messages.iter().rev().map(|message| message.text.len());
    RowWindow::newest_within(MAX_MESSAGES, lengths, MAX_FIRST_TEXT)
}
