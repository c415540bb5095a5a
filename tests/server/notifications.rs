//! Notifications on the real server: programs send, visitors read, and inboxes are private.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use duplex::apps::notifications::model::InboxState;
use duplex::apps::notifications::server::NoticesCommand;
use duplex::apps::notifications::wire::{
    Inbox, InboxCommand, InboxEvent, Notices, NoticesEvent, OWN_INBOX, UNREAD_EVENTS_PATH,
};
use duplex::server::token::Token;
use duplex::wire::notice::{Level, LocalizedText, Notice};
use duplex::wire::unread::{ALREADY_UNREAD, NEWLY_UNREAD};
use duplex_protocol::codec::Encoding;
use duplex_protocol::session::{Answer, Denial, HISTORY_PATH, Rejection, Verdict};
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{self, Node, with_timeout};

const TOKEN: &str = "a-token-for-the-tests";
const ALL: &str = "notices/all";
const TRANSPORTS: [Transport; 3] = [Transport::WebSocket(Encoding::Json), Transport::Sse, Transport::Poll];

fn node() -> Node {
    Node::with_apps(|settings| {
        settings.token = Some(Token::new(TOKEN).unwrap());
    })
}

async fn post(node: &Node, token: Option<&str>, body: Value) -> harness::Response {
    let mut request = Request::post("/api/notifications").header("host", "localhost");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    with_timeout(node.request(request.body(Body::from(body.to_string())).unwrap())).await
}

async fn get(node: &Node, path: &str, visitor: &Visitor<'_>) -> harness::Response {
    let request = Request::get(path)
        .header("host", "localhost")
        .header("accept-language", "en")
        .header("cookie", visitor.cookie());
    node.page(request.body(Body::empty()).unwrap()).await
}

/// A visitor and the person id shown on its notifications page.
async fn visitor(node: &Node, transport: Transport) -> (Visitor<'_>, String) {
    let visitor = Visitor::new(node, transport).await;
    let page = get(node, "/notifications", &visitor).await.body;
    let id = field(&page, "inbox");
    (visitor, id)
}

fn notice(title: &str) -> Notice {
    Notice {
        title: LocalizedText::untranslated(title),
        body: LocalizedText::untranslated(""),
        link: None,
        level: Level::Info,
        expires: None,
    }
}

fn state(visitor: &Visitor<'_>, verdict: Verdict) -> InboxState {
    let Verdict::Reset { state, .. } = verdict else {
        panic!("{verdict:?} has no state")
    };
    state.decode(visitor.encoding()).unwrap()
}

#[tokio::test]
async fn a_notification_is_delivered_once_over_every_transport() {
    for transport in TRANSPORTS {
        let node = node();
        let (mut visitor, id) = visitor(&node, transport).await;
        let inbox = format!("inbox/{id}");
        visitor.subscribe(ALL, None).await;
        visitor.subscribe(&inbox, None).await;
        let body = json!({ "to": "everyone", "title": { "ko": "모두", "en": "All" }, "level": "warning", "key": "k" });
        for again in [false, true] {
            let response: Value = serde_json::from_str(&post(&node, Some(TOKEN), body.clone()).await.body).unwrap();
            assert_eq!(response, json!({ "topic": ALL, "seq": 1, "again": again }));
        }
        let (seq, NoticesEvent::Sent { notice, .. }) = visitor.next_event::<Notices>().await;
        assert_eq!(
            (seq, notice.title, notice.level),
            (1, LocalizedText::new("모두", "All"), Level::Warning)
        );
        let to = json!({ "to": { "visitor": id }, "title": "Mine" });
        assert_eq!(post(&node, Some(TOKEN), to).await.status, StatusCode::OK);
        let (seq, event) = visitor.next_event::<Inbox>().await;
        assert!(matches!(event, InboxEvent::Sent { notice, .. } if seq == 1 && notice.title.en == "Mine"));
    }
}

#[tokio::test]
async fn missed_notifications_are_replayed_once() {
    let node = node();
    let (mut visitor, id) = visitor(&node, Transport::WebSocket(Encoding::Postcard)).await;
    let inbox = format!("inbox/{id}");
    visitor.subscribe(&inbox, None).await;
    visitor.disconnect();
    for title in ["one", "two"] {
        let body = json!({ "to": { "visitor": id }, "title": title });
        assert_eq!(post(&node, Some(TOKEN), body).await.status, StatusCode::OK);
    }
    let cursor = visitor.cursors[&inbox.parse().unwrap()];
    let Verdict::Resumed { replayed, .. } = visitor.subscribe(&inbox, cursor).await else {
        panic!("the cursor is good")
    };
    assert_eq!(replayed, 2);
    for (number, title) in [(1, "one"), (2, "two")] {
        let (seq, event) = visitor.next_event::<Inbox>().await;
        assert!(matches!(event, InboxEvent::Sent { notice, .. } if seq == number && notice.title.en == title));
    }
}

/// Requests the unread hint of a page without subscriptions; returns the response's body once it ends.
async fn news(node: &Node, visitor: &Visitor<'_>) -> String {
    let request = Request::get(UNREAD_EVENTS_PATH).header("host", "localhost");
    let request = request.header("cookie", visitor.cookie()).body(Body::empty()).unwrap();
    let answer = node.router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn an_unread_hint_is_sent_to_a_page_without_subscriptions() {
    const QUIET: Duration = Duration::from_millis(300);
    let node = node();
    let (mut mine, id) = visitor(&node, Transport::WebSocket(Encoding::Json)).await;
    let inbox = format!("inbox/{id}");
    mine.subscribe(&inbox, None).await;
    let data_lines = |body: &str| -> Vec<String> {
        let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(str::to_owned).collect()
    };
    {
        let mut hint = pin!(news(&node, &mine));
        assert!(
            timeout(QUIET, &mut hint).await.is_err(),
            "a hint without any notification"
        );
        let group = json!({ "to": { "group": "market" }, "title": "For those who follow it" });
        assert_eq!(post(&node, Some(TOKEN), group).await.status, StatusCode::OK);
        assert!(
            timeout(QUIET, &mut hint).await.is_err(),
            "a hint for a group that the visitor does not follow"
        );
        let to = json!({ "to": { "visitor": id }, "title": "Mine" });
        assert_eq!(post(&node, Some(TOKEN), to).await.status, StatusCode::OK);
        assert_eq!(data_lines(&with_timeout(hint).await), [NEWLY_UNREAD]);
    }
    assert_eq!(data_lines(&with_timeout(news(&node, &mine)).await), [ALREADY_UNREAD]);
    let (stranger, _) = visitor(&node, Transport::Poll).await;
    assert!(
        timeout(QUIET, news(&node, &stranger)).await.is_err(),
        "a hint for another visitor's notification"
    );
    let heads = [(OWN_INBOX.to_owned(), 1)].into();
    let answer = mine.command(&inbox, &InboxCommand::ReadAll { heads }).await;
    assert!(matches!(answer, Answer::Accepted { .. }));
    let mut hint = pin!(news(&node, &mine));
    assert!(
        timeout(QUIET, &mut hint).await.is_err(),
        "a hint although everything is read"
    );
    node.state.shutdown.begin();
    assert_eq!(
        data_lines(&with_timeout(hint).await),
        [""; 0],
        "a hint at the end of the stream"
    );
}

#[tokio::test]
async fn a_new_visitor_starts_with_everything_read() {
    const QUIET: Duration = Duration::from_millis(300);
    let node = node();
    let body = json!({ "to": "everyone", "title": "Before they came" });
    assert_eq!(post(&node, Some(TOKEN), body).await.status, StatusCode::OK);
    // Waits for the next millisecond: a notification in the millisecond of the visitor's arrival is unread.
    let sent = SystemTime::now() + Duration::from_millis(1);
    while SystemTime::now() <= sent {
        tokio::task::yield_now().await;
    }
    let request = |path: &str, cookies: &str| {
        let request = Request::get(path).header("host", "localhost").header("cookie", cookies);
        request.body(Body::empty()).unwrap()
    };
    let page = node.page(request("/notifications", "")).await;
    let cookies = page.headers.get_all("set-cookie").iter();
    let cookies: Vec<&str> = cookies
        .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
        .collect();
    assert!(
        cookies.iter().any(|cookie| cookie.starts_with("arrival=")),
        "{cookies:?}"
    );
    assert!(page.body.contains("Before they came") && page.body.contains("data-read=\"true\""));
    assert!(!page.body.contains("data-read=\"false\""));
    // An unread hint would make the first page load the rest of the app.
    for cookies in [cookies.join("; "), String::new()] {
        let answer = node
            .router
            .clone()
            .oneshot(request(UNREAD_EVENTS_PATH, &cookies))
            .await
            .unwrap();
        let quiet = timeout(QUIET, to_bytes(answer.into_body(), usize::MAX)).await;
        assert!(quiet.is_err(), "{cookies}: {quiet:?}");
    }
    // The notification is unread for a visitor who arrived before it.
    let (known, _) = visitor(&node, Transport::Poll).await;
    assert!(with_timeout(news(&node, &known)).await.contains(ALREADY_UNREAD));
}

#[tokio::test]
async fn an_inbox_is_private_on_every_transport() {
    let node = node();
    let (mut mine, id) = visitor(&node, Transport::WebSocket(Encoding::Json)).await;
    let inbox = format!("inbox/{id}");
    mine.subscribe(&inbox, None).await;
    let secret = InboxCommand::Send(notice("secret"));
    assert_eq!(mine.command(&inbox, &secret).await, Answer::Accepted { seq: 1 });
    assert_eq!(mine.next_event::<Inbox>().await.0, 1);
    let history = format!("{HISTORY_PATH}?topic={inbox}");
    assert!(get(&node, &history, &mine).await.body.contains("secret"));
    let forbidden = Denial::Forbidden;
    for transport in TRANSPORTS {
        let (mut other, other_id) = visitor(&node, transport).await;
        assert_ne!(other_id, id);
        let verdict = other.subscribe(&inbox, None).await;
        assert_eq!(verdict, Verdict::Denied { reason: forbidden });
        for command in [
            secret.clone(),
            InboxCommand::ReadAll {
                heads: [(OWN_INBOX.to_owned(), 1)].into(),
            },
        ] {
            let answer = other.command(&inbox, &command).await;
            assert_eq!(answer, Answer::Rejected(Rejection::Denied(forbidden)));
        }
        let page = get(&node, &history, &other).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        assert!(!page.body.contains("secret"));
        assert!(!get(&node, "/notifications", &other).await.body.contains("secret"));
        let form = format!("inbox={id}&heads=me%3D1");
        assert_eq!(
            submit(&node, &other, form).await.status,
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
    let verdict = mine.subscribe(&inbox, None).await;
    let state = state(&mine, verdict);
    assert_eq!(
        (state.list.total, state.marks.len()),
        (1, 0),
        "a rejected request changed the inbox"
    );
}

#[tokio::test]
async fn visitors_cannot_send_notifications_to_others() {
    let node = node();
    let (mut visitor, _) = visitor(&node, Transport::WebSocket(Encoding::Json)).await;
    let answer = visitor.command(ALL, &NoticesCommand::Send(notice("x"))).await;
    assert_eq!(answer, Answer::Rejected(Rejection::Denied(Denial::Forbidden)));
    let verdict = visitor.subscribe("notices/nobody", None).await;
    assert_eq!(
        verdict,
        Verdict::Denied {
            reason: Denial::Unknown
        }
    );
    let body = json!({ "to": "everyone", "title": "x" });
    for token in [None, Some("another-token-than-that")] {
        assert_eq!(post(&node, token, body.clone()).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_problem_names_the_invalid_field() {
    let node = node();
    for (body, field) in [
        (json!({ "to": "everyone" }), "`title`"),
        (json!({ "to": { "group": "x" }, "title": "x" }), "`to.group`"),
        (json!({ "to": "everyone", "title": "x", "link": "//x" }), "`link`"),
        (json!({ "to": "everyone", "title": "x".repeat(121) }), "`title`"),
        (json!({ "to": "everyone", "title": "x", "expires": 5 }), "`expires`"),
        (
            json!({ "to": "everyone", "title": "x", "expires": "soon" }),
            "`expires`",
        ),
    ] {
        let answer = post(&node, Some(TOKEN), body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.problem().contains(field), "{}", answer.body);
    }
}

async fn submit(node: &Node, visitor: &Visitor<'_>, form: String) -> harness::Response {
    let request = Request::post("/notifications")
        .header("host", "localhost")
        .header("cookie", visitor.cookie())
        .header("content-type", "application/x-www-form-urlencoded");
    node.page(request.body(Body::from(form)).unwrap()).await
}

/// The value of the page's hidden field of this name.
fn field(page: &str, name: &str) -> String {
    let field = page
        .split("<input")
        .find(|tag| tag.contains(&format!("name=\"{name}\"")))
        .unwrap();
    let value = field.split("value=\"").nth(1).unwrap();
    value.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn without_scripts_the_page_lists_notifications_and_a_form_marks_them_read() {
    let node = node();
    let (mut visitor, id) = visitor(&node, Transport::WebSocket(Encoding::Json)).await;
    let follow = InboxCommand::Follow {
        group: "market".to_owned(),
        on: true,
        head: 0,
    };
    visitor.command(&format!("inbox/{id}"), &follow).await;
    for (to, title) in [
        (json!("everyone"), "for all"),
        (json!({ "visitor": id }), "for me <b>"),
        (json!({ "group": "market" }), "for those who follow"),
        (json!({ "group": "devices" }), "for others"),
    ] {
        let body = json!({ "to": to, "title": title, "link": "/chat" });
        assert_eq!(post(&node, Some(TOKEN), body).await.status, StatusCode::OK);
    }
    let page = get(&node, "/notifications", &visitor).await.body;
    for text in ["for all", "for me &lt;b&gt;", "for those who follow", "3 unread"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert_eq!(page.matches("data-read=\"false\"").count(), 3, "{page}");
    assert_eq!(field(&page, "inbox"), id);
    assert_eq!(field(&page, "heads"), "all=1 market=1 me=2");
    let form = format!(
        "inbox={id}&heads={}",
        field(&page, "heads").replace(' ', "+").replace('=', "%3D")
    );
    let answer = submit(&node, &visitor, form).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::SEE_OTHER, "/notifications")
    );
    let page = get(&node, "/notifications", &visitor).await.body;
    assert_eq!(page.matches("data-read=\"true\"").count(), 3, "{page}");
    assert_eq!(page.matches("data-read=\"false\"").count(), 0);
    assert!(
        !page.contains("data-source=\"devices\""),
        "a group that the visitor does not follow is listed"
    );
}
