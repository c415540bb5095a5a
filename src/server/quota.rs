//! The quota for rendered pages, and the page that a browser gets when it exceeds it.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use duplex_axum::error::Problem;
use duplex_axum::quota::client;
use duplex_hub::quota::{QuotaExceeded, Rate};

use super::state::ServerState;

/// Middleware that applies the quota to the routes of pages.
pub async fn limit_page_requests(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    match check_page_quota(&state, &request) {
        Ok(()) => next.run(request).await,
        Err(response) => *response,
    }
}

/// Applies the quota to a page that is rendered outside of these routes.
pub fn check_page_quota(state: &ServerState, request: &Request) -> Result<(), Box<Response>> {
    let charged = state.quotas.take(&client(request.extensions()), Rate::Pages);
    charged.map_err(|exceeded| {
        let is_navigation = request.method() == Method::GET && accepts_html(request.headers());
        Box::new(if is_navigation {
            too_many_requests_page(exceeded)
        } else {
            Problem::from(exceeded).into_response()
        })
    })
}

/// Browsers accept HTML when they navigate; requests of scripts get a problem document.
fn accepts_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// A minimal page in both languages without scripts or styles, so that it is cheap to serve. It reloads by itself.
fn too_many_requests_page(exceeded: QuotaExceeded) -> Response {
    let seconds = exceeded.retry_after_seconds();
    let text = format!(
        "<!doctype html><html lang=\"ko\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"{seconds}\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>429</title>\
         <h1>잠시만 기다려 주세요</h1><p>이 주소에서 너무 많은 페이지를 요청했습니다. {seconds}초 뒤에 다시 불러옵니다.</p>\
         <div lang=\"en\"><h1>One moment, please</h1><p>Too many pages were asked for from this address. \
         This one loads again in {seconds} s.</p></div></html>"
    );
    let headers = [
        (header::RETRY_AFTER, HeaderValue::from(seconds)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::TOO_MANY_REQUESTS, headers, Html(text)).into_response()
}
