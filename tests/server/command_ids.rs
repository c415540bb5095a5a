//! Command ids that carry a time: a command has its effect at most once, and none after it was rejected, across restarts and
//! long delays.

use std::sync::Arc;

use duplex::server::limits;
use duplex_hub::log::memory::MemoryLog;
use duplex_hub::log::sqlite::SqliteLog;
use duplex_hub::log::{Entry, Log, Retention};
use duplex_hub::{Rights, Role};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Epoch;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{Answer, ClientFrame, CommandId, Rejection, SESSION_PATH, ServerFrame};
use duplex_protocol::topic::TopicName;
use futures_util::future::join_all;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::kinds::{self, Note, NotesState};
use crate::harness::process::Server;
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{Node, WebSocketClient, open, with_timeout};

const TOPIC: &str = "notes/a";
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

fn note(text: &str) -> Note {
    Note::Add(text.to_owned())
}

/// An id stamped `millis` milliseconds ago.
fn id_in_the_past(millis: u64) -> CommandId {
    CommandId::from_time(duplex_hub::now() - millis, uuid::Uuid::new_v4().as_u128())
}

/// An id stamped `millis` milliseconds from now.
fn id_in_the_future(millis: u64) -> CommandId {
    CommandId::from_time(duplex_hub::now() + millis, uuid::Uuid::new_v4().as_u128())
}

async fn texts(node: &Node) -> Vec<String> {
    let topic = node.state.hub.open(&TOPIC.parse().unwrap()).await.unwrap();
    let (_, state) = topic.state(Encoding::Json).await.unwrap();
    let noted: NotesState = state.decode(Encoding::Json).unwrap();
    noted.texts.into_iter().map(|(_, text)| text).collect()
}

fn in_memory() -> Node {
    Node::with_log(Arc::new(MemoryLog::new(Epoch::new(7))), kinds::all())
}

/// Such ids come from a laptop that slept over a weekend, or one with a wrong clock.
#[tokio::test]
async fn an_id_outside_its_time_window_is_rejected_with_a_reason() {
    let node = in_memory();
    for transport in [
        Transport::WebSocket(Encoding::Json),
        Transport::WebSocket(Encoding::Postcard),
        Transport::Poll,
    ] {
        let mut visitor = Visitor::new(&node, transport).await;
        let rejection = async |visitor: &mut Visitor<'_>, id: CommandId| match visitor
            .command_with_id(TOPIC, id, &note("late"))
            .await
            .0
        {
            Answer::Rejected(why) => why,
            Answer::Accepted { .. } => panic!("accepted"),
        };
        let rejected = rejection(&mut visitor, id_in_the_past(24 * HOUR + MINUTE)).await;
        let Rejection::IdTooOld {
            no_effect: true,
            now_ms,
        } = rejected
        else {
            panic!("{rejected:?}")
        };
        assert!(now_ms.abs_diff(duplex_hub::now()) < MINUTE);
        let rejected = rejection(&mut visitor, id_in_the_future(2 * MINUTE)).await;
        assert!(matches!(rejected, Rejection::IdTooNew { .. }), "{rejected:?}");
        let rejected = rejection(&mut visitor, id_in_the_future(30 * 365 * 24 * HOUR)).await;
        assert!(matches!(rejected, Rejection::IdTooNew { .. }), "{rejected:?}");
        for id in [
            id_in_the_past(23 * HOUR),
            id_in_the_future(MINUTE / 2),
            CommandId::from_time(now_ms, 3),
        ] {
            let (answer, duplicate) = visitor.command_with_id(TOPIC, id, &note("fine")).await;
            assert!(matches!(answer, Answer::Accepted { .. }) && !duplicate, "{answer:?}");
        }
    }
    assert_eq!(texts(&node).await, ["fine"; 9]);
}

/// A command that was accepted 30 hours ago is deduplicated when sent again, and rejected once the log has removed its answer.
#[tokio::test]
async fn a_command_resent_after_thirty_hours_has_no_second_effect() {
    let log = Arc::new(MemoryLog::new(Epoch::new(7)));
    let topic: TopicName = TOPIC.parse().unwrap();
    let node = Node::with_log(log.clone(), kinds::all());
    let mut visitor = Visitor::new(&node, Transport::Poll).await;
    // As it would have been stored then.
    let then = id_in_the_past(30 * HOUR);
    let sender = person_of(&mut visitor, &log).await;
    let entry = Entry {
        command: then.clone(),
        sender,
        at: duplex_hub::now() - 30 * HOUR,
        events: vec![(None, serde_json::to_vec(&note("then")).unwrap())],
        rejection: None,
        forwards: Vec::new(),
        delivers: None,
    };
    assert_eq!(log.append(&topic, 0.into(), vec![entry]).await, Ok(1));
    let sent = visitor.command_with_id(TOPIC, then.clone(), &note("then")).await;
    assert_eq!(sent, (Answer::Accepted { seq: 1 }, true));
    with_timeout(node.state.hub.close()).await;
    let retention = Retention { events: 100, age: None };
    let state = serde_json::to_vec(&json!({ "count": 1, "texts": [[1, "then"]] })).unwrap();
    log.snapshot(&topic, 1, state, retention, duplex_hub::now())
        .await
        .unwrap();
    assert_eq!(log.open(&topic, 10, 0).await.unwrap().commands, []);
    let node = Node::with_log(log.clone(), kinds::all());
    let mut visitor = visitor.at_node(&node);
    for id in [then.clone(), then.with_time(then.time().unwrap() - 1)] {
        let (answer, _) = visitor.command_with_id(TOPIC, id, &note("then")).await;
        let Answer::Rejected(Rejection::IdTooOld { no_effect: false, .. }) = answer else {
            panic!("{answer:?}")
        };
    }
    assert_eq!(texts(&node).await, ["then"]);
}

/// The id of this visitor in the log.
async fn person_of(visitor: &mut Visitor<'_>, log: &MemoryLog) -> PersonId {
    assert_eq!(
        visitor.command("notes/who", &note("me")).await,
        Answer::Accepted { seq: 1 }
    );
    let opened = log.open(&"notes/who".parse().unwrap(), 1, 0).await.unwrap();
    opened.commands[0].sender.clone()
}

#[tokio::test]
async fn a_command_resent_after_ten_thousand_others_has_no_second_effect() {
    let node = in_memory();
    let mut visitor = Visitor::new(&node, Transport::Poll).await;
    let (first, rejected) = (id_in_the_past(2000), id_in_the_past(1999));
    let sent = visitor.command_with_id(TOPIC, first.clone(), &note("first")).await;
    assert_eq!(sent, (Answer::Accepted { seq: 1 }, false));
    let (answer, _) = visitor.command_with_id(TOPIC, rejected.clone(), &note("")).await;
    assert_eq!(answer, Answer::Rejected(Rejection::custom("empty")));
    let who = PersonId("a".to_owned());
    let who = Person {
        id: who,
        name: String::new(),
    };
    let program = Rights::program(vec![Role::Operator], false);
    let hub = node.state.hub.with_rights(program);
    let topic = hub.open(&TOPIC.parse().unwrap()).await.unwrap();
    let others = (0..limits::DEDUPE_ENTRIES as u64 + 50).map(|number| {
        let id = CommandId::from_time(duplex_hub::now(), number.into());
        let command = EncodedValue::encode(Encoding::Json, &note("other")).unwrap();
        topic.command(who.clone(), id, command, Encoding::Json)
    });
    assert!(
        join_all(others)
            .await
            .iter()
            .all(|(answer, _)| matches!(answer, Answer::Accepted { .. }))
    );
    let head = topic.head();
    let (answer, _) = visitor.command_with_id(TOPIC, first, &note("first")).await;
    assert!(
        matches!(answer, Answer::Rejected(Rejection::IdTooOld { no_effect: false, .. })),
        "{answer:?}"
    );
    let (answer, duplicate) = visitor.command_with_id(TOPIC, rejected, &note("valid now")).await;
    assert_eq!(
        (answer, duplicate),
        (Answer::Rejected(Rejection::custom("empty")), true)
    );
    assert_eq!(topic.head(), head);
    // A new command is accepted.
    let (answer, _) = visitor.command_with_id(TOPIC, id_in_the_future(0), &note("new")).await;
    assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
}

/// After the restart only the log knows the rejection. With and without a time in the id.
#[tokio::test]
async fn a_rejected_command_stays_rejected_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let ids = [id_in_the_past(0), CommandId::from_bits(uuid::Uuid::new_v4().as_u128())];
    let secret = {
        let log = Arc::new(SqliteLog::open(&path).unwrap());
        let node = Node::with_log(log.clone(), kinds::all());
        let mut visitor = Visitor::new(&node, Transport::Poll).await;
        for id in &ids {
            let (answer, duplicate) = visitor.command_with_id(TOPIC, id.clone(), &note("")).await;
            assert_eq!(
                (answer, duplicate),
                (Answer::Rejected(Rejection::custom("empty")), false)
            );
        }
        let secret = visitor.cookie();
        with_timeout(node.state.hub.close()).await;
        secret
    };
    let node = Node::with_log(Arc::new(SqliteLog::open(&path).unwrap()), kinds::all());
    let mut visitor = Visitor::new(&node, Transport::Poll).await.with_visitor_cookie(&secret);
    for id in ids {
        let (answer, duplicate) = visitor.command_with_id(TOPIC, id, &note("valid now")).await;
        assert_eq!(
            (answer, duplicate),
            (Answer::Rejected(Rejection::custom("empty")), true)
        );
    }
    assert_eq!(texts(&node).await, [""; 0]);
    with_timeout(node.state.hub.close()).await;
}

async fn socket(server: &Server) -> WebSocketClient<TcpStream> {
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let headers = [
        ("sec-websocket-protocol", Encoding::Json.subprotocol()),
        ("cookie", "visitor=0123456789abcdef0123456789abcdef"),
    ];
    let (mut client, _) = open(stream, SESSION_PATH, &headers).await.unwrap();
    let hello = ClientFrame::Hello {
        build: String::new(),
        name: None,
    };
    send(&mut client, &hello).await;
    client
}

async fn send(client: &mut WebSocketClient<TcpStream>, frame: &ClientFrame) {
    let text = String::from_utf8(Encoding::Json.encode(frame).unwrap()).unwrap();
    client.send(Message::text(text)).await;
}

async fn post(client: &mut WebSocketClient<TcpStream>, id: &CommandId, text: &str) -> (Answer, bool) {
    let command = json!({ "post": { "text": text, "reply_to": null } });
    let frame = ClientFrame::Command {
        topic: "chat/lobby".parse().unwrap(),
        id: id.clone(),
        command: EncodedValue(command.to_string().into_bytes()),
    };
    send(client, &frame).await;
    loop {
        let frame = client.receive().await.into_data();
        if let ServerFrame::Reply { answer, duplicate, .. } = Encoding::Json.decode(&frame).unwrap() {
            return (answer, duplicate);
        }
    }
}

#[tokio::test]
async fn a_rejected_command_stays_rejected_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    let id = id_in_the_past(0);
    let rejected = Answer::Rejected(Rejection::custom("empty"));
    let mut client = socket(&server).await;
    assert_eq!(
        with_timeout(post(&mut client, &id, "")).await,
        (rejected.clone(), false)
    );
    server.kill();
    let server = Server::start(dir.path());
    let mut client = socket(&server).await;
    assert_eq!(
        with_timeout(post(&mut client, &id, "valid now")).await,
        (rejected, true)
    );
}
