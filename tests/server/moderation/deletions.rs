//! What was deleted is in no answer, no file and no new backup.

use super::*;

/// Whether a text stands in a file; what cannot be read has none.
fn holds(path: &Path, text: &str) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

const SECRETS: [&str; 3] = ["first-secret-words", "edited-secret-words", "titled-secret-words"];

fn copies(folder: &Path) -> Vec<std::path::PathBuf> {
    let files = ["duplex.db", "duplex.db-wal", "duplex.db-shm", "copy.db"];
    files.map(|name| folder.join(name)).into_iter().collect()
}

fn command(folder: &Path, arguments: &[&str]) -> String {
    let done = run(folder, arguments);
    assert!(done.status.success(), "{arguments:?}: {done:?}");
    stdout(&done)
}

fn send(folder: &Path, url: &str, topic: &str, json: serde_json::Value) -> u64 {
    let reply = command(folder, &["send", topic, &json.to_string(), "--url", url]);
    let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
    reply["reply"]["answer"]["accepted"]["seq"].as_u64().unwrap()
}

#[test]
fn no_file_contains_a_deleted_message() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = Server::start(folder);
    let url = server.url();
    let [first, edited, _] = SECRETS;
    let seq = send(
        folder,
        &url,
        LOBBY,
        json!({ "post": { "text": first, "reply_to": null } }),
    );
    send(
        folder,
        &url,
        LOBBY,
        json!({ "post": { "text": "an answer", "reply_to": seq } }),
    );
    send(folder, &url, LOBBY, json!({ "edit": { "seq": seq, "text": edited } }));
    let wal = folder.join("duplex.db-wal");
    assert!(
        holds(&wal, edited) || holds(&folder.join("duplex.db"), edited),
        "it was there"
    );
    command(folder, &["delete-message", "lobby", &seq.to_string(), "--url", &url]);
    let copy = folder.join("copy.db");
    command(folder, &["backup", copy.to_str().unwrap(), "--url", &url]);
    assert!(holds(&copy, "an answer"), "the rest is kept");
    for (path, secret) in copies(folder).iter().flat_map(|path| [(path, first), (path, edited)]) {
        assert!(!holds(path, secret), "{} has {secret}", path.display());
    }
    let tail = RunningCommand::start(folder, &["tail", LOBBY, "--from", "start", "--url", &url]);
    for _ in 1..=4 {
        let line = tail.next_line();
        assert!(SECRETS.iter().all(|secret| !line.contains(secret)), "{line}");
    }
}

#[test]
fn a_deleted_room_is_removed_from_every_file_and_cannot_be_recreated() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut server = Server::start(folder);
    let url = server.url();
    let [first, _, title] = SECRETS;
    send(
        folder,
        &url,
        "rooms/all",
        json!({ "create": { "room": "spam", "title": title } }),
    );
    send(
        folder,
        &url,
        "rooms/all",
        json!({ "create": { "room": "good", "title": "Good" } }),
    );
    send(
        folder,
        &url,
        "chat/spam",
        json!({ "post": { "text": first, "reply_to": null } }),
    );
    command(folder, &["delete-room", "spam", "--url", &url]);
    let post = json!({ "post": { "text": "again", "reply_to": null } }).to_string();
    let create = json!({ "create": { "room": "spam", "title": "again" } }).to_string();
    let is_gone = |url: &str| {
        let posted = run(folder, &["send", "chat/spam", &post, "--url", url]);
        let created = run(folder, &["send", "rooms/all", &create, "--url", url]);
        posted.status.code() == Some(1) && created.status.code() == Some(1)
    };
    // The rule is kept at once; the server follows it a moment later.
    let clean = || {
        copies(folder)
            .iter()
            .all(|path| !holds(path, first) && !holds(path, title))
    };
    let so = std::iter::repeat_with(|| is_gone(&url) && clean())
        .take(200)
        .any(|so| so);
    assert!(so, "the room is still there");
    let copy = folder.join("copy.db");
    command(folder, &["backup", copy.to_str().unwrap(), "--url", &url]);
    assert!(clean() && holds(&copy, "Good"));
    let listed = command(folder, &["bans", "--json", "--url", &url]);
    assert_eq!(listed.trim(), r#"{"closed":{"topic":"chat/spam"}}"#);
    server.kill();
    let server = Server::start(folder);
    assert!(is_gone(&server.url()), "after a start, too");
}

#[tokio::test]
async fn subscribers_are_told_that_their_room_is_deleted() {
    for transport in TRANSPORTS {
        let node = node().await;
        let mut visitor = Visitor::new(&node, transport).await;
        let create = RoomsCommand::Create {
            room: "spam".to_owned(),
            title: "Spam".to_owned(),
        };
        visitor.command("rooms/all", &create).await;
        visitor.subscribe("chat/spam", None).await;
        let topic = "chat/spam".parse().unwrap();
        operate(&node, RULES, &ModerationCommand::Close { topic }).await;
        loop {
            if let ServerFrame::Verdict {
                verdict: Verdict::Denied { reason },
                ..
            } = visitor.next_frame().await
            {
                assert_eq!(reason, Denied::Unknown, "{transport:?}");
                break;
            }
        }
        let history = ask(
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
            Answer::Rejected(Rejection::Denied(Denied::Unknown)),
            "{transport:?}"
        );
        let again = visitor.command("rooms/all", &create).await;
        assert!(matches!(again, Answer::Rejected(_)), "{transport:?}");
        let lobby = operate(
            &node,
            RULES,
            &ModerationCommand::Close {
                topic: LOBBY.parse().unwrap(),
            },
        )
        .await;
        assert_eq!(lobby, Answer::Rejected(Rejection::refused("topic_stays")));
    }
}

#[tokio::test]
async fn a_visitor_cannot_delete_another_visitors_message() {
    let node = node().await;
    let mut visitor = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    let mut other = Visitor::new(&node, Transport::Poll).await;
    visitor.command(LOBBY, &post("mine")).await;
    let delete = ChatCommand::Delete { seq: 1 };
    let refused = Answer::Rejected(Rejection::refused("not_yours"));
    assert_eq!(other.command(LOBBY, &delete).await, refused);
    assert!(matches!(operate(&node, LOBBY, &delete).await, Answer::Accepted { .. }));
    let page = ask(
        &node,
        "GET",
        &format!("{HISTORY_PATH}?topic={LOBBY}"),
        &other.cookie(),
        "",
    )
    .await;
    assert!(!page.body.contains("mine"), "{}", page.body);
}
