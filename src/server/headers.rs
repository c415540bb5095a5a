//! Security headers. Every answer has some; a page's policy is made for it, with its nonce.
//! Knows no route.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

const FIXED: [(HeaderName, &str); 2] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What says nothing but to a document.
const OF_DOCUMENTS: [(HeaderName, &str); 4] = [
    // Not `no-referrer`: with it a browser posts a form with `Origin: null`, which could not be told from a foreign page.
    (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// What is not a page needs nothing.
const BARE_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Adds what the answer does not have. A socket's opening is left as its handler made it.
pub async fn secure(request: Request, next: Next) -> Response {
    let connects = request.method() == Method::CONNECT;
    let mut response = next.run(request).await;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS && !(connects && response.status().is_success()) {
        add_missing(response.headers_mut());
    }
    response
}

fn add_missing(headers: &mut HeaderMap) {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_document = kind.is_some_and(|kind| kind.starts_with("text/html") || kind.starts_with("image/svg"));
    if kind.is_some_and(|kind| kind.starts_with("text/html")) {
        forbid_transformation(headers);
    }
    let of_documents = OF_DOCUMENTS.into_iter().filter(|_| is_document);
    for (name, value) in FIXED.into_iter().chain(of_documents) {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(BARE_POLICY));
}

/// A proxy that changes a page, by stripping its comments or adding elements, breaks its hydration.
fn forbid_transformation(headers: &mut HeaderMap) {
    const NO_TRANSFORM: &str = "no-transform";
    let before = headers.get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
    let value = match before {
        Some(value) if value.contains(NO_TRANSFORM) => return,
        Some(value) => format!("{value}, {NO_TRANSFORM}"),
        None => NO_TRANSFORM.to_owned(),
    };
    if let Ok(value) = HeaderValue::from_str(&value) {
        headers.insert(header::CACHE_CONTROL, value);
    }
}

/// Where a page may open connections to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach<'a> {
    /// This server, under the host that the request named. Not every browser's `'self'` covers a WebSocket.
    Own(Option<&'a str>),
    /// Any WebSocket server: the page is a client of all of them.
    AnySocket,
}

impl Reach<'_> {
    fn sources(self) -> String {
        match self {
            Self::AnySocket => "'self' ws: wss:".to_owned(),
            Self::Own(Some(host)) if is_plain(host) => format!("'self' ws://{host} wss://{host}"),
            Self::Own(_) => "'self'".to_owned(),
        }
    }
}

/// A host that adds nothing to a policy but itself: a name, an IPv4 or an IPv6 address, and a port.
fn is_plain(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
}

/// A page's policy: scripts from here or with the page's nonce, and connections as far as it reaches. Not
/// `'strict-dynamic'`: it would forbid the preload of the module, which has no nonce.
pub fn content_security_policy(nonce: &str, reach: Reach<'_>) -> String {
    let connect = reach.sources();
    format!(
        "default-src 'none'; \
         script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; \
         style-src 'self' 'nonce-{nonce}'; \
         connect-src {connect}; \
         img-src 'self' data:; \
         font-src 'self'; \
         manifest-src 'self'; \
         form-action 'self'; \
         base-uri 'none'; \
         frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_has_is_kept() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'self'"),
        );
        add_missing(&mut headers);
        assert_eq!(headers[header::CONTENT_SECURITY_POLICY], "default-src 'self'");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }

    #[test]
    fn no_proxy_may_change_a_page() {
        let of = |kind: &'static str, before: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            if let Some(before) = before {
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(before));
            }
            add_missing(&mut headers);
            headers
                .get(header::CACHE_CONTROL)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let html = "text/html; charset=utf-8";
        assert_eq!(of(html, None).as_deref(), Some("no-transform"));
        assert_eq!(of(html, Some("no-store")).as_deref(), Some("no-store, no-transform"));
        assert_eq!(
            of(html, Some("private, no-transform")).as_deref(),
            Some("private, no-transform")
        );
        assert_eq!(of("text/css", None), None);
    }

    #[test]
    fn a_page_runs_no_script_from_elsewhere() {
        let policy = content_security_policy("abc", Reach::AnySocket);
        assert!(policy.contains("script-src 'self' 'nonce-abc' 'wasm-unsafe-eval';"));
        assert!(!policy.contains("unsafe-inline"));
        assert!(policy.starts_with("default-src 'none'"));
    }

    #[test]
    fn a_page_reaches_its_own_server_and_no_other() {
        let connect = |reach| {
            let policy = content_security_policy("abc", reach);
            let directive = policy.split("; ").find(|part| part.starts_with("connect-src "));
            directive.unwrap().trim_start_matches("connect-src ").to_owned()
        };
        assert_eq!(connect(Reach::AnySocket), "'self' ws: wss:");
        for host in ["localhost:3000", "duplex.example", "[::1]:3000"] {
            assert_eq!(
                connect(Reach::Own(Some(host))),
                format!("'self' ws://{host} wss://{host}")
            );
        }
        for host in ["", "*", "a;script-src", "a b", "a,b", "a/b", "한국"] {
            assert_eq!(connect(Reach::Own(Some(host))), "'self'", "{host}");
        }
        assert_eq!(connect(Reach::Own(None)), "'self'");
    }
}
