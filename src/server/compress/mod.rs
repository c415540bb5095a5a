//! Compression of dynamic responses on blocking threads: pages with Brotli or gzip, data with gzip only. Static files are
//! compressed by the build.

mod buffers;

use std::io::{self, Write as _};
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use brotli::Allocator as _;
use brotli::enc::writer::CompressorWriterCustomAlloc;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use self::buffers::Buffers;
use super::limits;
use duplex_axum::error::Problem;

/// Limits the number of responses that are compressed at the same time, and holds the memory that their encoders reuse.
#[derive(Clone)]
pub struct CompressionSlots {
    free: Arc<Semaphore>,
    buffers: Buffers,
}

pub fn slots() -> CompressionSlots {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    CompressionSlots {
        free: Arc::new(Semaphore::new(threads)),
        buffers: Buffers::default(),
    }
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

    fn encode(self, plain: &[u8], mut buffers: Buffers) -> io::Result<Vec<u8>> {
        let buffer = Vec::with_capacity(plain.len() / 4);
        match self {
            Self::Brotli => {
                let (level, window) = (limits::BROTLI_LEVEL, limits::BROTLI_LGWIN);
                let io_buffer = buffers.alloc_cell(limits::READ_BUFFER);
                let mut encoder = CompressorWriterCustomAlloc::new(buffer, io_buffer, buffers, level, window);
                encoder.write_all(plain)?;
                Ok(encoder.into_inner())
            }
            Self::Gzip => {
                let mut encoder = GzEncoder::new(buffer, Compression::new(limits::GZIP_LEVEL));
                encoder.write_all(plain)?;
                encoder.finish()
            }
        }
    }
}

/// The class of a response, which determines its codings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ContentClass {
    Page,
    Data,
}

pub async fn compress(State(slots): State<CompressionSlots>, request: Request, next: Next) -> Response {
    let accepted = request.headers().get_all(header::ACCEPT_ENCODING).into_iter();
    let accepted: Vec<_> = accepted
        .filter_map(|value| value.to_str().ok().map(str::to_owned))
        .collect();
    let response = next.run(request).await;
    let Some(class) = content_class(&response) else {
        return response;
    };
    let (mut parts, body) = response.into_parts();
    parts
        .headers
        .append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let Some(coding) = choose(class, &accepted) else {
        return Response::from_parts(parts, body);
    };
    let compressed = match to_bytes(body, usize::MAX).await {
        Ok(plain) => encode_blocking(&slots, plain, coding).await,
        Err(error) => Err(io::Error::other(error)),
    };
    match compressed {
        Ok(compressed) => {
            let name = HeaderValue::from_static(coding.name());
            parts.headers.insert(header::CONTENT_ENCODING, name);
            parts.headers.remove(header::CONTENT_LENGTH);
            parts.headers.remove(header::ACCEPT_RANGES);
            Response::from_parts(parts, Body::from(compressed))
        }
        Err(error) => {
            tracing::error!("cannot compress a response: {error}");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Internal server error; details are in the server's log.",
            )
            .into_response()
        }
    }
}

async fn encode_blocking(slots: &CompressionSlots, plain: Bytes, coding: Coding) -> io::Result<Vec<u8>> {
    let _slot = slots.free.acquire().await.map_err(io::Error::other)?;
    let buffers = slots.buffers.clone();
    spawn_blocking(move || coding.encode(&plain, buffers))
        .await
        .map_err(io::Error::other)?
}

/// The class of a response that may be compressed: HTML, a script with a known length, or data of at least
/// `MIN_COMPRESSED_BYTES`.
fn content_class(response: &Response) -> Option<ContentClass> {
    let headers = response.headers();
    let already_encoded = headers.contains_key(header::CONTENT_ENCODING) || headers.contains_key(header::CONTENT_RANGE);
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    if already_encoded {
        None
    } else if kind.starts_with("text/html") {
        Some(ContentClass::Page)
    } else if kind.starts_with("text/javascript") {
        response.body().size_hint().exact().map(|_| ContentClass::Page)
    } else if kind.starts_with("application/json") || kind.starts_with("text/plain") {
        let bytes = response.body().size_hint().exact()?;
        (bytes >= limits::MIN_COMPRESSED_BYTES).then_some(ContentClass::Data)
    } else {
        None
    }
}

fn choose(class: ContentClass, accepted: &[String]) -> Option<Coding> {
    let codings: &[Coding] = match class {
        ContentClass::Page => &[Coding::Brotli, Coding::Gzip],
        ContentClass::Data => &[Coding::Gzip],
    };
    codings.iter().copied().find(|coding| accepts(accepted, coding.name()))
}

/// Whether `Accept-Encoding` lists the coding (RFC 9110 section 12.5.3). A wildcard does not count.
fn accepts(accepted: &[String], name: &str) -> bool {
    accepted.iter().flat_map(|list| list.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let not_acceptable = |part: &str| part.strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0);
        parts.next().is_some_and(|coding| coding.eq_ignore_ascii_case(name)) && !parts.any(not_acceptable)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn only_pages_are_compressed_by_brotli() {
        let chosen = |class, accepted: &str| choose(class, &[accepted.to_owned()]);
        assert_eq!(chosen(ContentClass::Page, "gzip, br"), Some(Coding::Brotli));
        assert_eq!(chosen(ContentClass::Page, "gzip, br;q=0"), Some(Coding::Gzip));
        assert_eq!(chosen(ContentClass::Data, "br, GZIP;q=0.5"), Some(Coding::Gzip));
        for accepted in ["br", "identity", "", "*", "gzip; q=0"] {
            assert_eq!(chosen(ContentClass::Data, accepted), None, "{accepted:?}");
        }
    }

    #[test]
    fn both_codings_round_trip() {
        let plain = "실시간 ".repeat(10_000);
        let compressed = Coding::Gzip.encode(plain.as_bytes(), Buffers::default()).unwrap();
        assert!(compressed.len() < plain.len() / 10);
        let mut out = String::new();
        flate2::read::GzDecoder::new(&compressed[..])
            .read_to_string(&mut out)
            .unwrap();
        assert_eq!(out, plain);
        let buffers = Buffers::default();
        for _ in 0..2 {
            let compressed = Coding::Brotli.encode(plain.as_bytes(), buffers.clone()).unwrap();
            let mut out = String::new();
            brotli::Decompressor::new(&compressed[..], 4096)
                .read_to_string(&mut out)
                .unwrap();
            assert_eq!(out, plain);
        }
    }
}
