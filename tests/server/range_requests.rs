//! Files of the front end, asked for in part.

use std::fs;

use axum::body::Body;
use axum::http::{Method, Request};

use crate::harness::{Node, Response};

const TEXT: &str = "0123456789";

async fn ask(node: &Node, method: Method, headers: &[(&str, &str)]) -> Response {
    let request = Request::builder()
        .method(method)
        .uri("/file.txt")
        .header("host", "localhost");
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    node.request(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_range_is_served_only_if_if_range_matches() {
    let site = tempfile::tempdir().unwrap();
    fs::write(site.path().join("file.txt"), TEXT).unwrap();
    let node = Node::with_site(site.path(), |_| {});
    let whole = ask(&node, Method::GET, &[]).await;
    let (tag, modified) = (
        whole.header("etag").to_owned(),
        whole.header("last-modified").to_owned(),
    );
    assert_eq!((whole.status.as_u16(), whole.body.as_str()), (200, TEXT));
    let range = ("range", "bytes=2-4");
    for current in [
        &[range][..],
        &[range, ("if-range", &tag)],
        &[range, ("if-range", &modified)],
    ] {
        let part = ask(&node, Method::GET, current).await;
        assert_eq!((part.status.as_u16(), part.body.as_str()), (206, "234"), "{current:?}");
        assert_eq!(part.header("content-range"), "bytes 2-4/10");
    }
    let weak = format!("W/{tag}");
    let bare = tag.trim_matches('"').to_owned();
    let wrong = [
        "\"another\"",
        &weak,
        &bare,
        "nonsense",
        "*",
        "",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Sun, 06 Nov",
    ];
    // With a range that the file does not have, too.
    for range in [range, ("range", "bytes=100-200"), ("range", "bytes=-3")] {
        for condition in wrong {
            let answer = ask(&node, Method::GET, &[range, ("if-range", condition)]).await;
            assert_eq!(
                (answer.status.as_u16(), answer.body.as_str()),
                (200, TEXT),
                "{range:?}, {condition}"
            );
            assert_eq!(answer.header("content-range"), "");
        }
        let twice = [range, ("if-range", tag.as_str()), ("if-range", tag.as_str())];
        assert_eq!(ask(&node, Method::GET, &twice).await.body, TEXT);
    }
    let beyond = ask(&node, Method::GET, &[("range", "bytes=100-200"), ("if-range", &tag)]).await;
    assert_eq!(beyond.status.as_u16(), 416);
}

#[tokio::test]
async fn an_invalid_range_is_ignored() {
    let site = tempfile::tempdir().unwrap();
    fs::write(site.path().join("file.txt"), TEXT).unwrap();
    let node = Node::with_site(site.path(), |_| {});
    for range in ["items=0-4", "bytes=a-b", "bytes=", "0-4", "bytes=0-1,4-5"] {
        let answer = ask(&node, Method::GET, &[("range", range)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, TEXT), "{range}");
    }
    // A range is of a GET alone.
    assert_eq!(
        ask(&node, Method::HEAD, &[("range", "bytes=0-4")])
            .await
            .status
            .as_u16(),
        200
    );
    let last = ask(&node, Method::GET, &[("range", "bytes=-3")]).await;
    assert_eq!((last.status.as_u16(), last.body.as_str()), (206, "789"));
}
