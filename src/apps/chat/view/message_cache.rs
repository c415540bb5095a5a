//! The cached messages of a room, from the oldest loaded one to the newest, and the rows that show them.

use std::collections::VecDeque;

use leptos::prelude::*;

use super::super::{
    model::{Message, Room, new_message},
    row_window::Bounds,
    wire::{Chat, ChatEvent},
};
use super::room_model::{PAGE_SIZE, Row};
use crate::ui::calendar;
use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::Topic;

/// Maximum number of cached messages; evicted ones are loaded again on demand.
const MAX_CACHED: usize = 20_000;
/// Messages of one person within this time form a group under one name.
const GROUP_MS: u64 = 5 * 60_000;

#[derive(Default)]
pub struct MessageCache {
    /// Sorted; the messages are in the same order.
    pub seqs: Vec<Seq>,
    /// One signal per message, so that a change of a message re-renders only its row.
    messages: VecDeque<ArcRwSignal<Message>>,
    /// The cache starts at the room's first message.
    pub complete: bool,
}

impl MessageCache {
    pub fn get(&self, seq: Seq) -> Option<&ArcRwSignal<Message>> {
        let index = self.seqs.binary_search(&seq).ok()?;
        self.messages.get(index)
    }

    /// Applies an event; returns whether messages were added or removed.
    pub fn apply_event(&mut self, seq: Seq, event: &ChatEvent) -> bool {
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
    pub fn sync(&mut self, room: &Room) -> bool {
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

    pub fn prepend(&mut self, before: Seq, older: VecDeque<Message>, first: bool) {
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

    pub fn rows(&self, (start, end): Bounds, local_time: bool, new_after: Option<u64>) -> Vec<Row> {
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
