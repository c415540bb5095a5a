//! The hydration script of all pages, served as an immutable file with the hash of its content in its name. Embedded in the
//! binary, so that the server's and the script's fingerprint algorithms always match.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};

use super::assets::{HASH_CHARS, IMMUTABLE};
use super::state::ServerState;
use crate::app::strip_whitespace_and_comments;

struct Script {
    path: Arc<str>,
    etag: String,
    code: String,
}

static SCRIPT: LazyLock<Script> = LazyLock::new(|| {
    let code = strip_whitespace_and_comments(include_str!("../hydration.js"));
    let mut hash = BASE64URL_NOPAD.encode(&Sha256::digest(&code));
    hash.truncate(HASH_CHARS);
    let path = format!("/pkg/hydration.{hash}.js").into();
    // Weak, because the response may be compressed.
    let etag = format!("W/\"{hash}\"");
    Script { path, etag, code }
});

pub fn path() -> Arc<str> {
    SCRIPT.path.clone()
}

pub fn routes() -> Router<ServerState> {
    Router::new().route(&SCRIPT.path, get(serve))
}

async fn serve(headers: HeaderMap) -> Response {
    let if_none_match = headers.get(header::IF_NONE_MATCH);
    let fixed = [(header::CACHE_CONTROL, IMMUTABLE), (header::ETAG, SCRIPT.etag.as_str())];
    if if_none_match.is_some_and(|etag| etag.as_bytes() == SCRIPT.etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (fixed, kind, SCRIPT.code.as_str()).into_response()
}
