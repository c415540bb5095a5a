//! Static files of the built front end, precompressed by the build. A file whose name has a hash is served as immutable.

use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use tower_http::services::ServeDir;

use super::ranges::ranges;
use super::state::ServerState;

pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const REVALIDATE: &str = "no-cache";

/// Characters of a hash in a file name: MD5 in base64 without padding.
pub const HASH_CHARS: usize = 22;

/// Serves static files as the router's fallback; `not_found` handles missing files.
pub fn files<H, T>(root: &Path, not_found: H, state: ServerState) -> Router<ServerState>
where
    H: Handler<T, ServerState>,
    T: 'static,
{
    let files = ServeDir::new(root)
        .precompressed_br()
        .precompressed_gzip()
        .append_index_html_on_directories(false)
        .call_fallback_on_method_not_allowed(true)
        .fallback(not_found.with_state(state));
    Router::new()
        .fallback_service(files)
        .layer(from_fn(ranges))
        .layer(from_fn(cache))
}

async fn cache(request: Request, next: Next) -> Response {
    let policy = policy(request.uri().path());
    let mut response = next.run(request).await;
    if matches!(
        response.status(),
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        response
            .headers_mut()
            .entry(header::CACHE_CONTROL)
            .or_insert(HeaderValue::from_static(policy));
    }
    response
}

fn policy(path: &str) -> &'static str {
    if path.starts_with("/pkg/") && has_hash(path) {
        IMMUTABLE
    } else {
        REVALIDATE
    }
}

fn has_hash(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.split('.').any(|part| {
        part.len() == HASH_CHARS
            && part
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_with_a_hash_are_immutable() {
        assert_eq!(policy("/pkg/duplex.ySbvMkdnPLXmYxFlVv_6dA.wasm"), IMMUTABLE);
        assert_eq!(policy("/pkg/snippets/a/duplex.ySbvMkdnPLXmYxFlVv-6dA.js"), IMMUTABLE);
        for path in [
            "/pkg/duplex.wasm",
            "/pkg/duplex.short.js",
            "/favicon.svg",
            "/duplex.ySbvMkdnPLXmYxFlVv_6dA.js",
            "/",
        ] {
            assert_eq!(policy(path), REVALIDATE, "{path}");
        }
    }
}
