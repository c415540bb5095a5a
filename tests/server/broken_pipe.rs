//! The binary when stdout is a broken pipe: every subcommand exits quietly, and a server keeps running.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::process::{Server, duplex_command, duplex_with_data, minimal_site, run};
use crate::harness::{ECHO_PATH, open};

/// A pipe without a reader, as after `| head` has exited.
fn broken_pipe() -> io::PipeWriter {
    let (_, writer) = io::pipe().unwrap();
    writer
}

/// Runs a command; returns its exit code and its standard error.
fn run_to_end(mut command: Command) -> (Option<i32>, String) {
    let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn every_command_exits_quietly_on_a_broken_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let server = Server::start(dir);
    let url = server.url();
    let post = json!({ "post": { "text": "hello", "reply_to": null } }).to_string();
    assert!(run(dir, &["send", "chat/lobby", &post, "--url", &url]).status.success());
    let site = minimal_site(dir);
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let (copy, offline) = (path("copy"), path("offline"));
    let with = |arguments: &[&str]| {
        let mut command = duplex_command(dir);
        command.args(arguments);
        command
    };
    let with_other_data = |arguments: &[&str]| {
        let mut command = duplex_with_data(&dir.join("other.db"));
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
        // No event is ever printed here: tail detects the broken pipe without writing.
        remote(&["tail", "chat/silent"]),
        remote(&["send", "chat/lobby", &post]),
        remote(&["notify", "--everyone", "hello"]),
        remote(&["bans"]),
        remote(&["bans", "--json"]),
        remote(&["backup", &copy]),
        with_other_data(&["restore", &copy]),
        with_other_data(&["backup", "--offline", &offline]),
        with(&["device-sim", "--count", "1", "--url", "mqtt://127.0.0.1:1"]),
    ];
    for mut command in commands {
        let name = format!("{:?}", command.get_args().collect::<Vec<_>>());
        command.stdout(broken_pipe());
        let (code, stderr) = run_to_end(command);
        assert_eq!(code, Some(0), "{name}: {stderr}");
        assert!(
            !stderr.contains("panicked") && !stderr.contains("pipe"),
            "{name}: {stderr}"
        );
    }
    assert!(Path::new(&offline).exists());
}

#[test]
fn exit_codes_survive_a_broken_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let empty = json!({ "post": { "text": "", "reply_to": null } }).to_string();
    let mut rejected = duplex_command(dir.path());
    rejected
        .args(["send", "chat/lobby", &empty, "--url", &server.url()])
        .stdout(broken_pipe());
    assert_eq!(run_to_end(rejected).0, Some(1));
    let mut unhealthy = duplex_command(dir.path());
    unhealthy
        .args(["--site", "/nonexistent", "doctor"])
        .stdout(broken_pipe());
    assert_eq!(run_to_end(unhealthy).0, Some(1));
    // Standard error is broken, too.
    let mut failing = duplex_command(dir.path());
    failing
        .args(["--site", "/nonexistent"])
        .stdout(broken_pipe())
        .stderr(broken_pipe());
    assert_eq!(failing.status().unwrap().code(), Some(1));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_server_with_a_broken_stdout_serves() {
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut process = duplex_command(dir.path())
        .args([
            "--addr",
            &format!("localhost:{port}"),
            "--demo",
            "--log",
            "debug",
            "--site",
        ])
        .arg(minimal_site(dir.path()))
        .stdout(broken_pipe())
        .stderr(broken_pipe())
        .spawn()
        .unwrap();
    let healthy = loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream
                .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).unwrap();
            break response;
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
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with_args(dir.path(), "localhost:0", &["--trust-local"]);
    assert!(server.addr.ip().is_loopback());
    assert!(run(dir.path(), &["topics", "--url", &server.url()]).status.success());
    let assert_rejected = |addr: &str| {
        let output = run(dir.path(), &["--addr", addr]);
        assert!(!output.status.success());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            stderr.contains("addr") && !stderr.contains("panicked"),
            "{addr}: {stderr}"
        );
    };
    ["localhost", "nothing.invalid:3000", "http://localhost:3000"]
        .iter()
        .for_each(|addr| assert_rejected(addr));
    fs::remove_dir_all(dir.path().join("site")).unwrap();
}

#[tokio::test]
async fn sighup_closes_neither_the_server_nor_its_connections() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let (mut client, _) = open(stream, ECHO_PATH, &[]).await.unwrap();
    for _ in 0..3 {
        server.signal("HUP");
        assert_eq!(client.send_and_receive("still here").await, Message::text("still here"));
    }
    let listed = run(dir.path(), &["topics", "--url", &server.url()]);
    assert!(listed.status.success(), "{listed:?}");
}
