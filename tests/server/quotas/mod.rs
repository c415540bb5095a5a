//! Strangers who ask too much, against the running server: how much they get, and that others get what is theirs.

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
use duplex_hub::log::memory::Memory;
use duplex_hub::quota::{Address, Client, Rate, Resource};
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::cursor::Epoch;
use duplex_protocol::session::{Answer, COMMAND_PATH, ClientFrame, CommandId, POLL_PATH, Rejection, ServerFrame};
use futures_util::future::join_all;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::kinds::Note;
use crate::harness::raw::RawConnection;
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{self, ECHO_PATH, Node, SOCKET_PATH, open, wait_until};

const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const NEIGHBOUR: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

fn limited(change: impl FnOnce(&mut Settings)) -> Node {
    Node::with_settings(|settings| {
        settings.limits = true;
        change(settings);
    })
}

/// With the applications' topics, of which so many may be awake.
fn applications(room: usize) -> Node {
    let log = Arc::new(Memory::new(Epoch::new(7)));
    let hub = Hub::with_room(log, apps::server::Apps::default().kinds(), room);
    Node::with_hub(hub, Path::new("/nonexistent"), |settings| settings.limits = true)
}

fn from(address: IpAddr, mut request: Request<Body>) -> Request<Body> {
    let peer = SocketAddr::new(address, 40_000);
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

fn get(address: IpAddr, path: &str) -> Request<Body> {
    let request = Request::get(path).header("host", "localhost");
    from(address, request.body(Body::empty()).unwrap())
}

/// A posted command; `person`: a cookie of this number, or none.
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
        command: Blob::encode(Encoding::Json, command).unwrap(),
    };
    let mut request = Request::post(format!("{COMMAND_PATH}?session=s-{number}")).header("host", "localhost");
    if let Some(person) = person {
        request = request.header("cookie", format!("visitor={person:032x}"));
    }
    let body = Body::from(Encoding::Json.encode(&frame).unwrap());
    from(address, request.body(body).unwrap())
}

async fn answer(node: &Node, request: Request<Body>) -> Answer {
    let answer = node.request(request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    match Encoding::Json.decode(answer.body.as_bytes()).unwrap() {
        ServerFrame::Reply { answer, .. } => answer,
        frame => panic!("{frame:?} is no reply"),
    }
}

fn note() -> Note {
    Note::Add("note".to_owned())
}

fn refused(node: &Node, limit: &str) -> u64 {
    let refused = node.state.quotas.refused();
    refused.into_iter().find(|(name, _)| *name == limit).unwrap().1
}

fn at(address: IpAddr) -> Client {
    Client {
        address: Some(Address::from(address)),
        person: None,
    }
}

/// 10,000 of 10,000 were accepted once.
#[tokio::test(start_paused = true)]
async fn one_session_is_limited_to_the_rate_of_a_person() {
    let node = limited(|_| {});
    let (mut accepted, mut waits) = (0, 0);
    for number in 0..2_000 {
        match answer(&node, post(STRANGER, Some(1), "notes/a", number, &note())).await {
            Answer::Accepted { .. } => accepted += 1,
            Answer::Rejected(Rejection::TooFast { retry_after_ms }) => waits += u32::from(retry_after_ms > 0),
            Answer::Rejected(why) => panic!("{why}"),
        }
    }
    assert_eq!((accepted, waits, refused(&node, "commands")), (300, 1_700, 1_700));
    // Over another transport and from another address it is the same person.
    let again = answer(&node, post(NEIGHBOUR, Some(1), "notes/b", 5_000, &note())).await;
    assert!(
        matches!(again, Answer::Rejected(Rejection::TooFast { .. })),
        "{again:?}"
    );
    let other = answer(&node, post(STRANGER, Some(2), "notes/a", 5_001, &note())).await;
    assert!(matches!(other, Answer::Accepted { .. }), "{other:?}");
}

/// A session without a cookie is a new person each time.
#[tokio::test(start_paused = true)]
async fn many_persons_are_limited_to_the_rate_of_their_address() {
    let node = limited(|_| {});
    let mut accepted = 0;
    for number in 0..3_300 {
        let answer = answer(&node, post(STRANGER, None, "notes/a", number, &note())).await;
        accepted += u32::from(matches!(answer, Answer::Accepted { .. }));
    }
    assert_eq!(accepted, 3_000);
    let other = answer(&node, post(NEIGHBOUR, None, "notes/a", 9_000, &note())).await;
    assert!(matches!(other, Answer::Accepted { .. }), "{other:?}");
}

#[tokio::test(start_paused = true)]
#[expect(clippy::await_holding_lock, reason = "who lists routes waits for no page")]
async fn a_posted_form_counts_as_a_command() {
    let node = applications(1_000);
    node.state
        .quotas
        .take_many(&at(STRANGER), Rate::Commands, 3_000)
        .unwrap();
    let _not_meanwhile = harness::ROUTE_LIST_LOCK.read().unwrap_or_else(PoisonError::into_inner);
    let form = |address| {
        let request = Request::post("/chat")
            .header("host", "localhost")
            .header("content-type", "application/x-www-form-urlencoded");
        node.request(from(address, request.body(Body::from("message=hello")).unwrap()))
    };
    assert_eq!(form(STRANGER).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused(&node, "commands"), 1);
    assert_eq!(form(NEIGHBOUR).await.status, StatusCode::SEE_OTHER);
}

/// One client took all 300 sockets once.
#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let node = limited(|settings| settings.max_connections = 20);
    let mut sockets = Vec::new();
    for number in 0..10 {
        let path = if number % 2 == 0 { ECHO_PATH } else { SOCKET_PATH };
        sockets.push(open(node.connect_from(STRANGER), path, &[]).await.unwrap());
    }
    let Err(refusal) = open(node.connect_from(STRANGER), ECHO_PATH, &[]).await else {
        panic!("an eleventh")
    };
    let refusal = harness::rejected_response(*refusal);
    assert_eq!(refusal.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refusal.headers()["retry-after"], "10");
    let stream = node
        .request(get(STRANGER, "/api/session/events?session=s&topics="))
        .await;
    assert_eq!(stream.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(stream.problem().contains("open_connections"));
    assert!(open(node.connect_from(NEIGHBOUR), ECHO_PATH, &[]).await.is_ok());
    assert_eq!(refused(&node, "open_connections"), 2);
    sockets.clear();
    wait_until(async || open(node.connect_from(STRANGER), ECHO_PATH, &[]).await.is_ok()).await;
}

/// 5,000 polls put 5,000 people into the lobby once.
#[tokio::test(start_paused = true)]
async fn one_address_cannot_inflate_presence() {
    let node = limited(|_| {});
    for number in 0..400 {
        let path = format!("{POLL_PATH}?session=s-{number}&topics=notes/a&wait=0");
        assert_eq!(node.request(get(STRANGER, &path)).await.status, StatusCode::OK);
    }
    let mut other = Visitor::new(&node, Transport::WebSocket(Encoding::Json)).await;
    other.subscribe("notes/a", None).await;
    let presence = other.wait_for_presence(|presence| presence.people_count > 250).await;
    assert_eq!(
        presence.people_count, 251,
        "the address's share, and who came from elsewhere"
    );
}

/// 800 posts locked the players out of the arena once.
#[tokio::test(start_paused = true)]
async fn one_address_cannot_fill_the_arena() {
    let node = limited(|_| {});
    let turn = |address, seat: u32| {
        let request = Request::post(format!("/api/arena/turn?seat=s-{seat}")).header("host", "localhost");
        node.request(from(address, request.body(Body::empty()).unwrap()))
    };
    let answers = join_all((0..800).map(|seat| turn(STRANGER, seat))).await;
    let refused = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.count(), 680);
    assert!(
        answers
            .iter()
            .all(|answer| answer.status != StatusCode::SERVICE_UNAVAILABLE)
    );
    assert_ne!(turn(NEIGHBOUR, 1_000).await.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test(start_paused = true)]
async fn a_too_fast_echo_client_is_closed_with_a_code() {
    let node = limited(|_| {});
    let mut client = open(node.connect_from(STRANGER), ECHO_PATH, &[]).await.unwrap().0;
    let mut answered = 0;
    let (code, reason) = loop {
        client.send("again").await;
        match client.receive().await {
            Message::Close(Some(frame)) => break (u16::from(frame.code), frame.reason.to_string()),
            _ => answered += 1,
        }
    };
    assert_eq!((answered, code), (5_000, 4001));
    assert!(reason.contains("again in"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn requests_are_limited_and_health_checks_are_not() {
    let node = limited(|_| {});
    node.state
        .quotas
        .take_many(&at(STRANGER), Rate::Requests, 20_000)
        .unwrap();
    let answer = node.request(get(STRANGER, "/api/vitals")).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), "1");
    assert!(answer.problem().contains("requests"), "{}", answer.body);
    assert_eq!(node.request(get(NEIGHBOUR, "/api/vitals")).await.status, StatusCode::OK);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(node.request(get(STRANGER, path)).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn pages_have_their_own_limit_and_a_retry_time() {
    let node = limited(|_| {});
    node.state.quotas.take_many(&at(STRANGER), Rate::Pages, 1_500).unwrap();
    for path in ["/", "/chat", "/no/such/page"] {
        let mut request = get(STRANGER, path);
        request.headers_mut().insert("accept", "text/html".parse().unwrap());
        let answer = node.request(request).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
        assert!(!answer.header("retry-after").is_empty());
        let both = answer.body.contains("잠시만") && answer.body.contains("Too many pages");
        assert!(both, "{}", answer.body);
    }
    assert_eq!(refused(&node, "pages"), 3);
    assert_eq!(node.request(get(STRANGER, "/api/vitals")).await.status, StatusCode::OK);
    assert_eq!(node.state.quotas.take(&at(NEIGHBOUR), Rate::Pages), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn rooms_are_limited_per_person_and_per_address() {
    let node = applications(1_000);
    let mut made = 0;
    for number in 0..100_u128 {
        let (room, title) = (format!("r-{number}"), "Room".to_owned());
        let command = RoomsCommand::Create { room, title };
        let answer = answer(&node, post(STRANGER, Some(number / 20), "rooms/all", number, &command)).await;
        made += u32::from(matches!(answer, Answer::Accepted { .. }));
    }
    assert_eq!(made, 25, "five of each of five people");
    assert_eq!(refused(&node, "rooms"), 75);
}

/// The places of topics that a client started are its own until they are asleep again.
#[tokio::test]
async fn topics_kept_awake_by_one_client_are_limited() {
    let node = applications(1_000);
    let held: Vec<_> = (0..2_000)
        .map(|_| node.state.quotas.hold(&at(STRANGER), Resource::Topics).unwrap())
        .collect();
    let words = ChatCommand::Post {
        text: "hello".to_owned(),
        reply_to: None,
    };
    let refused = answer(&node, post(STRANGER, None, "chat/room", 1, &words)).await;
    assert!(
        matches!(&refused, Answer::Rejected(why) if why.may_retry()),
        "{refused:?}"
    );
    let other = answer(&node, post(NEIGHBOUR, None, "chat/room", 2, &words)).await;
    assert!(matches!(other, Answer::Accepted { .. }), "{other:?}");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn reads_are_limited_over_every_transport() {
    let node = limited(|_| {});
    node.state.quotas.take_many(&at(STRANGER), Rate::Reads, 30_000).unwrap();
    let poll = format!("{POLL_PATH}?session=s&topics=notes/a&wait=0");
    let polled = node.request(get(STRANGER, &poll)).await;
    assert!(polled.body.contains("denied"), "{}", polled.body);
    let history = "/api/session/history?topic=notes/a";
    assert_eq!(
        node.request(get(STRANGER, history)).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert!(!node.request(get(NEIGHBOUR, &poll)).await.body.contains("denied"));
    assert_eq!(node.request(get(NEIGHBOUR, history)).await.status, StatusCode::OK);
    assert!(refused(&node, "reads") >= 2);
}

/// An address that opens connections and asks nothing takes its own share, and no other's. It still learns the node's health.
#[tokio::test]
async fn one_address_cannot_take_all_tcp_connections() {
    let node = limited(|settings| settings.max_connections = 8);
    let listening = node.listen().await;
    let mut open = Vec::new();
    for _ in 0..12 {
        open.push(listening.connect().await);
    }
    let ask = async |path: &str| {
        let mut raw = RawConnection(listening.connect().await);
        raw.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
            .await;
        raw.read_head().await
    };
    assert!(ask("/api/vitals").await.starts_with("HTTP/1.1 503 "));
    assert_eq!(refused(&node, "open_tcp"), 1);
    assert!(ask("/healthz").await.starts_with("HTTP/1.1 200 "));
    drop(open);
    wait_until(async || ask("/api/vitals").await.starts_with("HTTP/1.1 200 ")).await;
    node.state.shutdown.begin();
}

/// Some desks of the office that [`duplex::server::quota`] is made for, against the running server.
#[tokio::test]
async fn normal_use_behind_one_address_is_not_limited() {
    let node = applications(1_000);
    let mut tabs = Vec::new();
    for person in 1..=20_u128 {
        let cookie = format!("visitor={person:032x}");
        for _ in 0..3 {
            let mut page = get(STRANGER, "/chat");
            page.headers_mut().insert("cookie", cookie.parse().unwrap());
            assert_eq!(node.page(page).await.status, StatusCode::OK);
            let headers = [
                ("sec-websocket-protocol", "duplex.v1.json"),
                ("cookie", cookie.as_str()),
            ];
            let (mut tab, _) = open(node.connect_from(STRANGER), SOCKET_PATH, &headers).await.unwrap();
            tab.send(r#"{"hello":{"build":"","name":null}}"#).await;
            for topic in ["rooms/all", "chat/lobby", "notices/all"] {
                tab.send(format!(r#"{{"subscribe":{{"topic":"{topic}","cursor":null}}}}"#))
                    .await;
            }
            tabs.push((tab, open(node.connect_from(STRANGER), ECHO_PATH, &[]).await.unwrap()));
        }
        let text = "good morning".to_owned();
        let said = ChatCommand::Post { text, reply_to: None };
        let answer = answer(&node, post(STRANGER, Some(person), "chat/lobby", person, &said)).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }
    let refused = node.state.quotas.refused();
    assert!(refused.iter().all(|(_, count)| *count == 0), "{refused:?}");
}
