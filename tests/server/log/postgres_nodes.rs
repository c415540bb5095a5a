//! Two nodes on one PostgreSQL database, connected by its notifications.

use std::sync::Arc;
use std::time::Duration;

use duplex_hub::log::Log;
use duplex_hub::log::postgres::PostgresLog;
use duplex_hub::session::Reader;
use duplex_hub::{Hub, ReadLimit};
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::{Answer, CommandId, ServerFrame, SessionId, Verdict};
use duplex_protocol::topic::TopicName;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use crate::harness::TIMEOUT;
use crate::harness::kinds::{self, Note, Notes};
use crate::harness::postgres::{Cluster, Database};

const LIMIT: ReadLimit = ReadLimit {
    frames: 100,
    bytes: 1 << 20,
};

async fn node(database: &Database) -> Hub {
    let log = PostgresLog::open(database.url.parse().unwrap()).await.unwrap();
    let bus = Arc::new(log.bus());
    let hub = Hub::new(Arc::new(log) as Arc<dyn Log>, kinds::all());
    hub.connect(bus);
    hub
}

fn id(number: u64) -> CommandId {
    CommandId::from_time(duplex_hub::now(), u128::from(number))
}

async fn add(hub: &Hub, id: CommandId, text: &str) -> Answer {
    hub.send::<Notes>("shared", id, &Note::Add(text.to_owned())).await
}

struct Seen(Reader, Vec<(Seq, Note)>);

impl Seen {
    async fn new(hub: &Hub) -> Self {
        let topic: TopicName = "notes/shared".parse().unwrap();
        let mut reader = Reader::for_server(hub, Encoding::Json, SessionId("reader".to_owned()));
        let epoch = hub.open(&topic).await.unwrap().head().epoch;
        let verdict = reader.subscribe(&topic, Some(Cursor::new(epoch, 0))).await;
        assert!(matches!(verdict, Verdict::Resumed { .. }), "{verdict:?}");
        Self(reader, Vec::new())
    }

    async fn read(&mut self, count: usize) -> &[(Seq, Note)] {
        let reading = async {
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
        };
        timeout(TIMEOUT, reading).await.unwrap();
        &self.1
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_on_two_nodes_lose_and_repeat_nothing() {
    let database = Cluster::shared().database();
    let nodes = [node(&database).await, node(&database).await];
    let mut readers = [Seen::new(&nodes[0]).await, Seen::new(&nodes[1]).await];
    let writers = (0..200u64).map(|number| {
        let node = nodes[number as usize % 2].clone();
        async move {
            let (id, text) = (id(number), number.to_string());
            let Answer::Accepted { seq } = add(&node, id.clone(), &text).await else {
                panic!("{number} was rejected")
            };
            (id, text, seq)
        }
    });
    let accepted = join_all(writers).await;
    let (first, second) = readers.split_at_mut(1);
    let seen = first[0].read(200).await;
    assert_eq!(seen, second[0].read(200).await);
    assert!(seen.iter().map(|(seq, _)| *seq).eq(1..=200));
    for (number, (id, text, seq)) in accepted.into_iter().enumerate() {
        assert_eq!(seen[seq as usize - 1].1, Note::Add(text.clone()));
        let other = &nodes[(number + 1) % 2];
        assert_eq!(
            add(other, id, &text).await,
            Answer::Accepted { seq },
            "sent again to the other node"
        );
    }
    for node in nodes {
        node.close().await;
    }
}

/// Notifications arrive at once. The query for moved heads alone would take half a second on average.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_another_node_are_notified() {
    let database = Cluster::shared().database();
    let nodes = [node(&database).await, node(&database).await];
    let mut reader = Seen::new(&nodes[1]).await;
    add(&nodes[0], id(0), "first").await;
    reader.read(1).await;
    let mut latencies = Vec::new();
    for number in 1..=15 {
        let before = Instant::now();
        add(&nodes[0], id(number), "next").await;
        reader.read(number as usize + 1).await;
        latencies.push(before.elapsed());
    }
    latencies.sort_unstable();
    assert!(latencies[7] < Duration::from_millis(300), "{latencies:?}");
    for node in nodes {
        node.close().await;
    }
}
