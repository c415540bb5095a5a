//! Server commands are never decoded from a visitor's frame, on any transport. Visitors' commands and the server's forwards keep the bytes of
//! the first release: `recorded/commands_1.txt` and `recorded/forwards_1.txt` must not change.

use std::sync::Arc;

use duplex::apps;
use duplex::apps::notifications::server::NoticesCommand;
use duplex::server::token::Token;
use duplex_hub::Hub;
use duplex_hub::log::memory::MemoryLog;
use duplex_hub::log::{Entry, ForwardRecord, Log as _};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Epoch;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{Answer, CommandId, Denial, Rejection};
use duplex_protocol::topic::Topic;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{Node, wait_until};

const COMMANDS: &str = include_str!("recorded/commands_1.txt");
const FORWARDS: &str = include_str!("recorded/forwards_1.txt");
const EVENTS: &str = include_str!("recorded/events_1.txt");
const TOKEN: &str = "a-token-for-the-tests";

fn node() -> Node {
    Node::with_apps(|settings| {
        settings.token = Some(Token::new(TOKEN).unwrap());
    })
}

/// A server command as JSON, and its postcard bytes in the release that still decoded visitors' frames as server commands.
type ServerCommand = (&'static str, Value, &'static [u8]);

/// Server commands for topics that this visitor may write: chat, their own browser as a device, their own alerts.
fn in_writable_topics(me: &str) -> Vec<(String, ServerCommand)> {
    let browser = format!("device/browser-{me}");
    let alerts = format!("alerts/{me}");
    let command = |topic: &str, json: Value, postcard: &'static [u8]| (topic.to_owned(), ("", json, postcard));
    let report = json!({ "readings": [], "name": null, "place": null, "every": null });
    vec![
        command("chat/tea", json!("close"), &[4]),
        command(
            "rooms/all",
            json!({ "posted": { "room": "tea", "count": 9, "at": 1 } }),
            &[2, 3, b't', b'e', b'a', 9, 1],
        ),
        command(
            "rooms/all",
            json!({ "delete": { "room": "tea" } }),
            &[3, 3, b't', b'e', b'a'],
        ),
        command(&browser, json!({ "bad": { "why": "x" } }), &[1, 1, b'x']),
        command(&browser, json!({ "turn": { "health": "online", "at": 5 } }), &[6, 0, 5]),
        command(&browser, json!({ "expire": { "order": 1 } }), &[7, 1]),
        command(&browser, json!({ "last": report }), &[8, 0, 0, 0, 0]),
        command(
            &alerts,
            json!({ "reach": { "id": 1, "price": 5, "scale": 2 } }),
            &[2, 1, 5, 2],
        ),
    ]
}

/// Server commands for topics that visitors may only read or may not enter.
const IN_READ_ONLY_TOPICS: [(&str, &str, &[u8]); 7] = [
    (
        "quotes/all",
        r#"{"open":{"name":"x","simulated":false}}"#,
        &[0, 1, b'x', 0],
    ),
    ("candles/abc", r#"{"trade":[]}"#, &[1, 0]),
    ("watches/all", r#"{"person":"x"}"#, &[1, b'x']),
    ("fleet/all", r#""look""#, &[1]),
    ("orders/all", r#""look""#, &[2]),
    (
        "scores/all",
        r#"{"tell":{"by":{"id":"x","name":""},"mass":9}}"#,
        &[0, 1, b'x', 0, 9],
    ),
    (
        "notices/all",
        r#"{"send":{"title":{"ko":"a","en":"a"},"body":{"ko":"","en":""},"link":null,"level":"info","expires":null}}"#,
        &[0, 1, b'a', 1, b'a', 0, 0, 0, 0, 0],
    ),
];

/// Sends a command; returns the answer.
async fn answer(visitor: &mut Visitor<'_>, topic: &str, json: &str, postcard: &[u8]) -> Answer {
    let command = match visitor.encoding() {
        Encoding::Json => EncodedValue(json.as_bytes().to_vec()),
        Encoding::Postcard => EncodedValue(postcard.to_vec()),
    };
    let id = CommandId::from_bits(uuid::Uuid::new_v4().as_u128());
    visitor.command_encoded(topic, id, command).await.0
}

const fn is_malformed(answer: &Answer) -> bool {
    matches!(answer, Answer::Rejected(Rejection::Malformed { .. }))
}

async fn id_of(node: &Node, visitor: &Visitor<'_>) -> String {
    let headers = [(axum::http::header::COOKIE, visitor.cookie().parse().unwrap())];
    let extensions = axum::http::Extensions::new();
    let otherwise = duplex::server::moderation::FallbackIdentity::New;
    let subject = duplex::server::moderation::Subject::from_request(
        &node.state,
        &headers.into_iter().collect(),
        &extensions,
        otherwise,
    );
    subject.person.unwrap().0
}

#[tokio::test]
async fn visitor_frames_never_decode_as_server_commands() {
    for transport in Transport::ALL {
        let node = node();
        let mut visitor = Visitor::new(&node, transport).await;
        let me = id_of(&node, &visitor).await;
        let commands = in_writable_topics(&me);
        for (topic, (_, json, postcard)) in &commands {
            let rejected = answer(&mut visitor, topic, &json.to_string(), postcard).await;
            assert!(is_malformed(&rejected), "{transport:?}: {topic} {json}: {rejected:?}");
            // Like bytes that are no command.
            let garbled = answer(&mut visitor, topic, r#"{"sing":1}"#, &[0x63]).await;
            assert!(is_malformed(&garbled), "{transport:?}: {topic}: {garbled:?}");
        }
        for (topic, json, postcard) in IN_READ_ONLY_TOPICS {
            let rejected = answer(&mut visitor, topic, json, postcard).await;
            let forbidden = Answer::Rejected(Rejection::Denied(Denial::Forbidden));
            assert_eq!(rejected, forbidden, "{transport:?}: {topic}");
        }
        assert_eq!(node.state.hub.stats().events, 0, "{transport:?}");
    }
}

#[tokio::test]
async fn programs_send_only_program_commands() {
    for transport in Transport::ALL {
        let node = node();
        let mut program = Visitor::new(&node, transport).await.with_token(TOKEN);
        for (topic, (_, json, postcard)) in in_writable_topics("0123456789abcdef") {
            let rejected = answer(&mut program, &topic, &json.to_string(), postcard).await;
            assert!(matches!(rejected, Answer::Rejected(_)), "{transport:?}: {topic} {json}");
        }
        let bad = answer(&mut program, "device/oven", r#"{"bad":{"why":"x"}}"#, &[1, 1, b'x']).await;
        assert!(is_malformed(&bad), "{transport:?}: {bad:?}");
        let (topic, json, postcard) = IN_READ_ONLY_TOPICS[6];
        let sent = answer(&mut program, topic, json, postcard).await;
        assert_eq!(sent, Answer::Accepted { seq: 1 }, "{transport:?}");
    }
}

fn same_bytes<C: Serialize + DeserializeOwned>(json: &str, postcard: &str) {
    let postcard = data_encoding::HEXLOWER.decode(postcard.as_bytes()).unwrap();
    for bytes in [(Encoding::Json, json.as_bytes()), (Encoding::Postcard, &postcard)] {
        let command: C = bytes
            .0
            .decode(bytes.1)
            .unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(Encoding::Json.encode(&command).unwrap(), json.as_bytes());
        assert_eq!(Encoding::Postcard.encode(&command).unwrap(), postcard, "{json}");
    }
}

#[test]
fn commands_keep_the_bytes_of_the_first_release() {
    use apps::{chat::wire as chat, compare::wire::Compare, devices::wire::Devices};
    use apps::{market::wire::Alerts, notifications::wire::Inbox};
    use duplex::wire::moderation::Moderation;

    for line in COMMANDS.lines() {
        let [kind, json, postcard] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let check = match kind {
            "chat" => same_bytes::<<chat::Chat as Topic>::Command>,
            "rooms" => same_bytes::<<chat::Rooms as Topic>::Command>,
            "device" => same_bytes::<<Devices as Topic>::Command>,
            "inbox" => same_bytes::<<Inbox as Topic>::Command>,
            "notices" => same_bytes::<NoticesCommand>,
            "alerts" => same_bytes::<<Alerts as Topic>::Command>,
            "compare" => same_bytes::<<Compare as Topic>::Command>,
            "moderation" => same_bytes::<<Moderation as Topic>::Command>,
            other => panic!("visitors do not write topics of kind {other}"),
        };
        check(json, postcard);
    }
}

/// An entry with recorded events and the forwards of its first event.
fn entry(number: u128, events: &[&str], forwards: Vec<ForwardRecord>) -> Entry {
    Entry {
        command: CommandId::from_bits(number),
        sender: PersonId("0123456789abcdef".to_owned()),
        at: 1,
        events: events.iter().map(|json| (None, json.as_bytes().to_vec())).collect(),
        rejection: None,
        forwards,
        delivers: None,
    }
}

#[tokio::test]
async fn forwards_in_a_log_of_the_first_release_are_delivered() {
    let log = Arc::new(MemoryLog::new(Epoch::new(7)));
    let forwards: Vec<[&str; 3]> = FORWARDS
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>().try_into().unwrap())
        .collect();
    let mut sources: Vec<_> = forwards.iter().map(|[from, ..]| *from).collect();
    sources.sort_unstable();
    sources.dedup();
    for (number, from) in (0..).zip(sources) {
        let of_kind = |line: &&str| line.split('\t').next() == from.split('/').next();
        let event = EVENTS.lines().find(of_kind).unwrap().split_once('\t').unwrap().1;
        let ordered = r#"{"ordered":{"name":"reboot","argument":"","by":{"id":"0123456789abcdef","name":""},"at":1}}"#;
        let events = if from == "device/oven" {
            vec![event, ordered]
        } else {
            vec![event]
        };
        let own = forwards.iter().filter(|[source, ..]| *source == from);
        let own = (0..).zip(own).map(|(index, [_, to, json])| ForwardRecord {
            event: 0,
            index,
            to: to.parse().unwrap(),
            command: CommandId::from_bits(number << 8 | u128::from(index)),
            payload: json.as_bytes().to_vec(),
        });
        let topic = from.parse().unwrap();
        let head = log.open(&topic, 0, 0).await.unwrap().head.last;
        let entry = entry(1 << 64 | number, &events, own.collect());
        log.append(&topic, head.into(), vec![entry]).await.unwrap();
    }
    assert_eq!(log.forwards(None).await.unwrap().len(), forwards.len());

    let hub = Hub::new(Arc::<MemoryLog>::clone(&log), apps::server::Apps::default().kinds());
    hub.start_outbox();
    wait_until(async || log.forwards(None).await.unwrap().is_empty()).await;
    let stats = hub.stats();
    assert_eq!(stats.forwards_dropped, 0);
    assert!(stats.forwards >= forwards.len() as u64, "{}", stats.forwards);
    hub.close().await;
}
