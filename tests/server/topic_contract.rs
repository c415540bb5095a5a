//! The guarantees of topics, tested over every transport.

use std::collections::BTreeSet;
use std::time::Duration;

use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::{Cursor, Epoch};
use duplex_protocol::session::{Answer, CommandId, Denial, Rejection, ResetReason, ServerFrame, Verdict};
use tokio::time::Instant;

use crate::harness::kinds::{Note, Notes, NotesState, Price, Prices};
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{Node, with_timeout};

macro_rules! over_every_transport {
    ($($test:ident)*) => {
        over_every_transport!(@ websocket_json Transport::WebSocket(Encoding::Json), $($test)*);
        over_every_transport!(@ websocket_postcard Transport::WebSocket(Encoding::Postcard), $($test)*);
        over_every_transport!(@ sse Transport::Sse, $($test)*);
        over_every_transport!(@ poll Transport::Poll, $($test)*);
    };
    (@ $name:ident $transport:expr, $($test:ident)*) => {
        mod $name {
            use super::*;
            $(
                #[tokio::test(start_paused = true)]
                async fn $test() {
                    super::$test($transport).await;
                }
            )*
        }
    };
}

over_every_transport! {
    a_new_subscriber_gets_the_state_and_then_the_events
    events_are_contiguous_and_in_order
    a_returning_subscriber_gets_exactly_the_missed_events
    a_resent_command_has_one_effect
    a_rejected_command_has_a_reason
    a_denied_topic_rejects_subscribes_and_commands
    a_cursor_of_another_log_is_reset_with_the_reason
    presence_follows_joins_and_leaves
    a_reader_behind_the_ring_continues_from_the_log
    a_lagging_reader_gets_the_newest_event_of_each_key
    one_session_carries_several_topics
    a_node_announces_its_shutdown
}

const NOTES: &str = "notes/a";

fn add(text: impl Into<String>) -> Note {
    Note::Add(text.into())
}

async fn add_many(node: &Node, count: u64) {
    let mut writer = Visitor::new(node, Transport::Sse).await;
    for number in 0..count {
        let answer = writer.command(NOTES, &add(number.to_string())).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }
}

async fn a_new_subscriber_gets_the_state_and_then_the_events(transport: Transport) {
    let node = Node::new();
    add_many(&node, 3).await;
    let mut visitor = Visitor::new(&node, transport).await;
    let Verdict::Reset { reason, cursor, state } = visitor.subscribe(NOTES, None).await else {
        panic!("a new subscriber has no cursor")
    };
    assert_eq!((reason, cursor.seq), (ResetReason::New, 3));
    let state: NotesState = state.decode(visitor.encoding()).unwrap();
    assert_eq!(state.count, 3);
    assert_eq!(visitor.command(NOTES, &add("mine")).await, Answer::Accepted { seq: 4 });
    assert_eq!(visitor.next_event::<Notes>().await, (4, add("mine")));
}

async fn events_are_contiguous_and_in_order(transport: Transport) {
    let node = Node::new();
    let mut visitor = Visitor::new(&node, transport).await;
    visitor.subscribe(NOTES, None).await;
    let writing = add_many(&node, 300);
    let reading = async {
        for number in 0..300 {
            assert_eq!(
                visitor.next_event::<Notes>().await,
                (number + 1, add(number.to_string()))
            );
        }
    };
    tokio::join!(writing, reading);
}

async fn a_returning_subscriber_gets_exactly_the_missed_events(transport: Transport) {
    let node = Node::new();
    add_many(&node, 5).await;
    let mut visitor = Visitor::new(&node, transport).await;
    visitor.subscribe(NOTES, None).await;
    visitor.disconnect();
    add_many(&node, 7).await;
    let cursor = visitor.cursors[&NOTES.parse().unwrap()];
    let Verdict::Resumed { replayed, head } = visitor.subscribe(NOTES, cursor).await else {
        panic!("the missed events are in the log")
    };
    assert_eq!((replayed, head.seq), (7, 12));
    for number in 0..7 {
        assert_eq!(
            visitor.next_event::<Notes>().await,
            (6 + number, add(number.to_string()))
        );
    }
}

async fn a_resent_command_has_one_effect(transport: Transport) {
    let node = Node::new();
    let mut visitor = Visitor::new(&node, transport).await;
    let id = CommandId::from_bits(7);
    let first = visitor.command_with_id(NOTES, id.clone(), &add("once")).await;
    assert_eq!(first, (Answer::Accepted { seq: 1 }, false));
    visitor.disconnect();
    assert_eq!(
        visitor.command_with_id(NOTES, id.clone(), &add("once")).await,
        (Answer::Accepted { seq: 1 }, true)
    );
    let mut other = visitor.with_transport(Transport::Sse);
    assert_eq!(
        other.command_with_id(NOTES, id, &add("once")).await,
        (Answer::Accepted { seq: 1 }, true)
    );
    assert_eq!(other.command(NOTES, &add("next")).await, Answer::Accepted { seq: 2 });
}

async fn a_rejected_command_has_a_reason(transport: Transport) {
    let node = Node::new();
    let mut visitor = Visitor::new(&node, transport).await;
    let rejection = |why: &str| Answer::Rejected(Rejection::custom(why));
    assert_eq!(visitor.command(NOTES, &add("")).await, rejection("empty"));
    let malformed = visitor.command(NOTES, &"not a note").await;
    assert!(
        matches!(malformed, Answer::Rejected(Rejection::Malformed { .. })),
        "{malformed:?}"
    );
    let large = visitor.command(NOTES, &add("x".repeat(40_000))).await;
    assert_eq!(large, Answer::Rejected(Rejection::TooLarge));
    assert_eq!(visitor.command(NOTES, &add("fine")).await, Answer::Accepted { seq: 1 });
}

async fn a_denied_topic_rejects_subscribes_and_commands(transport: Transport) {
    let node = Node::new();
    let mut visitor = Visitor::new(&node, transport).await;
    let rejected = |denial| Answer::Rejected(Rejection::Denied(denial));
    for (topic, reason) in [("notes/secret", Denial::Forbidden), ("nothing/here", Denial::Unknown)] {
        assert_eq!(visitor.subscribe(topic, None).await, Verdict::Denied { reason });
        assert_eq!(visitor.command(topic, &add("x")).await, rejected(reason));
        visitor.cursors.clear();
    }
    assert!(matches!(
        visitor.subscribe("notes/read-only", None).await,
        Verdict::Reset { .. }
    ));
    assert_eq!(
        visitor.command("notes/read-only", &add("x")).await,
        rejected(Denial::Forbidden)
    );
}

async fn a_cursor_of_another_log_is_reset_with_the_reason(transport: Transport) {
    let node = Node::new();
    add_many(&node, 2).await;
    let mut visitor = Visitor::new(&node, transport).await;
    let Verdict::Reset { cursor, .. } = visitor.subscribe(NOTES, None).await else {
        panic!("a new subscriber has no cursor")
    };
    let other = Epoch::new(cursor.epoch.get() + 1);
    for (cursor, expected) in [
        (Cursor { epoch: other, ..cursor }, ResetReason::OtherEpoch),
        (Cursor { seq: 3, ..cursor }, ResetReason::Ahead),
    ] {
        let Verdict::Reset { reason, cursor, .. } = visitor.subscribe(NOTES, Some(cursor)).await else {
            panic!("{expected:?}")
        };
        assert_eq!((reason, cursor.seq), (expected, 2));
    }
}

async fn presence_follows_joins_and_leaves(transport: Transport) {
    let node = Node::new();
    let mut observer = Visitor::new(&node, transport).await;
    observer.subscribe(NOTES, None).await;
    let alone = observer.wait_for_presence(|presence| presence.people_count == 1).await;
    let mut other = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    other.subscribe(NOTES, None).await;
    let both = observer.wait_for_presence(|presence| presence.people_count == 2).await;
    assert_eq!(
        (both.people[0].clone(), both.session_count),
        (alone.people[0].clone(), 2)
    );
    drop(other);
    let after = observer.wait_for_presence(|presence| presence.people_count == 1).await;
    assert_eq!(after.people, alone.people);
}

async fn a_reader_behind_the_ring_continues_from_the_log(transport: Transport) {
    let node = Node::new();
    let mut visitor = Visitor::new(&node, transport).await;
    visitor.subscribe(NOTES, None).await;
    let count = 1_500;
    add_many(&node, count).await;
    for number in 0..count {
        assert_eq!(
            visitor.next_event::<Notes>().await,
            (number + 1, add(number.to_string()))
        );
    }
}

async fn a_lagging_reader_gets_the_newest_event_of_each_key(transport: Transport) {
    const PRICES: &str = "prices/all";
    let node = Node::new();
    let mut visitor = Visitor::new(&node, transport).await;
    visitor.subscribe(PRICES, None).await;
    let cursor = visitor.cursors[&PRICES.parse().unwrap()];
    visitor.disconnect();
    let mut feed = Visitor::new(&node, Transport::Sse).await;
    let count = 2_400;
    for number in 0..count {
        let price = Price(["a", "b", "c"][number % 3].to_owned(), number as u64);
        feed.command(PRICES, &price).await;
    }
    let verdict = visitor.subscribe(PRICES, cursor).await;
    let mut prices = match &verdict {
        Verdict::Reset { state, .. } => state.decode(visitor.encoding()).unwrap(),
        _ => std::collections::BTreeMap::<String, u64>::new(),
    };
    let mut events = 0;
    while prices.values().max() != Some(&(count as u64 - 1)) {
        let (_, Price(name, price)) = visitor.next_event::<Prices>().await;
        prices.insert(name, price);
        events += 1;
    }
    let newest = [("a", count - 3), ("b", count - 2), ("c", count - 1)];
    assert_eq!(
        prices,
        newest.map(|(name, price)| (name.to_owned(), price as u64)).into()
    );
    assert!(events < count / 2, "{events} events for three numbers");
}

async fn one_session_carries_several_topics(transport: Transport) {
    let node = Node::new();
    let mut visitor = Visitor::new(&node, transport).await;
    visitor.subscribe(NOTES, None).await;
    visitor.subscribe("notes/b", None).await;
    visitor.subscribe("prices/all", None).await;
    visitor.command("notes/b", &add("to b")).await;
    visitor.command("prices/all", &Price("x".to_owned(), 1)).await;
    // The order across topics is not guaranteed.
    let mut received = BTreeSet::new();
    while received.len() < 2 {
        if let ServerFrame::Event { topic, seq, .. } = visitor.next_frame().await {
            received.insert((topic.to_string(), seq));
        }
    }
    let expected = [("notes/b".to_owned(), 1), ("prices/all".to_owned(), 1)];
    assert_eq!(received, expected.into());
}

async fn a_node_announces_its_shutdown(transport: Transport) {
    let node = Node::new();
    let mut visitor = Visitor::new(&node, transport).await;
    visitor.subscribe(NOTES, None).await;
    node.state.shutdown.begin();
    with_timeout(async {
        while !matches!(
            visitor.next_frame().await,
            ServerFrame::Closing {
                retry_after_ms: 1..,
                ..
            }
        ) {}
    })
    .await;
}

/// The client never reads, so it answers no ping; its connection stays open.
#[tokio::test(start_paused = true)]
async fn a_vanished_client_leaves_presence_within_40_seconds() {
    let node = Node::new();
    let mut observer = Visitor::new(&node, Transport::Sse).await;
    observer.subscribe(NOTES, None).await;
    let mut other = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    other.subscribe(NOTES, None).await;
    observer.wait_for_presence(|presence| presence.people_count == 2).await;
    let vanished = Instant::now();
    loop {
        // A frame arrives at least every 15 s, so each wait is bounded.
        if let ServerFrame::Presence { presence, .. } = observer.next_frame().await
            && presence.people_count == 1
        {
            break;
        }
    }
    assert!(
        vanished.elapsed() <= Duration::from_secs(40),
        "{:?}",
        vanished.elapsed()
    );
    let report = node.vitals().await;
    assert_eq!((report.hub.topics, report.hub.subscriptions), (1, 1));
    drop(other);
}
