//! Maps session-protocol rejections and Axum extractor rejections to error responses.

use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::http::{StatusCode, header};
use duplex_hub::quota::QuotaExceeded;
use duplex_protocol::session::{Denial, Rejection};

use crate::error::Problem;

/// 404, 403, or 503 with `Retry-After` if the same request may succeed later.
impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Unknown => Self::not_found("There is no such topic."),
            Denial::Forbidden | Denial::TooMany => Self::new(StatusCode::FORBIDDEN, denial.to_string()),
            Denial::Unavailable | Denial::Full => Self::unavailable(denial.to_string()),
        }
    }
}

/// 422 for the command's content, 413 for its size, 409 for the time in its id, 429 for its rate, 507 for a full log; 503 with
/// `Retry-After` if the same command may be accepted later.
impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::Denied(Denial::Unknown) => Denial::Unknown.into(),
            Rejection::Denied(Denial::Forbidden | Denial::TooMany) => Self::new(StatusCode::FORBIDDEN, detail),
            Rejection::Denied(Denial::Unavailable | Denial::Full) | Rejection::Unavailable => Self::unavailable(detail),
            Rejection::Custom { .. } | Rejection::Malformed { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
            }
            Rejection::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail),
            Rejection::IdTooOld { .. } | Rejection::IdTooNew { .. } => Self::new(StatusCode::CONFLICT, detail),
            Rejection::TooFast { retry_after_ms } => Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
                .header(header::RETRY_AFTER, retry_after_ms.div_ceil(1000)),
            Rejection::StorageFull => Self::new(StatusCode::INSUFFICIENT_STORAGE, detail),
        }
    }
}

/// 429 with `Retry-After`.
impl From<QuotaExceeded> for Problem {
    fn from(exceeded: QuotaExceeded) -> Self {
        let seconds = exceeded.retry_after_seconds();
        let detail = format!("Quota exceeded: {exceeded}. Retry in {seconds} s.");
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).header(header::RETRY_AFTER, seconds)
    }
}

/// The status that Axum assigns, such as 400.
impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

/// The status that Axum assigns, such as 413.
impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

/// The status that Axum assigns, such as 415 or 422.
impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}
