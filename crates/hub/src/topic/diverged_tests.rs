//! Tests of recovery from a log that lost its tail and has new events: a cursor is resumed only if the log still has its events.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde::{Deserialize, Serialize};

use super::handle::TopicHandle;
use super::recovery::{Recovery, recover};
use crate::Hub;
use crate::decider::{Access, Context, Decider, NoCommand, Principal};
use crate::log::memory::MemoryLog;
use crate::log::{Entry, Log, Retention};
use crate::topic::dyn_topic::dyn_topic;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Checksum, Cursor, Epoch, Seq};
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{Answer, CommandId, Denial, Rejection, ResetReason, Verdict};
use duplex_protocol::topic::{Topic, TopicName};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Value(u8);

struct Values;

impl Topic for Values {
    const KIND: &'static str = "values";
    type Command = Value;
    type Event = Value;
    type State = Vec<u8>;

    fn apply(state: &mut Vec<u8>, _: Seq, event: &Value) {
        state.push(event.0);
    }
}

impl Decider for Values {
    type ServerCommand = NoCommand;

    fn admit(&self, _: Principal<'_>, _: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn decide(&self, _: Context<'_>, _: &Vec<u8>, command: Value) -> Result<Vec<Value>, Rejection> {
        Ok(vec![command])
    }
}

fn topic() -> TopicName {
    "values/a".parse().unwrap()
}

fn person_id() -> PersonId {
    PersonId("0123456789abcdef".to_owned())
}

fn entry(value: u8) -> Entry {
    Entry {
        command: CommandId::from_bits(uuid::Uuid::new_v4().as_u128()),
        sender: person_id(),
        at: 0,
        events: vec![(None, serde_json::to_vec(&Value(value)).unwrap())],
        rejection: None,
        forwards: Vec::new(),
        delivers: None,
    }
}

async fn log(values: &[u8]) -> Arc<MemoryLog> {
    let log = Arc::new(MemoryLog::new(Epoch::new(7)));
    for (seq, value) in (0..).zip(values) {
        log.append(&topic(), seq.into(), vec![entry(*value)]).await.unwrap();
    }
    log
}

/// A topic whose ring begins after `ring`; earlier events are read from the log.
async fn open(values: &[u8], ring: Seq) -> TopicHandle {
    let log = log(values).await;
    let hub = Hub::new(Arc::clone(&log) as Arc<dyn Log>, vec![dyn_topic(Values)]);
    let state = serde_json::to_vec(&values[..ring as usize]).unwrap();
    let all = Retention {
        events: u64::MAX,
        age: None,
    };
    log.snapshot(&topic(), ring, state, all, 0).await.unwrap();
    hub.open(&topic()).await.unwrap()
}

async fn checksums(values: &[u8]) -> Vec<Option<Checksum>> {
    let log = log(values).await;
    let mut checksums = Vec::new();
    for seq in 0..=values.len() as Seq {
        checksums.push(log.checksum(&topic(), seq).await.unwrap());
    }
    checksums
}

async fn verdicts(seen: &[u8], now: &[u8], ring: Seq) -> TestCaseResult {
    let handle = open(now, ring).await;
    let head = now.len() as Seq;
    for (seq, checksum) in (0..).zip(checksums(seen).await) {
        let cursor = Cursor::new(Epoch::new(7), seq).with_checksum(checksum);
        let same = now.get(..seq as usize) == Some(&seen[..seq as usize]);
        let verdict = handle.verdict(Some(cursor), Encoding::Json).await.unwrap();
        match verdict {
            Verdict::Resumed { replayed, head: at } => {
                prop_assert!(same, "{seq} of {seen:?} in {now:?}");
                prop_assert_eq!((replayed, at.seq), (head - seq, head));
                prop_assert_eq!(at.checksum, checksums(now).await[now.len()]);
            }
            Verdict::Reset { reason, cursor, .. } => {
                prop_assert!(!same, "{seq} of {seen:?} in {now:?}");
                let expected = if seq > head {
                    ResetReason::Ahead
                } else {
                    ResetReason::Diverged
                };
                prop_assert_eq!((reason, cursor.seq), (expected, head));
            }
            Verdict::Denied { reason } => prop_assert!(false, "{reason}"),
        }
        let unchecked = recover(Some(Cursor::new(Epoch::new(7), seq)), handle.head(), 1, |_| None);
        prop_assert_eq!(
            matches!(unchecked, Recovery::Reset(_)),
            seq > head,
            "without a checksum the seq is trusted"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_cursor_is_resumed_if_the_log_has_its_events(
        common in prop::collection::vec(any::<u8>(), 0..6),
        lost in prop::collection::vec(0u8..3, 0..6),
        new in prop::collection::vec(0u8..3, 0..8),
        ring in any::<prop::sample::Index>(),
    ) {
        let (seen, now) = ([&*common, &*lost].concat(), [&*common, &*new].concat());
        let ring = ring.index(now.len() + 1) as Seq;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(verdicts(&seen, &now, ring))?;
    }
}

async fn send(handle: &TopicHandle, value: u8) -> Answer {
    let who = Person {
        id: person_id(),
        name: String::new(),
    };
    let command = EncodedValue::encode(Encoding::Json, &Value(value)).unwrap();
    let id = CommandId::from_bits(uuid::Uuid::new_v4().as_u128());
    handle.command(who, id, command, Encoding::Json).await.0
}

/// The checksums of the ring and of the state's cursor equal those of the log.
#[tokio::test]
async fn the_ring_and_the_log_have_the_same_checksums() {
    let handle = open(&[1, 2, 3], 2).await;
    for value in 4..8 {
        assert!(matches!(send(&handle, value).await, Answer::Accepted { .. }));
    }
    let expected = checksums(&[1, 2, 3, 4, 5, 6, 7]).await;
    for seq in 2..=7 {
        let (cursor, _) = handle.state(Encoding::Json).await.unwrap();
        assert_eq!(cursor.checksum, expected[7]);
        let ring = handle.shared.ring.read().unwrap().checksum(seq);
        if seq > 2 {
            assert_eq!(ring, expected[seq as usize], "{seq}");
        }
        assert_eq!(
            handle.shared.log.checksum(&topic(), seq).await,
            Ok(expected[seq as usize]),
            "{seq}"
        );
    }
}

/// The log loses its tail while the node runs: the topic stops, and its readers resume with their cursors.
#[tokio::test]
async fn a_topic_whose_log_lost_its_tail_ends() {
    tail_is_replaced_by(&[8, 9]).await;
}

/// With as many events in place of the tail, the append finds the expected seq and another checksum.
#[tokio::test]
async fn a_topic_whose_tail_was_replaced_by_as_many_events_ends() {
    tail_is_replaced_by(&[8]).await;
}

async fn tail_is_replaced_by(values: &[u8]) {
    let kept = log(&[1, 2, 3]).await;
    let hub = Hub::new(Arc::clone(&kept) as Arc<dyn Log>, vec![dyn_topic(Values)]);
    let handle = hub.open(&topic()).await.unwrap();
    let (cursor, _) = handle.state(Encoding::Json).await.unwrap();
    kept.truncate_tail(&topic(), 2);
    for value in values {
        let head = kept.open(&topic(), 0, 0).await.unwrap().head.last;
        kept.append(&topic(), head.into(), vec![entry(*value)]).await.unwrap();
    }
    let rejected = send(&handle, 4).await;
    assert_eq!(rejected, Answer::Rejected(Rejection::Unavailable));
    drop(handle);
    let handle = loop {
        tokio::task::yield_now().await;
        if let Ok(handle) = hub.open(&topic()).await
            && !handle.shared.is_closed()
        {
            break handle;
        }
    };
    let verdict = handle.verdict(Some(cursor), Encoding::Json).await.unwrap();
    assert!(
        matches!(
            verdict,
            Verdict::Reset {
                reason: ResetReason::Diverged,
                ..
            }
        ),
        "{verdict:?}"
    );
    let next = values.len() as Seq + 3;
    assert!(matches!(send(&handle, 4).await, Answer::Accepted { seq } if seq == next));
}
