//! A topic's newest events, and of each key the newest beyond them. Pure: knows no frame, no log, no reader.
//!
//! A reader is a seq: everything up to it has been seen. What it gets depends on that alone, so readers cost nothing here.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::limits;
use duplex_protocol::cursor::{Check, Seq};
use duplex_protocol::topic::Delivery;

/// What a ring holds at most; the newest event is held whatever its size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub events: usize,
    /// Of the events, and once more of those that are the newest of their key.
    pub bytes: usize,
    /// Keys whose newest event is held beyond `events`.
    pub keys: usize,
    /// How far behind a reader still gets every event.
    pub slightly: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            events: limits::RING_EVENTS,
            bytes: limits::RING_BYTES,
            keys: limits::RING_KEYS,
            slightly: limits::SLIGHTLY_BEHIND,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Ring<T> {
    bounds: Bounds,
    head: Seq,
    /// The newest events without a hole; the last is the head.
    events: VecDeque<Held<T>>,
    /// Of the log before the first of them, if that is known.
    before: Option<Check>,
    events_bytes: usize,
    /// Under `Latest`.
    newest: Option<Newest<T>>,
}

#[derive(Debug)]
struct Held<T> {
    bytes: usize,
    /// Of the log up to the event.
    check: Option<Check>,
    event: T,
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    /// Everything was seen.
    Nothing,
    /// By seq, at least one. Between two of them, and before the first, lie only events that are needless by now.
    Events(Vec<(Seq, T)>),
    /// Something that it needs is not here any more.
    Behind,
}

/// Where a reader's events are.
enum Place<'a, T> {
    Events,
    Newest(&'a Newest<T>),
}

impl<T: Clone> Ring<T> {
    /// Empty, with the next event to come after `head`, where the log has this check.
    pub(crate) fn new((head, check): (Seq, Option<Check>), delivery: Delivery, bounds: Bounds) -> Self {
        Self {
            bounds,
            head,
            events: VecDeque::new(),
            before: check,
            events_bytes: 0,
            newest: (delivery == Delivery::Latest).then(|| Newest::new(head)),
        }
    }

    pub(crate) const fn head(&self) -> Seq {
        self.head
    }

    /// The oldest event that is held without a hole after it, or `head + 1`.
    fn first(&self) -> Seq {
        self.head + 1 - self.events.len() as Seq
    }

    /// The event after the head. A key is heeded under `Latest` only; an event without one is never needless.
    pub(crate) fn push(&mut self, key: Option<String>, bytes: usize, check: Option<Check>, event: T) {
        self.head += 1;
        if let Some(newest) = &mut self.newest {
            newest.put(self.head, key.map(Arc::from), bytes, event.clone());
            newest.shrink(self.bounds);
        }
        self.events.push_back(Held { bytes, check, event });
        self.events_bytes += bytes;
        while self.events.len() > self.bounds.events || (self.events_bytes > self.bounds.bytes && self.events.len() > 1)
        {
            let Some(gone) = self.events.pop_front() else {
                return;
            };
            self.events_bytes -= gone.bytes;
            self.before = gone.check;
        }
    }

    /// Of the log up to `seq`, if the ring knows it.
    pub(crate) fn check(&self, seq: Seq) -> Option<Check> {
        match seq.saturating_add(1).checked_sub(self.first())? {
            0 => self.before,
            _ => self.held(seq)?.check,
        }
    }

    fn held(&self, seq: Seq) -> Option<&Held<T>> {
        let index = seq.checked_sub(self.first())?;
        self.events.get(usize::try_from(index).ok()?)
    }

    /// The event, if it is held, with or without a hole after it.
    pub(crate) fn get(&self, seq: Seq) -> Option<&T> {
        let newest = || self.newest.as_ref()?.by_seq.get(&seq).map(|kept| &kept.event);
        self.held(seq).map(|held| &held.event).or_else(newest)
    }

    /// Puts another event in the place of one that is held; the key stays.
    pub(crate) fn replace(&mut self, seq: Seq, bytes: usize, event: &T) {
        if let Some(newest) = &mut self.newest
            && let Some(kept) = newest.by_seq.get_mut(&seq)
        {
            newest.bytes = newest.bytes - kept.bytes + bytes;
            (kept.bytes, kept.event) = (bytes, event.clone());
        }
        let held = seq
            .checked_sub(self.first())
            .and_then(|index| usize::try_from(index).ok());
        if let Some(place) = held.and_then(|index| self.events.get_mut(index)) {
            self.events_bytes = self.events_bytes - place.bytes + bytes;
            (place.bytes, place.event) = (bytes, event.clone());
        }
    }

    /// How many events a reader finds, if it is not behind.
    pub(crate) fn count(&self, after: Seq) -> Option<u64> {
        if after >= self.head {
            return Some(0);
        }
        Some(match self.place(after)? {
            Place::Events => self.head - after,
            Place::Newest(newest) => newest.after(after).count() as u64,
        })
    }

    pub(crate) fn read(&self, after: Seq, most: usize) -> Found<T> {
        if after >= self.head {
            return Found::Nothing;
        }
        let most = most.max(1);
        match self.place(after) {
            None => Found::Behind,
            Some(Place::Newest(newest)) => Found::Events(newest.after(after).take(most).collect()),
            Some(Place::Events) => {
                let skipped = usize::try_from(after + 1 - self.first()).unwrap_or(usize::MAX);
                let events = self.events.iter().skip(skipped).take(most);
                Found::Events((after + 1..).zip(events.map(|held| held.event.clone())).collect())
            }
        }
    }

    fn place(&self, after: Seq) -> Option<Place<'_, T>> {
        let held = after + 1 >= self.first();
        let newest = self.newest.as_ref().filter(|newest| after >= newest.lost);
        match newest {
            Some(newest) if !held || self.head - after > self.bounds.slightly => Some(Place::Newest(newest)),
            _ => held.then_some(Place::Events),
        }
    }
}

/// The newest event of each key, and those without a key.
#[derive(Debug)]
struct Newest<T> {
    by_seq: BTreeMap<Seq, Kept<T>>,
    seqs: HashMap<Arc<str>, Seq>,
    bytes: usize,
    /// The newest event that was the newest of its key when it was let go: a reader from before it would miss it.
    lost: Seq,
}

#[derive(Debug)]
struct Kept<T> {
    key: Option<Arc<str>>,
    bytes: usize,
    event: T,
}

impl<T: Clone> Newest<T> {
    fn new(lost: Seq) -> Self {
        Self {
            by_seq: BTreeMap::new(),
            seqs: HashMap::new(),
            bytes: 0,
            lost,
        }
    }

    fn put(&mut self, seq: Seq, key: Option<Arc<str>>, bytes: usize, event: T) {
        let older = key.clone().and_then(|key| self.seqs.insert(key, seq));
        if let Some(kept) = older.and_then(|older| self.by_seq.remove(&older)) {
            self.bytes -= kept.bytes;
        }
        self.bytes += bytes;
        self.by_seq.insert(seq, Kept { key, bytes, event });
    }

    fn shrink(&mut self, bounds: Bounds) {
        while self.by_seq.len() > bounds.keys.max(1) || (self.bytes > bounds.bytes && self.by_seq.len() > 1) {
            let Some((seq, kept)) = self.by_seq.pop_first() else {
                return;
            };
            self.bytes -= kept.bytes;
            self.lost = seq;
            if let Some(key) = kept.key {
                self.seqs.remove(&key);
            }
        }
    }

    fn after(&self, after: Seq) -> impl Iterator<Item = (Seq, T)> {
        self.by_seq
            .range(after + 1..)
            .map(|(seq, kept)| (*seq, kept.event.clone()))
    }
}

#[cfg(test)]
mod tests;
