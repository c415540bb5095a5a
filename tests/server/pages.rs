//! Pages and files, and the headers of every response: security policies, caching, compression.

use std::fs;
use std::path::Path;

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::harness::{Node, ROUTE_LIST_LOCK, Response, with_timeout};

async fn get(node: &Node, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = Request::get(path).header("host", "localhost");
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    node.page(request.body(Body::empty()).unwrap()).await
}

async fn post(node: &Node, content_type: &str, body: impl Into<Body>) -> Response {
    let request = Request::post("/")
        .header("host", "localhost")
        .header("content-type", content_type);
    node.page(request.body(body.into()).unwrap()).await
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn scripts_carry_the_nonce_of_the_content_security_policy() {
    let node = Node::new();
    let page = get(&node, "/", &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("WebSocket 테스트"));
    assert_eq!(page.header("cache-control"), "private, no-cache, no-transform");
    let policy = page.header("content-security-policy").to_owned();
    let nonce = policy
        .split("'nonce-")
        .nth(1)
        .and_then(|rest| rest.split('\'').next())
        .unwrap();
    assert!(nonce.len() >= 22, "{policy}");
    // Browsers do not run an empty script, so it needs no nonce.
    let scripts = page.body.replace("<script></script>", "");
    let scripts: Vec<_> = scripts
        .split("<script")
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap())
        .collect();
    assert!(!scripts.is_empty());
    for tag in scripts {
        assert!(tag.contains(&format!("nonce=\"{nonce}\"")), "{tag}");
    }
    let other = get(&node, "/", &[]).await;
    assert_ne!(other.header("content-security-policy"), policy, "a nonce was reused");
}

#[tokio::test]
async fn the_shared_script_is_cached_as_immutable() {
    let node = Node::new();
    let page = get(&node, "/about", &[]).await;
    let start = page.body.find("/pkg/hydration.").unwrap();
    let path = page.body[start..].split('"').next().unwrap().to_owned();
    let script = get(&node, &path, &[]).await;
    assert_eq!(script.status, StatusCode::OK);
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(script.header("cache-control"), "public, max-age=31536000, immutable");
    assert!(script.body.contains("duplexPage") && !script.body.contains("// "));
    let etag = script.header("etag").to_owned();
    let again = get(&node, &path, &[("if-none-match", &etag)]).await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
}

/// A proxy that strips comments or adds elements breaks hydration. The page carries the shape by which it detects that.
#[tokio::test]
async fn every_page_is_no_transform_and_carries_its_shape() {
    let node = Node::new();
    for path in [
        "/",
        "/about",
        "/chat",
        "/chat/no-such-room",
        "/market",
        "/devices",
        "/status",
        "/nowhere",
    ] {
        let page = get(&node, path, &[("accept", "text/html")]).await;
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        assert!(page.header("cache-control").ends_with(", no-transform"), "{path}");
        let shape = page.body.rsplit_once("<meta name=\"duplex-shape\" content=\"head");
        let (page, shape) = shape.expect(path);
        assert_eq!(shape.contains(" early"), path == "/", "{path}: {shape}");
        assert!(page.contains("</body>"), "{path}");
    }
    let rejected = post(&node, FORM, "").await;
    assert_eq!(
        rejected.header("cache-control"),
        "no-store",
        "a problem document must not be cached"
    );
}

/// Only the echo page may connect to any WebSocket server.
#[tokio::test]
async fn only_the_echo_page_may_connect_to_other_servers() {
    let node = Node::new();
    let connect_src = async |path: &str| {
        let page = get(&node, path, &[("accept", "text/html")]).await;
        let policy = page.header("content-security-policy").to_owned();
        let directive = policy.split("; ").find(|part| part.starts_with("connect-src "));
        directive.unwrap().to_owned()
    };
    assert_eq!(connect_src("/").await, "connect-src 'self' ws: wss:");
    for path in ["/about", "/arena", "/status", "/compare", "/nowhere", "/?", "/about?/"] {
        let expected = match path {
            "/?" => "connect-src 'self' ws: wss:",
            _ => "connect-src 'self' ws://localhost wss://localhost",
        };
        assert_eq!(connect_src(path).await, expected, "{path}");
    }
    // Other pages link to the echo page with a full navigation, because of its policy.
    let link = "<a href=\"/\" rel=\"external\" class=\"brand\">";
    assert!(get(&node, "/about", &[]).await.body.contains(link));
    assert!(!get(&node, "/", &[]).await.body.contains(link));
}

#[tokio::test]
async fn the_echo_page_inlines_critical_css_and_other_pages_load_the_style_sheet() {
    let site = write_site();
    fs::write(site.path().join("pkg/duplex.css"), "a{}@layer deferred;b{}").unwrap();
    let node = Node::with_site(site.path(), |_| {});
    let first = get(&node, "/", &[]).await;
    let policy = first.header("content-security-policy").to_owned();
    let (tag, style) = first.body.split_once("<style").unwrap().1.split_once('>').unwrap();
    let nonce = tag.split('"').nth(1).unwrap();
    assert!(
        policy.contains(&format!("style-src 'self' 'nonce-{nonce}'")),
        "{policy} {tag}"
    );
    assert!(style.starts_with("a{}</style>"), "{style}");
    let is_sheet_deferred = |page: &Response| {
        let mut links = page
            .body
            .split("<link ")
            .skip(1)
            .map(|rest| rest.split('>').next().unwrap());
        let link = links.find(|link| link.contains("stylesheet")).unwrap();
        assert!(link.contains("href=\"/pkg/duplex.css\""), "{link}");
        link.contains("disabled")
    };
    assert!(is_sheet_deferred(&first));
    let other = get(&node, "/about", &[]).await;
    assert!(!other.body.contains("<style"));
    assert!(!is_sheet_deferred(&other));
    // Without the layer `rest`, every page loads the style sheet.
    fs::write(site.path().join("pkg/duplex.css"), "a{}b{}").unwrap();
    let first = get(&Node::with_site(site.path(), |_| {}), "/", &[]).await;
    assert!(!first.body.contains("<style"));
    assert!(!is_sheet_deferred(&first));
}

#[tokio::test]
async fn the_echo_form_is_answered_by_the_page() {
    let node = Node::new();
    let page = post(&node, FORM, "message=%EC%95%88%EB%85%95+%3Cb%3E").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("서버 응답: 안녕 &lt;b&gt;"), "{}", page.body);
    assert!(
        !get(&node, "/", &[]).await.body.contains("안녕 &lt;b&gt;"),
        "the message was stored"
    );
}

#[tokio::test]
async fn an_invalid_form_is_rejected_with_the_cause() {
    let node = Node::new();
    for (content_type, body, status) in [
        (FORM, "other=x".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
        (
            FORM,
            format!("message={}", "x".repeat(65_536)),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        ("text/plain", "message=x".to_owned(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let answer = post(&node, content_type, body).await;
        assert_eq!(answer.status, status);
        assert!(!answer.problem().is_empty());
    }
}

#[tokio::test]
async fn not_found_is_a_page_for_browsers_and_a_problem_for_programs() {
    let node = Node::new();
    let page = get(&node, "/nowhere", &[("accept", "text/html,*/*")]).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.body.contains("<html"));
    assert!(page.header("content-security-policy").contains("'nonce-"));
    for (path, accept) in [
        ("/nowhere", "*/*"),
        ("/api/nowhere", "text/html"),
        ("/pkg/gone.js", "*/*"),
    ] {
        let answer = get(&node, path, &[("accept", accept)]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(answer.problem().contains(path));
    }
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let node = Node::new();
    for path in ["/", "/healthz", "/api/vitals", "/api/socket", "/api/nowhere"] {
        let answer = get(&node, path, &[]).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        let is_document = answer.header("content-type").starts_with("text/html");
        assert_eq!(is_document, path == "/", "{path}");
        for name in ["x-frame-options", "referrer-policy", "cross-origin-opener-policy"] {
            assert_eq!(answer.headers.contains_key(name), is_document, "{name} of {path}");
        }
        assert!(
            answer
                .header("content-security-policy")
                .contains("frame-ancestors 'none'"),
            "{path}"
        );
    }
}

/// A front end with a precompressed script.
fn write_site() -> tempfile::TempDir {
    let site = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| fs::write(site.path().join(name), content).unwrap();
    fs::create_dir(site.path().join("pkg")).unwrap();
    write("pkg/duplex.ySbvMkdnPLXmYxFlVv_6dA.js", "plain");
    write("pkg/duplex.ySbvMkdnPLXmYxFlVv_6dA.js.br", "brotli");
    write("pkg/duplex.ySbvMkdnPLXmYxFlVv_6dA.js.gz", "gzip");
    write("favicon.svg", "<svg/>");
    site
}

const SCRIPT: &str = "/pkg/duplex.ySbvMkdnPLXmYxFlVv_6dA.js";

#[tokio::test]
async fn precompressed_files_are_served_by_accept_encoding() {
    let site = write_site();
    let node = Node::with_site(site.path(), |_| {});
    for (accept, encoding, body) in [
        ("br, gzip", "br", "brotli"),
        ("gzip", "gzip", "gzip"),
        ("identity", "", "plain"),
    ] {
        let answer = get(&node, SCRIPT, &[("accept-encoding", accept)]).await;
        assert_eq!(
            (answer.status, answer.header("content-encoding"), answer.body.as_str()),
            (StatusCode::OK, encoding, body)
        );
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        assert!(answer.header("content-type").starts_with("text/javascript"));
    }
}

#[tokio::test]
async fn a_file_without_a_hash_is_revalidated_by_etag() {
    let site = write_site();
    let node = Node::with_site(site.path(), |_| {});
    let first = get(&node, "/favicon.svg", &[]).await;
    assert_eq!(
        (first.status, first.header("cache-control")),
        (StatusCode::OK, "no-cache")
    );
    let again = get(&node, "/favicon.svg", &[("if-none-match", first.header("etag"))]).await;
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
}

#[tokio::test]
async fn no_path_escapes_the_site_directory() {
    let site = write_site();
    fs::write(site.path().join("secret"), "secret").unwrap();
    let node = Node::with_site(&site.path().join("pkg"), |_| {});
    for path in ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "//secret", "//secret/"] {
        assert_eq!(get(&node, path, &[]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(Path::new(&site.path().join("secret")).exists());
}

#[tokio::test]
async fn a_page_is_compressed_by_accept_encoding() {
    let node = Node::new();
    let plain = get(&node, "/", &[]).await;
    for encoding in ["br", "gzip"] {
        let compressed = get(&node, "/", &[("accept-encoding", encoding)]).await;
        assert_eq!(compressed.header("content-encoding"), encoding);
        assert!(compressed.body.len() < plain.body.len());
        assert!(
            compressed
                .headers
                .get_all("vary")
                .iter()
                .any(|vary| vary.to_str().unwrap().contains("accept-encoding"))
        );
    }
}

/// The rendered page must not depend on the thread that completes its stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[expect(clippy::await_holding_lock, reason = "listing routes waits for no page")]
async fn concurrent_requests_all_get_complete_pages() {
    const PAGES: [&str; 8] = [
        "/",
        "/chat",
        "/market",
        "/devices",
        "/arena",
        "/notifications",
        "/compare",
        "/no/such/page",
    ];
    let node = std::sync::Arc::new(Node::new());
    let _guard = ROUTE_LIST_LOCK
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let responses: Vec<_> = (0..64)
        .map(|number| {
            let node = node.clone();
            tokio::spawn(async move {
                let path = PAGES[number % PAGES.len()];
                let page = node.request(
                    Request::get(path)
                        .header("host", "localhost")
                        .header("accept", "text/html")
                        .body(Body::empty())
                        .unwrap(),
                );
                (path, with_timeout(page).await)
            })
        })
        .collect();
    for page in responses {
        let (path, page) = page.await.unwrap();
        let expected = if path == "/no/such/page" {
            StatusCode::NOT_FOUND
        } else {
            StatusCode::OK
        };
        assert_eq!(page.status, expected, "{path}");
        assert!(
            page.body.contains("</html>") && page.body.contains("· Duplex</title>"),
            "{path}"
        );
    }
}
