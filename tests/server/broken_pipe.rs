//! What the binary prints where nobody reads it: every command ends quietly, and a server goes on.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::process::{Server, duplex, duplex_with_data, minimal_site, run};
use crate::harness::{ECHO_PATH, open};

/// A pipe that nobody reads, as behind a `head` that has enough.
fn unread() -> io::PipeWriter {
    let (_, writer) = io::pipe().unwrap();
    writer
}

/// The exit code, and what was said on standard error.
fn end(mut command: Command) -> (Option<i32>, String) {
    let ended = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let ended = ended.wait_with_output().unwrap();
    (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
}

#[test]
fn every_command_exits_quietly_on_a_broken_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = Server::start(folder);
    let url = server.url();
    let post = json!({ "post": { "text": "hello", "reply_to": null } }).to_string();
    assert!(
        run(folder, &["send", "chat/lobby", &post, "--url", &url])
            .status
            .success()
    );
    let site = minimal_site(folder);
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (copy, offline) = (at("copy"), at("offline"));
    let with = |arguments: &[&str]| {
        let mut command = duplex(folder);
        command.args(arguments);
        command
    };
    let elsewhere = |arguments: &[&str]| {
        let mut command = duplex_with_data(&folder.join("other.db"));
        command.args(arguments);
        command
    };
    let remote = |arguments: &[&str]| with(&[arguments, &["--url", &url]].concat());
    let commands = [
        with(&["--help"]),
        with(&["--version"]),
        with(&["help", "tail"]),
        with(&["token"]),
        with(&["token", "create", "--role", "read"]),
        with(&["token", "list"]),
        with(&["sign-in"]),
        with(&["--addr", "127.0.0.1:0", "--site", site.to_str().unwrap(), "doctor"]),
        remote(&["topics"]),
        remote(&["topics", "--json"]),
        remote(&["tail", "chat/lobby", "--from", "start"]),
        remote(&["tail", "chat/lobby", "--from", "start", "--json"]),
        // Nothing happens there: it is not by a line that it learns of it.
        remote(&["tail", "chat/silent"]),
        remote(&["send", "chat/lobby", &post]),
        remote(&["notify", "--everyone", "hello"]),
        remote(&["bans"]),
        remote(&["bans", "--json"]),
        remote(&["backup", &copy]),
        elsewhere(&["restore", &copy]),
        elsewhere(&["backup", "--offline", &offline]),
        with(&["device-sim", "--count", "1", "--url", "mqtt://127.0.0.1:1"]),
    ];
    for mut command in commands {
        let name = format!("{:?}", command.get_args().collect::<Vec<_>>());
        command.stdout(unread());
        let (code, said) = end(command);
        assert_eq!(code, Some(0), "{name}: {said}");
        assert!(!said.contains("panicked") && !said.contains("pipe"), "{name}: {said}");
    }
    assert!(Path::new(&offline).exists());
}

#[test]
fn exit_codes_survive_a_broken_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let empty = json!({ "post": { "text": "", "reply_to": null } }).to_string();
    let mut rejected = duplex(folder.path());
    rejected
        .args(["send", "chat/lobby", &empty, "--url", &server.url()])
        .stdout(unread());
    assert_eq!(end(rejected).0, Some(1));
    let mut ill = duplex(folder.path());
    ill.args(["--site", "/nonexistent", "doctor"]).stdout(unread());
    assert_eq!(end(ill).0, Some(1));
    // Not even the error is heard.
    let mut unheard = duplex(folder.path());
    unheard
        .args(["--site", "/nonexistent"])
        .stdout(unread())
        .stderr(unread());
    assert_eq!(unheard.status().unwrap().code(), Some(1));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_server_with_a_broken_stdout_serves() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut process = duplex(folder.path())
        .args([
            "--addr",
            &format!("localhost:{port}"),
            "--demo",
            "--log",
            "debug",
            "--site",
        ])
        .arg(minimal_site(folder.path()))
        .stdout(unread())
        .stderr(unread())
        .spawn()
        .unwrap();
    let healthy = loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            break answer;
        }
        assert_eq!(process.try_wait().unwrap(), None, "the server ended");
        std::thread::yield_now();
    };
    assert!(healthy.ends_with("ok\n"), "{healthy}");
    let stopped = Command::new("kill").arg(process.id().to_string()).status().unwrap();
    assert!(stopped.success());
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_host_name_is_a_valid_listen_address() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with_args(folder.path(), "localhost:0", &["--trust-local"]);
    assert!(server.addr.ip().is_loopback());
    assert!(run(folder.path(), &["topics", "--url", &server.url()]).status.success());
    let refuse = |addr: &str| {
        let refused = run(folder.path(), &["--addr", addr]);
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("addr") && !said.contains("panicked"), "{addr}: {said}");
    };
    ["localhost", "nothing.invalid:3000", "http://localhost:3000"]
        .iter()
        .for_each(|addr| refuse(addr));
    fs::remove_dir_all(folder.path().join("site")).unwrap();
}

#[tokio::test]
async fn sighup_closes_neither_the_server_nor_its_connections() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let (mut kept, _) = open(stream, ECHO_PATH, &[]).await.unwrap();
    for _ in 0..3 {
        server.signal("HUP");
        assert_eq!(kept.send_and_receive("still here").await, Message::text("still here"));
    }
    let listed = run(folder.path(), &["topics", "--url", &server.url()]);
    assert!(listed.status.success(), "{listed:?}");
}
