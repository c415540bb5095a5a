//! Rate limits and quotas on the running server: limited clients do not affect others.

mod topics;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use duplex::apps;
use duplex::apps::chat::wire::{ChatCommand, RoomsCommand};
use duplex::server::state::Settings;
use duplex_hub::Hub;
use duplex_hub::log::memory::MemoryLog;
use duplex_hub::quota::{Address, ClientKey, Rate, Resource};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Epoch;
use duplex_protocol::session::{Answer, COMMAND_PATH, ClientFrame, CommandId, POLL_PATH, Rejection, ServerFrame};
use futures_util::future::join_all;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::kinds::Note;
use crate::harness::raw::RawConnection;
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{self, ECHO_PATH, Node, SOCKET_PATH, open, wait_until};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const OTHER_CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

/// A node with limits.
fn limited_node(change: impl FnOnce(&mut Settings)) -> Node {
    Node::with_settings(|settings| {
        settings.limits = true;
        change(settings);
    })
}

/// A node with limits and the applications' topics, of which `capacity` may be awake.
fn limited_apps_node(capacity: usize) -> Node {
    let log = Arc::new(MemoryLog::new(Epoch::new(7)));
    let hub = Hub::with_max_topics(log, apps::server::Apps::default().kinds(), capacity);
    Node::with_hub(hub, Path::new("/nonexistent"), |settings| settings.limits = true)
}

fn with_peer(address: IpAddr, mut request: Request<Body>) -> Request<Body> {
    let peer = SocketAddr::new(address, 40_000);
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

fn get(address: IpAddr, path: &str) -> Request<Body> {
    let request = Request::get(path).header("host", "localhost");
    with_peer(address, request.body(Body::empty()).unwrap())
}

/// A posted command; `person` is the number in its visitor cookie.
fn post(
    address: IpAddr,
    person: Option<u128>,
    topic: &str,
    number: u128,
    command: &impl serde::Serialize,
) -> Request<Body> {
    let frame = ClientFrame::Command {
        topic: topic.parse().unwrap(),
        id: CommandId::from_bits(number),
        command: EncodedValue::encode(Encoding::Json, command).unwrap(),
    };
    let mut request = Request::post(format!("{COMMAND_PATH}?session=s-{number}")).header("host", "localhost");
    if let Some(person) = person {
        request = request.header("cookie", format!("visitor={person:032x}"));
    }
    let body = Body::from(Encoding::Json.encode(&frame).unwrap());
    with_peer(address, request.body(body).unwrap())
}

async fn answer(node: &Node, request: Request<Body>) -> Answer {
    let response = node.request(request).await;
    assert_eq!(response.status, StatusCode::OK, "{}", response.body);
    match Encoding::Json.decode(response.body.as_bytes()).unwrap() {
        ServerFrame::Reply { answer, .. } => answer,
        frame => panic!("not a reply: {frame:?}"),
    }
}

fn note() -> Note {
    Note::Add("note".to_owned())
}

/// The number of rejections by a limit.
fn rejections(node: &Node, limit: &str) -> u64 {
    let rejections = node.state.quotas.rejections();
    rejections.into_iter().find(|(name, _)| *name == limit).unwrap().1
}

fn at(address: IpAddr) -> ClientKey {
    ClientKey {
        address: Some(Address::from(address)),
        person: None,
    }
}

/// Regression: all of 10,000 posts were accepted.
#[tokio::test(start_paused = true)]
async fn one_session_is_limited_to_the_rate_of_a_person() {
    let node = limited_node(|_| {});
    let (mut accepted, mut waits) = (0, 0);
    for number in 0..2_000 {
        match answer(&node, post(CLIENT, Some(1), "notes/a", number, &note())).await {
            Answer::Accepted { .. } => accepted += 1,
            Answer::Rejected(Rejection::TooFast { retry_after_ms }) => waits += u32::from(retry_after_ms > 0),
            Answer::Rejected(why) => panic!("{why}"),
        }
    }
    assert_eq!((accepted, waits, rejections(&node, "commands")), (300, 1_700, 1_700));
    // From another address it is the same person.
    let answer_elsewhere = answer(&node, post(OTHER_CLIENT, Some(1), "notes/b", 5_000, &note())).await;
    assert!(
        matches!(answer_elsewhere, Answer::Rejected(Rejection::TooFast { .. })),
        "{answer_elsewhere:?}"
    );
    let other = answer(&node, post(CLIENT, Some(2), "notes/a", 5_001, &note())).await;
    assert!(matches!(other, Answer::Accepted { .. }), "{other:?}");
}

/// Each session without a cookie is a new person.
#[tokio::test(start_paused = true)]
async fn many_persons_are_limited_to_the_rate_of_their_address() {
    let node = limited_node(|_| {});
    let mut accepted = 0;
    for number in 0..3_300 {
        let answer = answer(&node, post(CLIENT, None, "notes/a", number, &note())).await;
        accepted += u32::from(matches!(answer, Answer::Accepted { .. }));
    }
    assert_eq!(accepted, 3_000);
    let other = answer(&node, post(OTHER_CLIENT, None, "notes/a", 9_000, &note())).await;
    assert!(matches!(other, Answer::Accepted { .. }), "{other:?}");
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "listing routes waits for no page")]
async fn a_posted_form_counts_as_a_command() {
    let node = limited_apps_node(1_000);
    node.state.quotas.take_many(&at(CLIENT), Rate::Commands, 3_000).unwrap();
    let _guard = harness::ROUTE_LIST_LOCK.read().unwrap_or_else(PoisonError::into_inner);
    let form = |address| {
        let request = Request::post("/chat")
            .header("host", "localhost")
            .header("content-type", "application/x-www-form-urlencoded");
        node.request(with_peer(address, request.body(Body::from("message=hello")).unwrap()))
    };
    assert_eq!(form(CLIENT).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(rejections(&node, "commands"), 1);
    assert_eq!(form(OTHER_CLIENT).await.status, StatusCode::SEE_OTHER);
}

/// Regression: one client took all 300 connections.
#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let node = limited_node(|settings| settings.max_connections = 20);
    let mut sockets = Vec::new();
    for number in 0..10 {
        let path = if number % 2 == 0 { ECHO_PATH } else { SOCKET_PATH };
        sockets.push(open(node.connect_from(CLIENT), path, &[]).await.unwrap());
    }
    let Err(rejection) = open(node.connect_from(CLIENT), ECHO_PATH, &[]).await else {
        panic!("an eleventh connection")
    };
    let rejection = harness::rejected_response(*rejection);
    assert_eq!(rejection.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(rejection.headers()["retry-after"], "10");
    let stream = node.request(get(CLIENT, "/api/session/events?session=s&topics=")).await;
    assert_eq!(stream.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(stream.problem().contains("open_connections"));
    assert!(open(node.connect_from(OTHER_CLIENT), ECHO_PATH, &[]).await.is_ok());
    assert_eq!(rejections(&node, "open_connections"), 2);
    sockets.clear();
    wait_until(async || open(node.connect_from(CLIENT), ECHO_PATH, &[]).await.is_ok()).await;
}

/// Regression: 5,000 polls added 5,000 people to the lobby's presence.
#[tokio::test(start_paused = true)]
async fn one_address_cannot_inflate_presence() {
    let node = limited_node(|_| {});
    for number in 0..400 {
        let path = format!("{POLL_PATH}?session=s-{number}&topics=notes/a&wait=0");
        assert_eq!(node.request(get(CLIENT, &path)).await.status, StatusCode::OK);
    }
    let mut other = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    other.subscribe("notes/a", None).await;
    let presence = other.wait_for_presence(|presence| presence.people_count > 250).await;
    assert_eq!(
        presence.people_count, 251,
        "the limit of the address, and the other client"
    );
}

/// Regression: 800 posts locked players out of the arena.
#[tokio::test(start_paused = true)]
async fn one_address_cannot_fill_the_arena() {
    let node = limited_node(|_| {});
    let turn = |address, seat: u32| {
        let request = Request::post(format!("/api/arena/turn?seat=s-{seat}")).header("host", "localhost");
        node.request(with_peer(address, request.body(Body::empty()).unwrap()))
    };
    let answers = join_all((0..800).map(|seat| turn(CLIENT, seat))).await;
    let rejected = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(rejected.count(), 680);
    assert!(
        answers
            .iter()
            .all(|answer| answer.status != StatusCode::SERVICE_UNAVAILABLE)
    );
    assert_ne!(turn(OTHER_CLIENT, 1_000).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn a_too_fast_echo_client_is_closed_with_a_code() {
    let node = limited_node(|_| {});
    let mut client = open(node.connect_from(CLIENT), ECHO_PATH, &[]).await.unwrap().0;
    let mut answered = 0;
    let (code, reason) = loop {
        client.send("again").await;
        match client.receive().await {
            Message::Close(Some(frame)) => break (u16::from(frame.code), frame.reason.to_string()),
            _ => answered += 1,
        }
    };
    assert_eq!((answered, code), (5_000, 4001));
    assert!(reason.contains("retry in"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn requests_are_limited_and_health_checks_are_not() {
    let node = limited_node(|_| {});
    node.state
        .quotas
        .take_many(&at(CLIENT), Rate::Requests, 20_000)
        .unwrap();
    let answer = node.request(get(CLIENT, "/api/vitals")).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), "1");
    assert!(answer.problem().contains("requests"), "{}", answer.body);
    assert_eq!(
        node.request(get(OTHER_CLIENT, "/api/vitals")).await.status,
        StatusCode::OK
    );
    for path in ["/healthz", "/readyz"] {
        assert_eq!(node.request(get(CLIENT, path)).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_have_their_own_limit_and_a_retry_time() {
    let node = limited_node(|_| {});
    node.state.quotas.take_many(&at(CLIENT), Rate::Pages, 1_500).unwrap();
    for path in ["/", "/chat", "/no/such/page"] {
        let mut request = get(CLIENT, path);
        request.headers_mut().insert("accept", "text/html".parse().unwrap());
        let answer = node.request(request).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
        assert!(!answer.header("retry-after").is_empty());
        let both = answer.body.contains("잠시만") && answer.body.contains("Too many pages");
        assert!(both, "{}", answer.body);
    }
    assert_eq!(rejections(&node, "pages"), 3);
    assert_eq!(node.request(get(CLIENT, "/api/vitals")).await.status, StatusCode::OK);
    assert_eq!(node.state.quotas.take(&at(OTHER_CLIENT), Rate::Pages), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn rooms_are_limited_per_person_and_per_address() {
    let node = limited_apps_node(1_000);
    let mut created = 0;
    for number in 0..100_u128 {
        let (room, title) = (format!("r-{number}"), "Room".to_owned());
        let command = RoomsCommand::Create { room, title };
        let answer = answer(&node, post(CLIENT, Some(number / 20), "rooms/all", number, &command)).await;
        created += u32::from(matches!(answer, Answer::Accepted { .. }));
    }
    assert_eq!(created, 25, "five rooms of each of five people");
    assert_eq!(rejections(&node, "rooms"), 75);
}

/// A topic counts for the client that woke it until it is asleep again.
#[tokio::test]
async fn topics_kept_awake_by_one_client_are_limited() {
    let node = limited_apps_node(1_000);
    let topics: Vec<_> = (0..2_000)
        .map(|_| node.state.quotas.acquire(&at(CLIENT), Resource::Topics).unwrap())
        .collect();
    let command = ChatCommand::Post {
        text: "hello".to_owned(),
        reply_to: None,
    };
    let rejected = answer(&node, post(CLIENT, None, "chat/room", 1, &command)).await;
    assert!(
        matches!(&rejected, Answer::Rejected(why) if why.may_retry()),
        "{rejected:?}"
    );
    let other = answer(&node, post(OTHER_CLIENT, None, "chat/room", 2, &command)).await;
    assert!(matches!(other, Answer::Accepted { .. }), "{other:?}");
    drop(topics);
}

#[tokio::test(start_paused = true)]
async fn reads_are_limited_over_every_transport() {
    let node = limited_node(|_| {});
    node.state.quotas.take_many(&at(CLIENT), Rate::Reads, 30_000).unwrap();
    let poll = format!("{POLL_PATH}?session=s&topics=notes/a&wait=0");
    let polled = node.request(get(CLIENT, &poll)).await;
    assert!(polled.body.contains("denied"), "{}", polled.body);
    let history = "/api/session/history?topic=notes/a";
    assert_eq!(
        node.request(get(CLIENT, history)).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert!(!node.request(get(OTHER_CLIENT, &poll)).await.body.contains("denied"));
    assert_eq!(node.request(get(OTHER_CLIENT, history)).await.status, StatusCode::OK);
    assert!(rejections(&node, "reads") >= 2);
}

/// Idle connections count for their address only; health checks from that address are still answered.
#[tokio::test]
async fn one_address_cannot_take_all_tcp_connections() {
    let node = limited_node(|settings| settings.max_connections = 8);
    let listening = node.listen().await;
    let mut open = Vec::new();
    for _ in 0..12 {
        open.push(listening.connect().await);
    }
    let get = async |path: &str| {
        let mut raw = RawConnection(listening.connect().await);
        raw.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
            .await;
        raw.read_head().await
    };
    assert!(get("/api/vitals").await.starts_with("HTTP/1.1 503 "));
    assert_eq!(rejections(&node, "open_tcp"), 1);
    assert!(get("/healthz").await.starts_with("HTTP/1.1 200 "));
    drop(open);
    wait_until(async || get("/api/vitals").await.starts_with("HTTP/1.1 200 ")).await;
    node.state.shutdown.begin();
}

/// Twenty people with three tabs each behind one address, the use for which the defaults of [`duplex::server::quota`] are chosen.
#[tokio::test]
async fn normal_use_behind_one_address_is_not_limited() {
    let node = limited_apps_node(1_000);
    let mut tabs = Vec::new();
    for person in 1..=20_u128 {
        let cookie = format!("visitor={person:032x}");
        for _ in 0..3 {
            let mut page = get(CLIENT, "/chat");
            page.headers_mut().insert("cookie", cookie.parse().unwrap());
            assert_eq!(node.page(page).await.status, StatusCode::OK);
            let headers = [
                ("sec-websocket-protocol", "duplex.v1.json"),
                ("cookie", cookie.as_str()),
            ];
            let (mut tab, _) = open(node.connect_from(CLIENT), SOCKET_PATH, &headers).await.unwrap();
            tab.send(r#"{"hello":{"build":"","name":null}}"#).await;
            for topic in ["rooms/all", "chat/lobby", "notices/all"] {
                tab.send(format!(r#"{{"subscribe":{{"topic":"{topic}","cursor":null}}}}"#))
                    .await;
            }
            tabs.push((tab, open(node.connect_from(CLIENT), ECHO_PATH, &[]).await.unwrap()));
        }
        let text = "good morning".to_owned();
        let command = ChatCommand::Post { text, reply_to: None };
        let answer = answer(&node, post(CLIENT, Some(person), "chat/lobby", person, &command)).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }
    let rejections = node.state.quotas.rejections();
    assert!(rejections.iter().all(|(_, count)| *count == 0), "{rejections:?}");
}
