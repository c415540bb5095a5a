//! The body of an event stream: frames as server-sent events, with gzip for a client that accepts it.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use duplex_hub::topic::Frame;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::gzip::{self, GzipWriter};
use crate::connection::UNBUFFERED_HEADERS;
use crate::connection::counters::ConnectionGuard;
use crate::limits;

/// A frame, because `EventSource` does not expose comments to the page, which must detect a dead stream.
const KEEPALIVE: &[u8] = br#"{"pong":{"nonce":0}}"#;

/// Frames that are sent together, or the abort of the response.
pub(super) type Batch = Result<Vec<Frame>, Aborted>;

/// The abort of an unfinished response, and with it of the connection.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("aborted by an injected fault")]
pub(super) struct Aborted;

/// The batches of an event stream, each requested when the previous one was written.
pub(super) struct EventBody {
    request: mpsc::Sender<()>,
    batches: mpsc::Receiver<Batch>,
    /// A batch was requested and has not arrived.
    is_requested: bool,
}

impl EventBody {
    pub(super) const fn new(request: mpsc::Sender<()>, batches: mpsc::Receiver<Batch>) -> Self {
        Self {
            request,
            batches,
            is_requested: false,
        }
    }

    /// The response to a request with these headers. `guard` lives as long as it.
    pub(super) fn into_response(self, request_headers: &HeaderMap, guard: ConnectionGuard) -> Response {
        let writer = EventWriter::new(gzip::is_accepted(request_headers));
        let coding = writer.content_encoding();
        let chunks = stream::unfold((self, Some(writer), guard), |(mut body, writer, guard)| async {
            let mut writer = writer?;
            match body.next().await {
                Some(Ok(frames)) => Some((Ok(writer.events(&frames)), (body, Some(writer), guard))),
                Some(Err(aborted)) => Some((Err(aborted), (body, None, guard))),
                None => Some((Ok(writer.end()?), (body, None, guard))),
            }
        });
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            (header::VARY, HeaderValue::from_static("accept-encoding")),
        ];
        (UNBUFFERED_HEADERS, headers, coding, Body::from_stream(chunks)).into_response()
    }

    /// The next batch, or a keepalive; `None` at the stream's end.
    async fn next(&mut self) -> Option<Batch> {
        if !self.is_requested {
            // The stream's task may have ended; its last batch is still in the channel.
            let _ = self.request.send(()).await;
            self.is_requested = true;
        }
        let Ok(batch) = timeout(limits::SSE_KEEPALIVE, self.batches.recv()).await else {
            return Some(Ok(vec![Frame::from(Bytes::from_static(KEEPALIVE))]));
        };
        self.is_requested = false;
        batch
    }
}

/// Writes frames as events. JSON escapes line breaks, so a frame is one `data:` line.
struct EventWriter(Option<GzipWriter>);

impl EventWriter {
    fn new(gzip: bool) -> Self {
        Self(gzip.then(GzipWriter::new))
    }

    fn content_encoding(&self) -> Option<[(header::HeaderName, HeaderValue); 1]> {
        let gzip = self.0.as_ref();
        gzip.map(|_| [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))])
    }

    /// The events of a batch, in one chunk.
    fn events(&mut self, frames: &[Frame]) -> Bytes {
        let (before, after) = (b"data: ", b"\n\n");
        let Some(gzip) = &mut self.0 else {
            let parts = frames.iter().flat_map(|frame| [&before[..], frame, after]);
            return parts.collect::<Vec<_>>().concat().into();
        };
        for frame in frames {
            gzip.write(before, frame, after);
        }
        gzip.flush();
        gzip.take()
    }

    /// The end of the body, if it has one.
    fn end(self) -> Option<Bytes> {
        let mut gzip = self.0?;
        gzip.finish();
        Some(gzip.take())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn frames() -> Vec<Frame> {
        let texts = [
            r#"{"a":1}"#.to_owned(),
            format!(r#"{{"text":"{}"}}"#, "the same again, ".repeat(20)),
        ];
        texts.map(|text| Frame::from(text.into_bytes())).to_vec()
    }

    #[test]
    fn events_are_lines_of_data() {
        let [short, long] = frames().try_into().unwrap();
        let mut writer = EventWriter::new(false);
        let events = writer.events(&[short.clone(), long.clone()]);
        let expected = [b"data: ", &*short, b"\n\ndata: ", &*long, b"\n\n"].concat();
        assert_eq!(events, expected);
        assert_eq!(writer.end(), None);
    }

    #[test]
    fn compressed_events_are_the_same() {
        let plain = EventWriter::new(false).events(&frames());
        let mut writer = EventWriter::new(true);
        let parts = [
            writer.events(&frames()),
            writer.events(&frames()),
            writer.end().unwrap(),
        ];
        for batch in &parts[..2] {
            assert!(batch.ends_with(&[0, 0, 0, 0xff, 0xff]), "a batch ends with a flush");
        }
        let mut inflated = Vec::new();
        GzDecoder::new(&*parts.concat()).read_to_end(&mut inflated).unwrap();
        assert_eq!(inflated, plain.repeat(2));
        assert!(parts[1].len() * 2 < plain.len());
    }
}
