//! Security headers: common ones for every response, and a content security policy with a nonce for each page.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

const COMMON_HEADERS: [(HeaderName, &str); 2] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Headers that only affect documents.
const DOCUMENT_HEADERS: [(HeaderName, &str); 4] = [
    // Not `no-referrer`: with it a browser posts a form with `Origin: null`, which is indistinguishable from another site's page.
    (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// The policy of responses that are not pages.
const NON_DOCUMENT_CSP: &str = "default-src 'none'; frame-ancestors 'none'";

/// Middleware that adds missing headers. Handshake responses of WebSockets are left unchanged.
pub async fn add_security_headers(request: Request, next: Next) -> Response {
    let is_extended_connect = request.method() == Method::CONNECT;
    let mut response = next.run(request).await;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS && !(is_extended_connect && response.status().is_success())
    {
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
    let document_headers = DOCUMENT_HEADERS.into_iter().filter(|_| is_document);
    for (name, value) in COMMON_HEADERS.into_iter().chain(document_headers) {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(NON_DOCUMENT_CSP));
}

/// Forbids proxies from transforming pages: stripped comments or added elements break its hydration.
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

/// The servers that a page may connect to (`connect-src`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectSources<'a> {
    /// This server, under the host that the request named. Not every browser's `'self'` covers a WebSocket.
    SameHost(Option<&'a str>),
    /// Any WebSocket server: the page is a client of all of them.
    AnyWebSocket,
}

impl ConnectSources<'_> {
    fn sources(self) -> String {
        match self {
            Self::AnyWebSocket => "'self' ws: wss:".to_owned(),
            Self::SameHost(Some(host)) if is_valid_source_host(host) => format!("'self' ws://{host} wss://{host}"),
            Self::SameHost(_) => "'self'".to_owned(),
        }
    }
}

/// Whether a host can be inserted into a policy without adding anything else: a name or an IP address, and a port.
fn is_valid_source_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
}

/// A page's policy: scripts from this server or with the page's nonce, and connections to the given servers. Without
/// `'strict-dynamic'`, which would forbid the preload of the module, because that has no nonce.
pub fn content_security_policy(nonce: &str, sources: ConnectSources<'_>) -> String {
    let connect = sources.sources();
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
    fn existing_headers_are_not_replaced() {
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
    fn proxies_may_not_transform_a_page() {
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
    fn a_page_runs_only_its_own_scripts() {
        let policy = content_security_policy("abc", ConnectSources::AnyWebSocket);
        assert!(policy.contains("script-src 'self' 'nonce-abc' 'wasm-unsafe-eval';"));
        assert!(!policy.contains("unsafe-inline"));
        assert!(policy.starts_with("default-src 'none'"));
    }

    #[test]
    fn a_page_connects_only_to_its_own_server() {
        let connect = |sources| {
            let policy = content_security_policy("abc", sources);
            let directive = policy.split("; ").find(|part| part.starts_with("connect-src "));
            directive.unwrap().trim_start_matches("connect-src ").to_owned()
        };
        assert_eq!(connect(ConnectSources::AnyWebSocket), "'self' ws: wss:");
        for host in ["localhost:3000", "duplex.example", "[::1]:3000"] {
            assert_eq!(
                connect(ConnectSources::SameHost(Some(host))),
                format!("'self' ws://{host} wss://{host}")
            );
        }
        for host in ["", "*", "a;script-src", "a b", "a,b", "a/b", "한국"] {
            assert_eq!(connect(ConnectSources::SameHost(Some(host))), "'self'", "{host}");
        }
        assert_eq!(connect(ConnectSources::SameHost(None)), "'self'");
    }
}
