//! A topic's ring of newest events, and beyond them the newest event of each key. Pure.
//!
//! The ring has no per-reader state: a reader is only a seq, up to which it has seen everything.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::limits;
use duplex_protocol::cursor::{Checksum, Seq};
use duplex_protocol::topic::Delivery;

/// The limits of a ring; the newest event is stored regardless of its size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingLimits {
    pub events: usize,
    /// The bytes of the events, and again of the newest events by key.
    pub bytes: usize,
    /// Keys whose newest event is stored beyond `events`.
    pub keys: usize,
    /// The number of events that a reader may be behind and still get every event.
    pub conflate_after: u64,
}

impl Default for RingLimits {
    fn default() -> Self {
        Self {
            events: limits::RING_EVENTS,
            bytes: limits::RING_BYTES,
            keys: limits::RING_KEYS,
            conflate_after: limits::CONFLATE_AFTER,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Ring<T> {
    limits: RingLimits,
    head: Seq,
    /// The newest events without a gap; the last is the head.
    events: VecDeque<RingEntry<T>>,
    /// The checksum of the log before the first of them, if it is known.
    checksum_before: Option<Checksum>,
    events_bytes: usize,
    /// `Some` under `Delivery::Latest`.
    newest: Option<NewestByKey<T>>,
}

#[derive(Debug)]
struct RingEntry<T> {
    bytes: usize,
    /// The checksum of the log up to the event.
    checksum: Option<Checksum>,
    event: T,
}

/// The result of a read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RingRead<T> {
    /// The reader has seen everything.
    Nothing,
    /// By seq, at least one. Omitted seqs are superseded.
    Events(Vec<(Seq, T)>),
    /// The ring lacks an event that the reader needs.
    Behind,
}

/// The part of the ring that serves a reader.
enum Segment<'a, T> {
    Events,
    ByKey(&'a NewestByKey<T>),
}

impl<T: Clone> Ring<T> {
    /// An empty ring. The next event comes after `head`, where the log has this checksum.
    pub(crate) fn new((head, checksum): (Seq, Option<Checksum>), delivery: Delivery, limits: RingLimits) -> Self {
        Self {
            limits,
            head,
            events: VecDeque::new(),
            checksum_before: checksum,
            events_bytes: 0,
            newest: (delivery == Delivery::Latest).then(|| NewestByKey::new(head)),
        }
    }

    pub(crate) const fn head(&self) -> Seq {
        self.head
    }

    /// The first seq of the contiguous part, or `head + 1`.
    fn first(&self) -> Seq {
        self.head + 1 - self.events.len() as Seq
    }

    /// Appends the event after the head. The key is ignored unless the delivery is `Latest`; an event without a key is never
    /// superseded.
    pub(crate) fn push(&mut self, key: Option<String>, bytes: usize, checksum: Option<Checksum>, event: T) {
        self.head += 1;
        if let Some(newest) = &mut self.newest {
            newest.insert(self.head, key.map(Arc::from), bytes, event.clone());
            newest.shrink(self.limits);
        }
        self.events.push_back(RingEntry { bytes, checksum, event });
        self.events_bytes += bytes;
        while self.events.len() > self.limits.events || (self.events_bytes > self.limits.bytes && self.events.len() > 1)
        {
            let Some(evicted) = self.events.pop_front() else {
                return;
            };
            self.events_bytes -= evicted.bytes;
            self.checksum_before = evicted.checksum;
        }
    }

    /// The checksum of the log up to `seq`, if the ring has it.
    pub(crate) fn checksum(&self, seq: Seq) -> Option<Checksum> {
        match seq.saturating_add(1).checked_sub(self.first())? {
            0 => self.checksum_before,
            _ => self.entry(seq)?.checksum,
        }
    }

    fn entry(&self, seq: Seq) -> Option<&RingEntry<T>> {
        let index = seq.checked_sub(self.first())?;
        self.events.get(usize::try_from(index).ok()?)
    }

    /// The event, from the contiguous part or from the newest by key.
    pub(crate) fn get(&self, seq: Seq) -> Option<&T> {
        let newest = || self.newest.as_ref()?.by_seq.get(&seq).map(|keyed| &keyed.event);
        self.entry(seq).map(|entry| &entry.event).or_else(newest)
    }

    /// Replaces an event, if the ring has it; the key stays.
    pub(crate) fn replace(&mut self, seq: Seq, bytes: usize, event: &T) {
        if let Some(newest) = &mut self.newest
            && let Some(keyed) = newest.by_seq.get_mut(&seq)
        {
            newest.bytes = newest.bytes - keyed.bytes + bytes;
            (keyed.bytes, keyed.event) = (bytes, event.clone());
        }
        let index = seq
            .checked_sub(self.first())
            .and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| self.events.get_mut(index)) {
            self.events_bytes = self.events_bytes - entry.bytes + bytes;
            (entry.bytes, entry.event) = (bytes, event.clone());
        }
    }

    /// The number of events for a reader, unless it is behind.
    pub(crate) fn count(&self, after: Seq) -> Option<u64> {
        if after >= self.head {
            return Some(0);
        }
        Some(match self.segment(after)? {
            Segment::Events => self.head - after,
            Segment::ByKey(newest) => newest.after(after).count() as u64,
        })
    }

    pub(crate) fn read(&self, after: Seq, limit: usize) -> RingRead<T> {
        if after >= self.head {
            return RingRead::Nothing;
        }
        let limit = limit.max(1);
        match self.segment(after) {
            None => RingRead::Behind,
            Some(Segment::ByKey(newest)) => RingRead::Events(newest.after(after).take(limit).collect()),
            Some(Segment::Events) => {
                let skipped = usize::try_from(after + 1 - self.first()).unwrap_or(usize::MAX);
                let events = self.events.iter().skip(skipped).take(limit);
                RingRead::Events((after + 1..).zip(events.map(|entry| entry.event.clone())).collect())
            }
        }
    }

    fn segment(&self, after: Seq) -> Option<Segment<'_, T>> {
        let in_events = after + 1 >= self.first();
        let newest = self.newest.as_ref().filter(|newest| after >= newest.evicted);
        match newest {
            Some(newest) if !in_events || self.head - after > self.limits.conflate_after => {
                Some(Segment::ByKey(newest))
            }
            _ => in_events.then_some(Segment::Events),
        }
    }
}

/// The newest event of each key, and all events without a key.
#[derive(Debug)]
struct NewestByKey<T> {
    by_seq: BTreeMap<Seq, KeyedEntry<T>>,
    seqs: HashMap<Arc<str>, Seq>,
    bytes: usize,
    /// The newest evicted seq; readers before it are behind.
    evicted: Seq,
}

#[derive(Debug)]
struct KeyedEntry<T> {
    key: Option<Arc<str>>,
    bytes: usize,
    event: T,
}

impl<T: Clone> NewestByKey<T> {
    fn new(evicted: Seq) -> Self {
        Self {
            by_seq: BTreeMap::new(),
            seqs: HashMap::new(),
            bytes: 0,
            evicted,
        }
    }

    fn insert(&mut self, seq: Seq, key: Option<Arc<str>>, bytes: usize, event: T) {
        let older = key.clone().and_then(|key| self.seqs.insert(key, seq));
        if let Some(keyed) = older.and_then(|older| self.by_seq.remove(&older)) {
            self.bytes -= keyed.bytes;
        }
        self.bytes += bytes;
        self.by_seq.insert(seq, KeyedEntry { key, bytes, event });
    }

    fn shrink(&mut self, limits: RingLimits) {
        while self.by_seq.len() > limits.keys.max(1) || (self.bytes > limits.bytes && self.by_seq.len() > 1) {
            let Some((seq, keyed)) = self.by_seq.pop_first() else {
                return;
            };
            self.bytes -= keyed.bytes;
            self.evicted = seq;
            if let Some(key) = keyed.key {
                self.seqs.remove(&key);
            }
        }
    }

    fn after(&self, after: Seq) -> impl Iterator<Item = (Seq, T)> {
        self.by_seq
            .range(after + 1..)
            .map(|(seq, keyed)| (*seq, keyed.event.clone()))
    }
}

#[cfg(test)]
mod tests;
