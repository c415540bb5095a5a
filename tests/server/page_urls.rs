//! Page URLs: canonical redirects, 404 for missing items, response language.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::harness::{Node, Response};

const FORM: &str = "application/x-www-form-urlencoded";

async fn get(node: &Node, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = Request::get(path).header("host", "localhost");
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    node.page(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_page_has_one_url_and_variants_redirect_to_it() {
    let node = Node::new();
    for (path, location) in [
        ("/chat/", "/chat"),
        ("/chat/?a=b&c", "/chat?a=b&c"),
        ("//", "/"),
        ("//chat", "/chat"),
        ("/About/", "/about"),
        ("/devices/oven-1/", "/devices/oven-1"),
    ] {
        let answer = get(&node, path, &[("accept", "text/html")]).await;
        assert_eq!(answer.status, StatusCode::PERMANENT_REDIRECT, "{path}");
        assert_eq!(answer.header("location"), location, "{path}");
    }
    for path in [
        "//evil.example/",
        "//evil.example/chat",
        "/api/vitals/",
        "/chat/a/b",
        "/abouts",
    ] {
        let answer = get(&node, path, &[("accept", "text/html")]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let form = Request::post("/chat/")
        .header("host", "localhost")
        .header("content-type", FORM);
    let posted = node.page(form.body("message=x".into()).unwrap()).await;
    assert_eq!(
        posted.status,
        StatusCode::PERMANENT_REDIRECT,
        "308 makes the browser post again"
    );
}

#[tokio::test]
async fn a_page_about_a_missing_item_is_a_404_in_the_visitors_language() {
    let node = Node::new();
    for (path, ko, en) in [
        ("/chat/nobody-made-this", "존재하지 않는 방입니다", "Room not found"),
        ("/chat/Not_A_Room", "존재하지 않는 방입니다", "Room not found"),
        ("/chat/%FF", "존재하지 않는 방입니다", "Room not found"),
        ("/chat/%00%0A", "존재하지 않는 방입니다", "Room not found"),
        ("/devices/never-heard", "존재하지 않는 기기입니다", "Device not found"),
        ("/devices/%E0%A4%A", "존재하지 않는 기기입니다", "Device not found"),
        ("/market/nothing", "존재하지 않는 종목입니다", "Symbol not found"),
        ("/market/%E2%80%AE", "존재하지 않는 종목입니다", "Symbol not found"),
        ("/nowhere/%ff", "페이지를 찾을 수 없습니다", "Page not found"),
    ] {
        for (language, text) in [("ko", ko), ("en", en)] {
            let page = get(&node, path, &[("accept", "text/html"), ("accept-language", language)]).await;
            assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
            assert!(page.body.contains(text), "{path} in {language}");
        }
    }
    // Browsers resolve these paths before they send a request.
    for path in ["/devices/%2E%2E", "/devices/..", "/chat/%2e"] {
        assert_eq!(get(&node, path, &[]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["/chat", "/chat/lobby", "/devices", "/market"] {
        assert_eq!(get(&node, path, &[]).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_subpage_marks_its_parent_in_the_navigation() {
    let node = Node::new();
    for (path, parent) in [
        ("/", "/"),
        ("/about", "/about"),
        ("/chat/lobby", "/chat"),
        ("/devices/x", "/devices"),
    ] {
        let page = get(&node, path, &[("accept", "text/html")]).await;
        let navigation = page.body.split("<nav").nth(1).unwrap().split("</nav>").next().unwrap();
        let current: Vec<&str> = navigation
            .split("<a ")
            .filter(|link| link.contains("aria-current=\"page\""))
            .collect();
        assert_eq!(current.len(), 1, "{path}: {navigation}");
        assert!(
            current[0].contains(&format!("href=\"{parent}\"")),
            "{path}: {}",
            current[0]
        );
    }
}

/// The language of a page for each `Accept-Language`.
#[tokio::test]
async fn a_page_is_rendered_in_korean_or_english() {
    let node = Node::new();
    for (accepted, language, title) in [
        (None, "ko", "WebSocket 테스트"),
        (Some("*"), "ko", "WebSocket 테스트"),
        (Some("ko-KP"), "ko", "WebSocket 테스트"),
        (Some("de-DE,de;q=0.9"), "en", "WebSocket test"),
        (Some("en-GB"), "en", "WebSocket test"),
    ] {
        let headers: Vec<_> = accepted.iter().map(|accepted| ("accept-language", *accepted)).collect();
        let page = get(&node, "/", &headers).await.body;
        assert!(page.contains(&format!("<html lang=\"{language}\"")), "{accepted:?}");
        assert!(
            page.contains(&format!("<title>{title} · Duplex</title>")),
            "{accepted:?}"
        );
        let heading = page.split("<h1").nth(1).unwrap().split('>').nth(1).unwrap();
        assert!(heading.starts_with(title), "{accepted:?}: {heading}");
    }
}
