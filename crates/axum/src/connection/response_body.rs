//! A response body that hands hyper small chunks, so that little is buffered ahead of the peer, and records progress with each.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use futures_util::stream;
use hyper::body::{Frame, SizeHint};

use super::ActiveExchange;
use crate::limits;

#[derive(Debug)]
pub(crate) struct PacedBody {
    inner: Body,
    /// The rest of the current frame.
    rest: Bytes,
    /// Whether a chunk was returned. Then the end is reported by a separate poll: over HTTP/2, hyper polls again only once flow
    /// control has admitted all earlier bytes.
    started: bool,
    /// Returns the last byte of a frame as a separate chunk: over HTTP/2, hyper polls for it only once flow control has admitted
    /// all earlier bytes.
    split_last_byte: bool,
    exchange: Arc<ActiveExchange>,
}

impl PacedBody {
    pub(crate) fn new(inner: Body, exchange: Arc<ActiveExchange>, split_last_byte: bool) -> Self {
        let body = Self {
            inner,
            rest: Bytes::new(),
            started: false,
            split_last_byte,
            exchange,
        };
        body.exchange.on_offered(body.unread_bytes());
        body
    }

    fn unread_bytes(&self) -> usize {
        // A body of known size is in memory; one of unknown size is generated while it is sent.
        let remaining = self.inner.size_hint().exact().unwrap_or_default();
        self.rest
            .len()
            .saturating_add(usize::try_from(remaining).unwrap_or(usize::MAX))
    }

    fn next_chunk(&mut self) -> Bytes {
        let max = limits::BODY_CHUNK;
        let split = self.split_last_byte && self.rest.len() > limits::BYTES_BEYOND_WINDOW;
        let chunk = match self.rest.len() {
            len if len > max => max,
            len if split => len - 1,
            len => len,
        };
        self.rest.split_to(chunk)
    }
}

/// An upgraded stream keeps its exchange after the body: nothing of the response waits for the peer any more.
impl Drop for PacedBody {
    fn drop(&mut self) {
        self.exchange.on_peer_read();
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let body = &mut *self;
        body.exchange.on_peer_read();
        if body.rest.is_empty() {
            match ready!(Pin::new(&mut body.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => body.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        body.started = true;
        let chunk = body.next_chunk();
        body.exchange.on_offered(body.unread_bytes() + chunk.len());
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        !self.started && self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        let rest = self.rest.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

/// A body whose bytes are shared by many responses: only the chunk that is being sent counts as held by the connection. Its length
/// is unknown to hyper: set `Content-Length` if needed.
pub fn shared_body(bytes: Bytes) -> Body {
    let chunks = (0..bytes.len()).step_by(limits::BODY_CHUNK).map(move |from| {
        let to = bytes.len().min(from + limits::BODY_CHUNK);
        Ok::<_, Infallible>(bytes.slice(from..to))
    });
    Body::from_stream(stream::iter(chunks))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::advance;

    use super::*;
    use crate::connection::{BufferBudget, ConnectionProgress, ConnectionState};

    async fn chunk_sizes(bytes: usize, split_last_byte: bool) -> Vec<usize> {
        let budget = BufferBudget::new(usize::MAX, Arc::default());
        let connection = ConnectionProgress::new(budget.share());
        let body = Body::from(vec![7; bytes]);
        let mut body = PacedBody::new(body, connection.begin(), split_last_byte);
        assert_eq!(body.size_hint().exact(), Some(bytes as u64));
        assert_eq!(budget.buffered(), bytes);
        let mut chunks = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            chunks.push(frame.unwrap().into_data().unwrap().len());
            assert!(!body.is_end_stream(), "the end needs a separate poll");
        }
        drop(body);
        assert_eq!(budget.buffered(), 0);
        chunks
    }

    /// hyper drops the body of a response that upgrades its stream; over HTTP/2 the connection goes on.
    #[tokio::test(start_paused = true)]
    async fn an_upgraded_stream_does_not_stall() {
        let connection = ConnectionProgress::new(BufferBudget::new(1, Arc::default()).share());
        let exchange = connection.begin();
        let body = PacedBody::new(Body::empty(), Arc::clone(&exchange), true);
        advance(limits::WRITE_STALL).await;
        assert_eq!(connection.state(), ConnectionState::Stalled);
        drop(body);
        advance(10 * limits::WRITE_STALL).await;
        assert_eq!(connection.state(), ConnectionState::Active);
    }

    #[tokio::test]
    async fn a_body_is_sent_in_chunks() {
        let chunk = limits::BODY_CHUNK;
        assert_eq!(chunk_sizes(0, false).await, Vec::<usize>::new());
        assert_eq!(chunk_sizes(10, true).await, [10]);
        assert_eq!(chunk_sizes(2 * chunk + 5, false).await, [chunk, chunk, 5]);
        assert_eq!(chunk_sizes(2 * chunk, true).await, [chunk, chunk - 1, 1]);
    }
}
