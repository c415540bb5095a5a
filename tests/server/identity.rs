//! Visitor cookies: an attacker cannot fix a visitor's identity by setting cookies (session fixation).

use axum::body::Body;
use axum::http::{Request, StatusCode};
use duplex::server::state::Settings;
use duplex_protocol::session::{COMMAND_PATH, HISTORY_PATH};
use serde_json::{Value, json};

use crate::harness::{Node, Response, with_timeout};

const VISITOR: &str = "0123456789abcdef0123456789abcdef";
const ATTACKER: &str = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

fn with_public_url(settings: &mut Settings) {
    settings.public_url = Some("https://duplex.example".parse().unwrap());
}

async fn about(node: &Node, host: &str, cookies: &str) -> Response {
    let request = Request::get("/about").header("host", host).header("cookie", cookies);
    node.page(request.body(Body::empty()).unwrap()).await
}

fn node(change: impl FnOnce(&mut Settings)) -> Node {
    Node::with_apps(change)
}

/// The person id of a request with these cookies, as recorded with its chat message.
async fn author(node: &Node, host: &str, cookies: &str) -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let frame =
        json!({"command": {"topic": "chat/lobby", "id": id, "command": {"post": {"text": "hello", "reply_to": null}}}});
    let session = uuid::Uuid::new_v4();
    let request = Request::post(format!("{COMMAND_PATH}?session={session}"))
        .header("host", host)
        .header("cookie", cookies)
        .header("content-type", "application/json")
        .body(Body::from(frame.to_string()))
        .unwrap();
    let response = with_timeout(node.request(request)).await;
    assert!(response.body.contains("accepted"), "{}", response.body);
    let request = Request::get(format!("{HISTORY_PATH}?topic=chat/lobby&limit=1")).header("host", host);
    let history = with_timeout(node.request(request.body(Body::empty()).unwrap())).await;
    let history: Value = serde_json::from_str(&history.body).unwrap();
    find(&history, "id").unwrap()
}

/// The first string under this key, at any depth.
fn find(value: &Value, key: &str) -> Option<String> {
    match value {
        Value::Object(members) => match members.get(key) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => members.values().find_map(|value| find(value, key)),
        },
        Value::Array(items) => items.iter().find_map(|value| find(value, key)),
        _ => None,
    }
}

fn set_cookies(response: &Response) -> Vec<&str> {
    let cookies = response.headers.get_all("set-cookie").iter();
    cookies.map(|cookie| cookie.to_str().unwrap()).collect()
}

/// A script on another port of the host or on a sibling host sets a second cookie; the visitor does not become the attacker's
/// person.
#[tokio::test]
async fn two_different_visitor_cookies_identify_no_visitor() {
    let node = node(|_| {});
    let [visitor_cookie, attacker_cookie] = [VISITOR, ATTACKER].map(|secret| format!("visitor={secret}"));
    let (me, attacker) = (
        author(&node, "localhost", &visitor_cookie).await,
        author(&node, "localhost", &attacker_cookie).await,
    );
    assert_eq!(
        author(&node, "localhost", &format!("{visitor_cookie}; {visitor_cookie}")).await,
        me
    );
    let mut seen = vec![me, attacker];
    for both in [
        format!("{attacker_cookie}; {visitor_cookie}"),
        format!("{visitor_cookie}; {attacker_cookie}"),
        format!("{visitor_cookie}; visitor=x"),
    ] {
        let person = author(&node, "localhost", &both).await;
        assert!(!seen.contains(&person), "{both}");
        seen.push(person);
        let page = about(&node, "localhost", &both).await;
        assert_eq!(
            set_cookies(&page),
            [""; 0],
            "a new cookie would replace the visitor's own"
        );
    }
}

#[tokio::test]
async fn an_https_site_moves_visitors_to_a_host_prefixed_cookie() {
    let before = node(|_| {});
    let node = node(with_public_url);
    let host = "duplex.example";
    let old = format!("visitor={VISITOR}");
    let me = author(&before, "localhost", &old).await;
    assert_eq!(author(&node, host, &old).await, me, "an open tab keeps its person");

    let page = about(&node, host, &old).await;
    let rest = "Path=/; SameSite=Lax; HttpOnly; Secure";
    assert_eq!(
        set_cookies(&page),
        [
            format!("__Host-visitor={VISITOR}; Max-Age=34560000; {rest}"),
            format!("visitor=; Max-Age=0; {rest}")
        ]
    );
    let planted = format!("visitor={ATTACKER}; __Host-visitor={VISITOR}");
    assert_eq!(author(&node, host, &planted).await, me);
    let page = about(&node, host, &planted).await;
    assert_eq!(set_cookies(&page), [""; 0]);

    let new = about(&node, host, "").await;
    let cookies = set_cookies(&new);
    assert!(cookies[0].starts_with("__Host-visitor=") && cookies[0].ends_with(rest));
    assert!(cookies.len() == 2 && cookies[1].starts_with("arrival="), "{cookies:?}");
    let posted = Request::post("/chat/lobby")
        .header("host", host)
        .header("cookie", &old)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from("message=hello"))
        .unwrap();
    let posted = node.page(posted).await;
    assert_eq!(posted.status, StatusCode::SEE_OTHER);
    assert!(
        set_cookies(&posted)[0].starts_with(&format!("__Host-visitor={VISITOR};")),
        "a form post without scripts sets the cookie, too"
    );
}
