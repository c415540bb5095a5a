//! Bans, names and deletions against a running node: what an operator forbids holds on every way in, and nobody else forbids.

use std::path::Path;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use duplex::apps;
use duplex::apps::chat::wire::{Chat, ChatCommand, ChatEvent, RoomsCommand};
use duplex::server::moderation;
use duplex::server::token::Token;
use duplex::wire::code;
use duplex::wire::codec::{Blob, Encoding};
use duplex::wire::moderation::{ModerationCommand, Rules, Target};
use duplex::wire::person::{NAME_FIXED, NAME_RESERVED, Person, PersonId};
use duplex::wire::session::{
    Answer as Reply, COMMAND_PATH, ClientFrame, Closing, CommandId, Denied, EVENTS_PATH, HISTORY_PATH, POLL_PATH,
    Rejection, SESSION_PATH, ServerFrame, Verdict,
};
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpStream;

use crate::harness::process::{Running, Server, run, stdout};
use crate::harness::topics::{Visitor, Way};
use crate::harness::{Answer, Node, open, until, within};

const TOKEN: &str = "a-token-for-the-tests";
const RULES: &str = "moderation/all";
const LOBBY: &str = "chat/lobby";
const WAYS: [Way; 4] = [
    Way::WebSocket(Encoding::Json),
    Way::WebSocket(Encoding::Postcard),
    Way::Sse,
    Way::Poll,
];

async fn node() -> Node {
    let node = Node::of(apps::server::kinds(), Path::new("/nonexistent"), |settings| {
        settings.token = Some(Token::new(TOKEN).unwrap());
        settings.node = "seoul-1".to_owned();
    });
    moderation::start(&node.state).await;
    node
}

/// A command with an operator's rights.
async fn operate<C: Serialize>(node: &Node, topic: &str, command: &C) -> Reply {
    let frame = ClientFrame::Command {
        topic: topic.parse().unwrap(),
        id: CommandId::from_random(uuid::Uuid::new_v4().as_u128()),
        command: Blob::encode(Encoding::Json, command).unwrap(),
    };
    let bearer = format!("Bearer {TOKEN}");
    let request = Request::post(format!("{COMMAND_PATH}?session=operator"))
        .header("host", "localhost")
        .header("authorization", bearer)
        .body(Body::from(Encoding::Json.encode(&frame).unwrap()))
        .unwrap();
    let answer = within(node.request(request)).await;
    let frame = Encoding::Json.decode(answer.body.as_bytes());
    let Ok(ServerFrame::Reply { answer, .. }) = frame else {
        panic!("{} {}", answer.status, answer.body)
    };
    answer
}

async fn ban(node: &Node, target: Target) {
    let command = ModerationCommand::Ban {
        target,
        until: None,
        reason: "spam <b>".to_owned(),
    };
    let answer = operate(node, RULES, &command).await;
    assert!(matches!(answer, Reply::Accepted { .. }), "{answer:?}");
}

/// Who the server takes the bearer of this cookie for.
async fn person(node: &Node, cookie: &str) -> Person {
    let answer = ask(node, "GET", &format!("{POLL_PATH}?session=s&wait=0"), cookie, "").await;
    let frames: Vec<ServerFrame> = Encoding::Json.decode(answer.body.as_bytes()).unwrap();
    let found = frames.into_iter().find_map(|frame| match frame {
        ServerFrame::Welcome(welcome) => Some(welcome.person),
        _ => None,
    });
    found.unwrap()
}

async fn ask(node: &Node, method: &str, path: &str, cookie: &str, body: &str) -> Answer {
    let kind = if body.starts_with('{') {
        "application/json"
    } else {
        "application/x-www-form-urlencoded"
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .header("accept", "text/html")
        .header("accept-language", "en")
        .header("content-type", kind)
        .header("cookie", cookie);
    node.page(request.body(Body::from(body.to_owned())).unwrap()).await
}

fn post(text: &str) -> ChatCommand {
    ChatCommand::Post {
        text: text.to_owned(),
        reply_to: None,
    }
}

/// The address of a way in, and the status of a handshake there.
async fn handshake(node: &Node, path: &str, cookie: &str) -> StatusCode {
    let headers = [("cookie", cookie), ("sec-websocket-protocol", "duplex.v1.json")];
    match open(node.connect(), path, &headers).await {
        Ok(_) => StatusCode::SWITCHING_PROTOCOLS,
        Err(error) => match *error {
            tokio_tungstenite::tungstenite::Error::Http(answer) => answer.status(),
            other => panic!("{path}: {other}"),
        },
    }
}

const SOCKETS: [&str; 4] = [SESSION_PATH, "/api/echo", "/api/socket", "/api/arena"];

async fn knocks(node: &Node, cookie: &str) -> Vec<(String, StatusCode)> {
    let command = r#"{"command":{"topic":"chat/lobby","id":"00000000000000000000000000000001","command":{"post":{"text":"x","reply_to":null}}}}"#;
    let history = format!("{HISTORY_PATH}?topic={LOBBY}");
    let (events, poll) = (
        format!("{EVENTS_PATH}?session=s"),
        format!("{POLL_PATH}?session=s&wait=0"),
    );
    let posted = format!("{COMMAND_PATH}?session=s");
    let requests = [
        ("GET", "/chat", ""),
        ("GET", "/", ""),
        ("POST", "/chat", "message=x"),
        ("GET", &history, ""),
        ("GET", &poll, ""),
        ("POST", &posted, command),
        ("POST", "/api/arena/turn?seat=s", ""),
    ];
    let mut found = Vec::new();
    for (method, path, body) in requests {
        found.push((
            format!("{method} {path}"),
            ask(node, method, path, cookie, body).await.status,
        ));
    }
    for path in [events.as_str(), apps::NEWS] {
        // An answer that goes on: its head is enough.
        let request = Request::get(path).header("host", "localhost").header("cookie", cookie);
        let request = request.body(Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(node.router.clone(), request).await.unwrap();
        found.push((path.to_owned(), response.status()));
    }
    for path in SOCKETS {
        found.push((path.to_owned(), handshake(node, path, cookie).await));
    }
    found
}

#[tokio::test]
async fn a_banned_person_is_kept_out_of_every_way_in() {
    let node = node().await;
    let (mine, other) = (Visitor::new(&node, Way::Sse).await, Visitor::new(&node, Way::Sse).await);
    let me = person(&node, &mine.cookie()).await;
    for (way, status) in knocks(&node, &mine.cookie()).await {
        assert_ne!(status, StatusCode::FORBIDDEN, "{way}");
    }
    ban(&node, Target::Person(me.id.clone())).await;
    until(async || ask(&node, "GET", "/chat", &mine.cookie(), "").await.status == StatusCode::FORBIDDEN).await;
    for (way, status) in knocks(&node, &mine.cookie()).await {
        assert_eq!(status, StatusCode::FORBIDDEN, "{way}");
    }
    for (way, status) in knocks(&node, &other.cookie()).await {
        assert_ne!(status, StatusCode::FORBIDDEN, "{way}");
    }
    let page = ask(&node, "GET", "/chat", &mine.cookie(), "").await;
    assert!(
        page.body.contains("has banned you") && page.body.contains("spam &lt;b&gt;"),
        "{}",
        page.body
    );
    let problem = ask(&node, "GET", &format!("{POLL_PATH}?session=s"), &mine.cookie(), "").await;
    assert!(problem.problem().contains("banned"));
    for open in ["/healthz", "/status", "/api/operator/sign-in"] {
        let status = ask(&node, "GET", open, &mine.cookie(), "").await.status;
        assert_ne!(status, StatusCode::FORBIDDEN, "{open}");
    }
    let unban = ModerationCommand::Unban {
        target: Target::Person(me.id),
    };
    operate(&node, RULES, &unban).await;
    until(async || ask(&node, "GET", "/chat", &mine.cookie(), "").await.status == StatusCode::OK).await;
}

#[tokio::test]
async fn what_a_banned_person_has_open_ends_with_a_code() {
    for way in WAYS {
        let node = node().await;
        let mut visitor = Visitor::new(&node, way).await;
        let mut other = Visitor::new(&node, way).await;
        visitor.subscribe(LOBBY, None).await;
        other.subscribe(LOBBY, None).await;
        let me = person(&node, &visitor.cookie()).await;
        // Between two polls there is nothing to end: the next one is turned away.
        if way == Way::Poll {
            ban(&node, Target::Person(me.id)).await;
            until(async || ask(&node, "GET", "/chat", &visitor.cookie(), "").await.status == StatusCode::FORBIDDEN)
                .await;
            continue;
        }
        let closed = async {
            loop {
                if let ServerFrame::Closing { reason, .. } = visitor.next().await {
                    break reason;
                }
            }
        };
        let (reason, ()) = tokio::join!(closed, ban(&node, Target::Person(me.id.clone())));
        assert_eq!(reason, Closing::Banned, "{way:?}");
        if let Way::WebSocket(_) = way {
            let (closed, _) = visitor.socket().await.closed().await.unwrap();
            assert_eq!(closed, code::BANNED);
            assert!(!code::may_return(closed));
        }
        let answer = other.command(LOBBY, &post("still here")).await;
        assert!(matches!(answer, Reply::Accepted { .. }), "{way:?}");
        assert!(matches!(other.event::<Chat>().await.1, ChatEvent::Posted { .. }));
    }
}

#[tokio::test]
async fn a_poll_and_a_socket_of_each_kind_end_when_their_person_is_banned() {
    let node = node().await;
    let visitor = Visitor::new(&node, Way::Poll).await;
    let (cookie, me) = (visitor.cookie(), person(&node, &visitor.cookie()).await);
    let mut sockets = Vec::new();
    for path in ["/api/echo", "/api/arena"] {
        let (client, _) = open(node.connect(), path, &[("cookie", &cookie)]).await.unwrap();
        sockets.push(client);
    }
    let path = format!("{POLL_PATH}?session=s&topics={LOBBY}");
    let first = ask(&node, "GET", &format!("{path}&wait=0"), &cookie, "").await;
    let frames: Vec<ServerFrame> = Encoding::Json.decode(first.body.as_bytes()).unwrap();
    let cursor = frames.into_iter().find_map(|frame| match frame {
        ServerFrame::Verdict {
            verdict: Verdict::Reset { cursor, .. },
            ..
        } => Some(cursor),
        _ => None,
    });
    let waiting = format!("{path}@{}", cursor.unwrap());
    let (answer, ()) = tokio::join!(
        ask(&node, "GET", &waiting, &cookie, ""),
        ban(&node, Target::Person(me.id))
    );
    assert!(
        answer.status == StatusCode::FORBIDDEN || answer.body.contains("banned"),
        "{}",
        answer.body
    );
    for mut socket in sockets {
        let code: u16 = loop {
            if let tokio_tungstenite::tungstenite::Message::Close(frame) = socket.receive().await {
                break frame.unwrap().code.into();
            }
        };
        assert_eq!(code, code::BANNED);
    }
}

#[tokio::test]
async fn a_banned_address_is_kept_out_and_its_operator_is_not() {
    let node = node().await;
    let listening = node.listen().await;
    let get = async |path: &str, token: Option<&str>| {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut stream = TcpStream::connect(listening.addr).await.unwrap();
        let bearer = token.map(|token| format!("authorization: Bearer {token}\r\n"));
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\n{}connection: close\r\n\r\n",
            bearer.unwrap_or_default()
        );
        within(stream.write_all(head.as_bytes())).await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        answer[9..12].parse::<u16>().unwrap()
    };
    let protocol = [("sec-websocket-protocol", "duplex.v1.json")];
    let (mut live, _) = open(listening.connect().await, SESSION_PATH, &protocol).await.unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let operator = [protocol[0], ("authorization", bearer.as_str())];
    let (mut operators, _) = open(listening.connect().await, SESSION_PATH, &operator).await.unwrap();
    assert_eq!(get("/api/vitals", None).await, 200);
    ban(&node, Target::Address("127.0.0.0/8".to_owned())).await;
    assert!(live.receive().await.to_string().contains("banned"));
    assert_eq!(live.closed().await.unwrap().0, code::BANNED);
    assert_eq!(get("/api/vitals", None).await, 403);
    assert_eq!(get("/healthz", None).await, 200);
    assert_eq!(get("/api/vitals", Some(TOKEN)).await, 200);
    operators.send(r#"{"hello":{"build":"","name":null}}"#).await;
    assert!(operators.receive().await.to_string().contains("welcome"));
}

#[tokio::test]
async fn a_ban_holds_after_a_start() {
    let node = node().await;
    let mine = Visitor::new(&node, Way::Poll).await;
    let me = person(&node, &mine.cookie()).await;
    ban(&node, Target::Person(me.id)).await;
    let again = Node {
        state: duplex::server::state::ServerState::new(
            duplex::server::state::Settings::default(),
            node.state.options.clone(),
            node.state.hub.clone(),
        ),
        router: node.router.clone(),
    };
    moderation::start(&again.state).await;
    let subject = moderation::Subject {
        person: Some(person_id(&node, &mine.cookie())),
        ..moderation::Subject::default()
    };
    assert!(
        again.state.moderation.find(&subject).is_some(),
        "at once: no request comes before"
    );
}

fn person_id(node: &Node, cookie: &str) -> PersonId {
    let headers = [(axum::http::header::COOKIE, cookie.parse().unwrap())]
        .into_iter()
        .collect();
    let nowhere = axum::http::Extensions::new();
    let subject = moderation::Subject::of(&node.state, &headers, &nowhere, moderation::Otherwise::New);
    subject.person.unwrap()
}

#[tokio::test]
async fn nobody_but_an_operator_forbids() {
    for way in WAYS {
        let node = node().await;
        let mut visitor = Visitor::new(&node, way).await;
        let verdict = visitor.subscribe(RULES, None).await;
        let reason = Denied::Forbidden;
        assert_eq!(verdict, Verdict::Denied { reason }, "{way:?}");
        let target = Target::Person(PersonId("0a".to_owned()));
        let ban = ModerationCommand::Ban {
            target,
            until: None,
            reason: String::new(),
        };
        let answer = visitor.command(RULES, &ban).await;
        assert_eq!(answer, Reply::Rejected(Rejection::Denied(Denied::Forbidden)), "{way:?}");
        let close = visitor.command(LOBBY, &ChatCommand::Close).await;
        assert!(matches!(close, Reply::Rejected(_)), "{way:?}");
        let delete = RoomsCommand::Delete {
            room: "room".to_owned(),
        };
        assert!(matches!(
            visitor.command("rooms/all", &delete).await,
            Reply::Rejected(_)
        ));
    }
}

/// Posts, and says under which name.
async fn name_of(visitor: &mut Visitor<'_>) -> String {
    visitor.command(LOBBY, &post("hello")).await;
    loop {
        if let (_, ChatEvent::Posted { by, .. }) = visitor.event::<Chat>().await {
            return by.name;
        }
    }
}

#[tokio::test]
async fn a_reserved_name_is_refused_and_the_former_stays() {
    let node = node().await;
    let mut visitor = Visitor::new(&node, Way::WebSocket(Encoding::Json)).await;
    visitor.subscribe(LOBBY, None).await;
    let rename = |name: &str| ClientFrame::Rename { name: name.to_owned() };
    visitor.say(&rename(" Kim\u{202e}\u{200b} ")).await;
    assert_eq!(name_of(&mut visitor).await, "Kim");
    for name in [
        "admin",
        "аdmin",
        "A d m i n",
        "adm1n",
        "운영자",
        "관리자",
        "Duplex",
        "SEOUL-1",
        "ser\u{200b}ver",
    ] {
        visitor.say(&rename(name)).await;
        let why = loop {
            if let ServerFrame::NameRefused { why } = visitor.next().await {
                break why;
            }
        };
        assert_eq!(why, NAME_RESERVED, "{name}");
        assert_eq!(name_of(&mut visitor).await, "Kim", "{name}");
        let (status, answer) = visitor.post(&rename(name)).await;
        assert_eq!(status, StatusCode::OK);
        assert!(matches!(answer, Some(ServerFrame::NameRefused { .. })), "{name}");
    }
    // The name that cookies and forms bring.
    let cookie = format!("{}; name=%D0%B0dmin", visitor.cookie());
    assert_eq!(person(&node, &cookie).await.name, "");
    let form = ask(
        &node,
        "POST",
        "/chat",
        &visitor.cookie(),
        "message=x&name=Administrator",
    )
    .await;
    assert_eq!(form.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(form.body.contains("This name is reserved"), "said on the page");
    assert_eq!(form.header("set-cookie"), "");
    let cookie = format!("{}; name=%E2%80%AE%E2%80%8B%E3%85%A4%F3%A0%81%81", visitor.cookie());
    assert_eq!(person(&node, &cookie).await.name, "", "nothing of it can be seen");
}

#[tokio::test]
async fn an_operator_gives_a_name_that_stays() {
    for way in WAYS {
        let node = node().await;
        let mut visitor = Visitor::new(&node, way).await;
        visitor.subscribe(LOBBY, None).await;
        let me = person(&node, &visitor.cookie()).await;
        let rename = |name: &str| ModerationCommand::Rename {
            person: me.id.clone(),
            name: name.to_owned(),
        };
        operate(&node, RULES, &rename("Lee")).await;
        until(async || person(&node, &visitor.cookie()).await.name == "Lee").await;
        if let Way::WebSocket(_) = way {
            let told = loop {
                if let ServerFrame::Welcome(welcome) = visitor.next().await
                    && !welcome.person.name.is_empty()
                {
                    break welcome.person;
                }
            };
            assert_eq!(told.name, "Lee");
            let name = "Kim".to_owned();
            visitor.say(&ClientFrame::Rename { name }).await;
            loop {
                if let ServerFrame::NameRefused { why } = visitor.next().await {
                    assert_eq!(why, NAME_FIXED);
                    break;
                }
            }
        }
        assert_eq!(name_of(&mut visitor).await, "Lee", "{way:?}");
        operate(&node, RULES, &rename("")).await;
        until(async || person(&node, &visitor.cookie()).await.name.is_empty()).await;
    }
}

#[tokio::test]
async fn what_cannot_be_seen_is_no_message_and_no_title() {
    let node = node().await;
    let mut visitor = Visitor::new(&node, Way::WebSocket(Encoding::Json)).await;
    for text in [
        "\u{200b}",
        "\u{3164}\u{2800}",
        "\u{202e}\u{2066}",
        "\u{fe0f}\u{e0041}",
        "\u{301}",
    ] {
        let answer = visitor.command(LOBBY, &post(text)).await;
        assert_eq!(answer, Reply::Rejected(Rejection::refused("empty")), "{text:?}");
        let create = RoomsCommand::Create {
            room: "room".to_owned(),
            title: text.to_owned(),
        };
        let answer = visitor.command("rooms/all", &create).await;
        assert_eq!(answer, Reply::Rejected(Rejection::refused("bad_title")), "{text:?}");
    }
}

/// The rules as an operator reads them.
async fn rules(node: &Node) -> Rules {
    let topic = RULES.parse().unwrap();
    let handle = node.state.hub.open(&topic).await.unwrap();
    handle
        .state(Encoding::Json)
        .await
        .unwrap()
        .1
        .decode(Encoding::Json)
        .unwrap()
}

#[tokio::test]
async fn a_bad_rule_is_refused() {
    let node = node().await;
    let ban = |target: Target| ModerationCommand::Ban {
        target,
        until: None,
        reason: String::new(),
    };
    let address = |text: &str| ban(Target::Address(text.to_owned()));
    for wrong in [
        "",
        "localhost",
        "1.2.3",
        "0.0.0.0/0",
        "::/0",
        "300.1.1.1",
        "192.0.2.1/33",
    ] {
        let answer = operate(&node, RULES, &address(wrong)).await;
        assert_eq!(answer, Reply::Rejected(Rejection::refused("bad_address")), "{wrong}");
    }
    for wrong in ["", "A b", "ffffffffffffffff", "0000000000000000"] {
        let answer = operate(&node, RULES, &ban(Target::Person(PersonId(wrong.to_owned())))).await;
        assert!(matches!(answer, Reply::Rejected(Rejection::Refused { .. })), "{wrong}");
    }
    for text in [
        "192.0.2.7",
        "192.0.2.7/32",
        "::ffff:192.0.2.7",
        "2001:db8::7",
        "2001:db8::/64",
    ] {
        operate(&node, RULES, &address(text)).await;
    }
    let rules = rules(&node).await;
    let kept: Vec<_> = rules.bans.into_iter().map(|(target, _)| target).collect();
    assert_eq!(
        kept,
        ["192.0.2.7", "2001:db8::/64"].map(|text| Target::Address(text.to_owned()))
    );
}

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
fn no_file_holds_what_was_deleted() {
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
    let tail = Running::start(folder, &["tail", LOBBY, "--from", "start", "--url", &url]);
    for _ in 1..=4 {
        let line = tail.line();
        assert!(SECRETS.iter().all(|secret| !line.contains(secret)), "{line}");
    }
}

#[test]
fn a_deleted_room_is_gone_from_every_file_and_does_not_come_back() {
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
async fn who_is_in_a_room_is_told_that_it_is_deleted() {
    for way in WAYS {
        let node = node().await;
        let mut visitor = Visitor::new(&node, way).await;
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
            } = visitor.next().await
            {
                assert_eq!(reason, Denied::Unknown, "{way:?}");
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
        assert_eq!(answer, Reply::Rejected(Rejection::Denied(Denied::Unknown)), "{way:?}");
        let again = visitor.command("rooms/all", &create).await;
        assert!(matches!(again, Reply::Rejected(_)), "{way:?}");
        let lobby = operate(
            &node,
            RULES,
            &ModerationCommand::Close {
                topic: LOBBY.parse().unwrap(),
            },
        )
        .await;
        assert_eq!(lobby, Reply::Rejected(Rejection::refused("topic_stays")));
    }
}

#[tokio::test]
async fn a_visitor_deletes_nobody_elses_message() {
    let node = node().await;
    let mut visitor = Visitor::new(&node, Way::WebSocket(Encoding::Json)).await;
    let mut other = Visitor::new(&node, Way::Poll).await;
    visitor.command(LOBBY, &post("mine")).await;
    let delete = ChatCommand::Delete { seq: 1 };
    let refused = Reply::Rejected(Rejection::refused("not_yours"));
    assert_eq!(other.command(LOBBY, &delete).await, refused);
    assert!(matches!(operate(&node, LOBBY, &delete).await, Reply::Accepted { .. }));
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
