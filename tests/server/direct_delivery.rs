//! Events that topics write to idle sessions directly: order and completeness while sessions change between idle and busy.

use std::collections::BTreeMap;

use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::Answer;
use futures_util::future::join_all;
use tokio::sync::{Barrier, watch};

use crate::harness::kinds::{Note, Notes};
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{Node, PIPE_CAPACITY};

const TOPICS: [&str; 2] = ["notes/a", "notes/b"];
const WRITERS: u64 = 4;
const NOTES_PER_WRITER: u64 = 60;
/// More than a pipe holds in all, so that writes to a session that does not read are partial.
const TEXT_BYTES: usize = 2000;

/// The number of events of each topic.
const EVENTS: u64 = WRITERS * NOTES_PER_WRITER;

async fn write(node: &Node, number: u64) {
    let mut writer = Visitor::new(node, Transport::Sse).await;
    for note in 0..NOTES_PER_WRITER {
        for topic in TOPICS {
            let text = format!("{number}-{note}-{}", "x".repeat(TEXT_BYTES));
            let answer = writer.command(topic, &Note::Add(text)).await;
            assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Behavior {
    /// Only reads: mostly idle.
    Idle,
    /// Sends a command after each event.
    Busy,
    /// Reads nothing until all events are written.
    Late,
}

/// Reads all events of both topics. The visitor checks that each topic's events are contiguous.
async fn read(
    node: &Node,
    transport: Transport,
    behavior: Behavior,
    subscribed: &Barrier,
    mut written: watch::Receiver<bool>,
) {
    let mut visitor = Visitor::new(node, transport).await;
    for topic in TOPICS {
        visitor.subscribe(topic, None).await;
    }
    subscribed.wait().await;
    if matches!(behavior, Behavior::Late) {
        written.wait_for(|written| *written).await.unwrap();
    }
    let mut counts = BTreeMap::<Seq, u64>::new();
    let mut own = 0_u64;
    while counts.values().sum::<u64>() < EVENTS * TOPICS.len() as u64 {
        let (seq, _) = visitor.next_event::<Notes>().await;
        *counts.entry(seq).or_default() += 1;
        if matches!(behavior, Behavior::Busy) {
            own += 1;
            // Some are rejected as too fast, which occupies the session as well.
            visitor.command("notes/own", &Note::Amend(own, String::new())).await;
        }
    }
    assert!(counts.values().all(|count| *count == TOPICS.len() as u64), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn idle_busy_and_late_sessions_receive_each_event_once_and_in_order() {
    assert!(EVENTS as usize * TEXT_BYTES > 2 * PIPE_CAPACITY);
    let node = Node::new();
    let (all_written, written) = watch::channel(false);
    let transports = [Encoding::Json, Encoding::Postcard].map(Transport::WebSocket);
    let behaviors = [Behavior::Idle, Behavior::Busy, Behavior::Late, Behavior::Idle];
    let subscribed = Barrier::new(transports.len() * behaviors.len() + 1);
    let readers = transports
        .into_iter()
        .flat_map(|transport| behaviors.map(|behavior| read(&node, transport, behavior, &subscribed, written.clone())));
    let writers = async {
        subscribed.wait().await;
        join_all((0..WRITERS).map(|number| write(&node, number))).await;
        all_written.send_replace(true);
    };
    tokio::join!(join_all(readers), writers);
}
