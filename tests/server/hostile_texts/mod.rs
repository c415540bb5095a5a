//! Injection tests: untrusted text is escaped on every page, including the head. Each page is rendered twice, with harmless texts
//! and with texts that attempt markup injection; both must have the same tree of elements and attributes.

mod page;

use std::path::Path;

use axum::body::Body;
use axum::http::{Request, header};
use duplex::apps::arena::wire::scores::{self, Scores};
use duplex::apps::chat::wire::{ALL_ROOMS, Chat, Rooms};
use duplex::apps::devices::wire::Devices;
use duplex::apps::notifications::wire::Notices;
use duplex::wire::notice::EVERYONE;
use duplex::wire::person::sanitize_name;
use duplex_hub::TopicCommand;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Answer, CommandId};
use duplex_protocol::topic::{Topic, TopicName};
use serde_json::{Value, json};

use self::page::Page;
use crate::harness::{Node, Response, wait_until};

/// Each targets one HTML context.
const HOSTILE: [&str; 6] = [
    "</title><meta http-equiv=refresh content=\"0;url=//x.example\">",
    "\"'><img src=x onerror=alert(1)><a href=javascript:alert(1)>",
    "</script><script>alert(1)</script><!--<script>",
    "</textarea></style></noscript></option><svg onload=alert(1)>",
    "<!--><iframe srcdoc=x></iframe>--><base href=//x.example/>",
    "&lt;b&gt; &amp;amp; &#x3c;i&#x3e; {title} {name} {count} <b>{}",
];
/// As long as the hostile texts, and only letters.
const HARMLESS: &str = "harmless harmless harmless harmless harmless harmless harmless harmless";

const ROOM: &str = "hostile";
const DEVICE: &str = "hostile-1";
const LANGUAGES: [&str; 2] = ["ko", "en"];

/// The first `limit` characters, trimmed like in a form field.
fn truncate(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect::<String>().trim().to_owned()
}

fn percent_encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Sends a command with the server's rights; returns the seq of its last event.
async fn send_command<T: Topic>(node: &Node, name: &str, command: Value) -> Seq {
    let id = CommandId::without_time(random_bits());
    let topic = TopicName::of::<T>(name).unwrap();
    let topic_command = TopicCommand::new(topic, &command).unwrap();
    let answer = node.state.hub.send_command(id, topic_command).await;
    match answer {
        Answer::Accepted { seq } => seq,
        rejected => panic!("{}/{name} {command:?}: {rejected:?}", T::KIND),
    }
}

fn random_bits() -> u128 {
    use std::hash::BuildHasher as _;
    let half = || u128::from(std::hash::RandomState::new().hash_one(0));
    half() << 64 | half()
}

fn form(path: &str, cookie: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", percent_encode(value)))
        .collect();
    Request::post(path)
        .header("host", "localhost")
        .header("cookie", cookie)
        .header("accept", "text/html")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(fields.join("&")))
        .unwrap()
}

/// Writes `text` to every field of every application, cut to the field's limit.
async fn fill(node: &Node, text: &str) {
    let name = sanitize_name(text);
    let cookie = "visitor=0123456789abcdef0123456789abcdef";
    let create = json!({ "create": { "room": ROOM, "title": truncate(text, 60) } });
    send_command::<Rooms>(node, ALL_ROOMS, create).await;
    let describe = json!({ "describe": { "room": ROOM, "line": text } });
    send_command::<Rooms>(node, ALL_ROOMS, describe).await;
    let page = format!("/chat/{ROOM}");
    // With the name, or without one if it is not a permitted name.
    for name in [&*name, ""] {
        let posted = node
            .page(form(&page, cookie, &[("name", name), ("message", text)]))
            .await;
        if posted.status == 303 {
            break;
        }
        assert!(!name.is_empty(), "{}", posted.body);
    }
    for command in [
        json!({ "post": { "text": text, "reply_to": 1 } }),
        json!({ "react": { "seq": 1, "emoji": "heart", "on": true } }),
    ] {
        send_command::<Chat>(node, ROOM, command).await;
    }
    let words = |limit| json!({ "ko": truncate(text, limit), "en": truncate(text, limit) });
    let notice = json!({ "level": "danger", "title": words(120), "body": words(1000), "link": "/chat" });
    send_command::<Notices>(node, EVERYONE, json!({ "send": notice })).await;
    let report = json!({ "report": {
        "name": truncate(text, 60), "place": truncate(text, 60), "every": 60,
        "readings": [
            { "metric": "t", "value": 1.0, "unit": truncate(text, 12) },
            { "metric": text, "value": 1.0, "unit": truncate(text, 12) },
        ],
    } });
    send_command::<Devices>(node, DEVICE, report).await;
    let order = json!({ "order": { "name": "say", "argument": json!(text).to_string() } });
    let order = send_command::<Devices>(node, DEVICE, order).await;
    let note = json!({ "ack": { "order": order, "ok": false, "note": text } });
    send_command::<Devices>(node, DEVICE, note).await;
    let best = json!({ "tell": { "by": { "id": "1".repeat(16), "name": name }, "mass": 900 } });
    send_command::<Scores>(node, scores::ALL, best).await;
    let listed = async || node.get("/devices").await.body.contains("data-device=\"hostile-1\"");
    wait_until(listed).await;
}

/// The paths of all pages; `{}` is replaced by the text.
fn pages() -> Vec<String> {
    let room = format!("/chat/{ROOM}");
    let device = format!("/devices/{DEVICE}");
    [
        "/",
        "/about",
        "/chat",
        &room,
        &device,
        "/devices",
        "/arena",
        "/notifications",
        "/market",
        "/status",
        "/compare",
        "/chat/{}",
        "/devices/{}",
        "/market/{}",
        "/nowhere/{}",
    ]
    .iter()
    .flat_map(|path| {
        [
            (*path).to_owned(),
            format!("{path}?interval={{}}&q={{}}&{{}}={{}}&__err={{}}&__path={{}}"),
        ]
    })
    .collect()
}

async fn get(node: &Node, path: &str, text: &str, language: &str) -> Response {
    let path = path.replace("{}", &percent_encode(text));
    let request = Request::get(path)
        .header("host", "localhost")
        .header("accept", "text/html")
        .header("accept-language", language)
        .header("user-agent", text)
        .header("referer", text)
        .header(
            "cookie",
            format!("name={}; language={}", percent_encode(text), percent_encode(text)),
        )
        .body(Body::empty())
        .unwrap();
    node.page(request).await
}

/// Posted forms whose response is a page with the posted values.
fn forms(text: &str) -> Vec<Request<Body>> {
    let too_long = text.repeat(4_000 / text.len() + 1);
    let cookie = format!("name={}", percent_encode(text));
    let (room, device) = (format!("/chat/{ROOM}"), format!("/devices/{DEVICE}"));
    let order = [("act", "order"), ("order", text), ("argument", text)];
    let limit = [("act", "threshold"), ("metric", text), ("low", "1"), ("high", text)];
    let heads = [("inbox", text), ("heads", text)];
    vec![
        form("/", &cookie, &[("message", text)]),
        form(&room, &cookie, &[("name", text), ("message", &too_long)]),
        form("/chat", &cookie, &[("name", text), ("other", text)]),
        form(&device, &cookie, &order),
        form(&device, &cookie, &limit),
        form("/notifications", &cookie, &heads),
    ]
}

/// Whether a JSON value contains a text, also in strings that are JSON themselves, as states are.
fn contains_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(inner) => {
            inner.contains(text)
                || serde_json::from_str(inner)
                    .is_ok_and(|inner: Value| !inner.is_number() && contains_text(&inner, text))
        }
        Value::Array(values) => values.iter().any(|value| contains_text(value, text)),
        Value::Object(values) => values.values().any(|value| contains_text(value, text)),
        _ => false,
    }
}

async fn filled_node(text: &str) -> Node {
    let kinds = duplex::apps::server::Apps::default().kinds();
    // One client requests hundreds of pages.
    let node = Node::with_kinds(kinds, Path::new("/nonexistent"), |settings| settings.limits = false);
    fill(&node, text).await;
    node
}

/// Requests every page; returns each request with its page, in order.
async fn all_pages(node: &Node, text: &str) -> Vec<(String, Page)> {
    let mut pages_read = Vec::new();
    for language in LANGUAGES {
        for path in pages() {
            let page = get(node, &path, text, language).await;
            assert!(
                page.header("content-type").starts_with("text/html"),
                "{path}: {}",
                page.body
            );
            pages_read.push((format!("{language} {path}"), Page::read(&page.body)));
        }
    }
    for request in forms(text) {
        let name = format!("POST {}", request.uri());
        let page = node.page(request).await;
        assert!(
            page.header("content-type").starts_with("text/html"),
            "{name}: {}",
            page.body
        );
        pages_read.push((name, Page::read(&page.body)));
    }
    pages_read
}

#[tokio::test]
async fn no_text_becomes_markup_on_any_page() {
    let harmless = all_pages(&filled_node(HARMLESS).await, HARMLESS).await;
    for text in HOSTILE {
        let node = filled_node(text).await;
        let hostile = all_pages(&node, text).await;
        for ((name, plain), (_, page)) in harmless.iter().zip(&hostile) {
            if plain.tree != page.tree {
                let differs = plain.tree.iter().zip(&page.tree).find(|(one, other)| one != other);
                panic!("{text}\nis markup on {name}: {differs:?}");
            }
            assert_eq!(plain.scripts.len(), page.scripts.len(), "{text} on {name}");
            page.resources();
        }
    }
}

#[tokio::test]
async fn every_text_is_rendered_unchanged() {
    for text in HOSTILE {
        let node = filled_node(text).await;
        for language in LANGUAGES {
            let read = async |path: &str| Page::read(&get(&node, path, text, language).await.body);
            let (title, name) = (truncate(text, 60), sanitize_name(text));
            let room = read(&format!("/chat/{ROOM}")).await;
            assert_eq!(room.title, format!("{title} · Duplex"));
            for expected in [&title, text] {
                assert!(room.shows(expected), "{expected} is not in {:?}", room.texts);
            }
            assert!(room.resources().iter().any(|resource| contains_text(resource, text)));
            let device = read(&format!("/devices/{DEVICE}")).await;
            assert_eq!(device.title, format!("{title} · Duplex"));
            for expected in [&title, &truncate(text, 12), text] {
                assert!(device.shows(expected), "{expected} is not in {:?}", device.texts);
            }
            assert!(read("/devices").await.shows(&title));
            assert!(read("/chat").await.shows(&title));
            assert!(read("/arena").await.shows(&name));
            assert!(read("/notifications").await.shows(text));
        }
        let response = node.page(form("/", "", &[("message", text)])).await;
        assert!(Page::read(&response.body).shows(&format!("서버 응답: {text}")));
    }
}

/// A line break in a text adds neither a header nor a line to a response.
#[tokio::test]
async fn no_text_becomes_a_header() {
    let node = filled_node(HARMLESS).await;
    let split = "x\r\nset-cookie: hostile=1\r\n\r\n<script>alert(1)</script>";
    let paths = [
        "/nowhere/{}",
        "/chat/{}",
        "/api/handshake/{}",
        "/api/topics?{}={}",
        "/api/nowhere/{}",
    ];
    for path in paths {
        let request = Request::get(path.replace("{}", &percent_encode(split)))
            .header("host", "localhost")
            .body(Body::empty())
            .unwrap();
        let answer = node.page(request).await;
        let cookies = answer.headers.get_all(header::SET_COOKIE);
        assert!(
            cookies
                .iter()
                .all(|cookie| !cookie.to_str().unwrap().starts_with("hostile")),
            "{path}"
        );
        assert!(!answer.header("content-type").starts_with("text/html") || !answer.body.contains("<script>alert"));
    }
    let named = form("/chat", "", &[("name", split), ("message", "hello")]);
    let answer = node.page(named).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    let cookies: Vec<_> = answer.headers.get_all(header::SET_COOKIE).iter().collect();
    assert!(
        cookies
            .iter()
            .all(|cookie| !cookie.to_str().unwrap().starts_with("hostile"))
    );
    assert_eq!(answer.header("location"), "/chat");
}
