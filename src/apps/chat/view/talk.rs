//! One room as its visitor has it: the messages that this page holds, which of them stand in the document, and what the
//! visitor is about. Knows no markup.

use std::collections::{HashMap, VecDeque};

use leptos::prelude::*;

use super::super::{
    model::{Entry, Message, Room, fold_history, posted},
    span::{Places, Span},
    wire::{Chat, ChatCommand, ChatEvent, Rooms, room_path},
};
use super::{moderation::Begun, visit::Visit, words};
use crate::i18n::*;
use crate::ui::calendar;
use crate::ui::operator::is_operator;
use crate::wire::moderation::{ALL, Moderation};
use duplex_leptos::topic::{UseTopic, use_topic};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use duplex_protocol::topic::Topic;

/// Messages that a page holds; the oldest are asked for again when they are wanted.
const HELD: usize = 20_000;
/// Messages of one page of history.
const PAGE: usize = 100;
/// Messages of one person within this time stand together under one name.
const TOGETHER_MS: u64 = 5 * 60_000;

/// A row of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Item {
    /// Days since 1970.
    Day(i64),
    /// Below it is what came since the visitor was here.
    New,
    /// `lead`: it bears its author's name.
    Message { seq: Seq, lead: bool },
}

#[derive(Default)]
struct Lines {
    /// Sorted, and the messages in the same order.
    seqs: Vec<Seq>,
    /// Each is a signal of its own: what happens to one message touches its row alone.
    messages: VecDeque<ArcRwSignal<Message>>,
    /// Nothing lies before them.
    complete: bool,
}

#[derive(Clone, Copy)]
pub struct Talk {
    pub room: StoredValue<String>,
    i18n: Language,
    pub chat: UseTopic<Chat>,
    pub rooms: UseTopic<Rooms>,
    pub visit: Visit,
    /// Where an operator's commands go; none for anybody else.
    pub rules: Option<UseTopic<Moderation>>,
    lines: StoredValue<Lines>,
    /// Told when messages come or go; what happens to one is told by itself.
    order: RwSignal<u32>,
    pub span: RwSignal<Span>,
    /// A page of history is on its way.
    pub loading: RwSignal<bool>,
    /// History did not come.
    pub failed: RwSignal<bool>,
    /// Messages after this number are new to the visitor.
    pub new_after: RwSignal<Option<u64>>,
    pub menu: RwSignal<Option<Seq>>,
    pub editing: RwSignal<Option<Seq>>,
    /// What is typed in messages that are open for a change; outlives their rows.
    pub edits: StoredValue<HashMap<Seq, ArcRwSignal<String>>>,
    /// What an operator has begun in the menus of messages; outlives their rows.
    pub begun: StoredValue<HashMap<Seq, Begun>>,
    pub replying: RwSignal<Option<Seq>>,
    /// The message that has the focus, if any; none before scripts move it.
    pub focused: RwSignal<Option<Option<Seq>>>,
    /// What is typed and not sent.
    pub draft: RwSignal<String>,
    /// The message that was jumped to.
    pub target: RwSignal<Option<Seq>>,
}

impl Talk {
    /// Belongs to the component that calls it; the room's state is there.
    pub fn start(room: String, chat: UseTopic<Chat>, rooms: UseTopic<Rooms>, visit: Visit) -> Self {
        let talk = Self {
            room: StoredValue::new(room),
            i18n: use_i18n(),
            chat,
            rooms,
            visit,
            rules: is_operator().then(|| use_topic::<Moderation>(ALL)),
            lines: StoredValue::new(Lines::default()),
            order: RwSignal::new(0),
            span: RwSignal::new(Span::default()),
            loading: RwSignal::new(false),
            failed: RwSignal::new(false),
            new_after: RwSignal::new(None),
            menu: RwSignal::new(None),
            editing: RwSignal::new(None),
            edits: StoredValue::default(),
            begun: StoredValue::default(),
            replying: RwSignal::new(None),
            focused: RwSignal::new(None),
            draft: RwSignal::new(String::new()),
            target: RwSignal::new(None),
        };
        talk.lines.update_value(|lines| {
            chat.state.with_untracked(|room| lines.agree_with(room));
        });
        chat.on_event(move |seq, event| talk.hear(seq, event));
        Effect::new(move |before: Option<u32>| {
            let log = chat.log.get();
            if before.is_some_and(|before| before != log) {
                talk.lines.update_value(|lines| *lines = Lines::default());
                talk.touch();
            }
            chat.state.with(|room| talk.agree_with(room));
            log
        });
        talk
    }

    /// Each event in turn: the state alone would not show what came and went between two looks.
    fn hear(&self, seq: Seq, event: &ChatEvent) {
        let changed = self.lines.try_update_value(|lines| lines.hear(seq, event));
        if changed == Some(true) {
            self.touch();
        }
    }

    fn agree_with(&self, room: &Room) {
        if self.lines.try_update_value(|lines| lines.agree_with(room)) == Some(true) {
            self.touch();
        }
    }

    fn touch(&self) {
        self.order.update(|count| *count = count.wrapping_add(1));
    }

    pub fn message(&self, seq: Seq) -> Option<ArcRwSignal<Message>> {
        self.lines.with_value(|lines| lines.get(seq).cloned())
    }

    /// Follows whether the message is held, and the message.
    pub fn look_up<R>(&self, seq: Seq, read: impl FnOnce(&Message) -> R) -> Option<R> {
        self.order.track();
        self.message(seq).map(|message| message.with(read))
    }

    /// The rows of the document, in order.
    pub fn items(&self) -> Vec<Item> {
        self.order.track();
        let (local, new_after) = (self.visit.local.get(), self.new_after.get());
        let span = self.span.get();
        self.lines
            .with_value(|lines| lines.items(span.places(&lines.seqs), local, new_after))
    }

    /// Messages that are held after the last row.
    pub fn below(&self) -> usize {
        self.order.track();
        let span = self.span.get();
        self.lines
            .with_value(|lines| lines.seqs.len() - span.places(&lines.seqs).1)
    }

    pub fn is_complete(&self) -> bool {
        self.order.track();
        let (start, _) = self.lines.with_value(|lines| self.span.get().places(&lines.seqs));
        start == 0 && self.lines.with_value(|lines| lines.complete)
    }

    fn move_span(&self, to: impl FnOnce(&Span, &[Seq]) -> Span) {
        let span = self.span.get_untracked();
        let then = self.lines.with_value(|lines| to(&span, &lines.seqs));
        if then != span {
            self.span.set(then);
        }
    }

    pub fn follow(&self) {
        self.move_span(Span::follow);
    }

    pub fn hold(&self) {
        self.move_span(Span::hold);
    }

    pub fn newer(&self) {
        self.move_span(Span::newer);
    }

    pub fn to_end(self) {
        self.span.set(Span::default());
    }

    /// Messages are held that stand before the first row.
    pub fn has_older(&self) -> bool {
        self.lines
            .with_value(|lines| self.span.get_untracked().places(&lines.seqs).0 > 0)
    }

    pub fn older(&self) {
        self.move_span(Span::older);
    }

    pub fn show(&self, seq: Seq) -> bool {
        let held = self.message(seq).is_some();
        if held {
            self.span
                .set(self.lines.with_value(|lines| Span::around(&lines.seqs, seq)));
        }
        held
    }

    pub fn holds_all(&self) -> bool {
        self.lines.with_value(|lines| lines.complete)
    }

    /// One page of what lies before all that is held. What is older than the room's state is amended no more, so a page of
    /// it stays true.
    pub async fn ask_for_older(&self) -> bool {
        let Some(before) = self.lines.try_with_value(|lines| lines.seqs.first().copied()).flatten() else {
            return false;
        };
        if self.holds_all() || self.loading.get_untracked() {
            return false;
        }
        self.loading.set(true);
        let page = self.chat.history(before, PAGE).await;
        // The visitor may have left the room meanwhile.
        if self.loading.try_set(false).is_some() {
            return false;
        }
        self.failed.set(page.is_err());
        let Ok(page) = page else { return false };
        let older = fold_history(&page.events);
        self.lines
            .update_value(|lines| lines.prepend(before, older, page.first));
        self.touch();
        true
    }

    pub fn entry(&self) -> Option<Entry> {
        self.rooms
            .state
            .with(|list| self.room.with_value(|room| list.rooms.get(room).cloned()))
    }

    pub fn title(&self) -> String {
        let locale = self.i18n.get_locale();
        self.room
            .with_value(|room| words::title(locale, room, &self.entry().unwrap_or_default()))
    }

    /// The room's page.
    pub fn path(&self) -> String {
        self.room.with_value(|room| room_path(room))
    }

    /// What came while the visitor looked elsewhere.
    pub fn missed(&self) -> u64 {
        let count = self.chat.state.with(|room| room.count);
        let unread = self.room.with_value(|room| self.visit.unread(room, count));
        if self.visit.hidden.get() { unread } else { 0 }
    }

    pub fn send(&self, command: ChatCommand) {
        self.chat.send(command);
    }

    /// Whether this visitor wrote it.
    pub fn is_own(&self, by: &PersonId) -> bool {
        self.chat.me.with(|me| me.as_ref().is_some_and(|me| me.id == *by))
    }

    /// Only what is in the room's state may be amended.
    pub fn is_recent(&self, seq: Seq) -> bool {
        self.chat
            .state
            .with_untracked(|room| room.message(seq).is_some_and(|message| !message.is_deleted()))
    }
}

impl Lines {
    fn get(&self, seq: Seq) -> Option<&ArcRwSignal<Message>> {
        let index = self.seqs.binary_search(&seq).ok()?;
        self.messages.get(index)
    }

    /// Says whether messages came or went.
    fn hear(&mut self, seq: Seq, event: &ChatEvent) -> bool {
        if let Some(message) = posted(seq, event) {
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
        if self.seqs.len() > HELD {
            self.seqs.drain(..PAGE);
            self.messages.drain(..PAGE);
            self.complete = false;
        }
        true
    }

    /// After a reset the state is the truth; what was held is kept where the state goes on from it without a hole.
    fn agree_with(&mut self, room: &Room) -> bool {
        let mut changed = false;
        if !self.goes_on_to(room) {
            *self = Self::default();
            changed = true;
        }
        for message in &room.messages {
            match self.get(message.seq) {
                Some(held) if held.with_untracked(|held| held == message) => {}
                Some(held) => held.set(message.clone()),
                None => changed |= self.push(message.clone()),
            }
        }
        self.complete |= room.messages.front().is_none_or(|first| first.number == 1);
        changed
    }

    fn goes_on_to(&self, room: &Room) -> bool {
        let (Some(first), Some(last)) = (room.messages.front(), self.messages.back()) else {
            return self.messages.is_empty() && room.messages.is_empty();
        };
        let newest = room.messages.back().map_or(0, |message| message.seq);
        let same = |held: &ArcRwSignal<Message>| {
            held.with_untracked(|held| (held.at, held.number) == (first.at, first.number))
        };
        let next = last.with_untracked(|last| last.seq < first.seq && last.number + 1 == first.number);
        let behind = last.with_untracked(|last| last.seq <= newest);
        behind && (next || self.get(first.seq).is_some_and(same))
    }

    fn prepend(&mut self, before: Seq, older: VecDeque<Message>, first: bool) {
        // What was held has changed meanwhile: another page will be asked for.
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

    fn items(&self, (start, end): Places, local: bool, new_after: Option<u64>) -> Vec<Item> {
        let mut items = Vec::with_capacity(end - start + 8);
        let mut before: Option<(i64, u64, String)> = None;
        for message in self.messages.range(start..end) {
            message.with_untracked(|message| {
                let offset = if local { calendar::utc_offset(message.at) } else { 0 };
                let day = calendar::day(message.at, offset);
                let same_day = before.as_ref().is_some_and(|(other, ..)| *other == day);
                if !same_day {
                    items.push(Item::Day(day));
                }
                let is_new = new_after.is_some_and(|after| message.number == after + 1) && message.number > 1;
                if is_new {
                    items.push(Item::New);
                }
                let together = before
                    .as_ref()
                    .is_some_and(|(_, at, by)| *by == message.by.id.0 && message.at.saturating_sub(*at) < TOGETHER_MS);
                let lead = !same_day || is_new || !together || message.reply_to.is_some();
                items.push(Item::Message { seq: message.seq, lead });
                before = Some((day, message.at, message.by.id.0.clone()));
            });
        }
        items
    }
}
