//! Range requests for static files.

use std::fs;

use axum::body::Body;
use axum::http::{Method, Request};

use crate::harness::{Node, Response};

const TEXT: &str = "0123456789";

async fn request(node: &Node, method: Method, headers: &[(&str, &str)]) -> Response {
    let builder = Request::builder()
        .method(method)
        .uri("/file.txt")
        .header("host", "localhost");
    let builder = headers
        .iter()
        .fold(builder, |builder, (name, value)| builder.header(*name, *value));
    node.request(builder.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_range_is_served_only_if_if_range_matches() {
    let site = tempfile::tempdir().unwrap();
    fs::write(site.path().join("file.txt"), TEXT).unwrap();
    let node = Node::with_site(site.path(), |_| {});
    let full = request(&node, Method::GET, &[]).await;
    let (tag, modified) = (full.header("etag").to_owned(), full.header("last-modified").to_owned());
    assert_eq!((full.status.as_u16(), full.body.as_str()), (200, TEXT));
    let range = ("range", "bytes=2-4");
    for current in [
        &[range][..],
        &[range, ("if-range", &tag)],
        &[range, ("if-range", &modified)],
    ] {
        let part = request(&node, Method::GET, current).await;
        assert_eq!((part.status.as_u16(), part.body.as_str()), (206, "234"), "{current:?}");
        assert_eq!(part.header("content-range"), "bytes 2-4/10");
    }
    let weak = format!("W/{tag}");
    let bare = tag.trim_matches('"').to_owned();
    let mismatches = [
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
    // Also with a range outside the file.
    for range in [range, ("range", "bytes=100-200"), ("range", "bytes=-3")] {
        for condition in mismatches {
            let answer = request(&node, Method::GET, &[range, ("if-range", condition)]).await;
            assert_eq!(
                (answer.status.as_u16(), answer.body.as_str()),
                (200, TEXT),
                "{range:?}, {condition}"
            );
            assert_eq!(answer.header("content-range"), "");
        }
        let twice = [range, ("if-range", tag.as_str()), ("if-range", tag.as_str())];
        assert_eq!(request(&node, Method::GET, &twice).await.body, TEXT);
    }
    let beyond = request(&node, Method::GET, &[("range", "bytes=100-200"), ("if-range", &tag)]).await;
    assert_eq!(beyond.status.as_u16(), 416);
}

#[tokio::test]
async fn an_invalid_range_is_ignored() {
    let site = tempfile::tempdir().unwrap();
    fs::write(site.path().join("file.txt"), TEXT).unwrap();
    let node = Node::with_site(site.path(), |_| {});
    for range in ["items=0-4", "bytes=a-b", "bytes=", "0-4", "bytes=0-1,4-5"] {
        let answer = request(&node, Method::GET, &[("range", range)]).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, TEXT), "{range}");
    }
    // Range applies to GET only (RFC 9110, section 14.2).
    assert_eq!(
        request(&node, Method::HEAD, &[("range", "bytes=0-4")])
            .await
            .status
            .as_u16(),
        200
    );
    let last = request(&node, Method::GET, &[("range", "bytes=-3")]).await;
    assert_eq!((last.status.as_u16(), last.body.as_str()), (206, "789"));
}
