//! Tests of several hubs on one log.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;
use crate::bus::{BusFaults, MemoryBus, MemoryBusPort};
use crate::decider::{Context, Decider, Forward, NoCommand, Redaction};
use crate::log::memory::Fault;
use crate::quota::QuotaConfig;
use crate::session::Reader;
use crate::topic::dyn_topic::dyn_topic;
use crate::topic::read_batch::ReadLimit;
use crate::topic::wake::Wake;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{Answer, CommandId, Rejection, ServerFrame, SessionId, Verdict};
use duplex_protocol::topic::Topic;

struct List;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Change {
    Push(u64),
    /// Removes the last item; nothing if there is none.
    Pop,
    /// Also pushes to another list.
    Copy(u64, String),
    /// Removes the content of all earlier changes.
    Clear,
}

impl Topic for List {
    const KIND: &'static str = "list";
    type Command = Change;
    type Event = Change;
    type State = Vec<u64>;

    fn apply(list: &mut Vec<u64>, _: Seq, event: &Change) {
        match event {
            Change::Push(item) | Change::Copy(item, _) => list.push(*item),
            Change::Pop => drop(list.pop()),
            Change::Clear => list.clear(),
        }
    }
}

impl Decider for List {
    type ServerCommand = NoCommand;

    fn admit(&self, _: Principal<'_>, _: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn starts_on_read(&self, topic: &TopicName) -> bool {
        topic.rest() != "waits"
    }

    fn decide(&self, _: Context<'_>, list: &Vec<u64>, command: Change) -> Result<Vec<Change>, Rejection> {
        match command {
            Change::Pop if list.is_empty() => Ok(Vec::new()),
            Change::Push(item) if list.last() == Some(&item) => Err(Rejection::custom("repeated")),
            other => Ok(vec![other]),
        }
    }

    fn forward(&self, _: &TopicName, _: &Vec<u64>, _: Seq, event: &Change) -> Vec<Forward> {
        let Change::Copy(item, to) = event else {
            return Vec::new();
        };
        Forward::to::<Self>(to, &Change::Push(*item)).into_iter().collect()
    }

    fn redacts(&self, _: &Vec<u64>, event: &Change) -> Redaction {
        match event {
            Change::Clear => Redaction::AllEarlier,
            _ => Redaction::Nothing,
        }
    }
}

/// Lets this much time of the paused clock pass.
async fn pass(time: Duration) {
    let _ = timeout(time, std::future::pending::<()>()).await;
}

struct Node {
    hub: Hub,
    port: Arc<MemoryBusPort>,
}

/// Nodes on one log, connected by a bus without faults.
struct Nodes {
    log: Arc<MemoryLog>,
    bus: Arc<MemoryBus>,
}

impl Nodes {
    fn new() -> Self {
        Self {
            log: Arc::new(MemoryLog::new(Epoch::new(5))),
            bus: MemoryBus::new(7, BusFaults::default()),
        }
    }

    fn start(&self) -> Node {
        let hub = Hub::new(Arc::clone(&self.log) as Arc<dyn Log>, vec![dyn_topic(List)]);
        let port = self.bus.join();
        hub.connect(Arc::clone(&port) as _);
        Node { hub, port }
    }

    fn pair(&self) -> [Node; 2] {
        [self.start(), self.start()]
    }
}

fn topic(name: &str) -> TopicName {
    format!("list/{name}").parse().unwrap()
}

fn id(number: u128) -> CommandId {
    CommandId::from_time(crate::clock::now(), number)
}

fn person() -> Person {
    Person {
        id: PersonId("0123456789abcdef".to_owned()),
        name: String::new(),
    }
}

const fn accepted(seq: Seq) -> Answer {
    Answer::Accepted { seq }
}

impl Node {
    async fn send_to(&self, name: &str, id: &CommandId, change: &Change) -> (Answer, bool) {
        let handle = self.hub.open(&topic(name)).await.unwrap();
        let command = EncodedValue::encode(Encoding::Json, change).unwrap();
        handle.command(person(), id.clone(), command, Encoding::Json).await
    }

    async fn send(&self, id: &CommandId, change: &Change) -> (Answer, bool) {
        self.send_to("a", id, change).await
    }

    async fn state(&self, name: &str) -> Vec<u64> {
        crate::testing::state::<List>(&self.hub, name).await
    }

    /// Waits until a topic has `count` events on this node.
    async fn follows(&self, name: &str, count: Seq) {
        let mut reader = self.reader(name).await;
        while self.hub.open(&topic(name)).await.unwrap().head().seq < count {
            reader.0.woken().await;
            reader.0.gather(LIMIT, &mut Vec::new()).await;
        }
    }

    async fn reader(&self, name: &str) -> Seen {
        let session = SessionId("reader".to_owned());
        let mut reader = Reader::new(self.hub.clone(), Encoding::Json, session, person());
        let cursor = Some(Cursor::new(Epoch::new(5), 0));
        assert!(!matches!(
            reader.subscribe(&topic(name), cursor).await,
            Verdict::Denied { .. }
        ));
        Seen(reader, Vec::new())
    }
}

const LIMIT: ReadLimit = ReadLimit {
    frames: 100,
    bytes: 1 << 20,
};

/// A reader and the events that it received.
struct Seen(Reader, Vec<(Seq, Change)>);

impl Seen {
    /// Reads until there are `count` events.
    async fn read(&mut self, count: usize) -> &[(Seq, Change)] {
        while self.1.len() < count {
            self.0.woken().await;
            let mut frames = Vec::new();
            self.0.gather(LIMIT, &mut frames).await;
            for frame in frames {
                if let ServerFrame::Event { seq, event, .. } = Encoding::Json.decode(&frame).unwrap() {
                    self.1.push((seq, event.decode(Encoding::Json).unwrap()));
                }
            }
        }
        &self.1
    }
}

fn pushes(count: u64) -> Vec<(Seq, Change)> {
    (1..=count).map(|item| (item, Change::Push(item))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_node_delivers_the_events_of_another_at_once() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    let mut reader = b.reader("a").await;
    for item in 1..=5 {
        assert_eq!(
            a.send(&id(item), &Change::Push(item as u64)).await.0,
            accepted(item as Seq)
        );
    }
    let before = tokio::time::Instant::now();
    assert_eq!(reader.read(5).await, pushes(5));
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(b.state("a").await, [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_message_costs_at_most_a_second() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    let mut reader = b.reader("a").await;
    assert_eq!(a.send(&id(1), &Change::Push(1)).await.0, accepted(1));
    reader.read(1).await;
    a.port.disconnect();
    assert_eq!(a.send(&id(2), &Change::Push(2)).await.0, accepted(2));
    let before = tokio::time::Instant::now();
    assert_eq!(reader.read(2).await, pushes(2));
    assert!(before.elapsed() <= limits::HEADS_INTERVAL, "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_command_sent_to_two_nodes_has_one_effect_and_one_answer() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    nodes.bus.set_faults(BusFaults {
        lost: 100,
        ..BusFaults::default()
    });
    // Both nodes have the topic awake, and neither is told of the other's appends.
    assert_eq!((a.state("a").await, b.state("a").await), (vec![], vec![]));
    let (push, pop, again) = (id(1), id(2), id(3));
    assert_eq!(a.send(&push, &Change::Push(1)).await, (accepted(1), false));
    assert_eq!(b.send(&push, &Change::Push(1)).await, (accepted(1), true));
    assert_eq!(a.send(&pop, &Change::Pop).await, (accepted(2), false));
    assert_eq!(b.send(&pop, &Change::Pop).await, (accepted(2), true));
    // Answers without an event.
    let nothing = id(4);
    assert_eq!(a.send(&nothing, &Change::Pop).await, (accepted(2), false));
    assert_eq!(a.send(&id(5), &Change::Push(5)).await, (accepted(3), false));
    assert_eq!(b.send(&nothing, &Change::Pop).await, (accepted(2), true));
    let rejected = Answer::Rejected(Rejection::custom("repeated"));
    assert_eq!(a.send(&again, &Change::Push(5)).await, (rejected.clone(), false));
    assert_eq!(b.send(&again, &Change::Push(5)).await, (rejected, true));
    assert_eq!((a.state("a").await, b.state("a").await), (vec![5], vec![5]));
}

#[tokio::test(start_paused = true)]
async fn writers_on_three_nodes_lose_and_repeat_nothing() {
    let nodes = Nodes::new();
    let all: Vec<_> = (0..3).map(|_| Arc::new(nodes.start())).collect();
    let mut readers = join_all(all.iter().map(|node| node.reader("a"))).await;
    let mut writers = JoinSet::new();
    for number in 0..300u64 {
        let node = Arc::clone(&all[number as usize % 3]);
        writers.spawn(async move { node.send(&id(u128::from(number)), &Change::Push(number)).await });
    }
    let mut seqs: Vec<_> = writers
        .join_all()
        .await
        .into_iter()
        .map(|answer| match answer {
            (Answer::Accepted { seq }, false) => seq,
            other => panic!("{other:?}"),
        })
        .collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=300).collect::<Vec<_>>());
    let [first, second, third] = &mut readers[..] else {
        panic!()
    };
    let seen = first.read(300).await;
    assert_eq!(seen, second.read(300).await);
    assert_eq!(seen, third.read(300).await);
    assert!(seen.iter().map(|(seq, _)| *seq).eq(1..=300));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_ahead_of_its_new_node_is_resumed() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    assert_eq!(b.state("a").await, Vec::<u64>::new());
    nodes.bus.set_faults(BusFaults {
        lost: 100,
        ..BusFaults::default()
    });
    for item in 1..=3 {
        a.send(&id(item), &Change::Push(item as u64)).await;
    }
    let (cursor, _) = a
        .hub
        .open(&topic("a"))
        .await
        .unwrap()
        .state(Encoding::Json)
        .await
        .unwrap();
    let verdict = b
        .hub
        .open(&topic("a"))
        .await
        .unwrap()
        .verdict(Some(cursor), Encoding::Json)
        .await
        .unwrap();
    assert!(
        matches!(verdict, Verdict::Resumed { replayed: 0, head } if head == cursor),
        "{verdict:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn readers_that_wait_for_a_topic_are_woken_by_its_start_on_another_node() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    const CONFIG: QuotaConfig = QuotaConfig {
        command_rate: 50,
        max_connections: 10_000,
    };
    let quotas = Quotas::new(true, CONFIG);
    let client = ClientKey {
        address: None,
        person: Some(person().id),
    };
    let hub = b.hub.for_client(&quotas, client);
    let b = Node { hub, port: b.port };
    let mut reader = b.reader("waits").await;
    assert!(!b.hub.is_awake(&topic("waits")));
    a.send_to("waits", &id(1), &Change::Push(1)).await;
    assert_eq!(reader.read(1).await, pushes(1));
}

/// The other node's ring had the removed events.
#[tokio::test(start_paused = true)]
async fn a_redaction_reaches_the_rings_of_other_nodes() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    for item in 1..=3 {
        a.send(&id(item), &Change::Push(item as u64)).await;
    }
    b.follows("a", 3).await;
    a.send(&id(4), &Change::Clear).await;
    b.follows("a", 4).await;
    let handle = b.hub.open(&topic("a")).await.unwrap();
    assert_eq!(handle.read(0, Encoding::Json, LIMIT), crate::ReadBatch::Behind);
    assert_eq!(b.state("a").await, Vec::<u64>::new());
    let verdict = handle
        .verdict(Some(Cursor::new(Epoch::new(5), 2)), Encoding::Json)
        .await
        .unwrap();
    assert!(matches!(verdict, Verdict::Reset { .. }), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_behind_by_more_than_a_tail_loads_the_topic() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    let mut reader = b.reader("a").await;
    nodes.bus.set_faults(BusFaults {
        lost: 100,
        ..BusFaults::default()
    });
    let count = limits::TAIL as u64 + 500;
    let sent = (1..=count).map(|item| {
        let a = &a;
        async move { a.send(&id(u128::from(item)), &Change::Push(item)).await }
    });
    join_all(sent).await;
    assert_eq!(reader.read(count as usize).await.len(), count as usize);
    assert!(reader.1.iter().map(|(seq, _)| *seq).eq(1..=count));
}

/// The forwards of two nodes from one topic to another arrive once, and in the order of their events.
#[tokio::test(start_paused = true)]
async fn forwards_of_two_nodes_are_delivered_once_and_in_order() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    for item in 1..=200u64 {
        let node = if item % 3 == 0 { &b } else { &a };
        node.send(&id(u128::from(item)), &Change::Copy(item, "b".to_owned()))
            .await;
    }
    a.follows("b", 200).await;
    b.follows("b", 200).await;
    assert_eq!(a.state("b").await, (1..=200).collect::<Vec<_>>());
    assert_eq!(b.state("b").await, (1..=200).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_undelivered_forward_of_another_node_comes_first() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    // This node has loaded the forwards of earlier runs before.
    b.send(&id(1), &Change::Copy(1, "b".to_owned())).await;
    b.follows("b", 1).await;
    a.hub.outbox().kill();
    a.send(&id(2), &Change::Copy(2, "b".to_owned())).await;
    b.send(&id(3), &Change::Copy(3, "b".to_owned())).await;
    b.follows("b", 3).await;
    assert_eq!(b.state("b").await, [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn forwards_of_a_node_that_died_are_delivered_by_another() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    a.hub.outbox().kill();
    a.send(&id(1), &Change::Copy(1, "b".to_owned())).await;
    timeout(3 * limits::FORWARD_ADOPTION, b.follows("b", 1)).await.unwrap();
    assert_eq!(b.state("b").await, [1]);
}

impl Node {
    /// The numbers of people and sessions that readers of this node see.
    async fn present(&self) -> (u32, u32) {
        let handle = self.hub.open(&topic("a")).await.unwrap();
        match Encoding::Json.decode(&handle.presence(Encoding::Json).1).unwrap() {
            ServerFrame::Presence { presence, .. } => (presence.people_count, presence.session_count),
            other => panic!("{other:?}"),
        }
    }

    async fn subscribe(&self, name: &str, session: &str) -> crate::SubscriptionGuard {
        let person = Person {
            id: PersonId(name.to_owned()),
            name: name.to_owned(),
        };
        let handle = self.hub.open(&topic("a")).await.unwrap();
        handle.subscribe(SessionId(session.to_owned()), person, None, Wake::new())
    }
}

#[tokio::test(start_paused = true)]
async fn people_on_all_nodes_are_present_and_leave() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    let _ada = a.subscribe("ada", "1").await;
    pass(Duration::from_secs(1)).await;
    let bo = b.subscribe("bo", "2").await;
    let _moved = b.subscribe("ada", "1").await;
    let _tab = b.subscribe("ada", "3").await;
    pass(Duration::from_secs(1)).await;
    assert_eq!((a.present().await, b.present().await), ((2, 3), (2, 3)));
    drop(bo);
    pass(Duration::from_secs(1)).await;
    assert_eq!((a.present().await, b.present().await), ((1, 2), (1, 2)));
    let c = nodes.start();
    let _cy = c.subscribe("cy", "4").await;
    pass(Duration::from_secs(1)).await;
    assert_eq!(
        (a.present().await, b.present().await, c.present().await),
        ((2, 3), (2, 3), (2, 3))
    );
    c.hub.close().await;
    pass(Duration::from_secs(1)).await;
    assert_eq!((a.present().await, b.present().await), ((1, 2), (1, 2)));
}

#[tokio::test(start_paused = true)]
async fn the_people_of_a_dead_node_are_gone_within_40_seconds() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    let _ada = a.subscribe("ada", "1").await;
    let _bo = b.subscribe("bo", "2").await;
    pass(Duration::from_secs(60)).await;
    assert_eq!(b.present().await, (2, 2));
    a.port.disconnect();
    pass(Duration::from_secs(20)).await;
    assert_eq!(b.present().await, (2, 2), "a moment of silence is no death");
    pass(Duration::from_secs(20)).await;
    assert_eq!(b.present().await, (1, 1));
}

/// Runs on one node at a time: counts its starts and never ends.
async fn feed(node: &Node, starts: &AtomicUsize) {
    let work = || async {
        starts.fetch_add(1, SeqCst);
        std::future::pending::<()>().await;
    };
    node.hub.run_on_one_node("feed", work).await;
}

#[tokio::test(start_paused = true)]
async fn work_runs_on_one_node_and_moves_within_5_seconds() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    let starts = [const { AtomicUsize::new(0) }; 2];
    let counts = || starts.each_ref().map(|starts| starts.load(SeqCst));
    let mut first = Box::pin(feed(&a, &starts[0]));
    let mut second = Box::pin(feed(&b, &starts[1]));
    let both = async { tokio::join!(&mut first, &mut second) };
    assert!(timeout(Duration::from_secs(60), both).await.is_err());
    assert_eq!(counts(), [1, 0]);
    drop(first);
    assert!(timeout(Duration::from_secs(5), &mut second).await.is_err());
    assert_eq!(counts(), [1, 1]);
    // The log fails for longer than the lease lasts.
    nodes.log.set_fault(Fault::Stall);
    let mut first = Box::pin(feed(&a, &starts[0]));
    let both = async { tokio::join!(&mut first, &mut second) };
    assert!(timeout(Duration::from_secs(10), both).await.is_err());
    nodes.log.set_fault(Fault::None);
    let both = async { tokio::join!(&mut first, &mut second) };
    assert!(timeout(Duration::from_secs(60), both).await.is_err());
    assert_eq!(
        counts().iter().sum::<usize>(),
        3,
        "it was dropped and started again on one of them"
    );
}

#[tokio::test(start_paused = true)]
async fn work_that_ends_frees_its_name() {
    let nodes = Nodes::new();
    let [a, b] = nodes.pair();
    assert_eq!(a.hub.run_on_one_node("once", || async { 1 }).await, 1);
    let before = tokio::time::Instant::now();
    assert_eq!(b.hub.run_on_one_node("once", || async { 2 }).await, 2);
    assert_eq!(before.elapsed(), Duration::ZERO);
}
