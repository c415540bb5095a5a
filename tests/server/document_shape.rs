//! The document-shape hash in a page's meta tag must match the DOM that a browser builds; otherwise hydration falls back to client
//! rendering.

use axum::body::Body;
use axum::http::Request;
use html5ever::tendril::TendrilSink as _;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use crate::harness::Node;

/// Elements whose children are not counted.
const OPAQUE: [&str; 7] = ["script", "style", "textarea", "title", "noscript", "template", "iframe"];

/// The count and hash of nodes, computed like in `hydration.js`.
struct Shape {
    remaining: usize,
    count: usize,
    hash: u32,
}

impl Shape {
    fn of(nodes: &[Handle], limit: usize, skip_island: bool) -> String {
        let mut shape = Self {
            remaining: limit,
            count: 0,
            hash: 0x811c_9dc5,
        };
        shape.visit(nodes, skip_island);
        format!("{}.{:x}", shape.count, shape.hash)
    }

    fn visit(&mut self, nodes: &[Handle], skip_island: bool) {
        for node in nodes {
            if self.remaining == 0 {
                return;
            }
            self.remaining -= 1;
            self.count += 1;
            let name = name(node);
            let token = match &node.data {
                NodeData::Comment { .. } => "!".to_owned(),
                _ => name.to_lowercase(),
            };
            for byte in token.bytes().chain([b';']) {
                self.hash = (self.hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
            }
            if !(OPAQUE.contains(&&*name) || skip_island && is_island(node)) {
                self.visit(&node.children.borrow(), skip_island);
            }
        }
    }
}

fn name(node: &Handle) -> String {
    match &node.data {
        NodeData::Element { name, .. } => name.local.to_string(),
        _ => String::new(),
    }
}

fn is_island(node: &Handle) -> bool {
    let NodeData::Element { attrs, .. } = &node.data else {
        return false;
    };
    let attributes = attrs.borrow();
    attributes
        .iter()
        .any(|attribute| &*attribute.name.local == "id" && &*attribute.value == "early")
}

fn find(node: &Handle, wanted: &dyn Fn(&Handle) -> bool) -> Option<Handle> {
    if wanted(node) {
        return Some(node.clone());
    }
    node.children.borrow().iter().find_map(|child| find(child, wanted))
}

fn is_marker(node: &Handle) -> bool {
    matches!(&node.data, NodeData::Comment { contents } if &**contents == "HEAD")
}

fn count(shape: &str) -> usize {
    shape.split('.').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_parsed_document_has_the_shape_in_its_meta_tag() {
    let node = Node::new();
    for path in [
        "/",
        "/about",
        "/chat",
        "/arena",
        "/compare",
        "/notifications",
        "/market",
        "/market/hnb",
        "/devices",
        "/status",
        "/nowhere",
    ] {
        let request = Request::get(path)
            .header("host", "localhost")
            .header("accept", "text/html");
        let html = node.page(request.body(Body::empty()).unwrap()).await.body;
        let (_, sent) = html.rsplit_once("name=\"duplex-shape\" content=\"").unwrap();
        let sent: Vec<_> = sent.split('"').next().unwrap().split(' ').collect();
        let expected = |part: &str| sent.iter().find_map(|line| line.strip_prefix(part));

        let document = parse_document(RcDom::default(), ParseOpts::default())
            .one(html.clone())
            .document;
        let head = find(&document, &|node| name(node) == "head").unwrap();
        let after: Vec<_> = head
            .children
            .borrow()
            .iter()
            .skip_while(|node| !is_marker(node))
            .skip(1)
            .cloned()
            .collect();
        let body = find(&document, &|node| name(node) == "body").unwrap();
        let of_head = expected("head").unwrap();
        assert_eq!(Shape::of(&after, count(of_head), false), of_head, "{path}");
        let of_body = expected("body").unwrap();
        assert!(count(of_body) > 50, "{path}: {of_body}");
        assert_eq!(
            Shape::of(&body.children.borrow(), count(of_body), true),
            of_body,
            "{path}"
        );
        if let Some(island) = find(&body, &|node| is_island(node)) {
            let of_island = expected("early").unwrap();
            assert_eq!(
                Shape::of(&island.children.borrow(), count(of_island), false),
                of_island,
                "{path}"
            );
        }
    }
}
