//! What a visitor, a program or a device wrote is text on every page, in the head too: each page is made twice, once of harmless texts and once of texts
//! that try to be markup. Both must be the same tree of elements and attributes.

mod page;

use std::path::Path;

use axum::body::Body;
use axum::http::{Request, header};
use duplex::apps::arena::wire::scores::{self, Scores};
use duplex::apps::chat::wire::{ALL_ROOMS, Chat, Rooms};
use duplex::apps::devices::wire::Devices;
use duplex::apps::notifications::wire::Notices;
use duplex::wire::notice::EVERYONE;
use duplex::wire::person::tidy_name;
use duplex_hub::TopicCommand;
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::{Answer, CommandId};
use duplex_protocol::topic::{Topic, TopicName};
use serde_json::{Value, json};

use self::page::Page;
use crate::harness::{Node, Response, wait_until};

/// Each breaks out of one of the places in which a text may stand.
const HOSTILE: [&str; 6] = [
    "</title><meta http-equiv=refresh content=\"0;url=//x.example\">",
    "\"'><img src=x onerror=alert(1)><a href=javascript:alert(1)>",
    "</script><script>alert(1)</script><!--<script>",
    "</textarea></style></noscript></option><svg onload=alert(1)>",
    "<!--><iframe srcdoc=x></iframe>--><base href=//x.example/>",
    "&lt;b&gt; &amp;amp; &#x3c;i&#x3e; {title} {name} {count} <b>{}",
];
/// As long as those, and nothing but letters.
const HARMLESS: &str = "harmless harmless harmless harmless harmless harmless harmless harmless";

const ROOM: &str = "hostile";
const DEVICE: &str = "hostile-1";
const LANGUAGES: [&str; 2] = ["ko", "en"];

/// At most so many characters, and none around them that a field takes away.
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect::<String>().trim().to_owned()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Commands in the name of the server; the seq of the command's last event.
async fn tell<T: Topic>(node: &Node, name: &str, command: Value) -> Seq {
    let id = CommandId::without_time(rand());
    let topic = TopicName::of::<T>(name).unwrap();
    let told = TopicCommand::new(topic, &command).unwrap();
    let told = node.state.hub.tell_command(id, told).await;
    match told {
        Answer::Accepted { seq } => seq,
        refused => panic!("{}/{name} {command:?}: {refused:?}", T::KIND),
    }
}

fn rand() -> u128 {
    use std::hash::BuildHasher as _;
    let half = || u128::from(std::hash::RandomState::new().hash_one(0));
    half() << 64 | half()
}

fn form(path: &str, cookie: &str, fields: &[(&str, &str)]) -> Request<Body> {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    Request::post(path)
        .header("host", "localhost")
        .header("cookie", cookie)
        .header("accept", "text/html")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(fields.join("&")))
        .unwrap()
}

/// Writes `text` wherever somebody may write, as far as it fits.
async fn fill(node: &Node, text: &str) {
    let name = tidy_name(text);
    let cookie = "visitor=0123456789abcdef0123456789abcdef";
    let create = json!({ "create": { "room": ROOM, "title": cut(text, 60) } });
    tell::<Rooms>(node, ALL_ROOMS, create).await;
    let describe = json!({ "describe": { "room": ROOM, "line": text } });
    tell::<Rooms>(node, ALL_ROOMS, describe).await;
    let page = format!("/chat/{ROOM}");
    // Under a name, or without one where it is none that a visitor may have.
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
        tell::<Chat>(node, ROOM, command).await;
    }
    let words = |most| json!({ "ko": cut(text, most), "en": cut(text, most) });
    let notice = json!({ "level": "danger", "title": words(120), "body": words(1000), "link": "/chat" });
    tell::<Notices>(node, EVERYONE, json!({ "send": notice })).await;
    let report = json!({ "report": {
        "name": cut(text, 60), "place": cut(text, 60), "every": 60,
        "readings": [
            { "metric": "t", "value": 1.0, "unit": cut(text, 12) },
            { "metric": text, "value": 1.0, "unit": cut(text, 12) },
        ],
    } });
    tell::<Devices>(node, DEVICE, report).await;
    let order = json!({ "order": { "name": "say", "argument": json!(text).to_string() } });
    let order = tell::<Devices>(node, DEVICE, order).await;
    let note = json!({ "ack": { "order": order, "ok": false, "note": text } });
    tell::<Devices>(node, DEVICE, note).await;
    let best = json!({ "tell": { "by": { "id": "1".repeat(16), "name": name }, "mass": 900 } });
    tell::<Scores>(node, scores::ALL, best).await;
    let known = async || node.get("/devices").await.body.contains("data-device=\"hostile-1\"");
    wait_until(known).await;
}

/// A page, and how it is asked for; `{}` stands for the text.
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

async fn ask(node: &Node, path: &str, text: &str, language: &str) -> Response {
    let path = path.replace("{}", &encoded(text));
    let request = Request::get(path)
        .header("host", "localhost")
        .header("accept", "text/html")
        .header("accept-language", language)
        .header("user-agent", text)
        .header("referer", text)
        .header("cookie", format!("name={}; language={}", encoded(text), encoded(text)))
        .body(Body::empty())
        .unwrap();
    node.page(request).await
}

/// Posted forms that are answered by a page: it brings back what was typed.
fn forms(text: &str) -> Vec<Request<Body>> {
    let too_long = text.repeat(4_000 / text.len() + 1);
    let cookie = format!("name={}", encoded(text));
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

/// Whether a text stands somewhere in a value; states travel as JSON in JSON.
fn holds(value: &Value, text: &str) -> bool {
    match value {
        Value::String(inner) => {
            inner.contains(text)
                || serde_json::from_str(inner).is_ok_and(|inner: Value| !inner.is_number() && holds(&inner, text))
        }
        Value::Array(values) => values.iter().any(|value| holds(value, text)),
        Value::Object(values) => values.values().any(|value| holds(value, text)),
        _ => false,
    }
}

async fn filled(text: &str) -> Node {
    let kinds = duplex::apps::server::Apps::default().kinds();
    // One client asks for hundreds of pages.
    let node = Node::with_kinds(kinds, Path::new("/nonexistent"), |settings| settings.limits = false);
    fill(&node, text).await;
    node
}

/// In the order of asking: what was asked, and the page.
async fn walk(node: &Node, text: &str) -> Vec<(String, Page)> {
    let mut pages_read = Vec::new();
    for language in LANGUAGES {
        for path in pages() {
            let page = ask(node, &path, text, language).await;
            assert!(
                page.header("content-type").starts_with("text/html"),
                "{path}: {}",
                page.body
            );
            pages_read.push((format!("{language} {path}"), Page::read(&page.body)));
        }
    }
    for request in forms(text) {
        let what = format!("POST {}", request.uri());
        let page = node.page(request).await;
        assert!(
            page.header("content-type").starts_with("text/html"),
            "{what}: {}",
            page.body
        );
        pages_read.push((what, Page::read(&page.body)));
    }
    pages_read
}

#[tokio::test]
async fn no_text_becomes_markup_on_any_page() {
    let harmless = walk(&filled(HARMLESS).await, HARMLESS).await;
    for text in HOSTILE {
        let node = filled(text).await;
        let hostile = walk(&node, text).await;
        for ((what, plain), (_, page)) in harmless.iter().zip(&hostile) {
            if plain.tree != page.tree {
                let differs = plain.tree.iter().zip(&page.tree).find(|(one, other)| one != other);
                panic!("{text}\nis markup on {what}: {differs:?}");
            }
            assert_eq!(plain.scripts.len(), page.scripts.len(), "{text} on {what}");
            page.resources();
        }
    }
}

#[tokio::test]
async fn every_text_is_rendered_unchanged() {
    for text in HOSTILE {
        let node = filled(text).await;
        for language in LANGUAGES {
            let read = async |path: &str| Page::read(&ask(&node, path, text, language).await.body);
            let (title, name) = (cut(text, 60), tidy_name(text));
            let room = read(&format!("/chat/{ROOM}")).await;
            assert_eq!(room.title, format!("{title} · Duplex"));
            for shown in [&title, text] {
                assert!(room.shows(shown), "{shown} is not in {:?}", room.texts);
            }
            assert!(room.resources().iter().any(|resource| holds(resource, text)));
            let device = read(&format!("/devices/{DEVICE}")).await;
            assert_eq!(device.title, format!("{title} · Duplex"));
            for shown in [&title, &cut(text, 12), text] {
                assert!(device.shows(shown), "{shown} is not in {:?}", device.texts);
            }
            assert!(read("/devices").await.shows(&title));
            assert!(read("/chat").await.shows(&title));
            assert!(read("/arena").await.shows(&name));
            assert!(read("/notifications").await.shows(text));
        }
        let answered = node.page(form("/", "", &[("message", text)])).await;
        assert!(Page::read(&answered.body).shows(&format!("서버 응답: {text}")));
    }
}

/// A line break in a text adds no header and no line to an answer of another kind.
#[tokio::test]
async fn no_text_becomes_a_header() {
    let node = filled(HARMLESS).await;
    let split = "x\r\nset-cookie: hostile=1\r\n\r\n<script>alert(1)</script>";
    let paths = [
        "/nowhere/{}",
        "/chat/{}",
        "/api/handshake/{}",
        "/api/topics?{}={}",
        "/api/nowhere/{}",
    ];
    for path in paths {
        let request = Request::get(path.replace("{}", &encoded(split)))
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
