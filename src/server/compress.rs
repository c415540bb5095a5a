//! Compresses what is made anew for each request, on threads that serve no connection: a page by brotli or gzip, data by gzip
//! alone. Files are compressed by the build. Knows no route.

use std::io::{self, Write as _};
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::limits;
use duplex_axum::error::Problem;

/// How many compress at once.
pub type Slots = Arc<Semaphore>;

pub fn slots() -> Slots {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Arc::new(Semaphore::new(threads))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Brotli,
    Gzip,
}

impl Coding {
    const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    fn encode(self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let room = Vec::with_capacity(plain.len() / 4);
        match self {
            Self::Brotli => {
                let (level, window) = (limits::PAGE_BROTLI, limits::BROTLI_WINDOW);
                let mut encoder = brotli::CompressorWriter::new(room, limits::READ_BUFFER, level, window);
                encoder.write_all(plain)?;
                Ok(encoder.into_inner())
            }
            Self::Gzip => {
                let mut encoder = GzEncoder::new(room, Compression::new(limits::GZIP));
                encoder.write_all(plain)?;
                encoder.finish()
            }
        }
    }
}

/// What kind of answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Page,
    Data,
}

pub async fn compress(State(slots): State<Slots>, request: Request, next: Next) -> Response {
    let accepted = request.headers().get_all(header::ACCEPT_ENCODING).into_iter();
    let accepted: Vec<_> = accepted
        .filter_map(|value| value.to_str().ok().map(str::to_owned))
        .collect();
    let response = next.run(request).await;
    let Some(kind) = kind(&response) else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    parts
        .headers
        .append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let Some(coding) = choose(kind, &accepted) else {
        return Response::from_parts(parts, body);
    };
    let packed = match to_bytes(body, usize::MAX).await {
        Ok(plain) => pack(&slots, plain, coding).await,
        Err(error) => Err(io::Error::other(error)),
    };
    match packed {
        Ok(packed) => {
            let name = HeaderValue::from_static(coding.name());
            parts.headers.insert(header::CONTENT_ENCODING, name);
            parts.headers.remove(header::CONTENT_LENGTH);
            parts.headers.remove(header::ACCEPT_RANGES);
            Response::from_parts(parts, Body::from(packed))
        }
        Err(error) => {
            tracing::error!("an answer cannot be compressed: {error}");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The server failed to answer; its log says more.",
            )
            .into_response()
        }
    }
}

async fn pack(slots: &Semaphore, plain: Bytes, coding: Coding) -> io::Result<Vec<u8>> {
    let _slot = slots.acquire().await.map_err(io::Error::other)?;
    spawn_blocking(move || coding.encode(&plain))
        .await
        .map_err(io::Error::other)?
}

/// What may be compressed: a page, a script that lies in memory, or data that does and is not small.
fn kind(response: &Response) -> Option<Kind> {
    let headers = response.headers();
    let fixed = headers.contains_key(header::CONTENT_ENCODING) || headers.contains_key(header::CONTENT_RANGE);
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if fixed {
        None
    } else if kind.starts_with("text/html") {
        Some(Kind::Page)
    } else if kind.starts_with("text/javascript") {
        response.body().size_hint().exact().map(|_| Kind::Page)
    } else if kind.starts_with("application/json") || kind.starts_with("text/plain") {
        let bytes = response.body().size_hint().exact()?;
        (bytes >= limits::LEAST_COMPRESSED).then_some(Kind::Data)
    } else {
        None
    }
}

fn choose(kind: Kind, accepted: &[String]) -> Option<Coding> {
    let codings: &[Coding] = match kind {
        Kind::Page => &[Coding::Brotli, Coding::Gzip],
        Kind::Data => &[Coding::Gzip],
    };
    codings.iter().copied().find(|coding| accepts(accepted, coding.name()))
}

/// RFC 9110 section 12.5.3; a wildcard is not taken for a wish.
fn accepts(accepted: &[String], name: &str) -> bool {
    accepted.iter().flat_map(|list| list.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let refused = |part: &str| part.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0);
        parts.next().is_some_and(|coding| coding.eq_ignore_ascii_case(name)) && !parts.any(refused)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_page_may_be_brotli_and_data_may_not() {
        let chosen = |kind, accepted: &str| choose(kind, &[accepted.to_owned()]);
        assert_eq!(chosen(Kind::Page, "gzip, br"), Some(Coding::Brotli));
        assert_eq!(chosen(Kind::Page, "gzip, br;q=0"), Some(Coding::Gzip));
        assert_eq!(chosen(Kind::Data, "br, GZIP;q=0.5"), Some(Coding::Gzip));
        for accepted in ["br", "identity", "", "*", "gzip; q=0"] {
            assert_eq!(chosen(Kind::Data, accepted), None, "{accepted:?}");
        }
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let plain = "실시간 ".repeat(10_000);
        let packed = Coding::Gzip.encode(plain.as_bytes()).unwrap();
        assert!(packed.len() < plain.len() / 10);
        let mut out = String::new();
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_string(&mut out)
            .unwrap();
        assert_eq!(out, plain);
        let packed = Coding::Brotli.encode(plain.as_bytes()).unwrap();
        let mut out = String::new();
        brotli::Decompressor::new(&packed[..], 4096)
            .read_to_string(&mut out)
            .unwrap();
        assert_eq!(out, plain);
    }
}
