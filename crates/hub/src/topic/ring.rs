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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMALL: Bounds = Bounds {
        events: 4,
        bytes: 1000,
        keys: 3,
        slightly: 2,
    };

    fn keys(ring: &mut Ring<char>, keys: &str) {
        for key in keys.chars() {
            let check = Check::new(ring.head() as u32 + 1);
            ring.push((key != '-').then(|| key.to_string()), 1, check, key);
        }
    }

    #[test]
    fn every_event_comes_until_the_ring_has_let_it_go() {
        let mut ring = Ring::new((10, Check::new(10)), Delivery::Every, SMALL);
        assert_eq!(ring.read(10, 9), Found::Nothing);
        assert_eq!(ring.read(9, 9), Found::Behind);
        keys(&mut ring, "abcdef");
        assert_eq!(ring.head(), 16);
        assert_eq!(ring.read(11, 9), Found::Behind);
        assert_eq!(ring.count(11), None);
        assert_eq!(ring.read(12, 2), Found::Events(vec![(13, 'c'), (14, 'd')]));
        assert_eq!(ring.count(12), Some(4));
        assert_eq!(ring.read(99, 9), Found::Nothing);
    }

    #[test]
    fn the_check_is_known_from_before_the_first_event_on() {
        let mut ring = Ring::new((10, Check::new(10)), Delivery::Every, SMALL);
        let known = |ring: &Ring<char>| (8..20).filter(|seq| ring.check(*seq).is_some()).collect::<Vec<_>>();
        assert_eq!(known(&ring), [10]);
        keys(&mut ring, "ab");
        assert_eq!(known(&ring), [10, 11, 12]);
        keys(&mut ring, "cdef");
        assert_eq!(known(&ring), [12, 13, 14, 15, 16]);
        assert!((12..=16).all(|seq| ring.check(seq) == Check::new(seq as u32)));
        assert_eq!((ring.check(0), ring.check(Seq::MAX)), (None, None));
    }

    #[test]
    fn an_event_is_replaced_wherever_it_is_held() {
        let mut ring = Ring::new((0, None), Delivery::Latest, SMALL);
        keys(&mut ring, "abbbbb");
        for (seq, event) in [(1, 'A'), (2, '!'), (6, 'B'), (7, '!'), (0, '!')] {
            ring.replace(seq, 5, &event);
        }
        assert_eq!(ring.read(0, 9), Found::Events(vec![(1, 'A'), (6, 'B')]));
        assert_eq!(ring.read(4, 9), Found::Events(vec![(5, 'b'), (6, 'B')]));
        assert_eq!(ring.events_bytes, 8);
        assert_eq!(ring.newest.as_ref().unwrap().bytes, 10);
        let mut every = Ring::new((10, Check::new(10)), Delivery::Every, SMALL);
        keys(&mut every, "abc");
        every.replace(12, 1, &'B');
        every.replace(3, 1, &'!');
        assert_eq!(every.read(10, 9), Found::Events(vec![(11, 'a'), (12, 'B'), (13, 'c')]));
    }

    #[test]
    fn a_slow_reader_gets_the_newest_of_each_key() {
        let mut ring = Ring::new((0, None), Delivery::Latest, SMALL);
        keys(&mut ring, "abaaaaaab");
        assert_eq!(ring.read(0, 9), Found::Events(vec![(8, 'a'), (9, 'b')]));
        assert_eq!(ring.read(0, 1), Found::Events(vec![(8, 'a')]));
        assert_eq!(
            ring.read(7, 9),
            Found::Events(vec![(8, 'a'), (9, 'b')]),
            "slightly behind"
        );
        keys(&mut ring, "cd");
        assert_eq!(ring.read(0, 9), Found::Behind, "the newest a is lost");
        assert_eq!(ring.read(8, 9), Found::Events(vec![(9, 'b'), (10, 'c'), (11, 'd')]));
    }

    #[test]
    fn an_event_without_a_key_is_never_needless() {
        let mut ring = Ring::new((0, None), Delivery::Latest, SMALL);
        keys(&mut ring, "-aa-aa");
        assert_eq!(ring.read(0, 9), Found::Events(vec![(1, '-'), (4, '-'), (6, 'a')]));
        keys(&mut ring, "-");
        assert_eq!(ring.read(0, 9), Found::Behind);
    }

    #[test]
    fn a_large_event_pushes_others_out_and_stays() {
        let mut ring = Ring::new((0, None), Delivery::Every, SMALL);
        keys(&mut ring, "ab");
        ring.push(None, 5000, None, 'c');
        assert_eq!(ring.read(2, 9), Found::Events(vec![(3, 'c')]));
        assert_eq!(ring.read(1, 9), Found::Behind);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(u8, usize),
        Read(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0u8..8, 1usize..400).prop_map(|(key, bytes)| Step::Push(key, bytes)),
            1 => (1usize..6).prop_map(Step::Read),
        ];
        prop::collection::vec(step, 0..200)
    }

    fn bounds() -> impl Strategy<Value = Bounds> {
        (1usize..12, 100usize..2000, 1usize..12, 0u64..8).prop_map(|(events, bytes, keys, slightly)| Bounds {
            events,
            bytes,
            keys,
            slightly,
        })
    }

    /// A reader that asks the log, which is all events, when it is behind.
    fn follow(ring: &Ring<u64>, log: &[u8], seen: &mut Vec<u64>, after: &mut Seq, most: usize) -> bool {
        let events = match ring.read(*after, most) {
            Found::Nothing => return false,
            Found::Events(events) => events,
            Found::Behind => (*after + 1..=log.len() as u64)
                .map(|seq| (seq, seq))
                .take(most)
                .collect(),
        };
        for (seq, event) in events {
            assert!(seq == event && seq > *after);
            seen.push(event);
            *after = seq;
        }
        true
    }

    fn run(delivery: Delivery, bounds: Bounds, steps: Vec<Step>) -> (Vec<u8>, Vec<u64>) {
        let mut ring = Ring::new((0, None), delivery, bounds);
        let (mut log, mut seen, mut after) = (Vec::new(), Vec::new(), 0);
        for step in steps {
            match step {
                Step::Push(key, bytes) => {
                    log.push(key);
                    ring.push((key > 0).then(|| key.to_string()), bytes, None, log.len() as u64);
                }
                Step::Read(most) => drop(follow(&ring, &log, &mut seen, &mut after, most)),
            }
            assert!(ring.events.len() <= bounds.events);
            assert!(ring.events.len() == 1 || ring.events_bytes <= bounds.bytes);
            assert_eq!(
                ring.events_bytes,
                ring.events.iter().map(|held| held.bytes).sum::<usize>()
            );
            if let Some(newest) = &ring.newest {
                assert!(newest.by_seq.len() <= bounds.keys && newest.seqs.len() <= newest.by_seq.len());
                assert_eq!(
                    newest.bytes,
                    newest.by_seq.values().map(|kept| kept.bytes).sum::<usize>()
                );
            }
        }
        while follow(&ring, &log, &mut seen, &mut after, 3) {}
        assert_eq!(after, log.len() as u64);
        (log, seen)
    }

    proptest! {
        #[test]
        fn with_every_a_reader_sees_all_in_order(steps in steps(), bounds in bounds()) {
            let (log, seen) = run(Delivery::Every, bounds, steps);
            prop_assert!(seen.into_iter().eq(1..=log.len() as u64));
        }

        #[test]
        fn with_latest_a_reader_ends_with_the_newest_of_every_key(steps in steps(), bounds in bounds()) {
            let (log, seen) = run(Delivery::Latest, bounds, steps);
            prop_assert!(seen.is_sorted_by(|a, b| a < b));
            for (seq, key) in (1u64..).zip(&log) {
                let newest = !log[seq as usize..].contains(key);
                if newest || *key == 0 {
                    prop_assert!(seen.contains(&seq), "{seq} of key {key} in {seen:?}");
                }
            }
        }

        #[test]
        fn the_count_is_what_a_reader_finds(steps in steps(), bounds in bounds(), latest: bool, after in 0u64..210) {
            let delivery = if latest { Delivery::Latest } else { Delivery::Every };
            let mut ring = Ring::new((0, None), delivery, bounds);
            for step in steps {
                if let Step::Push(key, bytes) = step { ring.push(Some(key.to_string()), bytes, None, ()) }
            }
            let found = match ring.read(after, usize::MAX) {
                Found::Nothing => Some(0),
                Found::Events(events) => Some(events.len() as u64),
                Found::Behind => None,
            };
            prop_assert_eq!(ring.count(after), found);
        }
    }
}
