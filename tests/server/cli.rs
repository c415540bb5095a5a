//! CLI subcommands against a real server and its data file.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use duplex_protocol::session::CommandId;
use serde_json::{Value, json};

use crate::harness::process::{RunningCommand, Server, duplex_command, minimal_site, run, stdout};
use crate::harness::tls::CertificateAuthority;

/// Posts `text` in `room`; returns the seq.
fn post(dir: &Path, server: &Server, room: &str, text: &str) -> u64 {
    let command = json!({ "post": { "text": text, "reply_to": null } }).to_string();
    let sent = run(
        dir,
        &["send", &format!("chat/{room}"), &command, "--url", &server.url()],
    );
    assert!(sent.status.success(), "{sent:?}");
    let reply: Value = serde_json::from_str(&stdout(&sent)).unwrap();
    reply["reply"]["answer"]["accepted"]["seq"].as_u64().unwrap()
}

/// The first `count` texts of a room, in order.
fn texts(dir: &Path, server: &Server, room: &str, count: usize) -> Vec<String> {
    let tail = RunningCommand::start(
        dir,
        &[
            "tail",
            &format!("chat/{room}"),
            "--from",
            "start",
            "--json",
            "--url",
            &server.url(),
        ],
    );
    let text = |seq| {
        let line: Value = serde_json::from_str(&tail.next_line()).unwrap();
        assert_eq!(line["seq"], json!(seq));
        line["event"]["posted"]["text"].as_str().unwrap().to_owned()
    };
    (1..=count).map(text).collect()
}

#[test]
fn the_exit_code_of_send_reports_the_outcome() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let url = server.url();
    let id = CommandId::from_bits(17);
    let send = |command: Value, url: &str| {
        let command = command.to_string();
        let send = ["send", "chat/lobby", &command, "--attempts", "1"];
        let with = ["--id", id.as_str(), "--url", url];
        run(dir.path(), &[&send[..], &with].concat())
    };
    let hello = json!({ "post": { "text": "hello", "reply_to": null } });
    let first = send(hello.clone(), &url);
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    assert!(stdout(&first).contains(r#""again":false"#), "{first:?}");
    let resent = send(hello.clone(), &url);
    assert_eq!(resent.status.code(), Some(0));
    assert_eq!(stdout(&resent), stdout(&first).replace("false", "true"));

    let empty = json!({ "post": { "text": "", "reply_to": null } }).to_string();
    let rejected = run(dir.path(), &["send", "chat/lobby", &empty, "--url", &url]);
    assert_eq!(rejected.status.code(), Some(1), "{rejected:?}");
    assert!(stdout(&rejected).contains("rejected"), "{rejected:?}");
    drop(server);
    assert_eq!(send(hello, &url).status.code(), Some(2));
}

#[test]
fn tail_resumes_after_a_server_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    for text in ["one", "two"] {
        post(dir.path(), &server, "lobby", text);
    }
    let url = server.url();
    let tail = RunningCommand::start(
        dir.path(),
        &["tail", "chat/lobby", "--from", "2", "--json", "--url", &url],
    );
    let next = |tail: &RunningCommand| {
        let line: Value = serde_json::from_str(&tail.next_line()).unwrap();
        assert_eq!(line["topic"], "chat/lobby");
        (
            line["seq"].as_u64().unwrap(),
            line["event"]["posted"]["text"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(next(&tail), (2, "two".to_owned()));
    post(dir.path(), &server, "lobby", "three");
    assert_eq!(next(&tail), (3, "three".to_owned()));
    let addr = server.addr.to_string();
    server.kill();
    let server = Server::start_with_args(dir.path(), &addr, &[]);
    post(dir.path(), &server, "lobby", "four");
    post(dir.path(), &server, "lobby", "five");
    assert_eq!(next(&tail), (4, "four".to_owned()));
    assert_eq!(next(&tail), (5, "five".to_owned()));
}

#[test]
fn topics_lists_awake_topics_for_a_token_only() {
    let dir = tempfile::tempdir().unwrap();
    // The server is not bound to loopback, so the command needs the token.
    let server = Server::start_with_args(dir.path(), "0.0.0.0:0", &["--token", "a-token-for-the-tests"]);
    let url = format!("http://127.0.0.1:{}", server.addr.port());
    let command = json!({ "post": { "text": "hello", "reply_to": null } }).to_string();
    let sent = run(dir.path(), &["send", "chat/lobby", &command, "--url", &url]);
    assert!(sent.status.success(), "{sent:?}");
    let topics = |token: &[&str]| run(dir.path(), &[&["topics", "--json", "--url", &url], token].concat());
    let rejected = topics(&[]);
    assert!(!rejected.status.success());
    assert!(
        String::from_utf8_lossy(&rejected.stderr).contains("token"),
        "{rejected:?}"
    );
    let listed = stdout(&topics(&["--token", "a-token-for-the-tests"]));
    let lobby = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lobby = lobby.filter(|topic| topic["topic"] == "chat/lobby").collect::<Vec<_>>();
    assert_eq!(
        lobby,
        [json!({ "topic": "chat/lobby", "seq": 1, "subscribers": 0, "waiting": 0 })]
    );
}

#[test]
fn a_backup_under_load_contains_everything_accepted_before_it() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(dir.path());
    let before: Vec<String> = (0..9).map(|number| format!("before {number}")).collect();
    for text in &before {
        post(dir.path(), &server, "kept", text);
    }
    let file = dir.path().join("copy.db");
    let copy = file.to_str().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|threads| {
        for writer in 0..2 {
            let (server, done, dir) = (&server, &done, dir.path());
            threads.spawn(move || {
                for number in 0.. {
                    if done.load(Ordering::Acquire) {
                        return;
                    }
                    post(dir, server, &format!("load-{writer}-{}", number / 9), "more");
                }
            });
        }
        let backed_up = run(dir.path(), &["backup", copy, "--url", &server.url()]);
        done.store(true, Ordering::Release);
        assert!(backed_up.status.success(), "{backed_up:?}");
    });
    let second = run(dir.path(), &["backup", copy, "--url", &server.url()]);
    assert!(!second.status.success(), "an existing file was overwritten");
    let running = run(dir.path(), &["restore", copy, "--force"]);
    assert!(
        String::from_utf8_lossy(&running.stderr).contains("in use"),
        "{running:?}"
    );

    let restored = run(other.path(), &["restore", copy]);
    assert!(restored.status.success(), "{restored:?}");
    let twice = run(other.path(), &["restore", copy]);
    assert!(!twice.status.success(), "an existing data file was overwritten");
    let forced = run(other.path(), &["restore", copy, "--force"]);
    assert!(
        forced.status.success() && stdout(&forced).contains(".replaced-"),
        "{forced:?}"
    );
    let server = Server::start(other.path());
    assert_eq!(texts(other.path(), &server, "kept", before.len()), before);
    assert_eq!(post(other.path(), &server, "kept", "after"), 10, "the seqs continue");
}

#[test]
fn an_offline_backup_requires_an_unused_data_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    post(dir.path(), &server, "lobby", "hello");
    let copy = dir.path().join("copy.db");
    let offline = ["backup", copy.to_str().unwrap(), "--offline"];
    let rejected = run(dir.path(), &offline);
    assert!(
        String::from_utf8_lossy(&rejected.stderr).contains("in use"),
        "{rejected:?}"
    );
    server.kill();
    let backup = run(dir.path(), &offline);
    assert!(backup.status.success() && copy.exists(), "{backup:?}");
}

#[test]
fn doctor_reports_each_problem() {
    let dir = tempfile::tempdir().unwrap();
    let site = minimal_site(dir.path());
    let site = site.to_str().unwrap();
    let healthy = run(dir.path(), &["--addr", "127.0.0.1:0", "--site", site, "doctor"]);
    assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");
    let report = stdout(&healthy);
    for subject in [
        "configuration",
        "front end",
        "data file",
        "token",
        "free disk",
        "clock",
        "address",
    ] {
        assert!(
            report.lines().any(|line| line.contains(&format!(" {subject}: "))),
            "{subject} in {report}"
        );
    }
    assert!(!dir.path().join("duplex.db").exists(), "doctor created a data file");

    std::fs::write(dir.path().join("duplex.db"), "not a log").unwrap();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let used_addr = server.local_addr().unwrap().to_string();
    let unhealthy = run(
        dir.path(),
        &[
            "--addr",
            &used_addr,
            "--site",
            "/nonexistent",
            "--ping-interval",
            "0",
            "doctor",
        ],
    );
    drop(server);
    assert_eq!(unhealthy.status.code(), Some(1), "{unhealthy:?}");
    let report = stdout(&unhealthy);
    for subject in ["configuration", "front end", "data file"] {
        assert!(report.contains(&format!("fail {subject}: ")), "{subject} in {report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_reach_a_server_over_tls_if_its_ca_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let authority = CertificateAuthority::new();
    let url = format!("https://localhost:{}", authority.tls_proxy(server.addr).await);
    let trusting = |arguments: &[&str]| {
        let mut command = duplex_command(dir.path());
        command.args(arguments).args(["--url", &url]);
        command.env("SSL_CERT_FILE", authority.root_certificate());
        command
    };
    let command = json!({ "post": { "text": "hello", "reply_to": null } }).to_string();
    let sent = trusting(&["send", "chat/lobby", &command]).output().unwrap();
    assert!(sent.status.success(), "{sent:?}");
    let tail = RunningCommand::start_command(trusting(&["tail", "chat/lobby", "--from", "start"]));
    assert!(tail.next_line().contains("hello"));
    let notified = trusting(&["notify", "--everyone", "hello"]).output().unwrap();
    assert_eq!(stdout(&notified), "notices/all 1\n", "{notified:?}");
    let awake = trusting(&["topics"]).output().unwrap();
    assert!(stdout(&awake).contains("chat/lobby"), "{awake:?}");
    let copy = dir.path().join("copy.db");
    let copied = trusting(&["backup", copy.to_str().unwrap()]).output().unwrap();
    assert!(copied.status.success() && copy.exists(), "{copied:?}");

    let distrusting = run(dir.path(), &["topics", "--url", &url]);
    assert!(!distrusting.status.success());
    let stderr = String::from_utf8_lossy(&distrusting.stderr).into_owned();
    assert!(stderr.contains("is not trusted"), "{stderr}");
}
