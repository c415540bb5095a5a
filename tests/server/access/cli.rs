//! CLI: tokens and sign-in links created while a server runs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::harness::open;
use crate::harness::process::{Server, duplex_command, minimal_site, run, stdout};

#[test]
fn the_cli_creates_lists_and_revokes_tokens_while_a_server_runs() {
    let dir = tempfile::tempdir().unwrap();
    let token_before_start = stdout(&run(
        dir.path(),
        &["token", "create", "--role", "read", "--name", "early"],
    ));
    let token_before_start = token_before_start.trim();
    let server = Server::start(dir.path());
    let url = server.url();
    let topics = |token: &str| run(dir.path(), &["topics", "--url", &url, "--token", token]);
    assert!(
        topics(token_before_start).status.success(),
        "created before the first start"
    );
    let created = run(dir.path(), &["token", "create", "--role", "notify", "--expires", "90d"]);
    let notifier = stdout(&created).trim().to_owned();
    assert_eq!(
        stdout(&created).lines().count(),
        1,
        "scripts read the token from the only line"
    );
    let rejected = topics(&notifier);
    assert!(
        String::from_utf8_lossy(&rejected.stderr).contains("the role read"),
        "{rejected:?}"
    );
    let notified = run(
        dir.path(),
        &["notify", "--everyone", "hello", "--url", &url, "--token", &notifier],
    );
    assert!(notified.status.success(), "{notified:?}");

    let list = stdout(&run(dir.path(), &["token", "list"]));
    assert!(
        list.contains("early") && list.contains("legacy") && list.contains("valid for 89 days"),
        "{list}"
    );
    assert!(!list.contains(token_before_start) && !list.contains(&notifier[20..]));
    let id = list.lines().find(|line| line.contains("early")).unwrap();
    let (id, _) = id.split_once(' ').unwrap();
    assert!(run(dir.path(), &["token", "revoke", id]).status.success());
    let rejected = topics(token_before_start);
    assert!(
        String::from_utf8_lossy(&rejected.stderr).contains("revoked"),
        "{rejected:?}"
    );
    assert!(!run(dir.path(), &["token", "revoke", "none"]).status.success());

    let legacy = stdout(&run(dir.path(), &["token"])).trim().to_owned();
    assert!(topics(&legacy).status.success());
    assert!(run(dir.path(), &["token", "revoke", "legacy"]).status.success());
    let rejected = topics(&legacy);
    assert!(
        String::from_utf8_lossy(&rejected.stderr).contains("revoked"),
        "{rejected:?}"
    );
    assert!(!run(dir.path(), &["token"]).status.success());
    drop(server);
    let server = Server::start(dir.path());
    let rejected = run(dir.path(), &["topics", "--url", &server.url(), "--token", &legacy]);
    assert!(!rejected.status.success(), "a revoked token is not created again");
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let path = file.unwrap().path();
        let text = if path.is_file() {
            std::fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let text = String::from_utf8_lossy(&text);
        assert!(
            !text.contains(token_before_start) && !text.contains(&notifier),
            "{path:?} holds a token"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoking_a_token_with_the_cli_closes_its_websocket() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let created = stdout(&run(dir.path(), &["token", "create", "--role", "read"]));
    let bearer = format!("Bearer {}", created.trim());
    let stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let headers = [
        ("sec-websocket-protocol", "duplex.v1.json"),
        ("authorization", bearer.as_str()),
    ];
    let (mut socket, _) = open(stream, "/api/session", &headers).await.unwrap();
    socket.send_and_receive(r#"{"hello":{"build":"","name":null}}"#).await;
    let list = stdout(&run(dir.path(), &["token", "list"]));
    let id = list.lines().find(|line| line.contains(" read ")).unwrap();
    run(dir.path(), &["token", "revoke", id.split_once(' ').unwrap().0]);
    assert!(socket.receive().await.into_text().unwrap().contains("closing"));
    assert_eq!(
        socket.expect_close().await,
        Some((4502, "the token is revoked".to_owned()))
    );
}

#[test]
fn a_sign_in_link_is_printed_to_a_terminal_only_and_by_the_sign_in_command() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = duplex_command(dir.path());
    command
        .args(["--addr", "127.0.0.1:0", "--log", "debug", "--site"])
        .arg(minimal_site(dir.path()));
    let mut process = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = std::io::BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    let addr = line.trim().strip_prefix("http://").unwrap().to_owned();
    let link = stdout(&run(dir.path(), &["sign-in", "--url", &format!("http://{addr}")]));
    let (base, code) = link.trim().split_once("/operator/sign-in?code=").unwrap();
    assert_eq!(base, format!("http://{addr}"));
    let post = |code: &str| {
        let body = format!("code={code}");
        let mut stream = TcpStream::connect(&addr).unwrap();
        let head = format!(
            "POST /operator/sign-in HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nOrigin: http://{addr}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    };
    let response = post(code);
    assert!(
        response.starts_with("HTTP/1.1 303") && response.contains("operator="),
        "{response}"
    );
    assert!(post(code).starts_with("HTTP/1.1 403"));
    process.kill().unwrap();
    process.wait().unwrap();
    let (mut rest, mut log) = (String::new(), String::new());
    out.read_to_string(&mut rest).unwrap();
    process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(!rest.contains("sign-in"), "the output of a pipe may be stored: {rest}");
    assert!(!log.contains(code), "the log contains the code");
}
