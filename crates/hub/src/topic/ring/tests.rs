//! Tests of the ring.

use super::*;
use proptest::prelude::*;

const SMALL: RingLimits = RingLimits {
    events: 4,
    bytes: 1000,
    keys: 3,
    conflate_after: 2,
};

fn keys(ring: &mut Ring<char>, keys: &str) {
    for key in keys.chars() {
        let checksum = Checksum::new(ring.head() as u32 + 1);
        ring.push((key != '-').then(|| key.to_string()), 1, checksum, key);
    }
}

#[test]
fn every_event_is_read_until_the_ring_drops_it() {
    let mut ring = Ring::new((10, Checksum::new(10)), Delivery::Every, SMALL);
    assert_eq!(ring.read(10, 9), RingRead::Nothing);
    assert_eq!(ring.read(9, 9), RingRead::Behind);
    keys(&mut ring, "abcdef");
    assert_eq!(ring.head(), 16);
    assert_eq!(ring.read(11, 9), RingRead::Behind);
    assert_eq!(ring.count(11), None);
    assert_eq!(ring.read(12, 2), RingRead::Events(vec![(13, 'c'), (14, 'd')]));
    assert_eq!(ring.count(12), Some(4));
    assert_eq!(ring.read(99, 9), RingRead::Nothing);
}

#[test]
fn the_checksum_is_known_from_before_the_first_event_on() {
    let mut ring = Ring::new((10, Checksum::new(10)), Delivery::Every, SMALL);
    let known = |ring: &Ring<char>| (8..20).filter(|seq| ring.checksum(*seq).is_some()).collect::<Vec<_>>();
    assert_eq!(known(&ring), [10]);
    keys(&mut ring, "ab");
    assert_eq!(known(&ring), [10, 11, 12]);
    keys(&mut ring, "cdef");
    assert_eq!(known(&ring), [12, 13, 14, 15, 16]);
    assert!((12..=16).all(|seq| ring.checksum(seq) == Checksum::new(seq as u32)));
    assert_eq!((ring.checksum(0), ring.checksum(Seq::MAX)), (None, None));
}

#[test]
fn an_event_is_replaced_in_both_indexes() {
    let mut ring = Ring::new((0, None), Delivery::Latest, SMALL);
    keys(&mut ring, "abbbbb");
    for (seq, event) in [(1, 'A'), (2, '!'), (6, 'B'), (7, '!'), (0, '!')] {
        ring.replace(seq, 5, &event);
    }
    assert_eq!(ring.read(0, 9), RingRead::Events(vec![(1, 'A'), (6, 'B')]));
    assert_eq!(ring.read(4, 9), RingRead::Events(vec![(5, 'b'), (6, 'B')]));
    assert_eq!(ring.events_bytes, 8);
    assert_eq!(ring.newest.as_ref().unwrap().bytes, 10);
    let mut every = Ring::new((10, Checksum::new(10)), Delivery::Every, SMALL);
    keys(&mut every, "abc");
    every.replace(12, 1, &'B');
    every.replace(3, 1, &'!');
    assert_eq!(
        every.read(10, 9),
        RingRead::Events(vec![(11, 'a'), (12, 'B'), (13, 'c')])
    );
}

#[test]
fn a_slow_reader_gets_the_newest_of_each_key() {
    let mut ring = Ring::new((0, None), Delivery::Latest, SMALL);
    keys(&mut ring, "abaaaaaab");
    assert_eq!(ring.read(0, 9), RingRead::Events(vec![(8, 'a'), (9, 'b')]));
    assert_eq!(ring.read(0, 1), RingRead::Events(vec![(8, 'a')]));
    assert_eq!(
        ring.read(7, 9),
        RingRead::Events(vec![(8, 'a'), (9, 'b')]),
        "slightly behind"
    );
    keys(&mut ring, "cd");
    assert_eq!(ring.read(0, 9), RingRead::Behind, "the newest a was evicted");
    assert_eq!(ring.read(8, 9), RingRead::Events(vec![(9, 'b'), (10, 'c'), (11, 'd')]));
}

#[test]
fn an_event_without_a_key_is_never_superseded() {
    let mut ring = Ring::new((0, None), Delivery::Latest, SMALL);
    keys(&mut ring, "-aa-aa");
    assert_eq!(ring.read(0, 9), RingRead::Events(vec![(1, '-'), (4, '-'), (6, 'a')]));
    keys(&mut ring, "-");
    assert_eq!(ring.read(0, 9), RingRead::Behind);
}

#[test]
fn a_large_event_evicts_others_and_stays() {
    let mut ring = Ring::new((0, None), Delivery::Every, SMALL);
    keys(&mut ring, "ab");
    ring.push(None, 5000, None, 'c');
    assert_eq!(ring.read(2, 9), RingRead::Events(vec![(3, 'c')]));
    assert_eq!(ring.read(1, 9), RingRead::Behind);
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

fn limits() -> impl Strategy<Value = RingLimits> {
    (1usize..12, 100usize..2000, 1usize..12, 0u64..8).prop_map(|(events, bytes, keys, conflate_after)| RingLimits {
        events,
        bytes,
        keys,
        conflate_after,
    })
}

/// A reader that reads the log, which has all events, when it is behind.
fn follow(ring: &Ring<u64>, log: &[u8], seen: &mut Vec<u64>, after: &mut Seq, limit: usize) -> bool {
    let events = match ring.read(*after, limit) {
        RingRead::Nothing => return false,
        RingRead::Events(events) => events,
        RingRead::Behind => (*after + 1..=log.len() as u64)
            .map(|seq| (seq, seq))
            .take(limit)
            .collect(),
    };
    for (seq, event) in events {
        assert!(seq == event && seq > *after);
        seen.push(event);
        *after = seq;
    }
    true
}

fn run(delivery: Delivery, limits: RingLimits, steps: Vec<Step>) -> (Vec<u8>, Vec<u64>) {
    let mut ring = Ring::new((0, None), delivery, limits);
    let (mut log, mut seen, mut after) = (Vec::new(), Vec::new(), 0);
    for step in steps {
        match step {
            Step::Push(key, bytes) => {
                log.push(key);
                ring.push((key > 0).then(|| key.to_string()), bytes, None, log.len() as u64);
            }
            Step::Read(limit) => drop(follow(&ring, &log, &mut seen, &mut after, limit)),
        }
        assert!(ring.events.len() <= limits.events);
        assert!(ring.events.len() == 1 || ring.events_bytes <= limits.bytes);
        assert_eq!(
            ring.events_bytes,
            ring.events.iter().map(|entry| entry.bytes).sum::<usize>()
        );
        if let Some(newest) = &ring.newest {
            assert!(newest.by_seq.len() <= limits.keys && newest.seqs.len() <= newest.by_seq.len());
            assert_eq!(
                newest.bytes,
                newest.by_seq.values().map(|keyed| keyed.bytes).sum::<usize>()
            );
        }
    }
    while follow(&ring, &log, &mut seen, &mut after, 3) {}
    assert_eq!(after, log.len() as u64);
    (log, seen)
}

proptest! {
    #[test]
    fn under_every_a_reader_sees_all_events_in_order(steps in steps(), limits in limits()) {
        let (log, seen) = run(Delivery::Every, limits, steps);
        prop_assert!(seen.into_iter().eq(1..=log.len() as u64));
    }

    #[test]
    fn under_latest_a_reader_ends_with_the_newest_of_every_key(steps in steps(), limits in limits()) {
        let (log, seen) = run(Delivery::Latest, limits, steps);
        prop_assert!(seen.is_sorted_by(|a, b| a < b));
        for (seq, key) in (1u64..).zip(&log) {
            let newest = !log[seq as usize..].contains(key);
            if newest || *key == 0 {
                prop_assert!(seen.contains(&seq), "{seq} of key {key} in {seen:?}");
            }
        }
    }

    #[test]
    fn the_count_equals_the_events_read(steps in steps(), limits in limits(), latest: bool, after in 0u64..210) {
        let delivery = if latest { Delivery::Latest } else { Delivery::Every };
        let mut ring = Ring::new((0, None), delivery, limits);
        for step in steps {
            if let Step::Push(key, bytes) = step { ring.push(Some(key.to_string()), bytes, None, ()) }
        }
        let found = match ring.read(after, usize::MAX) {
            RingRead::Nothing => Some(0),
            RingRead::Events(events) => Some(events.len() as u64),
            RingRead::Behind => None,
        };
        prop_assert_eq!(ring.count(after), found);
    }
}
