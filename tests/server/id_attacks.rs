//! Attacks with command ids or session ids that the attacker knows in advance.

use std::io::Read as _;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use duplex::apps::chat::wire::{ALL_ROOMS, Chat, ChatCommand, LOBBY, Rooms, RoomsCommand};
use duplex::apps::chat::{model::Room, server::commands::RoomsServerCommand};
use duplex::apps::market::wire::Alerts;
use duplex::server::token::Token;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Cursor;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{
    Answer, COMMAND_PATH, ClientFrame, CommandId, Rejection, SESSION_PATH, ServerFrame, Verdict,
};
use duplex_protocol::topic::{Topic, TopicName};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::kinds::{self, Note};
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{Node, WebSocketClient, open, wait_until, with_timeout};

const TOKEN: &str = "a-token-for-the-tests";

fn apps_node() -> Node {
    Node::with_apps(|settings| settings.token = Some(Token::new(TOKEN).unwrap()))
}

fn hashed_id(parts: &[&[u8]]) -> CommandId {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    CommandId::from_bits(CommandId::digest_bits(&hash.finalize()))
}

async fn state<T: Topic>(node: &Node, rest: &str) -> (Cursor, T::State) {
    let topic = node.state.hub.open(&TopicName::of::<T>(rest).unwrap()).await.unwrap();
    let (cursor, state) = topic.state(Encoding::Json).await.unwrap();
    (cursor, state.decode(Encoding::Json).unwrap())
}

#[tokio::test]
async fn a_command_id_is_deduplicated_per_sender_only() {
    for (number, (attacker_transport, victim_transport)) in Transport::ALL
        .iter()
        .flat_map(|one| Transport::ALL.map(|other| (*one, other)))
        .enumerate()
    {
        let node = Node::new();
        let (mut attacker, mut victim) = (
            Visitor::new(&node, attacker_transport).await,
            Visitor::new(&node, victim_transport).await,
        );
        let id = || CommandId::from_bits(number as u128);
        let rejected = || CommandId::from_bits(1000 + number as u128);
        let add = |text: &str| Note::Add(text.to_owned());
        // An accepted command and a permanently rejected one: both answers are stored.
        let attack = attacker.command_with_id("notes/a", id(), &add("attack")).await;
        assert_eq!(attack, (Answer::Accepted { seq: 1 }, false));
        let (answer, _) = attacker.command_with_id("notes/a", rejected(), &add("")).await;
        assert!(matches!(answer, Answer::Rejected(Rejection::Custom { .. })));
        let sent = victim.command_with_id("notes/a", id(), &add("mine")).await;
        assert_eq!(
            sent,
            (Answer::Accepted { seq: 2 }, false),
            "{attacker_transport:?}, {victim_transport:?}"
        );
        let sent = victim.command_with_id("notes/a", rejected(), &add("mine too")).await;
        assert_eq!(sent, (Answer::Accepted { seq: 3 }, false));
        // Each sender's command is deduplicated with its own answer.
        let resent = victim.command_with_id("notes/a", id(), &add("mine")).await;
        assert_eq!(resent, (Answer::Accepted { seq: 2 }, true));
        let resent = attacker.command_with_id("notes/a", id(), &add("attack")).await;
        assert_eq!(resent, (Answer::Accepted { seq: 1 }, true));
    }
}

#[tokio::test]
async fn ids_are_deduplicated_per_sender_after_a_restart() {
    let log = std::sync::Arc::new(duplex_hub::log::memory::MemoryLog::new(
        duplex_protocol::cursor::Epoch::new(7),
    ));
    let node = || Node::with_log(log.clone(), kinds::all());
    let first = node();
    let mut attacker = Visitor::new(&first, Transport::Poll).await;
    let id = || CommandId::from_bits(5);
    let note = Note::Add("x".to_owned());
    assert_eq!(
        attacker.command_with_id("notes/a", id(), &note).await.0,
        Answer::Accepted { seq: 1 }
    );
    with_timeout(first.state.hub.close()).await;
    let second = node();
    let mut victim = Visitor::new(&second, Transport::Poll).await;
    let sent = victim.command_with_id("notes/a", id(), &note).await;
    assert_eq!(sent, (Answer::Accepted { seq: 2 }, false));
    let mut attacker = attacker.at_node(&second);
    assert_eq!(
        attacker.command_with_id("notes/a", id(), &note).await,
        (Answer::Accepted { seq: 1 }, true)
    );
}

#[tokio::test]
async fn a_predicted_id_cannot_suppress_a_rooms_message_count() {
    let node = apps_node();
    let mut attacker = Visitor::new(&node, Transport::Poll).await;
    let rooms = format!("{}/{ALL_ROOMS}", Rooms::KIND);
    let create = RoomsCommand::Create {
        room: "tea".to_owned(),
        title: "Tea".to_owned(),
    };
    assert_eq!(attacker.command(&rooms, &create).await, Answer::Accepted { seq: 1 });
    // The id of the forward that the room's first message sends to the list.
    let epoch = state::<Chat>(&node, "tea").await.0.epoch.get();
    let numbers = [epoch, 1, 0].map(u64::to_be_bytes);
    let predicted = hashed_id(&[b"chat/tea", &[0], &numbers[0], &numbers[1], &numbers[2]]);
    let describe = RoomsCommand::Describe {
        room: "tea".to_owned(),
        description: "attack".to_owned(),
    };
    let (answer, _) = attacker.command_with_id(&rooms, predicted.clone(), &describe).await;
    assert_eq!(answer, Answer::Accepted { seq: 2 });
    let mut victim = Visitor::new(&node, Transport::Poll).await;
    let post = chat_post("hello");
    victim.command("chat/tea", &post).await;
    let count = async || state::<Rooms>(&node, ALL_ROOMS).await.1.rooms["tea"].count;
    wait_until(async || count().await == 1).await;
    // The server's own command with this id is answered as a duplicate, so the prediction was right.
    let (room, count, at) = ("tea".to_owned(), 1, 1);
    let command = RoomsServerCommand::Posted { room, count, at };
    let answer = node
        .state
        .hub
        .send_server_command::<Rooms>(ALL_ROOMS, predicted, &command)
        .await;
    assert_eq!(answer, Answer::Accepted { seq: 3 });
}

async fn post_readings(node: &Node, body: &Value) -> (StatusCode, Value) {
    let request = Request::post("/api/devices/sensor-1/readings")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .header("idempotency-key", "\"reading-1\"")
        .body(Body::from(body.to_string()))
        .unwrap();
    let answer = with_timeout(node.request(request)).await;
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

#[tokio::test]
async fn a_predicted_id_cannot_suppress_a_programs_reading() {
    let node = apps_node();
    let predicted = hashed_id(&[b"/api/devices/{id}/readings\0", b"device/sensor-1\0", b"reading-1\0"]);
    for transport in Transport::ALL {
        let mut attacker = Visitor::new(&node, transport).await;
        // A permanent rejection is stored as well.
        let command = json!({ "report": { "readings": [] } });
        let attack = async |attacker: &mut Visitor<'_>| {
            let id = predicted.clone();
            attacker.command_with_id("device/sensor-1", id, &command).await
        };
        let (answer, duplicate) = attack(&mut attacker).await;
        assert!(matches!(answer, Answer::Rejected(_)) && !duplicate, "{answer:?}");
        assert!(attack(&mut attacker).await.1, "the rejection is stored");
    }
    let reading = json!({ "readings": [{ "metric": "t", "value": 1.5, "unit": "C" }] });
    let (status, answer) = post_readings(&node, &reading).await;
    assert_eq!((status, &answer["again"]), (StatusCode::OK, &json!(false)), "{answer}");
    let (_, resent) = post_readings(&node, &reading).await;
    assert_eq!(resent["again"], json!(true), "{resent}");
}

async fn socket(node: &Node, target: &str) -> WebSocketClient<impl AsyncRead + AsyncWrite + Unpin + use<>> {
    let headers = [("sec-websocket-protocol", "duplex.v1.json")];
    let (mut client, _) = open(node.connect(), target, &headers).await.unwrap();
    send(&mut client, &hello()).await;
    client
}

const fn hello() -> ClientFrame {
    ClientFrame::Hello {
        build: String::new(),
        name: None,
    }
}

async fn send<S: AsyncRead + AsyncWrite + Unpin>(client: &mut WebSocketClient<S>, frame: &ClientFrame) {
    let text = String::from_utf8(Encoding::Json.encode(frame).unwrap()).unwrap();
    client.send(Message::text(text)).await;
}

async fn next_frame<S: AsyncRead + AsyncWrite + Unpin>(client: &mut WebSocketClient<S>) -> ServerFrame {
    Encoding::Json.decode(&client.receive().await.into_data()).unwrap()
}

/// The person and the session in the welcome frame.
async fn welcome<S: AsyncRead + AsyncWrite + Unpin>(client: &mut WebSocketClient<S>) -> (PersonId, String) {
    match next_frame(client).await {
        ServerFrame::Welcome(welcome) => (welcome.person.id, welcome.session.0),
        other => panic!("{other:?}"),
    }
}

fn chat_post(text: &str) -> ChatCommand {
    let text = text.to_owned();
    ChatCommand::Post { text, reply_to: None }
}

fn chat(command: &ChatCommand) -> ClientFrame {
    ClientFrame::Command {
        topic: format!("chat/{LOBBY}").parse().unwrap(),
        id: CommandId::from_bits(uuid::Uuid::new_v4().as_u128()),
        command: EncodedValue::encode(Encoding::Json, command).unwrap(),
    }
}

async fn post_as(node: &Node, session: &str, command: &ChatCommand) -> Answer {
    let request = Request::post(format!("{COMMAND_PATH}?session={session}"))
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Body::from(Encoding::Json.encode(&chat(command)).unwrap()))
        .unwrap();
    let answer = with_timeout(node.request(request)).await;
    match Encoding::Json.decode(answer.body.as_bytes()).unwrap() {
        ServerFrame::Reply { answer, .. } => answer,
        other => panic!("{other:?}"),
    }
}

/// The id of a connection is in the server's log and in its handshake record.
#[tokio::test]
async fn a_connection_id_does_not_identify_a_visitor_without_a_cookie() {
    let node = apps_node();
    let mut victim = socket(&node, SESSION_PATH).await;
    let (person, connection) = welcome(&mut victim).await;
    let post = chat_post("mine");
    send(&mut victim, &chat(&post)).await;
    assert!(matches!(
        next_frame(&mut victim).await,
        ServerFrame::Reply {
            answer: Answer::Accepted { seq: 1 },
            ..
        }
    ));
    let delete = ChatCommand::Delete { seq: 1 };
    for session in [connection.as_str(), person.0.as_str()] {
        let answer = post_as(&node, session, &delete).await;
        assert!(
            matches!(answer, Answer::Rejected(Rejection::Custom { .. })),
            "{answer:?}"
        );
        let mut other = socket(&node, &format!("{SESSION_PATH}?session={session}")).await;
        assert_ne!(welcome(&mut other).await.0, person);
    }
    let room: Room = state::<Chat>(&node, LOBBY).await.1;
    assert_eq!(
        (room.messages[0].text.as_str(), &room.messages[0].by.id),
        ("mine", &person)
    );
    assert_eq!(person.0.len(), 32);
    let mut another = socket(&node, SESSION_PATH).await;
    assert_ne!(welcome(&mut another).await.0, person, "the same person");
}

#[tokio::test]
async fn without_cookies_the_session_parameter_identifies_a_client_on_every_transport() {
    let node = apps_node();
    let target = format!("{SESSION_PATH}?session=0123456789abcdef");
    let (first, second) = (socket(&node, &target).await, socket(&node, &target).await);
    let [mut first, mut second] = [first, second];
    let person = welcome(&mut first).await.0;
    assert_eq!(welcome(&mut second).await.0, person);
    let post = chat_post("mine");
    let frame = chat(&post);
    for (client, duplicate) in [(&mut first, false), (&mut second, true)] {
        send(client, &frame).await;
        let ServerFrame::Reply {
            answer,
            duplicate: is_duplicate,
            ..
        } = next_frame(client).await
        else {
            panic!("no reply")
        };
        assert_eq!((answer, is_duplicate), (Answer::Accepted { seq: 1 }, duplicate));
    }
    assert_eq!(
        post_as(&node, "0123456789abcdef", &ChatCommand::Delete { seq: 1 }).await,
        Answer::Accepted { seq: 2 }
    );
}

/// A visitor with a secret of either form has an inbox, alerts and a browser device.
#[tokio::test]
async fn both_forms_of_visitor_secrets_have_their_own_topics() {
    let node = apps_node();
    let first = node.get("/chat").await;
    let cookie = first.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(cookie.contains("visitor=v2."), "{cookie}");
    for (cookie, digits) in [(cookie.as_str(), 32), ("visitor=0123456789abcdef0123456789abcdef", 16)] {
        let headers = [("sec-websocket-protocol", "duplex.v1.json"), ("cookie", cookie)];
        let (mut client, _) = open(node.connect(), SESSION_PATH, &headers).await.unwrap();
        send(&mut client, &hello()).await;
        let (person, _) = welcome(&mut client).await;
        assert_eq!(person.0.len(), digits);
        for topic in [
            format!("inbox/{}", person.0),
            TopicName::of::<Alerts>(&person.0).unwrap().to_string(),
            format!("device/browser-{}", person.0),
        ] {
            let topic: TopicName = topic.parse().unwrap();
            let cursor = None;
            send(&mut client, &ClientFrame::Subscribe { topic, cursor }).await;
            let verdict = loop {
                if let ServerFrame::Verdict { verdict, .. } = next_frame(&mut client).await {
                    break verdict;
                }
            };
            assert!(matches!(verdict, Verdict::Reset { .. }), "{verdict:?}");
        }
        let notice = json!({ "to": { "visitor": person.0 }, "title": "Hello" });
        let request = Request::post("/api/notifications")
            .header("host", "localhost")
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("content-type", "application/json")
            .body(Body::from(notice.to_string()))
            .unwrap();
        let sent = with_timeout(node.request(request)).await;
        assert_eq!(sent.status, StatusCode::OK, "{}", sent.body);
    }
}

/// The server logs at its most verbose level; no secret of a client is in the log.
#[tokio::test]
async fn no_log_line_contains_a_secret_that_identifies_a_client() {
    use crate::harness::process::{duplex_command, minimal_site};
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("stderr");
    let mut process = duplex_command(dir.path())
        .args(["--addr", "127.0.0.1:0", "--log", "info,duplex=trace", "--site"])
        .arg(minimal_site(dir.path()))
        .stdout(std::process::Stdio::piped())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut head = [0; 7];
    let mut stdout = process.stdout.take().unwrap();
    stdout.read_exact(&mut head).unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
    let addr: std::net::SocketAddr = line.trim().parse().unwrap();
    let session = "5e5510f00000000000000000000000aa";
    let secret = "visitor=v2.c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U";
    let post = chat_post("hello");
    let frame = String::from_utf8(Encoding::Json.encode(&chat(&post)).unwrap()).unwrap();
    let length = frame.len();
    let send_request = async |request: String| {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
            .await
            .unwrap();
        let mut response = String::new();
        with_timeout(tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut response))
            .await
            .unwrap();
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    };
    let rest = format!("host: localhost\r\ncookie: {secret}\r\nconnection: close\r\n");
    send_request(format!(
        "GET /api/session/poll?session={session}&topics=chat/lobby&wait=0 HTTP/1.1\r\n{rest}\r\n"
    ))
    .await;
    send_request(format!(
        "POST {COMMAND_PATH}?session={session} HTTP/1.1\r\n{rest}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{frame}"
    ))
    .await;
    let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let headers = [("sec-websocket-protocol", "duplex.v1.json"), ("cookie", secret)];
    let target = format!("{SESSION_PATH}?session={session}");
    let (mut client, _) = open(stream, &target, &headers).await.unwrap();
    send(&mut client, &hello()).await;
    welcome(&mut client).await;
    process.kill().unwrap();
    process.wait().unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("client connected"), "{text}");
    assert!(!text.contains(session) && !text.contains("c2VjcmV0"), "{text}");
}
