//! Tests of the page and the form over HTTP, without a browser.

#![expect(clippy::unwrap_used, reason = "a missing value fails the test")]

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, Response, StatusCode, header, request};
use duplex_axum::{Gateway, Settings};
use duplex_hub::log::memory::MemoryLog;
use duplex_hub::{Hub, dyn_topic};
use duplex_protocol::cursor::Epoch;
use leptos::config::LeptosOptions;
use tally::model::Tally;
use tally::server::routes;
use tally::visitor::Visitors;
use tower::ServiceExt as _;

fn app() -> Router {
    let hub = Hub::new(Arc::new(MemoryLog::new(Epoch::new(1))), vec![dyn_topic(Tally)]);
    let gateway = Gateway::new(hub.clone(), Settings::default(), Visitors(hub));
    routes(gateway, LeptosOptions::builder().output_name("tally").build())
}

/// A request with a host name that the app accepts.
fn request(method: Method, path: &str) -> request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
}

async fn send(app: &Router, request: request::Builder, body: &'static str) -> Response<Body> {
    let request = request.body(Body::from(body)).unwrap();
    app.clone().oneshot(request).await.unwrap()
}

async fn get(app: &Router) -> Response<Body> {
    send(app, request(Method::GET, "/"), "").await
}

async fn post(app: &Router, fields: &'static str) -> Response<Body> {
    let form = "application/x-www-form-urlencoded";
    let request = request(Method::POST, "/add").header(header::CONTENT_TYPE, form);
    send(app, request, fields).await
}

async fn total(app: &Router) -> String {
    let page = to_bytes(get(app).await.into_body(), usize::MAX).await.unwrap();
    let page = String::from_utf8(page.to_vec()).unwrap();
    let (_, output) = page.split_once("<output").unwrap();
    let (_, total) = output.split_once('>').unwrap();
    total.chars().take_while(char::is_ascii_digit).collect()
}

#[tokio::test]
async fn the_page_contains_the_number_and_the_form_adds_to_it() {
    let app = app();
    assert_eq!(total(&app).await, "0");
    let answer = post(&app, "add=3").await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()[header::LOCATION], "/");
    assert_eq!(total(&app).await, "3");
    assert_eq!(post(&app, "add=11").await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(total(&app).await, "3");
}

#[tokio::test]
async fn a_new_visitor_gets_a_cookie() {
    let app = app();
    let answer = get(&app).await;
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("; HttpOnly"), "{cookie}");
    let (cookie, _) = cookie.split_once(';').unwrap();
    let second = request(Method::GET, "/").header(header::COOKIE, cookie);
    let second = send(&app, second, "").await;
    assert!(!second.headers().contains_key(header::SET_COOKIE));
}

#[tokio::test]
async fn a_page_of_another_origin_adds_nothing() {
    let app = app();
    let foreign = request(Method::POST, "/add").header(header::ORIGIN, "https://elsewhere.example");
    let answer = send(&app, foreign, "add=1").await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(total(&app).await, "0");
}

#[test]
fn the_workspace_readme_contains_the_code() {
    let readme = include_str!("../../../README.md");
    for file in [
        include_str!("../src/model.rs"),
        include_str!("../src/decider.rs"),
        include_str!("../src/page.rs"),
    ] {
        let (_, code) = file.split_once("\n\n").unwrap();
        let (code, _) = code.split_once("\n#[cfg(test)]").unwrap_or((code, ""));
        assert!(readme.contains(code.trim_end()), "{code}");
    }
}
