//! The shape of a page's document, a structural fingerprint: the count and hash of its elements, comments and texts in order. The
//! page carries it in a meta element, and the browser compares it with its own document before it hydrates (`src/hydration.js`),
//! because hydration panics on a document that a proxy or an extension has changed.

use std::fmt;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use duplex_axum::error::Problem;

/// Elements whose content is not parsed into nodes of the document.
const RAW: [&str; 7] = ["script", "style", "textarea", "title", "noscript", "template", "iframe"];
/// Where `leptos_meta` begins to hydrate the head.
const HEAD_MARKER: &str = "<!--HEAD-->";
const ISLAND_ATTRIBUTE: &str = "id=\"early\"";

/// Middleware that appends the shape to each page.
pub async fn append(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return Problem::unavailable("The page could not be rendered.").into_response();
    };
    // Pages without the marker are not hydrated.
    let Some(page) = std::str::from_utf8(&bytes)
        .ok()
        .filter(|page| page.contains(HEAD_MARKER))
    else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    let page = format!("{page}<meta name=\"duplex-shape\" content=\"{}\">", shape(page));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(page))
}

/// The shape in the form that the page carries: `head5.1f2e body120.77ab early31.9c0d`.
fn shape(html: &str) -> String {
    let head = html.split_once(HEAD_MARKER).map_or("", |(_, rest)| rest);
    let head = head.split_once("</head>").map_or("", |(head, _)| head);
    let body = html.split_once("<body").and_then(|(_, rest)| rest.split_once('>'));
    let body = body.map_or("", |(_, body)| body);
    let mut scanner = Scanner::default();
    scanner.scan(body);
    let mut head_scanner = Scanner::default();
    head_scanner.scan(head);
    let island = scanner
        .island
        .map(|island| format!(" early{island}"))
        .unwrap_or_default();
    format!("head{} body{}{island}", head_scanner.page, scanner.page)
}

/// The number of elements, comments and texts, and an FNV-1a hash over their names in order.
#[derive(Debug, Clone, Copy)]
struct Shape {
    count: usize,
    hash: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            count: 0,
            hash: 0x811c_9dc5,
        }
    }
}

impl Shape {
    fn add(&mut self, name: &str) {
        self.count += 1;
        for byte in name.bytes().map(|byte| byte.to_ascii_lowercase()).chain([b';']) {
            self.hash = (self.hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:x}", self.count, self.hash)
    }
}

#[derive(Default)]
struct Scanner {
    page: Shape,
    /// The shape of the island, once the scan has reached it.
    island: Option<Shape>,
    /// Depth of open `div` elements within the island.
    open_divs: usize,
}

impl Scanner {
    fn add(&mut self, name: &str) {
        match &mut self.island {
            Some(island) if self.open_divs > 0 => island.add(name),
            _ => self.page.add(name),
        }
    }

    /// Scans up to the end of the body. Anything after it is not hydrated.
    fn scan(&mut self, html: &str) {
        let mut rest = html;
        while !rest.is_empty() {
            let Some(at) = rest.find('<') else {
                return self.add("");
            };
            if at > 0 {
                self.add("");
            }
            rest = &rest[at..];
            if let Some(comment) = rest.strip_prefix("<!") {
                self.add("!");
                let end = if comment.starts_with("--") { "-->" } else { ">" };
                rest = comment.split_once(end).map_or("", |(_, rest)| rest);
            } else if let Some(closed) = rest.strip_prefix("</") {
                let (name, after) = closed.split_once('>').unwrap_or((closed, ""));
                if name == "body" {
                    return;
                }
                if name == "div" {
                    self.open_divs = self.open_divs.saturating_sub(1);
                }
                rest = after;
            } else {
                rest = self.element(&rest[1..]);
            }
        }
    }

    /// Scans an opening tag, or all of a raw element. Returns the rest.
    fn element<'a>(&mut self, html: &'a str) -> &'a str {
        let name_ends = html.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
        let (name, rest) = html.split_at(name_ends.unwrap_or(html.len()));
        let (attributes, mut after) = rest.split_at(tag_end(rest));
        after = after.strip_prefix('>').unwrap_or(after);
        self.add(name);
        if name == "div" {
            if self.island.is_none() && attributes.contains(ISLAND_ATTRIBUTE) {
                self.island = Some(Shape::default());
                self.open_divs = 1;
            } else if self.open_divs > 0 {
                self.open_divs += 1;
            }
        }
        if RAW.contains(&name) {
            let end = format!("</{name}>");
            after = after.split_once(&*end).map_or("", |(_, rest)| rest);
        }
        after
    }
}

/// The offset of the `>` that ends the tag, outside of quotes.
fn tag_end(attributes: &str) -> usize {
    let mut quote = None;
    for (at, byte) in attributes.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    attributes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(body: &str) -> String {
        shape(&format!(
            "<html><head><!--HEAD--><meta name=\"a\"></head><body class=\"x\">{body}</body></html><script>1</script>"
        ))
    }

    #[test]
    fn changes_that_break_hydration_change_the_shape() {
        let sent = shape_of("<p>a<!>b</p><input value=\"1 > 0\"><div><b>c</b></div>");
        for changed in [
            "<p>ab</p><input value=\"1 > 0\"><div><b>c</b></div>",
            "<div></div><p>a<!>b</p><input value=\"1 > 0\"><div><b>c</b></div>",
            "<p>a<!>b</p><span></span><input value=\"1 > 0\"><div><b>c</b></div>",
            "<p>a<!>b</p><input value=\"1 > 0\"><div><b><font>c</font></b></div>",
            "<p>a<!>b</p><input value=\"1 > 0\"><div> <b>c</b></div>",
        ] {
            assert_ne!(shape_of(changed), sent, "{changed}");
        }
    }

    #[test]
    fn texts_and_attributes_do_not_change_the_shape() {
        let sent = shape_of("<p>a</p><input value=\"1\"><textarea>typed <b></textarea><script>a<b</script>");
        assert_eq!(
            shape_of("<p class='x>y'>other</p><input><textarea></textarea><script></script>"),
            sent
        );
    }

    #[test]
    fn the_island_has_a_shape_of_its_own() {
        let page = |early: &str| shape_of(&format!("<p>a</p><div id=\"early\">{early}</div><p>b</p>"));
        let parts = |shape: &str| shape.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let one = parts(&page("<div><i>x</i></div>"));
        let other = parts(&page("<div><div></div><i>x</i></div>y"));
        assert_eq!(one.len(), 3);
        assert_eq!(one[..2], other[..2]);
        assert_ne!(one[2], other[2]);
        assert!(one[1].starts_with("body5."), "{one:?}");
        assert!(one[2].starts_with("early3."), "{one:?}");
    }
}
