//! Response bodies in small pieces: little is handed to HTTP before the peer takes it, and each piece notes the progress.

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
    /// What is left of the frame that is being handed out.
    rest: Bytes,
    /// Something was handed out. The body then ends with a poll of its own, which HTTP/2 makes when the peer has a window for
    /// everything before it.
    begun: bool,
    /// Hands out the last byte of a frame by itself: HTTP/2 polls for it only when the window covers everything before it.
    last_byte_apart: bool,
    exchange: Arc<ActiveExchange>,
}

impl PacedBody {
    pub(crate) fn new(inner: Body, exchange: Arc<ActiveExchange>, last_byte_apart: bool) -> Self {
        let body = Self {
            inner,
            rest: Bytes::new(),
            begun: false,
            last_byte_apart,
            exchange,
        };
        body.exchange.offers(body.held());
        body
    }

    fn held(&self) -> usize {
        // A body of known size is in memory; one of unknown size is made while it is sent.
        let ahead = self.inner.size_hint().exact().unwrap_or_default();
        self.rest
            .len()
            .saturating_add(usize::try_from(ahead).unwrap_or(usize::MAX))
    }

    fn piece(&mut self) -> Bytes {
        let most = limits::BODY_PIECE;
        let split = self.last_byte_apart && self.rest.len() > limits::UNCOVERED_BYTES;
        let piece = match self.rest.len() {
            len if len > most => most,
            len if split => len - 1,
            len => len,
        };
        self.rest.split_to(piece)
    }
}

impl HttpBody for PacedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let body = &mut *self;
        body.exchange.taken();
        if body.rest.is_empty() {
            match ready!(Pin::new(&mut body.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => body.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        body.begun = true;
        let piece = body.piece();
        body.exchange.offers(body.held() + piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        !self.begun && self.rest.is_empty() && self.inner.is_end_stream()
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

/// A response body of bytes that many responses share: only the piece that is being sent counts as held by the connection. It has no
/// known length: set `Content-Length` where it is wanted.
pub fn shared_body(bytes: Bytes) -> Body {
    let pieces = (0..bytes.len()).step_by(limits::BODY_PIECE).map(move |from| {
        let to = bytes.len().min(from + limits::BODY_PIECE);
        Ok::<_, Infallible>(bytes.slice(from..to))
    });
    Body::from_stream(stream::iter(pieces))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::connection::{BufferBudget, ConnectionProgress};

    async fn pieces(bytes: usize, last_byte_apart: bool) -> Vec<usize> {
        let budget = BufferBudget::new(usize::MAX, Arc::default());
        let connection = ConnectionProgress::new(budget.share());
        let body = Body::from(vec![7; bytes]);
        let mut body = PacedBody::new(body, connection.begin(), last_byte_apart);
        assert_eq!(body.size_hint().exact(), Some(bytes as u64));
        assert_eq!(budget.held(), bytes);
        let mut pieces = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            pieces.push(frame.unwrap().into_data().unwrap().len());
            assert!(!body.is_end_stream(), "the end is asked for");
        }
        drop(body);
        assert_eq!(budget.held(), 0);
        pieces
    }

    #[tokio::test]
    async fn a_body_comes_in_pieces() {
        let piece = limits::BODY_PIECE;
        assert_eq!(pieces(0, false).await, Vec::<usize>::new());
        assert_eq!(pieces(10, true).await, [10]);
        assert_eq!(pieces(2 * piece + 5, false).await, [piece, piece, 5]);
        assert_eq!(pieces(2 * piece, true).await, [piece, piece - 1, 1]);
    }
}
