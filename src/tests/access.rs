//! Who may do what: attacks of strangers and of programs with too little a role, on every way in.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use duplex::apps;
use duplex::apps::devices::wire::{DeviceCommand, Report};
use duplex::server::hub::{Rights, Role};
use duplex::server::token::Token;
use duplex::wire::codec::{Blob, Encoding};
use duplex::wire::notice::{Level, Notice, Words};
use duplex::wire::person::PersonId;
use duplex::wire::session::{
    Answer as Reply, ClientFrame, Closing, CommandId, Denied, EVENTS_PATH, HISTORY_PATH, Rejection, ServerFrame,
    Verdict,
};
use duplex::wire::status::STATUS;
use serde_json::json;

use crate::harness::process::{Server, duplex, run, site, stdout};
use crate::harness::topics::{Visitor, Way};
use crate::harness::{Answer, Node, open, within};

const TOKEN: &str = "a-token-for-the-tests";
const READABLE: [(&str, &str); 3] = [
    ("GET", "/metrics"),
    ("GET", "/api/topics"),
    ("GET", "/api/operator/events?topic=chat/lobby"),
];
const BACKUP: (&str, &str) = ("POST", "/api/operator/backup");
const WAYS: [Way; 4] = [
    Way::WebSocket(Encoding::Json),
    Way::WebSocket(Encoding::Postcard),
    Way::Sse,
    Way::Poll,
];

/// With the applications' topics.
fn node() -> Node {
    node_with(false)
}

fn node_with(demo: bool) -> Node {
    Node::of(apps::server::kinds(), Path::new("/nonexistent"), |settings| {
        settings.token = Some(Token::new(TOKEN).unwrap());
        settings.demo = demo;
    })
}

fn token(node: &Node, role: &str, life: Option<Duration>) -> (String, String) {
    let role: Role = role.parse().unwrap();
    let (secret, record) = node.state.access.tokens().create(role, "", life).unwrap();
    (secret.as_str().to_owned(), record.id)
}

async fn ask(node: &Node, (method, path): (&str, &str), headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    node.page(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn show(node: &Node, address: (&str, &str), token: &str) -> Answer {
    ask(node, address, &[("authorization", &format!("Bearer {token}"))], "").await
}

async fn form(node: &Node, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let form = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "http://localhost"),
    ];
    ask(node, ("POST", path), &[&form, headers].concat(), body).await
}

/// `operator=…`, of a session that was just begun.
async fn sign_in(node: &Node, token: &str) -> String {
    let entered = form(node, "/api/operator/sign-in", &[], &format!("token={token}")).await;
    assert_eq!(entered.header("location"), "/status");
    let (pair, attributes) = entered.header("set-cookie").split_once("; ").unwrap();
    assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Strict"));
    pair.to_owned()
}

/// What a proxy makes of a visitor's request that is set up by `proxy_pass http://127.0.0.1:3000;` alone, and what comes through a
/// tunnel from a browser that was told of `localhost`.
fn from_next_door(server: &Server, method: &str, path: &str) -> String {
    let mut answers = String::new();
    for (version, host) in [("1.0", server.addr.to_string()), ("1.1", "localhost".to_owned())] {
        let mut stream = TcpStream::connect(server.addr).unwrap();
        let head =
            format!("{method} {path} HTTP/{version}\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answers.push_str(String::from_utf8_lossy(&answer).lines().next().unwrap());
        answers.push('\n');
    }
    answers
}

#[test]
fn a_place_in_the_network_is_no_permission() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    for (method, path) in READABLE.into_iter().chain([BACKUP]) {
        let answers = from_next_door(&server, method, path);
        assert_eq!(answers.matches(" 401 ").count(), 2, "{method} {path}: {answers}");
    }
    let faults = from_next_door(&server, "GET", "/api/faults?session=a");
    assert!(!faults.contains("\"on\":true"), "{faults}");
    drop(server);

    let trusting = Server::start_at(folder.path(), "127.0.0.1:0", &["--trust-local"]);
    let answers = from_next_door(&trusting, "GET", "/metrics");
    assert_eq!(answers.matches(" 200 ").count(), 2, "{answers}");
    drop(trusting);
    let site = site(folder.path());
    let open = ["--addr", "0.0.0.0:0", "--trust-local", "--site", site.to_str().unwrap()];
    let refused = run(folder.path(), &open);
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--trust-local is for"));
}

#[tokio::test]
async fn nobody_is_trusted_for_a_name_or_for_an_address() {
    let node = node();
    for host in ["localhost", "127.0.0.1:3000", "[::1]"] {
        for address in READABLE.into_iter().chain([BACKUP]) {
            let answer = ask(&node, address, &[("host", host)], "").await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{host} {address:?}");
        }
    }
    assert!(node.get("/api/faults?session=a").await.body.contains("\"on\":false"));
}

#[tokio::test]
async fn each_role_opens_what_it_is_for() {
    let node = node();
    let roles = ["operator", "read", "notify", "device"];
    let tokens = roles.map(|role| token(&node, role, None).0);
    for address in READABLE {
        // One after the other: each holds the lock of the routes.
        let mut statuses = Vec::new();
        for token in &tokens {
            statuses.push(show(&node, address, token).await);
        }
        let found: Vec<_> = statuses.iter().map(|answer| answer.status.as_u16()).collect();
        assert_eq!(found, [200, 200, 403, 403], "{address:?}");
        assert!(statuses[2].problem().contains("the role read"), "{}", statuses[2].body);
    }
    for (at, role) in roles.iter().enumerate() {
        let answer = show(&node, BACKUP, &tokens[at]).await;
        if *role == "operator" {
            // There is no file to copy in these tests.
            assert!(answer.status.is_success() || answer.status.is_server_error());
        } else {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{role}");
            assert!(answer.problem().contains("the role operator"));
        }
    }
    let private = "/api/operator/events?topic=inbox/00000000000000aa";
    assert_eq!(
        show(&node, ("GET", private), &tokens[1]).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(show(&node, ("GET", private), &tokens[0]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn programs_post_only_what_their_role_is_for() {
    let node = node();
    let post = async |path: &str, body: serde_json::Value, role: &str| {
        let bearer = format!("Bearer {}", token(&node, role, None).0);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        ask(&node, ("POST", path), &headers, &body.to_string()).await
    };
    let notice = json!({ "to": "everyone", "title": "hello" });
    let report = json!({ "readings": [{ "metric": "t", "value": 1 }] });
    for (role, notifies, oven, door) in [
        ("operator", 200, 200, 200),
        ("notify", 200, 403, 403),
        ("device", 403, 200, 200),
        ("device:oven-*", 403, 200, 403),
        ("read", 403, 403, 403),
    ] {
        let sent = post("/api/notifications", notice.clone(), role).await;
        assert_eq!(sent.status.as_u16(), notifies, "{role}");
        if notifies == 403 {
            assert!(sent.problem().contains("the role notify") && sent.problem().contains(role));
        }
        for (id, expected) in [("oven-1", oven), ("door", door)] {
            let path = format!("/api/devices/{id}/readings");
            let sent = post(&path, report.clone(), role).await;
            assert_eq!(sent.status.as_u16(), expected, "{role} {id}");
        }
    }
}

fn a_notice() -> serde_json::Value {
    json!({ "send": Notice {
        title: Words::same("hello"),
        body: Words::same(""),
        link: None,
        level: Level::Info,
        expires: None,
    } })
}

fn said(answer: &Reply) -> &'static str {
    match answer {
        Reply::Accepted { .. } => "accepted",
        Reply::Rejected(why) if why.role_needed().is_some() => "role",
        Reply::Rejected(Rejection::Denied(Denied::Forbidden)) => "forbidden",
        Reply::Rejected(_) => "rejected",
    }
}

/// What a program says over a WebSocket, and what it is answered.
async fn tell(node: &Node, token: &str, topic: &str, command: &serde_json::Value) -> &'static str {
    let mut program = Visitor::new(node, Way::WebSocket(Encoding::Json)).await.showing(token);
    let over_socket = program.command(topic, command).await;
    let (status, posted) = program.post(&frame(topic, command)).await;
    match (said(&over_socket), status, posted) {
        ("role", StatusCode::FORBIDDEN, None) => "role",
        (one, StatusCode::OK, Some(ServerFrame::Reply { answer, .. })) => {
            assert_eq!(one, said(&answer), "{topic}: the same over HTTP");
            one
        }
        (one, status, posted) => panic!("{topic}: {one} over WebSocket, {status} {posted:?} over HTTP"),
    }
}

fn frame(topic: &str, command: &serde_json::Value) -> ClientFrame {
    ClientFrame::Command {
        topic: topic.parse().unwrap(),
        id: CommandId::from_random(uuid::Uuid::new_v4().as_u128()),
        command: Blob(command.to_string().into_bytes()),
    }
}

#[tokio::test]
async fn a_session_of_a_program_writes_only_what_its_role_is_for() {
    let node = node();
    let inbox = "inbox/00000000000000aa";
    let report = json!({ "report": { "readings": [{ "metric": "t", "value": 1 }] } });
    let order = json!({ "order": { "name": "reboot", "argument": "" } });
    let post = json!({ "post": { "text": "hello", "reply_to": null } });
    let read_all = json!({ "read_all": { "heads": {} } });
    for (role, expected) in [
        (
            "operator",
            ["accepted", "accepted", "accepted", "accepted", "accepted", "accepted"],
        ),
        ("notify", ["role", "accepted", "accepted", "role", "role", "role"]),
        ("device:oven-*", ["accepted", "role", "role", "role", "role", "role"]),
        ("device:door", ["role", "role", "role", "role", "role", "role"]),
        ("read", ["role", "role", "role", "role", "role", "role"]),
    ] {
        let (token, _) = token(&node, role, None);
        let found = [
            tell(&node, &token, "device/oven-1", &report).await,
            tell(&node, &token, "notices/all", &a_notice()).await,
            tell(&node, &token, inbox, &a_notice()).await,
            tell(&node, &token, inbox, &read_all).await,
            tell(&node, &token, "device/oven-1", &order).await,
            tell(&node, &token, "chat/lobby", &post).await,
        ];
        assert_eq!(found, expected, "{role}");
    }
}

#[tokio::test]
async fn a_role_reads_nothing_that_is_somebodys_own() {
    let node = node();
    let private = ["inbox/00000000000000aa", "alerts/00000000000000aa"];
    for role in ["read", "notify", "device"] {
        let (token, _) = token(&node, role, None);
        for way in WAYS {
            for topic in private {
                let mut program = Visitor::new(&node, way).await.showing(&token);
                let verdict = program.subscribe(topic, None).await;
                assert!(
                    matches!(
                        verdict,
                        Verdict::Denied {
                            reason: Denied::Forbidden
                        }
                    ),
                    "{role} {way:?} {topic}"
                );
            }
            let mut program = Visitor::new(&node, way).await.showing(&token);
            let opens = matches!(program.subscribe(STATUS, None).await, Verdict::Reset { .. });
            assert_eq!(opens, role == "read", "{role} {way:?}");
        }
        for topic in private {
            let path = format!("{HISTORY_PATH}?topic={topic}");
            assert_eq!(show(&node, ("GET", &path), &token).await.status, StatusCode::FORBIDDEN);
        }
    }
}

#[tokio::test]
async fn an_ended_token_is_refused_with_the_reason() {
    let node = node();
    let (revoked, id) = token(&node, "read", None);
    assert_eq!(show(&node, READABLE[0], &revoked).await.status, StatusCode::OK);
    node.state.access.tokens().revoke(&id).unwrap();
    let (expired, _) = token(&node, "read", Some(Duration::ZERO));
    for (token, reason) in [(&revoked, "revoked"), (&expired, "expired")] {
        for address in [READABLE[0], BACKUP, ("POST", "/api/notifications"), ("GET", "/chat")] {
            let answer = show(&node, address, token).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
            assert!(answer.problem().contains(reason), "{}", answer.body);
            assert!(answer.header("www-authenticate").contains("invalid_token"));
        }
    }
}

/// The code and reason with which a socket is closed after what came before.
async fn closed(visitor: &mut Visitor<'_>) -> (u16, String) {
    loop {
        let message = visitor.socket().await.receive().await;
        if let tokio_tungstenite::tungstenite::Message::Close(frame) = message {
            let frame = frame.unwrap();
            return (frame.code.into(), frame.reason.to_string());
        }
    }
}

#[tokio::test]
async fn an_open_socket_ends_with_what_opened_it() {
    let node = node();
    let (revoked, id) = token(&node, "operator", None);
    let (expiring, _) = token(&node, "operator", Some(Duration::from_millis(300)));
    let cookie = sign_in(&node, TOKEN).await;
    let way = Way::WebSocket(Encoding::Json);
    let mut visitors = [
        Visitor::new(&node, way).await.showing(&revoked),
        Visitor::new(&node, way).await.showing(&expiring),
        Visitor::new(&node, way).await.with_cookie(&cookie),
    ];
    for visitor in &mut visitors {
        assert!(matches!(visitor.subscribe(STATUS, None).await, Verdict::Reset { .. }));
    }
    let mut stranger = Visitor::new(&node, way).await;
    stranger.subscribe("chat/lobby", None).await;
    node.state.access.tokens().revoke(&id).unwrap();
    form(&node, "/api/operator/sign-out", &[("cookie", &cookie)], "").await;
    let mut ends = Vec::new();
    for visitor in &mut visitors {
        ends.push(closed(visitor).await);
    }
    assert_eq!(ends[0], (4502, "the token is revoked".to_owned()));
    assert_eq!(ends[1], (4502, "the token has expired".to_owned()));
    assert_eq!(ends[2], (4502, "the operator's session has ended".to_owned()));
    let post = json!({ "post": { "text": "hello", "reply_to": null } });
    assert!(matches!(
        stranger.command("chat/lobby", &post).await,
        Reply::Accepted { .. }
    ));
}

#[tokio::test]
async fn an_open_stream_ends_with_what_opened_it() {
    let node = node();
    for way in [Way::Sse, Way::Poll] {
        let (secret, id) = token(&node, "read", None);
        let mut program = Visitor::new(&node, way).await.showing(&secret);
        assert!(matches!(program.subscribe(STATUS, None).await, Verdict::Reset { .. }));
        let listening = async {
            loop {
                if let ServerFrame::Closing { reason, .. } = program.next().await {
                    return reason;
                }
            }
        };
        let revoking = async {
            tokio::task::yield_now().await;
            node.state.access.tokens().revoke(&id).unwrap();
        };
        if way == Way::Sse {
            assert_eq!(tokio::join!(within(listening), revoking).0, Closing::Ended, "{way:?}");
        } else {
            // A poll that comes after it is refused as any request.
            revoking.await;
            assert_eq!(
                show(&node, ("GET", EVENTS_PATH), &secret).await.status,
                StatusCode::UNAUTHORIZED
            );
        }
    }
}

#[tokio::test]
async fn a_cookie_is_random_and_ends_at_the_sign_out() {
    let node = node();
    let (one, other) = (sign_in(&node, TOKEN).await, sign_in(&node, TOKEN).await);
    assert_ne!(one, other);
    let open = async |cookie: &str| ask(&node, READABLE[0], &[("cookie", cookie)], "").await.status == StatusCode::OK;
    assert!(open(&one).await && open(&other).await);
    form(&node, "/api/operator/sign-out", &[("cookie", &one)], "").await;
    assert!(!open(&one).await, "a copy of the cookie is of no use");
    assert!(open(&other).await);
    // The cookie of earlier versions was a hash of the token.
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(format!("duplex operator {TOKEN}"));
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    for forged in [
        format!("operator={hash}"),
        format!("operator={TOKEN}"),
        "operator=".to_owned(),
    ] {
        assert!(!open(&forged).await, "{forged}");
    }
}

#[tokio::test]
async fn a_session_ends_with_the_token_that_began_it() {
    let node = node();
    let (secret, id) = token(&node, "operator", None);
    let cookie = sign_in(&node, &secret).await;
    let status = async || ask(&node, READABLE[0], &[("cookie", &cookie)], "").await.status;
    assert_eq!(status().await, StatusCode::OK);
    node.state.access.tokens().revoke(&id).unwrap();
    assert_eq!(status().await, StatusCode::UNAUTHORIZED);
    let (reader, _) = token(&node, "read", None);
    let refused = form(&node, "/api/operator/sign-in", &[], &format!("token={reader}")).await;
    assert_eq!(
        (refused.header("location"), refused.header("set-cookie")),
        ("/status?refused", "")
    );
}

#[tokio::test(start_paused = true)]
async fn two_thousand_guesses_meet_growing_delays() {
    let node = node();
    let (mut tried, mut waits) = (0, Vec::new());
    for number in 0..2_000 {
        let guess = format!("token=a-guess-of-a-token-{number}");
        let answer = form(&node, "/api/operator/sign-in", &[], &guess).await;
        match answer.status {
            StatusCode::SEE_OTHER => tried += 1,
            StatusCode::TOO_MANY_REQUESTS => waits.push(answer.header("retry-after").parse::<u64>().unwrap()),
            other => panic!("{other}"),
        }
    }
    assert!(tried < 10, "{tried} guesses were looked at");
    assert!(waits.is_sorted() && waits[0] < waits[waits.len() - 1], "{waits:?}");
    let right = form(&node, "/api/operator/sign-in", &[], &format!("token={TOKEN}")).await;
    assert_eq!(
        right.status,
        StatusCode::TOO_MANY_REQUESTS,
        "it could have been guessed"
    );
    let (made, _) = token(&node, "operator", None);
    sign_in(&node, &made).await;
    let code = node.state.access.links().create().unwrap();
    let entered = form(&node, "/operator/sign-in", &[], &format!("code={}", code.as_str())).await;
    assert_eq!(
        entered.header("location"),
        "/status",
        "what cannot be guessed is not kept waiting"
    );
}

#[tokio::test(start_paused = true)]
async fn guesses_of_bearer_tokens_meet_growing_delays() {
    let node = node();
    let mut statuses = Vec::new();
    for number in 0..200 {
        statuses.push(
            show(&node, READABLE[0], &format!("a-guess-of-a-token-{number}"))
                .await
                .status,
        );
    }
    let looked_at = statuses
        .iter()
        .filter(|status| **status == StatusCode::UNAUTHORIZED)
        .count();
    assert!(looked_at < 30, "{looked_at}");
    assert_eq!(statuses[199], StatusCode::TOO_MANY_REQUESTS);
    let (made, _) = token(&node, "read", None);
    assert_eq!(show(&node, READABLE[0], &made).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_sign_in_link_works_once_and_not_by_being_looked_at() {
    let node = node();
    let code = node.state.access.links().create().unwrap();
    let path = format!("/operator/sign-in?code={}", code.as_str());
    for _ in 0..3 {
        let page = node.get(&path).await;
        assert_eq!(
            (page.status, page.header("referrer-policy")),
            (StatusCode::OK, "no-referrer")
        );
        assert_eq!(page.header("set-cookie"), "");
        assert!(page.body.contains(r#"method="post""#) && !page.body.contains("<script"));
    }
    let body = format!("code={}", code.as_str());
    let evil = [("origin", "http://evil.example")];
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let foreign = ask(&node, ("POST", "/operator/sign-in"), &[kind[0], evil[0]], &body).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    // What browsers send for a page that says `no-referrer`.
    let opaque = [kind[0], ("origin", "null"), ("sec-fetch-site", "same-origin")];
    let entered = ask(&node, ("POST", "/operator/sign-in"), &opaque, &body).await;
    assert_eq!(
        (entered.status, entered.header("location")),
        (StatusCode::SEE_OTHER, "/status")
    );
    let (cookie, _) = entered.header("set-cookie").split_once("; ").unwrap();
    assert_eq!(
        ask(&node, READABLE[0], &[("cookie", cookie)], "").await.status,
        StatusCode::OK
    );
    let again = ask(&node, ("POST", "/operator/sign-in"), &opaque, &body).await;
    assert_eq!((again.status, again.header("set-cookie")), (StatusCode::FORBIDDEN, ""));
    assert!(again.body.contains("duplex sign-in"));
    let korean = [("accept-language", "ko")];
    assert!(ask(&node, ("GET", &path), &korean, "").await.body.contains("로그인"));
    let hostile = node.get("/operator/sign-in?code=%22%3E%3Cscript%3E").await;
    assert!(!hostile.body.contains("<script") && hostile.body.contains(r#"value="""#));
}

fn order() -> serde_json::Value {
    json!({ "order": { "name": "reboot", "argument": "" } })
}

/// A device that was heard.
async fn with_device(node: &Node, id: &str) {
    let report = DeviceCommand::Report(
        serde_json::from_value::<Report>(json!({
            "readings": [{ "metric": "t", "value": 1.0 }]
        }))
        .unwrap(),
    );
    let topic = format!("device/{id}").parse().unwrap();
    let command = serde_json::to_value(report).unwrap();
    let told = node.state.hub.tell(&topic, CommandId::from_random(7), &command).await;
    assert!(matches!(told, Reply::Accepted { .. }), "{told:?}");
}

#[tokio::test]
async fn to_control_a_device_takes_an_operator_on_every_way() {
    let (node, demo) = (node(), node_with(true));
    with_device(&node, "oven-1").await;
    with_device(&demo, "oven-1").await;
    let cookie = sign_in(&node, TOKEN).await;
    let threshold = json!({ "set_threshold": { "metric": "t", "low": null, "high": 0.5, "hysteresis": 0.0 } });
    for way in [Way::WebSocket(Encoding::Json), Way::Sse, Way::Poll] {
        for command in [order(), threshold.clone(), json!({ "acknowledge": { "alarm": 3 } })] {
            let mut stranger = Visitor::new(&node, way).await;
            let refused = stranger.command("device/oven-1", &command).await;
            assert_eq!(refused, Reply::Rejected(Rejection::needs_role("operator")), "{way:?}");
            let mut operator = Visitor::new(&node, way).await.with_cookie(&cookie);
            assert_eq!(
                said(&operator.command("device/oven-1", &command).await),
                "accepted",
                "{way:?} {command}"
            );
            let mut shown_around = Visitor::new(&demo, way).await;
            assert_eq!(said(&shown_around.command("device/oven-1", &command).await), "accepted");
        }
    }
    let kept = node
        .state
        .hub
        .events(&"notices/devices".parse().unwrap(), 0, 10)
        .await
        .unwrap();
    assert!(kept.0.len() <= 1, "only the operator's threshold raised an alarm");
}

#[tokio::test]
async fn a_visitor_controls_their_own_browser_and_no_other() {
    let node = node();
    let mut me = Visitor::new(&node, Way::WebSocket(Encoding::Json)).await;
    let ServerFrame::Welcome(welcome) = me.next().await else {
        panic!("no welcome")
    };
    let PersonId(id) = welcome.person.id;
    let own = format!("device/browser-{id}");
    let report = json!({ "report": { "readings": [{ "metric": "t", "value": 1 }] } });
    assert_eq!(said(&me.command(&own, &report).await), "accepted");
    let threshold = json!({ "set_threshold": { "metric": "t", "low": null, "high": 0.5, "hysteresis": 0.0 } });
    assert_eq!(said(&me.command(&own, &threshold).await), "accepted");
    assert_eq!(said(&me.command(&own, &order()).await), "accepted");
    let mut other = Visitor::new(&node, Way::WebSocket(Encoding::Json)).await;
    assert_eq!(said(&other.command(&own, &order()).await), "forbidden");
    let notices = node.state.hub.open(&"notices/devices".parse().unwrap()).await.unwrap();
    assert_eq!(notices.head().seq, 0, "one's own alarm is told to nobody else");
}

#[tokio::test]
async fn the_devices_page_offers_what_can_be_done() {
    let (node, demo) = (node(), node_with(true));
    with_device(&node, "oven-1").await;
    with_device(&demo, "oven-1").await;
    let cookie = sign_in(&node, TOKEN).await;
    let fields = "act=order&order=reboot&argument=";
    let english = ("accept-language", "en");
    let page =
        async |node: &Node, headers: &[(&str, &str)]| ask(node, ("GET", "/devices/oven-1"), headers, "").await.body;
    let offers = |page: &str| page.contains(r#"name="order""#) && page.contains(r#"name="hysteresis""#);
    assert!(!offers(&page(&node, &[english]).await));
    assert!(offers(&page(&node, &[english, ("cookie", &cookie)]).await));
    let shown_around = page(&demo, &[english]).await;
    assert!(offers(&shown_around) && shown_around.contains("--demo"));
    assert!(page(&demo, &[("accept-language", "ko")]).await.contains("--demo"));
    assert!(!page(&node, &[english]).await.contains("--demo"));

    let refused = form(&node, "/devices/oven-1", &[english], fields).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.body.contains("operator"), "{}", refused.body);
    let refused = form(&node, "/devices/oven-1", &[("accept-language", "ko")], fields).await;
    assert!(refused.body.contains("운영자"));
    let done = form(&node, "/devices/oven-1", &[english, ("cookie", &cookie)], fields).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
    let done = form(&demo, "/devices/oven-1", &[english], fields).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn what_wakes_a_topic_leaves_it_no_rights() {
    let node = node();
    let topic = "device/oven-1".parse().unwrap();
    // The operator's handle stays; a visitor's of the same topic has the visitor's rights.
    let _operators = node
        .state
        .hub
        .with_rights(Rights::operator())
        .open(&topic)
        .await
        .unwrap();
    with_device(&node, "oven-1").await;
    let mut stranger = Visitor::new(&node, Way::WebSocket(Encoding::Json)).await;
    stranger.subscribe("device/oven-1", None).await;
    assert_eq!(said(&stranger.command("device/oven-1", &order()).await), "role");
}

#[test]
fn tokens_are_made_listed_and_revoked_beside_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let early = stdout(&run(
        folder.path(),
        &["token", "create", "--role", "read", "--name", "early"],
    ));
    let early = early.trim();
    let server = Server::start(folder.path());
    let url = server.url();
    let topics = |token: &str| run(folder.path(), &["topics", "--url", &url, "--token", token]);
    assert!(topics(early).status.success(), "made before the first start");
    let made = run(
        folder.path(),
        &["token", "create", "--role", "notify", "--expires", "90d"],
    );
    let notifier = stdout(&made).trim().to_owned();
    assert_eq!(stdout(&made).lines().count(), 1, "the token alone, for scripts");
    let refused = topics(&notifier);
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("the role read"),
        "{refused:?}"
    );
    let notified = run(
        folder.path(),
        &["notify", "--everyone", "hello", "--url", &url, "--token", &notifier],
    );
    assert!(notified.status.success(), "{notified:?}");

    let list = stdout(&run(folder.path(), &["token", "list"]));
    assert!(
        list.contains("early") && list.contains("legacy") && list.contains("good for 89 days"),
        "{list}"
    );
    assert!(!list.contains(early) && !list.contains(&notifier[20..]));
    let id = list.lines().find(|line| line.contains("early")).unwrap();
    let (id, _) = id.split_once(' ').unwrap();
    assert!(run(folder.path(), &["token", "revoke", id]).status.success());
    let refused = topics(early);
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("revoked"),
        "{refused:?}"
    );
    assert!(!run(folder.path(), &["token", "revoke", "none"]).status.success());

    let legacy = stdout(&run(folder.path(), &["token"])).trim().to_owned();
    assert!(topics(&legacy).status.success());
    assert!(run(folder.path(), &["token", "revoke", "legacy"]).status.success());
    let refused = topics(&legacy);
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("revoked"),
        "{refused:?}"
    );
    assert!(!run(folder.path(), &["token"]).status.success());
    drop(server);
    let server = Server::start(folder.path());
    let refused = run(folder.path(), &["topics", "--url", &server.url(), "--token", &legacy]);
    assert!(!refused.status.success(), "none is made again");
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        let text = if path.is_file() {
            std::fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let text = String::from_utf8_lossy(&text);
        assert!(
            !text.contains(early) && !text.contains(&notifier),
            "{path:?} holds a token"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_ends_when_its_token_is_revoked_beside_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let made = stdout(&run(folder.path(), &["token", "create", "--role", "read"]));
    let bearer = format!("Bearer {}", made.trim());
    let stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let headers = [
        ("sec-websocket-protocol", "duplex.v1.json"),
        ("authorization", bearer.as_str()),
    ];
    let (mut socket, _) = open(stream, "/api/session", &headers).await.unwrap();
    socket.ask(r#"{"hello":{"build":"","name":null}}"#).await;
    let list = stdout(&run(folder.path(), &["token", "list"]));
    let id = list.lines().find(|line| line.contains(" read ")).unwrap();
    run(folder.path(), &["token", "revoke", id.split_once(' ').unwrap().0]);
    assert!(socket.receive().await.into_text().unwrap().contains("closing"));
    assert_eq!(socket.closed().await, Some((4502, "the token is revoked".to_owned())));
}

#[test]
fn a_sign_in_link_goes_to_a_terminal_only_and_a_command_makes_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = duplex(folder.path());
    command
        .args(["--addr", "127.0.0.1:0", "--log", "debug", "--site"])
        .arg(site(folder.path()));
    let mut process = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = std::io::BufReader::new(process.stdout.take().unwrap());
    let mut first = String::new();
    std::io::BufRead::read_line(&mut out, &mut first).unwrap();
    let addr = first.trim().strip_prefix("http://").unwrap().to_owned();
    let link = stdout(&run(folder.path(), &["sign-in", "--url", &format!("http://{addr}")]));
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
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let entered = post(code);
    assert!(
        entered.starts_with("HTTP/1.1 303") && entered.contains("operator="),
        "{entered}"
    );
    assert!(post(code).starts_with("HTTP/1.1 403"));
    process.kill().unwrap();
    process.wait().unwrap();
    let (mut rest, mut log) = (String::new(), String::new());
    out.read_to_string(&mut rest).unwrap();
    process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(!rest.contains("sign-in"), "a pipe may be kept: {rest}");
    assert!(!log.contains(code), "the log shows no code");
}
