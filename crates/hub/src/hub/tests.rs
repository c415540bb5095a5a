//! Tests of the hub and its topics, over a log in memory with a controlled clock and injected faults.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};
use serde::{Deserialize, Serialize};
use tokio::task::yield_now;
use tokio::time::{Instant, advance};

use super::super::decider::{Context, Decider, Forward, Millis, NoCommand};
use super::*;
use crate::command::TopicCommand;
use crate::{
    log::{
        Entry, ForwardKey, History, LogEnd, LogError, LogSecret, PendingForward, Record, RedactionWrite, Retention,
        StartData,
        memory::{Fault, MemoryLog},
    },
    topic::{
        Frame,
        dyn_topic::dyn_topic,
        read_batch::{ReadBatch, ReadLimit},
        wake::Wake,
    },
};
use duplex_protocol::{
    codec::{EncodedValue, Encoding},
    cursor::{Checksum, Cursor, Seq},
    person::PersonId,
    presence::Presence,
    session::{Answer, CommandId, Rejection, ResetReason, ServerFrame, SessionId, Verdict},
    topic::{Delivery, Topic},
};

struct Count {
    retained: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum CountCommand {
    Add(i64),
    /// Two events.
    Split(i64, i64),
    Nothing,
    Reject,
    Panic,
    /// Only if the sum has the first value.
    AddIf(i64, i64),
    /// Adds to this topic and to the named one.
    AddBoth(i64, String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Added {
    by: i64,
    forward_to: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Sum {
    sum: i64,
    seq: Seq,
}

impl Topic for Count {
    const KIND: &'static str = "count";
    type Command = CountCommand;
    type Event = Added;
    type State = Sum;

    fn apply(state: &mut Sum, seq: Seq, event: &Added) {
        state.sum += event.by;
        state.seq = seq;
    }
}

impl Decider for Count {
    type ServerCommand = NoCommand;

    fn admit(&self, _: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        match topic.rest() {
            "closed" => Err(Denial::Forbidden),
            _ => Ok(Access::Write),
        }
    }

    fn decide(&self, context: Context<'_>, state: &Sum, command: CountCommand) -> Result<Vec<Added>, Rejection> {
        assert_eq!(context.next_seq, state.seq + 1);
        let added = |by| Added { by, forward_to: None };
        match command {
            CountCommand::Add(by) => Ok(vec![added(by)]),
            CountCommand::Split(a, b) => Ok(vec![added(a), added(b)]),
            CountCommand::Nothing => Ok(Vec::new()),
            CountCommand::AddIf(sum, by) if state.sum == sum => Ok(vec![added(by)]),
            CountCommand::Reject | CountCommand::AddIf(..) => Err(Rejection::custom("no")),
            CountCommand::Panic => panic!("on purpose"),
            CountCommand::AddBoth(by, there) => Ok(vec![Added {
                by,
                forward_to: Some(there),
            }]),
        }
    }

    fn forward(&self, _: &TopicName, _: &Sum, _: Seq, event: &Added) -> Vec<Forward> {
        let forward = |there: &String| {
            let topic = there.parse().unwrap();
            TopicCommand::new(topic, &CountCommand::Add(event.by)).unwrap().into()
        };
        event.forward_to.iter().map(forward).collect()
    }

    fn retention(&self) -> Retention {
        Retention {
            events: self.retained,
            age: None,
        }
    }
}

struct Gauge;

impl Topic for Gauge {
    const KIND: &'static str = "gauge";
    const DELIVERY: Delivery = Delivery::Latest;
    type Command = (String, u32);
    type Event = (String, u32);
    type State = BTreeMap<String, u32>;

    fn apply(state: &mut Self::State, _: Seq, (key, value): &Self::Event) {
        state.insert(key.clone(), *value);
    }

    fn key((key, _): &Self::Event) -> Option<String> {
        Some(key.clone())
    }
}

impl Decider for Gauge {
    type ServerCommand = NoCommand;

    fn admit(&self, _: Principal<'_>, _: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn decide(&self, _: Context<'_>, _: &Self::State, command: Self::Command) -> Result<Vec<Self::Event>, Rejection> {
        Ok(vec![command])
    }
}

const ALL: ReadLimit = ReadLimit {
    frames: 10_000,
    bytes: usize::MAX,
};

fn log() -> Arc<MemoryLog> {
    Arc::new(MemoryLog::new(Epoch::new(7)))
}

fn hub(log: &Arc<MemoryLog>) -> Hub {
    hub_with_retention(log, 100_000)
}

fn hub_with_retention(log: &Arc<MemoryLog>, retained: u64) -> Hub {
    let log: Arc<dyn Log> = Arc::<MemoryLog>::clone(log);
    Hub::new(log, vec![dyn_topic(Count { retained }), dyn_topic(Gauge)])
}

fn topic() -> TopicName {
    "count/one".parse().unwrap()
}

fn person() -> Person {
    Person {
        id: PersonId("a".to_owned()),
        name: "Ada".to_owned(),
    }
}

fn at(seq: Seq) -> Cursor {
    Cursor::new(Epoch::new(7), seq)
}

const fn accepted(seq: Seq) -> Answer {
    Answer::Accepted { seq }
}

async fn send(handle: &TopicHandle, id: u128, command: &impl Serialize) -> (Answer, bool) {
    let command = EncodedValue::encode(Encoding::Postcard, command).unwrap();
    handle
        .command(person(), CommandId::from_bits(id), command, Encoding::Postcard)
        .await
}

async fn sum(handle: &TopicHandle) -> (Seq, Sum) {
    let (cursor, state) = handle.state(Encoding::Json).await.unwrap();
    (cursor.seq, state.decode(Encoding::Json).unwrap())
}

fn decode<E: serde::de::DeserializeOwned>(batch: &ReadBatch, encoding: Encoding) -> Vec<(Seq, E)> {
    let ReadBatch::Frames { frames, .. } = batch else {
        return Vec::new();
    };
    let decode = |frame: &Frame| match encoding.decode(frame).unwrap() {
        ServerFrame::Event { seq, event, .. } => (seq, event.decode(encoding).unwrap()),
        other => panic!("{other:?}"),
    };
    frames.iter().map(decode).collect()
}

/// Reads like a session: from the ring, else from the log.
async fn read_all(handle: &TopicHandle, mut after: Seq, encoding: Encoding) -> Vec<(Seq, Added)> {
    let limit = ReadLimit { frames: 7, bytes: 500 };
    let mut seen = Vec::new();
    loop {
        let mut batch = handle.read(after, encoding, limit);
        if batch == ReadBatch::Behind {
            batch = handle.read_log(after, encoding, limit).await.unwrap();
        }
        match &batch {
            ReadBatch::Frames { last, conflated, .. } => {
                assert_eq!(*conflated, 0);
                after = *last;
            }
            ReadBatch::Nothing => return seen,
            ReadBatch::Behind => panic!("neither in the ring nor in the log"),
        }
        seen.extend(decode::<Added>(&batch, encoding));
    }
}

async fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

fn entry(id: u128, by: i64) -> Entry {
    let event = serde_json::to_vec(&Added { by, forward_to: None }).unwrap();
    Entry {
        command: CommandId::from_bits(id),
        sender: person().id,
        at: super::super::clock::now(),
        events: vec![(None, event)],
        rejection: None,
        forwards: Vec::new(),
        delivers: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_readers_see_the_commands_of_many_senders_in_one_order() {
    let hub = hub(&log());
    let handle = hub.open(&topic()).await.unwrap();
    let senders = (0..8).map(|sender: i64| {
        let handle = handle.clone();
        tokio::spawn(async move {
            let mut last = 0;
            for number in 0..300 {
                let id = (sender * 1000 + number) as u128;
                let (answer, again) = send(&handle, id, &CountCommand::Add(sender)).await;
                let Answer::Accepted { seq } = answer else {
                    panic!("{answer:?}")
                };
                assert!(!again && seq > last, "one after the other");
                last = seq;
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    let json = read_all(&handle, 0, Encoding::Json).await;
    assert!(json.iter().map(|(seq, _)| *seq).eq(1..=2400));
    assert_eq!(json, read_all(&handle, 0, Encoding::Postcard).await);
    let total = json.iter().map(|(_, event)| event.by).sum();
    assert_eq!(sum(&handle).await, (2400, Sum { sum: total, seq: 2400 }));
    let stats = hub.stats();
    assert_eq!((stats.commands, stats.events, stats.topics), (2400, 2400, 1));
}

#[tokio::test]
async fn commands_that_wait_are_stored_in_one_append() {
    let log = log();
    let hub = hub(&log);
    let handle = hub.open(&topic()).await.unwrap();
    log.set_fault(Fault::Stall);
    let mut sent: Vec<_> = (0..100)
        .map(|id| {
            let handle = handle.clone();
            Box::pin(async move { send(&handle, id, &CountCommand::Split(1, 2)).await })
        })
        .collect();
    assert!(join_all(&mut sent).now_or_never().is_none());
    wait_until(|| hub.stats().appends == 1).await;
    assert_eq!(
        handle.read(0, Encoding::Json, ALL),
        ReadBatch::Nothing,
        "not before it is stored"
    );
    log.set_fault(Fault::None);
    for (number, (answer, _)) in (1..).zip(join_all(sent).await) {
        assert_eq!(answer, accepted(number * 2));
    }
    assert!(hub.stats().appends <= 2);
    assert_eq!(sum(&handle).await.1.sum, 300);
}

#[tokio::test]
async fn a_command_sent_again_has_one_effect_and_one_answer() {
    let log = log();
    for run in 0..2 {
        let hub = hub(&log);
        let handle = hub.open(&topic()).await.unwrap();
        let again = run > 0;
        assert_eq!(send(&handle, 1, &CountCommand::Add(5)).await, (accepted(1), again));
        assert_eq!(send(&handle, 1, &CountCommand::Add(5)).await, (accepted(1), true));
        assert_eq!(send(&handle, 2, &CountCommand::Nothing).await, (accepted(1), again));
        let both = futures_util::join!(
            send(&handle, 3, &CountCommand::Add(7)),
            send(&handle, 3, &CountCommand::Add(7))
        );
        assert_eq!(both, ((accepted(2), again), (accepted(2), true)));
        assert_eq!(sum(&handle).await, (2, Sum { sum: 12, seq: 2 }));
        if run == 0 {
            hub.close().await;
        }
    }
}

#[tokio::test]
async fn a_rejection_is_repeated_even_if_the_command_would_succeed_now() {
    let hub = hub(&log());
    let handle = hub.open(&topic()).await.unwrap();
    let rejected = Answer::Rejected(Rejection::custom("no"));
    assert_eq!(
        send(&handle, 1, &CountCommand::AddIf(1, 1)).await,
        (rejected.clone(), false)
    );
    assert_eq!(send(&handle, 2, &CountCommand::Add(1)).await, (accepted(1), false));
    assert_eq!(send(&handle, 1, &CountCommand::AddIf(1, 1)).await, (rejected, true));
    let malformed = EncodedValue(b"{".to_vec());
    let (answer, _) = handle
        .command(person(), CommandId::from_bits(3), malformed, Encoding::Json)
        .await;
    assert!(matches!(answer, Answer::Rejected(Rejection::Malformed { .. })));
}

#[tokio::test]
async fn a_failed_append_is_not_published_and_has_no_effect() {
    let log = log();
    let hub = hub(&log);
    let handle = hub.open(&topic()).await.unwrap();
    send(&handle, 1, &CountCommand::Add(1)).await;
    for (error, why) in [
        (LogError::Full, Rejection::StorageFull),
        (LogError::Unavailable("test".to_owned()), Rejection::Unavailable),
    ] {
        log.set_fault(Fault::Error(error));
        let (added, rejected) = futures_util::join!(
            send(&handle, 2, &CountCommand::Add(100)),
            // Rejected because of an event that was not stored: not a final rejection.
            send(&handle, 3, &CountCommand::AddIf(1, 1)),
        );
        assert_eq!(added, (Answer::Rejected(why.clone()), false));
        assert_eq!(rejected, (Answer::Rejected(why), false));
        assert_eq!(handle.read(1, Encoding::Json, ALL), ReadBatch::Nothing);
        assert_eq!(sum(&handle).await, (1, Sum { sum: 1, seq: 1 }));
    }
    log.set_fault(Fault::None);
    assert_eq!(send(&handle, 3, &CountCommand::AddIf(1, 1)).await, (accepted(2), false));
    assert_eq!(send(&handle, 2, &CountCommand::Add(100)).await, (accepted(3), false));
    assert_eq!(sum(&handle).await, (3, Sum { sum: 102, seq: 3 }));
    assert_eq!(hub.stats().failed_appends, 2);
}

#[tokio::test]
async fn events_of_another_node_are_published_and_decided_upon() {
    let log = log();
    let hub = hub(&log);
    let handle = hub.open(&topic()).await.unwrap();
    send(&handle, 1, &CountCommand::Add(1)).await;
    log.append(&topic(), 1.into(), vec![entry(50, 10)]).await.unwrap();
    assert_eq!(send(&handle, 2, &CountCommand::Add(5)).await, (accepted(3), false));
    assert_eq!(
        send(&handle, 3, &CountCommand::AddIf(16, 0)).await,
        (accepted(4), false)
    );
    log.append(&topic(), 4.into(), vec![entry(51, 10)]).await.unwrap();
    assert_eq!(send(&handle, 51, &CountCommand::Add(10)).await, (accepted(5), true));
    let seen = read_all(&handle, 0, Encoding::Json).await;
    assert_eq!(
        seen.iter().map(|(_, event)| event.by).collect::<Vec<_>>(),
        [1, 10, 5, 0, 10]
    );
}

/// Commits the first append and then returns an error.
struct FailsAfterCommit(Arc<MemoryLog>, AtomicBool);

impl Log for FailsAfterCommit {
    fn open(&self, topic: &TopicName, commands: usize, since: Millis) -> BoxFuture<'_, Result<StartData, LogError>> {
        self.0.open(topic, commands, since)
    }

    fn append(&self, topic: &TopicName, expected: LogEnd, entries: Vec<Entry>) -> BoxFuture<'_, Result<Seq, LogError>> {
        let appended = self.0.append(topic, expected, entries);
        Box::pin(async move {
            let seq = appended.await?;
            match self.1.swap(true, Ordering::SeqCst) {
                true => Ok(seq),
                false => Err(LogError::Unavailable("no answer".to_owned())),
            }
        })
    }

    fn redact(
        &self,
        topic: &TopicName,
        expected: LogEnd,
        entries: Vec<Entry>,
        redaction: RedactionWrite,
    ) -> BoxFuture<'_, Result<Seq, LogError>> {
        self.0.redact(topic, expected, entries, redaction)
    }

    fn with_amendments(&self, topic: &TopicName, events: Vec<Seq>) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        self.0.with_amendments(topic, events)
    }

    fn secret(&self) -> &LogSecret {
        self.0.secret()
    }

    fn read(&self, topic: &TopicName, after: Seq, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, LogError>> {
        self.0.read(topic, after, limit)
    }

    fn checksum(&self, topic: &TopicName, seq: Seq) -> BoxFuture<'_, Result<Option<Checksum>, LogError>> {
        self.0.checksum(topic, seq)
    }

    fn history(&self, topic: &TopicName, before: Seq, limit: usize) -> BoxFuture<'_, Result<History, LogError>> {
        self.0.history(topic, before, limit)
    }

    fn snapshot(
        &self,
        topic: &TopicName,
        seq: Seq,
        state: Vec<u8>,
        retention: Retention,
        now: Millis,
    ) -> BoxFuture<'_, Result<(), LogError>> {
        self.0.snapshot(topic, seq, state, retention, now)
    }

    fn forwards(&self, from: Option<&TopicName>) -> BoxFuture<'_, Result<Vec<PendingForward>, LogError>> {
        self.0.forwards(from)
    }

    fn remove_forwards(&self, forwards: Vec<ForwardKey>) -> BoxFuture<'_, Result<(), LogError>> {
        self.0.remove_forwards(forwards)
    }

    fn topics(&self, kind: &str) -> BoxFuture<'_, Result<Vec<TopicName>, LogError>> {
        self.0.topics(kind)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.0.close()
    }
}

#[tokio::test]
async fn an_append_that_fails_after_its_commit_counts_once() {
    let log = Arc::new(FailsAfterCommit(log(), AtomicBool::new(false)));
    let hub = Hub::new(log, vec![dyn_topic(Count { retained: 1000 })]);
    let handle = hub.open(&topic()).await.unwrap();
    let reported = send(&handle, 1, &CountCommand::Add(5)).await;
    assert_eq!(reported, (Answer::Rejected(Rejection::Unavailable), false));
    assert_eq!(
        read_all(&handle, 0, Encoding::Json).await.len(),
        1,
        "it is stored and published"
    );
    assert_eq!(send(&handle, 1, &CountCommand::Add(5)).await, (accepted(1), true));
    assert_eq!(sum(&handle).await, (1, Sum { sum: 5, seq: 1 }));
}

#[tokio::test]
async fn the_forwards_of_an_append_that_fails_after_its_commit_are_delivered() {
    let log = log();
    let hub = Hub::new(
        Arc::new(FailsAfterCommit(Arc::clone(&log), AtomicBool::new(false))),
        vec![dyn_topic(Count { retained: 1000 })],
    );
    let one = hub.open(&topic()).await.unwrap();
    let both = CountCommand::AddBoth(4, "count/two".to_owned());
    assert_eq!(send(&one, 1, &both).await.0, Answer::Rejected(Rejection::Unavailable));
    wait_until(|| hub.stats().forwards == 1).await;
    let two = hub.open(&"count/two".parse().unwrap()).await.unwrap();
    assert_eq!(sum(&two).await.1.sum, 4);
}

#[tokio::test]
async fn a_dropped_future_has_its_whole_effect_or_none() {
    let log = log();
    let hub = hub(&log);
    assert!(
        hub.open(&topic()).now_or_never().is_none(),
        "dropped while the topic starts"
    );
    let handle = hub.open(&topic()).await.unwrap();
    log.set_fault(Fault::Stall);
    assert!(send(&handle, 1, &CountCommand::Add(1)).now_or_never().is_none());
    assert!(handle.state(Encoding::Json).now_or_never().is_none());
    wait_until(|| hub.stats().appends == 1).await;
    drop(handle);
    log.set_fault(Fault::None);
    let handle = hub.open(&topic()).await.unwrap();
    assert_eq!(send(&handle, 1, &CountCommand::Add(1)).await, (accepted(1), true));
    assert_eq!(sum(&handle).await, (1, Sum { sum: 1, seq: 1 }));
}

#[tokio::test]
async fn a_panic_in_a_decider_leaves_the_state_unchanged() {
    let hub = hub(&log());
    let handle = hub.open(&topic()).await.unwrap();
    let (before, panicked, after) = futures_util::join!(
        send(&handle, 1, &CountCommand::Add(1)),
        send(&handle, 2, &CountCommand::Panic),
        send(&handle, 3, &CountCommand::Add(1))
    );
    let unavailable = (Answer::Rejected(Rejection::Unavailable), false);
    assert_eq!((before, after), (unavailable.clone(), unavailable));
    assert_eq!(panicked, (Answer::Rejected(Rejection::custom("failed")), false));
    assert_eq!(send(&handle, 1, &CountCommand::Add(1)).await, (accepted(1), false));
    assert_eq!(sum(&handle).await, (1, Sum { sum: 1, seq: 1 }));
}

#[tokio::test(start_paused = true)]
async fn an_unused_topic_sleeps_and_starts_again_with_its_state() {
    let log = log();
    let hub = hub(&log);
    let handle = hub.open(&topic()).await.unwrap();
    send(&handle, 1, &CountCommand::Add(3)).await;
    let other = handle.clone();
    drop(handle);
    advance(limits::TOPIC_IDLE * 2).await;
    assert_eq!(hub.stats().topics, 1, "a handle is left");
    other.lease(
        SessionId("poll".to_owned()),
        person(),
        None,
        Instant::now() + Duration::from_secs(10),
    );
    drop(other);
    yield_now().await;
    advance(limits::TOPIC_IDLE - Duration::from_secs(1)).await;
    let handle = hub.open(&topic()).await.unwrap();
    assert_eq!(hub.stats().topics, 1);
    drop(handle);
    while hub.stats().topics > 0 {
        advance(Duration::from_secs(1)).await;
    }
    let opened = log.open(&topic(), 0, 0).await.unwrap();
    assert_eq!(opened.snapshot.unwrap().0, 1);
    let handle = hub.open(&topic()).await.unwrap();
    assert_eq!(sum(&handle).await, (1, Sum { sum: 3, seq: 1 }));
    assert_eq!(send(&handle, 1, &CountCommand::Add(3)).await, (accepted(1), true));
}

#[tokio::test(start_paused = true)]
async fn a_topic_can_be_opened_while_it_falls_asleep() {
    let hub = hub(&log());
    for round in 0..200u64 {
        let handle = hub.open(&topic()).await.unwrap();
        assert_eq!(
            send(&handle, round.into(), &CountCommand::Add(1)).await,
            (accepted(round + 1), false)
        );
        drop(handle);
        for _ in 0..round % 7 {
            yield_now().await;
        }
        advance(limits::TOPIC_IDLE).await;
        for _ in 0..round % 11 {
            yield_now().await;
        }
    }
}

#[tokio::test]
async fn forwards_are_delivered_once() {
    let hub = hub(&log());
    let one = hub.open(&topic()).await.unwrap();
    let two = hub.open(&"count/two".parse().unwrap()).await.unwrap();
    let both = CountCommand::AddBoth(4, "count/two".to_owned());
    assert_eq!(send(&one, 1, &both).await, (accepted(1), false));
    assert_eq!(send(&one, 1, &both).await, (accepted(1), true));
    let lost = CountCommand::AddBoth(4, "unknown/two".to_owned());
    assert_eq!(send(&one, 2, &lost).await, (accepted(2), false));
    wait_until(|| hub.stats().forwards + hub.stats().forwards_dropped == 2).await;
    assert_eq!(hub.stats().forwards_dropped, 1);
    assert_eq!(sum(&two).await.1.sum, 4);
}

#[tokio::test]
async fn a_log_that_cannot_be_decoded_is_not_changed() {
    for breaks_snapshot in [true, false] {
        let log = log();
        let mut broken = entry(1, 1);
        broken.events[0].1 = b"{\"of\":\"the future\"}".to_vec();
        log.append(&topic(), 0.into(), vec![entry(0, 1), broken]).await.unwrap();
        if breaks_snapshot {
            let retention = Retention { events: 10, age: None };
            log.snapshot(&topic(), 2, b"[]".to_vec(), retention, 0).await.unwrap();
        }
        let before = log.open(&topic(), 10, 0).await.unwrap();
        let hub = hub(&log);
        assert_eq!(hub.open(&topic()).await.err(), Some(Denial::Unavailable));
        assert_eq!(hub.stats().topics, 0);
        hub.close().await;
        assert_eq!(log.open(&topic(), 10, 0).await.unwrap(), before);
    }
}

#[tokio::test]
async fn an_unknown_or_closed_topic_is_denied() {
    let hub = hub(&log());
    let unknown = "nothing/here".parse().unwrap();
    assert_eq!(hub.admit(&person(), &unknown), Err(Denial::Unknown));
    assert_eq!(hub.open(&unknown).await.err(), Some(Denial::Unknown));
    assert_eq!(hub.history(&unknown, 9, 9).await, Err(Denial::Unknown));
    let closed = "count/closed".parse().unwrap();
    assert_eq!(hub.admit(&person(), &closed), Err(Denial::Forbidden));
    assert_eq!(hub.admit(&person(), &topic()), Ok(Access::Write));
}

#[tokio::test]
async fn closing_stores_accepted_commands() {
    let log = log();
    let hub = hub(&log);
    let handle = hub.open(&topic()).await.unwrap();
    let wake = Wake::new();
    let _subscription = handle.subscribe(SessionId("s".to_owned()), person(), None, Arc::clone(&wake));
    let sent: Vec<_> = (0..20)
        .map(|id| {
            let handle = handle.clone();
            tokio::spawn(async move { send(&handle, id, &CountCommand::Add(1)).await.0 })
        })
        .collect();
    hub.close().await;
    let answers = join_all(sent).await;
    let done = answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Answer::Accepted { .. })));
    assert_eq!(done.count() as u64, hub.stats().commands);
    let opened = log.open(&topic(), 0, 0).await.unwrap();
    assert_eq!(opened.head.last, hub.stats().commands);
    assert_eq!(opened.snapshot.map_or(0, |(seq, _)| seq), opened.head.last);
    wake.woken().await;
    assert_eq!(handle.read(0, Encoding::Json, ALL), ReadBatch::Behind);
    assert_eq!(handle.read_log(0, Encoding::Json, ALL).await, Err(Denial::Unavailable));
    assert_eq!(handle.verdict(None, Encoding::Json).await, Err(Denial::Unavailable));
    assert_eq!(
        send(&handle, 99, &CountCommand::Add(1)).await.0,
        Answer::Rejected(Rejection::Unavailable)
    );
    assert_eq!(hub.open(&topic()).await.err(), Some(Denial::Unavailable));
}

/// The verdict without checksums, which other tests cover.
async fn plain_verdict(handle: &TopicHandle, cursor: Option<Cursor>) -> Verdict {
    match handle.verdict(cursor, Encoding::Json).await.unwrap() {
        Verdict::Resumed { replayed, head } => Verdict::Resumed {
            replayed,
            head: head.with_checksum(None),
        },
        Verdict::Reset { reason, cursor, state } => Verdict::Reset {
            reason,
            cursor: cursor.with_checksum(None),
            state,
        },
        denied => denied,
    }
}

#[tokio::test]
async fn a_reader_is_resumed_or_reset_with_a_reason() {
    let log = log();
    let head = limits::RING_EVENTS as u64 + 500;
    {
        let hub = hub_with_retention(&log, 10);
        let handle = hub.open(&topic()).await.unwrap();
        let verdict = plain_verdict(&handle, None).await;
        assert!(matches!(verdict, Verdict::Reset { reason: ResetReason::New, cursor, .. } if cursor == at(0)));
        join_all((0..head).map(|id| send(&handle, id.into(), &CountCommand::Add(1)))).await;
        let resumed = |replayed| Verdict::Resumed {
            replayed,
            head: at(head),
        };
        for seq in [head, head - 1, head - 1000] {
            let verdict = plain_verdict(&handle, Some(at(seq))).await;
            assert_eq!(verdict, resumed(head - seq));
            assert_eq!(read_all(&handle, seq, Encoding::Json).await.len() as u64, head - seq);
        }
        let ahead = plain_verdict(&handle, Some(at(head + 1))).await;
        assert!(matches!(ahead, Verdict::Reset { reason: ResetReason::Ahead, cursor, .. } if cursor == at(head)));
        hub.close().await;
    }
    let hub = hub_with_retention(&log, 10);
    let handle = hub.open(&topic()).await.unwrap();
    let from = head - limits::RING_EVENTS as u64;
    let seen = read_all(&handle, from, Encoding::Json).await;
    assert!(seen.iter().map(|(seq, _)| *seq).eq(from + 1..=head));
    assert!(hub.stats().log_reads > 0);
    let old = plain_verdict(&handle, Some(at(from - 1))).await;
    assert!(
        matches!(
            old,
            Verdict::Reset {
                reason: ResetReason::TooOld,
                ..
            }
        ),
        "{old:?}"
    );
    assert_eq!(
        handle.read_log(from - 1, Encoding::Json, ALL).await,
        Ok(ReadBatch::Behind)
    );
    let page = hub.history(&topic(), head + 1, 3).await.unwrap();
    assert_eq!(
        (page.events.len(), page.events[2].0, page.amended_up_to),
        (3, head, head)
    );
}

#[tokio::test]
async fn a_slow_reader_under_latest_gets_only_the_newest_event_of_each_key() {
    let hub = hub(&log());
    let handle = hub.open(&"gauge/x".parse().unwrap()).await.unwrap();
    let values = 3000u32;
    join_all((0..values).map(|value| {
        let (handle, key) = (handle.clone(), format!("k{}", value % 3));
        async move { send(&handle, value.into(), &(key, value)).await }
    }))
    .await;
    let batch = handle.read(0, Encoding::Postcard, ALL);
    let newest: Vec<_> = decode::<(String, u32)>(&batch, Encoding::Postcard);
    let seqs: Vec<_> = newest.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(seqs, [2998, 2999, 3000]);
    assert!(matches!(
        batch,
        ReadBatch::Frames {
            conflated: 2997,
            last: 3000,
            ..
        }
    ));
    let near = handle.read(2990, Encoding::Postcard, ALL);
    assert!(matches!(near, ReadBatch::Frames { conflated: 0, ref frames, .. } if frames.len() == 10));
    assert_eq!(hub.stats().conflated, 2997);
}

#[tokio::test]
async fn a_frame_is_encoded_once_and_shared() {
    let hub = hub(&log());
    let handle = hub.open(&topic()).await.unwrap();
    send(&handle, 1, &CountCommand::Add(1)).await;
    let pointer = || match handle.read(0, Encoding::Json, ALL) {
        ReadBatch::Frames { frames, .. } => frames[0].as_ptr(),
        other => panic!("{other:?}"),
    };
    assert_eq!(pointer(), pointer());
}

fn presence(handle: &TopicHandle) -> Presence {
    let (version, frame) = handle.presence(Encoding::Json);
    assert_eq!(version, handle.presence_version());
    match Encoding::Json.decode(&frame).unwrap() {
        ServerFrame::Presence { presence, .. } => presence,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn subscribers_get_presence_updates() {
    let hub = hub(&log());
    let handle = hub.open(&topic()).await.unwrap();
    let wake = Wake::new();
    let first = handle.subscribe(SessionId("first".to_owned()), person(), None, Arc::clone(&wake));
    wake.woken().await;
    assert_eq!(presence(&handle).people[0].person, person());
    let subscribers: Vec<_> = (0..50)
        .map(|number| {
            let session = SessionId(number.to_string());
            handle.subscribe(session, person(), None, Wake::new())
        })
        .collect();
    wake.woken().await;
    let counts = (presence(&handle).people_count, presence(&handle).session_count);
    assert_eq!((counts, handle.presence_version()), ((1, 51), 2));
    assert_eq!(hub.stats().subscriptions, 51);
    drop(subscribers);
    wake.woken().await;
    first.set_activity(Some("typing".to_owned()));
    wake.woken().await;
    assert_eq!(presence(&handle).people[0].activity.as_deref(), Some("typing"));
    let sent = Instant::now();
    wake.woken().await;
    assert_eq!(presence(&handle).people[0].activity, None);
    assert!(sent.elapsed() <= limits::ACTIVITY_TIMEOUT, "the activity expires");
    first.rename("Bo".to_owned());
    wake.woken().await;
    assert_eq!(presence(&handle).people[0].person.name, "Bo");
    send(&handle, 1, &CountCommand::Add(1)).await;
    wake.woken().await;
    drop(first);
    while handle.presence_version() < 7 {
        yield_now().await;
        advance(limits::PRESENCE_PAUSE).await;
    }
    assert_eq!(presence(&handle), Presence::default());
    assert_eq!(hub.stats().subscriptions, 0);
}
