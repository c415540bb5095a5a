//! Deleted messages and rooms do not appear in responses, files or new backups.

use super::*;

/// Whether a file contains a text. A missing file contains none.
fn contains_text(path: &Path, text: &str) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

const SECRETS: [&str; 3] = ["first-secret-words", "edited-secret-words", "titled-secret-words"];

/// The files that may contain a message.
fn data_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let files = ["duplex.db", "duplex.db-wal", "duplex.db-shm", "copy.db"];
    files.map(|name| dir.join(name)).into_iter().collect()
}

fn run_command(dir: &Path, arguments: &[&str]) -> String {
    let output = run(dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    stdout(&output)
}

fn send(dir: &Path, url: &str, topic: &str, json: serde_json::Value) -> u64 {
    let reply = run_command(dir, &["send", topic, &json.to_string(), "--url", url]);
    let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
    reply["reply"]["answer"]["accepted"]["seq"].as_u64().unwrap()
}

#[test]
fn no_file_contains_a_deleted_message() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let server = Server::start(dir);
    let url = server.url();
    let [first, edited, _] = SECRETS;
    let seq = send(dir, &url, LOBBY, json!({ "post": { "text": first, "reply_to": null } }));
    send(
        dir,
        &url,
        LOBBY,
        json!({ "post": { "text": "an answer", "reply_to": seq } }),
    );
    send(dir, &url, LOBBY, json!({ "edit": { "seq": seq, "text": edited } }));
    let wal = dir.join("duplex.db-wal");
    assert!(
        contains_text(&wal, edited) || contains_text(&dir.join("duplex.db"), edited),
        "the message was never stored"
    );
    run_command(dir, &["delete-message", "lobby", &seq.to_string(), "--url", &url]);
    let copy = dir.join("copy.db");
    run_command(dir, &["backup", copy.to_str().unwrap(), "--url", &url]);
    assert!(contains_text(&copy, "an answer"), "the other messages are missing");
    for (path, secret) in data_files(dir).iter().flat_map(|path| [(path, first), (path, edited)]) {
        assert!(!contains_text(path, secret), "{} has {secret}", path.display());
    }
    let tail = RunningCommand::start(dir, &["tail", LOBBY, "--from", "start", "--url", &url]);
    for _ in 1..=4 {
        let line = tail.next_line();
        assert!(SECRETS.iter().all(|secret| !line.contains(secret)), "{line}");
    }
}

#[test]
fn a_deleted_room_is_removed_from_every_file_and_cannot_be_recreated() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut server = Server::start(dir);
    let url = server.url();
    let [first, _, title] = SECRETS;
    send(
        dir,
        &url,
        "rooms/all",
        json!({ "create": { "room": "spam", "title": title } }),
    );
    send(
        dir,
        &url,
        "rooms/all",
        json!({ "create": { "room": "good", "title": "Good" } }),
    );
    send(
        dir,
        &url,
        "chat/spam",
        json!({ "post": { "text": first, "reply_to": null } }),
    );
    run_command(dir, &["delete-room", "spam", "--url", &url]);
    let post = json!({ "post": { "text": "again", "reply_to": null } }).to_string();
    let create = json!({ "create": { "room": "spam", "title": "again" } }).to_string();
    let is_closed = |url: &str| {
        let posted = run(dir, &["send", "chat/spam", &post, "--url", url]);
        let created = run(dir, &["send", "rooms/all", &create, "--url", url]);
        posted.status.code() == Some(1) && created.status.code() == Some(1)
    };
    // The rule is stored at once; the server applies it asynchronously.
    let clean = || {
        data_files(dir)
            .iter()
            .all(|path| !contains_text(path, first) && !contains_text(path, title))
    };
    let removed = std::iter::repeat_with(|| is_closed(&url) && clean())
        .take(200)
        .any(|done| done);
    assert!(removed, "the room still exists");
    let copy = dir.join("copy.db");
    run_command(dir, &["backup", copy.to_str().unwrap(), "--url", &url]);
    assert!(clean() && contains_text(&copy, "Good"));
    let listed = run_command(dir, &["bans", "--json", "--url", &url]);
    assert_eq!(listed.trim(), r#"{"closed":{"topic":"chat/spam"}}"#);
    server.kill();
    let server = Server::start(dir);
    assert!(is_closed(&server.url()), "the room exists again after a restart");
}

#[tokio::test]
async fn subscribers_are_told_that_their_room_is_deleted() {
    for transport in Transport::ALL {
        let node = node().await;
        let mut visitor = Visitor::new(&node, transport).await;
        let create = RoomsCommand::Create {
            room: "spam".to_owned(),
            title: "Spam".to_owned(),
        };
        visitor.command("rooms/all", &create).await;
        visitor.subscribe("chat/spam", None).await;
        let topic = "chat/spam".parse().unwrap();
        send_as_operator(&node, RULES, &ModerationCommand::Close { topic }).await;
        loop {
            if let ServerFrame::Verdict {
                verdict: Verdict::Denied { reason },
                ..
            } = visitor.next_frame().await
            {
                assert_eq!(reason, Denial::Unknown, "{transport:?}");
                break;
            }
        }
        let history = request(
            &node,
            "GET",
            &format!("{HISTORY_PATH}?topic=chat/spam"),
            &visitor.cookie(),
            "",
        )
        .await;
        assert_eq!(history.status, StatusCode::NOT_FOUND);
        let answer = visitor.command("chat/spam", &post("x")).await;
        assert_eq!(
            answer,
            Answer::Rejected(Rejection::Denied(Denial::Unknown)),
            "{transport:?}"
        );
        let recreated = visitor.command("rooms/all", &create).await;
        assert!(matches!(recreated, Answer::Rejected(_)), "{transport:?}");
        let lobby = send_as_operator(
            &node,
            RULES,
            &ModerationCommand::Close {
                topic: LOBBY.parse().unwrap(),
            },
        )
        .await;
        assert_eq!(lobby, Answer::Rejected(Rejection::custom("topic_stays")));
    }
}

#[tokio::test]
async fn a_visitor_cannot_delete_another_visitors_message() {
    let node = node().await;
    let mut visitor = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    let mut other = Visitor::new(&node, Transport::Poll).await;
    visitor.command(LOBBY, &post("mine")).await;
    let delete = ChatCommand::Delete { seq: 1 };
    let rejected = Answer::Rejected(Rejection::custom("not_yours"));
    assert_eq!(other.command(LOBBY, &delete).await, rejected);
    assert!(matches!(
        send_as_operator(&node, LOBBY, &delete).await,
        Answer::Accepted { .. }
    ));
    let page = request(
        &node,
        "GET",
        &format!("{HISTORY_PATH}?topic={LOBBY}"),
        &other.cookie(),
        "",
    )
    .await;
    assert!(!page.body.contains("mine"), "{}", page.body);
}
