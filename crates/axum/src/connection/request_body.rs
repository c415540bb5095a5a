//! The time limit of request bodies, for all routes and HTTP versions: a body that stalls or trickles is answered with 408, and its
//! connection is closed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Frame, SizeHint};

use super::ActiveExchange;
use crate::error::Problem;
use crate::limits;
use crate::suspend_aware::SuspendAwareSleep;

/// Middleware: a request's body may pause for at most 10 s and take at most 30 s in total. Otherwise, the response is 408 and the
/// connection closes.
pub async fn request_body_timeout(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let expired = Arc::new(AtomicBool::new(false));
    let exchange = request.extensions().get::<Arc<ActiveExchange>>().cloned();
    let request = request.map(|body| Body::new(TimeoutBody::new(body, Arc::clone(&expired), exchange)));
    let response = next.run(request).await;
    if expired.load(Relaxed) { timed_out() } else { response }
}

fn timed_out() -> Response {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "The request's body did not arrive in time.",
    )
    .header(header::CONNECTION, HeaderValue::from_static("close"))
    .into_response()
}

#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("the request's body did not arrive in time")]
    TimedOut,
    #[error(transparent)]
    Failed(#[from] axum::Error),
}

/// A body that fails when it pauses for too long or takes too long in total.
struct TimeoutBody {
    inner: Body,
    expired: Arc<AtomicBool>,
    /// Counts the received bytes. `None` for a request without a connection, as in tests.
    exchange: Option<Arc<ActiveExchange>>,
    idle: SuspendAwareSleep,
    deadline: SuspendAwareSleep,
}

impl TimeoutBody {
    fn new(inner: Body, expired: Arc<AtomicBool>, exchange: Option<Arc<ActiveExchange>>) -> Self {
        Self {
            inner,
            expired,
            exchange,
            idle: SuspendAwareSleep::new(limits::BODY_IDLE),
            deadline: SuspendAwareSleep::new(limits::BODY_DEADLINE),
        }
    }
}

impl HttpBody for TimeoutBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let body = &mut *self;
        let is_over = Pin::new(&mut body.deadline).poll(cx).is_ready();
        if !is_over && let Poll::Ready(frame) = Pin::new(&mut body.inner).poll_frame(cx) {
            body.idle.restart();
            if let (Some(Ok(frame)), Some(exchange)) = (&frame, &body.exchange) {
                exchange.on_received(frame.data_ref().map_or(0, Bytes::len));
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Failed)));
        }
        if is_over || Pin::new(&mut body.idle).poll(cx).is_ready() {
            body.expired.store(true, Relaxed);
            return Poll::Ready(Some(Err(BodyError::TimedOut)));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
