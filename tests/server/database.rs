//! The application on a PostgreSQL database: readers of every transport, `doctor`, `migrate`, `backup`, and a file's log in a database.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use duplex_hub::Hub;
use duplex_hub::log::postgres::PostgresLog;
use duplex_protocol::session::{Answer, CommandId, ResetReason, Verdict};
use serde_json::json;

use crate::harness::Node;
use crate::harness::kinds::{self, Note, Notes};
use crate::harness::postgres::{Cluster, Database};
use crate::harness::process::{Server, duplex_with_data, minimal_site, run, stdout};
use crate::harness::visitor::{Transport, Visitor};

const NOTES: &str = "notes/a";
const OTHER: &str = "notes/b";

/// A node in this process.
async fn node(database: &Database) -> Node {
    let log = PostgresLog::open(database.url.parse().unwrap()).await.unwrap();
    Node::with_hub(Hub::new(Arc::new(log), kinds::all()), Path::new("/nonexistent"), |_| {})
}

async fn add(node: &Node, topic: &str, texts: &[&str]) {
    let mut writer = Visitor::new(node, Transport::Sse).await;
    for text in texts {
        let answer = writer.command(topic, &Note::Add((*text).to_owned())).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_resume_after_a_restart_and_commands_count_once_on_every_transport() {
    for transport in Transport::ALL {
        let database = Cluster::shared().database();
        let first = node(&database).await;
        let mut visitor = Visitor::new(&first, transport).await;
        visitor.subscribe(NOTES, None).await;
        add(&first, NOTES, &["1", "2"]).await;
        for expected in [(1, "1"), (2, "2")] {
            let (seq, note) = visitor.next_event::<Notes>().await;
            assert_eq!((seq, note), (expected.0, Note::Add(expected.1.to_owned())));
        }
        let (id, three) = (CommandId::from_bits(3), Note::Add("3".to_owned()));
        let (accepted, again) = visitor.command_with_id(NOTES, id.clone(), &three).await;
        assert_eq!((accepted, again), (Answer::Accepted { seq: 3 }, false), "{transport:?}");
        assert_eq!(visitor.next_event::<Notes>().await.0, 3);
        visitor.disconnect();
        first.state.hub.close().await;

        let second = node(&database).await;
        add(&second, NOTES, &["4"]).await;
        let mut visitor = visitor.at_node(&second);
        let resent = visitor.command_with_id(NOTES, id, &three).await;
        assert_eq!(resent, (Answer::Accepted { seq: 3 }, true), "{transport:?}");
        let cursor = visitor.cursors[&NOTES.parse().unwrap()];
        let verdict = visitor.subscribe(NOTES, cursor).await;
        assert!(
            matches!(verdict, Verdict::Resumed { replayed: 1, .. }),
            "{transport:?}: {verdict:?}"
        );
        assert_eq!(visitor.next_event::<Notes>().await, (4, Note::Add("4".to_owned())));
        second.state.hub.close().await;
    }
}

/// As after a fail-over to a replica that lacks the last commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_topics_that_lost_events_reset_their_readers() {
    let database = Cluster::shared().database();
    let complete = node(&database).await;
    for topic in [NOTES, OTHER] {
        add(&complete, topic, &["1", "2", "3"]).await;
    }
    let mut visitors = Vec::new();
    for transport in Transport::ALL {
        let mut visitor = Visitor::new(&complete, transport).await;
        for topic in [NOTES, OTHER] {
            visitor.subscribe(topic, None).await;
        }
        visitor.disconnect();
        visitors.push(visitor);
    }
    complete.state.hub.close().await;
    let lossy = format!("(SELECT id FROM duplex.topics WHERE name = '{NOTES}')");
    database.run(&format!(
        "UPDATE duplex.topics SET last = 2, answers = 2, chain = (SELECT chain FROM duplex.events WHERE topic = {lossy} AND seq = 2)
         WHERE name = '{NOTES}'; DELETE FROM duplex.events WHERE topic = {lossy} AND seq > 2;
         DELETE FROM duplex.answers WHERE topic = {lossy} AND n > 2; DELETE FROM duplex.snapshots WHERE topic = {lossy}"
    ));
    let after = node(&database).await;
    add(&after, NOTES, &["other", "4"]).await;
    for visitor in visitors {
        let mut visitor = visitor.at_node(&after);
        let cursors = [NOTES, OTHER].map(|topic| visitor.cursors[&topic.parse().unwrap()]);
        let verdict = visitor.subscribe(NOTES, cursors[0]).await;
        let reason = match verdict {
            Verdict::Reset { reason, .. } => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason, ResetReason::Diverged);
        let verdict = visitor.subscribe(OTHER, cursors[1]).await;
        assert!(matches!(verdict, Verdict::Resumed { replayed: 0, .. }), "{verdict:?}");
    }
}

/// Runs a subcommand with a file or a database as `--data`. With a database, the tokens are in the working directory.
fn run_on(data: &Path, dir: &Path, arguments: &[&str]) -> Output {
    let mut command = duplex_with_data(data);
    command.current_dir(dir).args(arguments).output().unwrap()
}

#[test]
fn doctor_reports_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let site = minimal_site(dir.path());
    let cluster = Cluster::start(&["full_page_writes=off", "synchronous_commit=off"]);
    let database = cluster.database();
    let doctor = |url: &str| {
        let output = run_on(
            Path::new(url),
            dir.path(),
            &["--addr", "127.0.0.1:0", "--site", site.to_str().unwrap(), "doctor"],
        );
        (output.status.code(), stdout(&output))
    };
    let (code, report) = doctor(&database.url);
    assert_eq!(code, Some(1), "{report}");
    for line in [
        "ok   database: ",
        "fail durability: full_page_writes",
        "ok   latency: ",
        "ok   clock: ",
    ] {
        assert!(report.contains(line), "{line} in {report}");
    }
    assert!(report.contains("the tables are created at the first start"), "{report}");
    let healthy = Cluster::start(&[]);
    let database = healthy.database();
    let (code, report) = doctor(&database.url);
    assert_eq!(code, Some(0), "{report}");
    assert!(
        report.contains("ok   durability: fsync and full_page_writes are on"),
        "{report}"
    );
    let (code, report) = doctor(&database.url.replace("/test_", "/missing_"));
    assert_eq!(code, Some(1));
    assert!(
        report.contains("fail database: ") && report.contains("does not exist"),
        "{report}"
    );
    let (_, report) = doctor("postgres://duplex:secret@localhost/x?sslmode=prefer");
    assert!(
        report.contains("sslmode=prefer is not supported") && !report.contains("secret"),
        "{report}"
    );
}

#[test]
fn a_file_moves_to_a_database_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let database = Cluster::shared().database();
    let post = json!({ "post": { "text": "hello", "reply_to": null } }).to_string();
    let send = |data: &Path, server: &Server, number: u128| {
        let (url, id) = (server.url(), CommandId::from_bits(number));
        let sent = run_on(
            data,
            dir,
            &["send", "chat/lobby", &post, "--id", id.as_str(), "--url", &url],
        );
        assert!(sent.status.success(), "{sent:?}");
        stdout(&sent)
    };
    let file = dir.join("duplex.db");
    let stored = Path::new(&database.url);
    let mut server = Server::start(dir);
    let first = send(&file, &server, 17);
    server.kill();
    let moved = run(dir, &["migrate", file.to_str().unwrap(), &database.url]);
    assert!(moved.status.success(), "{moved:?}");
    assert!(
        !stdout(&moved).contains("secret") && stdout(&moved).contains(" events, each compared"),
        "{moved:?}"
    );

    let mut command = duplex_with_data(stored);
    command.current_dir(dir);
    let mut server = Server::start_command(command, dir, "127.0.0.1:0");
    assert_eq!(
        send(stored, &server, 17),
        first.replace("false", "true"),
        "the answer moved along"
    );
    let second = send(stored, &server, 18);
    let copy = dir.join("copy.db");
    let backup = run_on(stored, dir, &["backup", copy.to_str().unwrap(), "--url", &server.url()]);
    assert!(
        !backup.status.success() && String::from_utf8_lossy(&backup.stderr).contains("pg_dump"),
        "{backup:?}"
    );
    server.kill();
    for command in [
        &["backup", copy.to_str().unwrap(), "--offline"][..],
        &["restore", file.to_str().unwrap()],
    ] {
        let refused = run_on(stored, dir, command);
        assert!(
            !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("pg_dump"),
            "{refused:?}"
        );
    }
    let occupied = run(dir, &["migrate", &database.url, file.to_str().unwrap()]);
    assert!(!occupied.status.success(), "an existing file was overwritten");
    let back = dir.join("back.db");
    let moved = run(dir, &["migrate", &database.url, back.to_str().unwrap()]);
    assert!(moved.status.success(), "{moved:?}");
    let server = Server::start_command(duplex_with_data(&back), dir, "127.0.0.1:0");
    assert_eq!(send(&back, &server, 18), second.replace("false", "true"));
}
