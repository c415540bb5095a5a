//! Limits on awake topics, and eviction of idle ones.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::http::StatusCode;
use duplex::apps;
use duplex::apps::chat::wire::{ChatCommand, RoomsCommand};
use duplex_hub::Hub;
use duplex_hub::log::memory::MemoryLog;
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Epoch;
use duplex_protocol::session::{Answer, POLL_PATH, Verdict};

use super::{CLIENT, answer, get, limited_apps_node, note, post};
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{self, Node, with_timeout};

/// Regression: 165 polls of 64 new rooms each filled the hub, so every new topic was denied for a minute.
#[tokio::test]
async fn reading_does_not_wake_topics_without_events() {
    let node = limited_apps_node(1_000);
    for request in 0..165 {
        let rooms: Vec<_> = (0..64).map(|room| format!("chat/r{request}-{room}")).collect();
        let path = format!("{POLL_PATH}?session=s-{request}&topics={}&wait=0", rooms.join(","));
        let answer = node.request(get(CLIENT, &path)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(!answer.body.contains("denied"), "{}", answer.body);
    }
    for page in ["/chat/no-such-room", "/market/nothing", "/devices/none"] {
        node.page(get(CLIENT, page)).await;
    }
    let awake = node.state.hub.awake_topics().len();
    assert!(awake < 20, "{awake} topics");
    let mut other = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    let verdict = other.subscribe("chat/lobby", None).await;
    assert!(matches!(verdict, Verdict::Reset { .. }), "{verdict:?}");
}

/// Over every transport, a subscription to a room that does not exist yet becomes live when the room is created.
#[tokio::test]
async fn a_subscriber_of_an_empty_topic_gets_its_first_event() {
    for transport in Transport::ALL {
        let node = limited_apps_node(1_000);
        let mut subscriber = Visitor::new(&node, transport).await;
        let Verdict::Reset { cursor, .. } = subscriber.subscribe("chat/new", None).await else {
            panic!("{transport:?}")
        };
        assert_eq!(cursor.seq, 0);
        assert!(!node.state.hub.is_awake(&"chat/new".parse().unwrap()));
        let mut creator = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
        let (room, title) = ("new".to_owned(), "New".to_owned());
        let created = creator
            .command("rooms/all", &RoomsCommand::Create { room, title })
            .await;
        assert!(matches!(created, Answer::Accepted { .. }), "{created:?}");
        if transport != Transport::Poll {
            // The subscriber is present before the first message.
            let presence = subscriber.wait_for_presence(|presence| presence.people_count == 1);
            with_timeout(presence).await;
        }
        let command = ChatCommand::Post {
            text: "first".to_owned(),
            reply_to: None,
        };
        let answer = creator.command("chat/new", &command).await;
        assert!(matches!(answer, Answer::Accepted { seq: 1 }), "{answer:?}");
        let (seq, _) = subscriber.next_event::<apps::chat::wire::Chat>().await;
        assert_eq!(seq, 1, "{transport:?}");
    }
}

#[tokio::test]
async fn idle_topics_are_evicted_and_the_server_keeps_reserved_capacity() {
    let log = Arc::new(MemoryLog::new(Epoch::new(7)));
    let hub = Hub::with_max_topics(log, harness::kinds::all(), 20);
    let node = Node::with_hub(hub, Path::new("/nonexistent"), |settings| settings.limits = true);
    for number in 0..100 {
        let written = answer(&node, post(CLIENT, None, &format!("notes/n{number}"), number, &note())).await;
        assert!(
            matches!(written, Answer::Accepted { .. }),
            "number {number}: {written:?}"
        );
    }
    assert!(node.state.hub.awake_topics().len() <= 15);
    let mut reader = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    let mut verdicts = BTreeMap::new();
    for number in 0..16 {
        let verdict = reader.subscribe(&format!("notes/n{number}"), None).await;
        *verdicts.entry(matches!(verdict, Verdict::Denied { .. })).or_insert(0) += 1;
    }
    assert_eq!(
        verdicts,
        BTreeMap::from([(false, 15), (true, 1)]),
        "a topic with a subscriber was evicted"
    );
    let own = node.state.hub.open(&"notes/feed".parse().unwrap()).await;
    assert!(own.is_ok(), "the reserved capacity is used up");
}
