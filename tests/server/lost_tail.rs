//! A log that lost its newest events, for example because its WAL was deleted: subscribers that have seen lost events
//! are reset, on every transport and from a rendered page; other topics resume.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use duplex_hub::log::sqlite::SqliteLog;
use duplex_hub::{DynTopic, Hub};
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Cursor;
use duplex_protocol::session::{Answer, ClientFrame, ResetReason, SESSION_PATH, ServerFrame, Verdict};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::kinds::{self, Note, Notes, NotesState};
use crate::harness::process::Server;
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{Node, WebSocketClient, open};

/// The topic that loses its newest events.
const LOSSY: &str = "notes/a";
const OTHER: &str = "notes/b";
fn node(dir: &Path, kinds: Vec<Box<dyn DynTopic>>) -> Node {
    let log = Arc::new(SqliteLog::open(&dir.join("log.db")).unwrap());
    Node::with_hub(Hub::new(log, kinds), Path::new("/nonexistent"), |_| {})
}

/// Closes the node, then restores its log from the copy `restore`, or without one makes the copy `early.db`.
async fn stop_and_swap_log(node: &Node, dir: &Path, restore: Option<&str>) {
    node.state.hub.close().await;
    let (from, to) = match restore {
        Some(copy) => (copy, "log.db"),
        None => ("log.db", "early.db"),
    };
    for part in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(dir.join(format!("{to}{part}")));
    }
    // The WAL is part of the log.
    for part in ["", "-wal"] {
        let copied = fs::copy(dir.join(format!("{from}{part}")), dir.join(format!("{to}{part}")));
        assert!(copied.is_ok() || part == "-wal", "{copied:?}");
    }
}

async fn add(node: &Node, topic: &str, texts: &[&str]) {
    let mut writer = Visitor::new(node, Transport::Sse).await;
    for text in texts {
        let answer = writer.command(topic, &Note::Add((*text).to_owned())).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }
}

#[tokio::test]
async fn a_subscriber_that_saw_lost_events_is_reset_and_other_topics_resume() {
    let dir = tempfile::tempdir().unwrap();
    let early = node(dir.path(), kinds::all());
    add(&early, LOSSY, &["1", "2"]).await;
    add(&early, OTHER, &["1", "2"]).await;
    stop_and_swap_log(&early, dir.path(), None).await;

    let complete = node(dir.path(), kinds::all());
    add(&complete, LOSSY, &["3", "4"]).await;
    let mut visitors = Vec::new();
    for transport in Transport::ALL {
        let mut visitor = Visitor::new(&complete, transport).await;
        for topic in [LOSSY, OTHER] {
            visitor.subscribe(topic, None).await;
        }
        visitors.push(visitor);
    }
    add(&complete, LOSSY, &["5"]).await;
    for visitor in &mut visitors {
        assert_eq!(visitor.next_event::<Notes>().await, (5, Note::Add("5".to_owned())));
    }
    stop_and_swap_log(&complete, dir.path(), Some("early.db")).await;

    let after = node(dir.path(), kinds::all());
    add(&after, LOSSY, &["3", "other", "5", "6"]).await;
    add(&after, OTHER, &["3"]).await;
    for visitor in visitors {
        let mut visitor = visitor.at_node(&after);
        let (lossy, other): (Option<Cursor>, Option<Cursor>) = (
            visitor.cursors[&LOSSY.parse().unwrap()],
            visitor.cursors[&OTHER.parse().unwrap()],
        );
        assert_eq!((lossy.unwrap().seq, other.unwrap().seq), (5, 2));
        let verdict = visitor.subscribe(LOSSY, lossy).await;
        let Verdict::Reset { reason, cursor, state } = verdict else {
            panic!("{verdict:?}")
        };
        let state: NotesState = state.decode(visitor.encoding()).unwrap();
        assert_eq!((reason, cursor.seq, state.count), (ResetReason::Diverged, 6, 6));
        let verdict = visitor.subscribe(OTHER, other).await;
        assert!(matches!(verdict, Verdict::Resumed { replayed: 1, .. }), "{verdict:?}");
        let verdict = visitor.subscribe(LOSSY, Some(cursor)).await;
        assert!(matches!(verdict, Verdict::Resumed { replayed: 0, .. }), "{verdict:?}");
        // A cursor of version 1 has no checksum and is accepted.
        let unchecked = lossy.map(|cursor| cursor.with_checksum(None));
        let verdict = visitor.subscribe(LOSSY, unchecked).await;
        assert!(matches!(verdict, Verdict::Resumed { replayed: 1, .. }), "{verdict:?}");
    }
}

/// The page contains the state that the server rendered and its cursor.
#[tokio::test]
async fn a_page_rendered_before_the_loss_is_reset() {
    let dir = tempfile::tempdir().unwrap();
    let topic = "chat/lobby";
    let post = |text: &str| json!({ "post": { "text": text, "reply_to": null } });
    let early = node(dir.path(), duplex::apps::server::Apps::default().kinds());
    let mut writer = Visitor::new(&early, Transport::Poll).await;
    writer.command(topic, &post("kept")).await;
    stop_and_swap_log(&early, dir.path(), None).await;

    let complete = node(dir.path(), duplex::apps::server::Apps::default().kinds());
    let mut writer = Visitor::new(&complete, Transport::Poll).await;
    writer.command(topic, &post("lost")).await;
    let page = complete.get("/chat/lobby").await.body.replace('\\', "");
    let name = topic.parse().unwrap();
    let (cursor, _) = complete.state.hub.preview(&name, Encoding::Json).await.unwrap();
    let in_page = serde_json::to_string(&cursor).unwrap();
    assert!(cursor.checksum.is_some() && page.contains(&in_page), "{in_page}");
    stop_and_swap_log(&complete, dir.path(), Some("early.db")).await;

    let after = node(dir.path(), duplex::apps::server::Apps::default().kinds());
    let mut writer = Visitor::new(&after, Transport::Poll).await;
    for text in ["another", "one"] {
        writer.command(topic, &post(text)).await;
    }
    for transport in Transport::ALL {
        let mut visitor = Visitor::new(&after, transport).await;
        let verdict = visitor.subscribe(topic, Some(cursor)).await;
        let diverged = matches!(
            verdict,
            Verdict::Reset {
                reason: ResetReason::Diverged,
                ..
            }
        );
        assert!(diverged, "{verdict:?}");
    }
}

async fn send(socket: &mut WebSocketClient<TcpStream>, frame: &ClientFrame) {
    let text = String::from_utf8(Encoding::Json.encode(frame).unwrap()).unwrap();
    socket.send(Message::text(text)).await;
}

/// Subscribes at the real server; returns the verdict.
async fn subscribe(server: &Server, topic: &str, cursor: Option<Cursor>) -> Verdict {
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let headers = [("sec-websocket-protocol", "duplex.v2.json")];
    let (mut socket, _) = open(stream, SESSION_PATH, &headers).await.unwrap();
    let (build, name, topic) = (String::new(), None, topic.parse().unwrap());
    send(&mut socket, &ClientFrame::Hello { build, name }).await;
    send(&mut socket, &ClientFrame::Subscribe { topic, cursor }).await;
    loop {
        let frame = socket.receive().await.into_data();
        if let ServerFrame::Verdict { verdict, .. } = Encoding::Json.decode(&frame).unwrap() {
            return verdict;
        }
    }
}

async fn cursor(server: &Server, topic: &str) -> Option<Cursor> {
    match subscribe(server, topic, None).await {
        Verdict::Reset { cursor, .. } => Some(cursor),
        other => panic!("{other:?}"),
    }
}

fn post(dir: &Path, server: &Server, topic: &str, texts: &[&str]) {
    for text in texts {
        let command = json!({ "post": { "text": text, "reply_to": null } }).to_string();
        let sent = crate::harness::process::run(dir, &["send", topic, &command, "--url", &server.url()]);
        assert!(sent.status.success(), "{sent:?}");
    }
}

#[tokio::test]
async fn a_deleted_wal_resets_subscribers_that_saw_its_events() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut server = Server::start(dir);
    post(dir, &server, "chat/a", &["1"]);
    post(dir, &server, "chat/b", &["1"]);
    server.kill();
    // The start checkpoints the WAL into the file and begins a new one.
    let mut server = Server::start(dir);
    post(dir, &server, "chat/a", &["2"]);
    let (a, b) = (cursor(&server, "chat/a").await, cursor(&server, "chat/b").await);
    server.kill();
    fs::remove_file(dir.join("duplex.db-wal")).unwrap();
    let _ = fs::remove_file(dir.join("duplex.db-shm"));
    let server = Server::start(dir);
    post(dir, &server, "chat/a", &["another", "3"]);
    post(dir, &server, "chat/b", &["2"]);
    let verdict = subscribe(&server, "chat/a", a).await;
    let diverged = matches!(&verdict, Verdict::Reset { reason: ResetReason::Diverged, cursor, .. } if cursor.seq == 3);
    assert!(diverged, "{verdict:?}");
    let verdict = subscribe(&server, "chat/b", b).await;
    assert!(matches!(verdict, Verdict::Resumed { replayed: 1, .. }), "{verdict:?}");
}
