//! A server's files: permissions, size limits, remnants of deleted messages. Uses the real binary with its data file and its log
//! output.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::http::StatusCode;
use duplex::apps;
use duplex_hub::log::Log as _;
use duplex_hub::log::sqlite::SqliteLog;
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{Answer, HISTORY_PATH, Rejection, Verdict};
use serde_json::json;
use tokio::net::TcpStream;

use crate::harness::kinds::{self, Note, Notes, NotesState};
use crate::harness::process::{Server, duplex_command, minimal_site, run, stdout};
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{ECHO_PATH, Node, SOCKET_PATH, open, wait_until, with_timeout};

/// A server started by a shell after a setup command, with its log output in a file.
struct LoggedServer {
    process: Child,
    addr: SocketAddr,
    stderr: PathBuf,
}

impl LoggedServer {
    fn start(dir: &Path, setup: &str) -> Self {
        let stderr = dir.join("stderr");
        let command = duplex_command(&dir.join("data"));
        let mut process = Command::new("sh")
            .args(["-c", &format!("{setup}; exec \"$0\" \"$@\"")])
            .arg(command.get_program())
            .args(command.get_args())
            .args(["--addr", "127.0.0.1:0", "--site"])
            .arg(minimal_site(dir))
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let addr = line.trim().strip_prefix("http://").unwrap().parse().unwrap();
        Self { process, addr, stderr }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }
}

impl Drop for LoggedServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn files(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect()
}

/// The files in the directory that contain the text.
fn files_with(dir: &Path, text: &str) -> Vec<PathBuf> {
    let contains = |path: &PathBuf| {
        path.is_file()
            && fs::read(path)
                .unwrap()
                .windows(text.len())
                .any(|part| part == text.as_bytes())
    };
    files(dir).into_iter().filter(contains).collect()
}

fn send(dir: &Path, url: &str, command: &serde_json::Value) {
    let sent = run(dir, &["send", "chat/lobby", &command.to_string(), "--url", url]);
    assert!(sent.status.success(), "{sent:?}");
}

#[test]
fn files_are_private_under_any_umask() {
    for umask in ["022", "000"] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let server = LoggedServer::start(dir.path(), &format!("umask {umask}"));
        let url = format!("http://{}", server.addr);
        send(&data, &url, &json!({ "post": { "text": "hello", "reply_to": null } }));
        let copy = data.join("copy.db");
        let backup = run(&data, &["backup", copy.to_str().unwrap(), "--url", &url]);
        assert!(backup.status.success(), "{backup:?}");
        drop(server);
        let offline = data.join("offline.db");
        let backup = run(&data, &["backup", offline.to_str().unwrap(), "--offline"]);
        assert!(backup.status.success(), "{backup:?}");
        let restored = run(&data, &["restore", copy.to_str().unwrap(), "--force"]);
        assert!(restored.status.success(), "{restored:?}");
        assert_eq!(mode(&data), 0o700, "umask {umask}");
        let files = files(&data);
        assert!(files.len() >= 6, "{files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "umask {umask}: {}", file.display());
        }
    }
}

#[test]
fn a_deleted_message_is_in_no_response_file_or_new_backup() {
    const SECRET: &str = "deleted-secret-text";
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let mut server = Server::start(dir);
    let tail = |server: &Server| {
        let args = [
            "tail",
            "chat/lobby",
            "--from",
            "start",
            "--json",
            "--url",
            &server.url(),
        ];
        let tail = crate::harness::process::RunningCommand::start(dir, &args);
        (1..=4).map(|_| tail.next_line()).collect::<String>()
    };
    let url = server.url();
    send(dir, &url, &json!({ "post": { "text": SECRET, "reply_to": null } }));
    send(dir, &url, &json!({ "post": { "text": "stays", "reply_to": null } }));
    send(
        dir,
        &url,
        &json!({ "edit": { "seq": 1, "text": format!("{SECRET} edited") } }),
    );
    assert!(!files_with(dir, SECRET).is_empty());
    send(dir, &url, &json!({ "delete": { "seq": 1 } }));
    // The server is killed at once, before any background work.
    server.kill();
    assert_eq!(files_with(dir, SECRET), Vec::<PathBuf>::new());
    let server = Server::start(dir);
    let output = tail(&server);
    assert!(
        !output.contains(SECRET) && output.contains("stays") && output.contains("\"at\""),
        "{output}"
    );
    let history = run(dir, &["topics", "--url", &server.url()]);
    assert!(!stdout(&history).contains(SECRET));
    let copy = dir.join("copy.db");
    let backup = run(dir, &["backup", copy.to_str().unwrap(), "--url", &server.url()]);
    assert!(backup.status.success(), "{backup:?}");
    assert_eq!(files_with(dir, SECRET), Vec::<PathBuf>::new());
}

/// Over every transport, in the page and in the history.
#[tokio::test]
async fn no_reader_receives_a_deleted_message() {
    const SECRET: &str = "deleted-secret-text";
    let node = Node::with_apps(|_| {});
    let transports = Transport::ALL;
    let mut author = Visitor::new(&node, Transport::Poll).await;
    let post = |text: &str| json!({ "post": { "text": text, "reply_to": null } });
    author.command("chat/lobby", &post(SECRET)).await;
    author.command("chat/lobby", &post("stays")).await;
    // The frames of the message are encoded for every transport before the deletion.
    let lobby = node.state.hub.open(&"chat/lobby".parse().unwrap()).await.unwrap();
    let mut start = lobby.head();
    start.seq = 0;
    for transport in transports {
        let mut reader = Visitor::new(&node, transport).await;
        assert!(matches!(
            reader.subscribe("chat/lobby", Some(start)).await,
            Verdict::Resumed { replayed: 2, .. }
        ));
    }
    assert_eq!(
        author.command("chat/lobby", &json!({ "delete": { "seq": 1 } })).await,
        Answer::Accepted { seq: 3 }
    );
    let page = node.get("/chat").await.body;
    let history = node.get(&format!("{HISTORY_PATH}?topic=chat/lobby")).await.body;
    assert!(page.contains("stays") && history.contains("stays"));
    assert!(!page.contains(SECRET) && !history.contains(SECRET));
    for transport in transports {
        let mut reader = Visitor::new(&node, transport).await;
        let verdict = reader.subscribe("chat/lobby", Some(start)).await;
        assert!(matches!(verdict, Verdict::Resumed { replayed: 3, .. }), "{verdict:?}");
        for seq in 1..=3 {
            let (found, event) = reader.next_event::<apps::chat::wire::Chat>().await;
            assert_eq!(found, seq, "a gap");
            assert!(!format!("{event:?}").contains(SECRET), "{event:?}");
        }
        let mut other = Visitor::new(&node, transport).await;
        let verdict = other.subscribe("chat/lobby", None).await;
        let Verdict::Reset { state, .. } = verdict else {
            panic!("{verdict:?}")
        };
        let state = String::from_utf8_lossy(&state.0).into_owned();
        assert!(state.contains("stays") && !state.contains(SECRET), "{state}");
    }
}

#[tokio::test]
async fn a_full_log_rejects_writes_until_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::new(
        SqliteLog::open(&dir.path().join("log"))
            .unwrap()
            .with_size_limit(1 << 20, 0),
    );
    let node = Node::with_log(log.clone(), kinds::all());
    let mut writer = Visitor::new(&node, Transport::Poll).await;
    let note = Note::Add("x".repeat(20_000));
    let mut stored = 0;
    let rejection = loop {
        match writer.command("notes/a", &note).await {
            Answer::Accepted { seq } => stored = seq,
            Answer::Rejected(why) => break why,
        }
        assert!(stored < 100, "more than the limit was accepted");
    };
    assert_eq!(rejection, Rejection::StorageFull);
    assert!(stored > 10, "{stored}");
    let stats = log.stats().await.unwrap();
    assert!(stats.bytes < 2 << 20, "{stats:?}");
    // Reads work, and retention frees space.
    let mut reader = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    let Verdict::Reset { state, cursor, .. } = reader.subscribe("notes/a", None).await else {
        panic!("no state")
    };
    assert_eq!(
        (cursor.seq, state.decode::<NotesState>(Encoding::Json).unwrap().count),
        (stored, stored)
    );
    assert_eq!(node.get("/healthz").await.status, StatusCode::OK);
    let retention = duplex_hub::log::Retention { events: 1, age: None };
    let topic = "notes/a".parse().unwrap();
    log.snapshot(&topic, stored, b"{\"count\":0,\"texts\":[]}".to_vec(), retention, 0)
        .await
        .unwrap();
    let answer = writer.command("notes/a", &note).await;
    assert_eq!(answer, Answer::Accepted { seq: stored + 1 });
    assert_eq!(reader.next_event::<Notes>().await.0, stored + 1);
}

/// A large report of the visitor's own browser device.
fn long_report(number: u32) -> serde_json::Value {
    let reading = |part: u32| json!({ "metric": format!("m{}", part % 12), "value": number + part, "at": null });
    json!({ "report": { "readings": (0..64).map(reading).collect::<Vec<_>>() } })
}

/// At the limit the system sends SIGXFSZ, which ends a process that does not handle it.
#[tokio::test]
async fn a_file_size_limit_rejects_writes_and_keeps_the_server_running() {
    let dir = tempfile::tempdir().unwrap();
    // In blocks of 512 bytes.
    let setup = "export DUPLEX_MARKET_FEED=off; ulimit -S -f 1024";
    let server = LoggedServer::start(dir.path(), setup);
    let mut socket = crate::kill::open_socket(server.addr).await;
    let device = crate::kill::own_device(&mut socket).await;
    let mut sent = 0;
    let rejection = loop {
        sent += 1;
        match crate::kill::send_command(&mut socket, &device, sent.into(), &long_report(sent)).await {
            Answer::Accepted { .. } => assert!(sent < 280, "more than the limit was accepted"),
            Answer::Rejected(why) => break why,
        }
    };
    assert_eq!(rejection, Rejection::StorageFull);
    let url = format!("http://{}", server.addr);
    let copy = dir.path().join("copy.db");
    let limited = Command::new("sh")
        .args(["-c", "ulimit -f 8; exec \"$0\" \"$@\""])
        .arg(duplex_command(dir.path()).get_program())
        .args(["--data".as_ref(), dir.path().join("data/duplex.db").as_os_str()])
        .args(["backup".as_ref(), copy.as_os_str(), "--url".as_ref(), url.as_ref()])
        .output()
        .unwrap();
    assert_eq!(limited.status.code(), Some(1), "{limited:?}");
    // After the operator raises the limit, writes work again.
    let process = rustix::process::Pid::from_child(&server.process);
    let unlimited = rustix::process::Rlimit {
        current: None,
        maximum: None,
    };
    rustix::process::prlimit(Some(process), rustix::process::Resource::Fsize, unlimited).unwrap();
    let answer = crate::kill::send_command(&mut socket, &device, 9_999, &long_report(sent)).await;
    assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
}

#[tokio::test]
async fn running_out_of_descriptors_is_logged_once_and_service_continues() {
    let dir = tempfile::tempdir().unwrap();
    let server = LoggedServer::start(dir.path(), "ulimit -n 64");
    let warnings = || server.log().matches("cannot accept connections").count();
    for _ in 0..3 {
        let mut connections = Vec::new();
        for _ in 0..80 {
            connections.push(TcpStream::connect(server.addr).await.unwrap());
        }
        wait_until(async || warnings() > 0).await;
        drop(connections);
        assert!(
            crate::kill::get(server.addr, "/healthz")
                .await
                .starts_with("HTTP/1.1 200")
        );
    }
    assert_eq!(warnings(), 1, "{}", server.log());
}

/// Regression: one WebSocket client caused 18 MB of log in a second.
#[tokio::test]
async fn visitors_messages_are_not_logged() {
    const MESSAGE: &str = "a-visitors-message";
    let dir = tempfile::tempdir().unwrap();
    let server = LoggedServer::start(dir.path(), "umask 022");
    for path in [SOCKET_PATH, ECHO_PATH] {
        let stream = TcpStream::connect(server.addr).await.unwrap();
        let (mut client, _) = open(stream, path, &[]).await.unwrap();
        for _ in 0..200 {
            client.send_and_receive(MESSAGE).await;
        }
        client.close(None).await;
        with_timeout(client.expect_close()).await;
    }
    wait_until(async || server.log().matches("client disconnected").count() == 2).await;
    let log = server.log();
    assert!(!log.contains(MESSAGE), "{log}");
    assert!(log.lines().count() < 50, "{log}");
}
