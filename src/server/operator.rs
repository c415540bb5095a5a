//! Who runs the server, and the addresses for nobody else: metrics, the topics that are awake, the log's events, a copy of it.
//!
//! An operator shows the server's token, or a cookie that was given for it. Who reaches a server that listens on loopback only is
//! taken for one, too, unless the request came through a proxy or asks for another host's name: a page of the web could have
//! been given this machine's address under its own name.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::extract::{DefaultBodyLimit, Form, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::client_addr::ClientScheme;
use super::cookies::{Cookie, Held, cookie_name, held};
use super::error::Problem;
use super::hub::{Hub, TopicFigures};
use super::state::{ServerState, Settings};
use super::token::{self, Shown};
use super::{backup, limits, metrics};
use crate::wire::codec::Blob;
use crate::wire::cursor::{Cursor, Seq};
use crate::wire::session::Denied;
use crate::wire::topic::TopicName;

/// Holds the token's pass. No script reads it, and no other site has it sent.
pub const COOKIE: &str = "operator";

pub const SIGN_IN_PATH: &str = "/api/operator/sign-in";
pub const SIGN_OUT_PATH: &str = "/api/operator/sign-out";
pub const TOPICS_PATH: &str = "/api/topics";
pub const EVENTS_PATH: &str = "/api/operator/events";
pub const BACKUP_PATH: &str = "/api/operator/backup";

/// The operator's page.
const PAGE: &str = "/status";

const KEPT_SECONDS: u32 = 30 * 24 * 60 * 60;

pub fn routes(state: &ServerState) -> Router<ServerState> {
    let guarded = Router::new()
        .route("/metrics", get(metrics::show))
        .route(TOPICS_PATH, get(topics))
        .route(EVENTS_PATH, get(events))
        .route(BACKUP_PATH, post(backup::download))
        .layer(from_fn_with_state(state.clone(), guard));
    Router::new()
        .route(SIGN_IN_PATH, post(sign_in))
        .route(SIGN_OUT_PATH, post(sign_out))
        .layer(DefaultBodyLimit::max(limits::FORM_BYTES))
        .merge(guarded)
}

pub fn is_operator(state: &ServerState, headers: &HeaderMap) -> bool {
    let token = state.settings.token.as_ref();
    let shows_pass = || {
        let shown = held(headers, &cookie_name(COOKIE, &state.settings));
        matches!((shown, token), (Held::One(pass), Some(token)) if token::same(pass, &token.pass()))
    };
    let is_neighbour = || state.settings.loopback && is_local(headers);
    token::shown(headers, token) == Shown::Right || shows_pass() || is_neighbour()
}

/// The hub as this request may use it.
pub fn hub(state: &ServerState, headers: &HeaderMap) -> Hub {
    if is_operator(state, headers) {
        state.hub.for_operator()
    } else {
        state.hub.clone()
    }
}

/// Asked for under a loopback name, by nobody who hands on what others ask.
fn is_local(headers: &HeaderMap) -> bool {
    const HANDED_ON: [&str; 5] = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(is_loopback_name) && !HANDED_ON.iter().any(|name| headers.contains_key(*name))
}

fn is_loopback_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<axum::http::uri::Authority>() else {
        return false;
    };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

async fn guard(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    if is_operator(&state, request.headers()) {
        return next.run(request).await;
    }
    let detail = "This is for whoever runs the server, who shows its token: Authorization: Bearer …";
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        .into_response()
}

/// The page's form. A wrong token leads back to it, and it says so.
async fn sign_in(
    State(state): State<ServerState>,
    scheme: ClientScheme,
    Form(fields): Form<BTreeMap<String, String>>,
) -> Response {
    let typed = fields.get("token").map(|typed| typed.trim()).unwrap_or_default();
    match state.settings.token.as_ref().filter(|token| token.is(typed)) {
        Some(token) => back(PAGE, cookie(&state.settings, scheme, &token.pass(), KEPT_SECONDS)),
        None => {
            tracing::warn!("somebody showed a wrong token at the operator's page");
            back("/status?refused", None)
        }
    }
}

async fn sign_out(State(state): State<ServerState>, scheme: ClientScheme) -> Response {
    back(PAGE, cookie(&state.settings, scheme, "", 0))
}

fn cookie(settings: &Settings, scheme: ClientScheme, pass: &str, seconds: u32) -> Option<HeaderValue> {
    let cookie = Cookie {
        name: &cookie_name(COOKIE, settings),
        value: pass,
        max_age: seconds,
        same_site: "Strict",
    };
    cookie.header(scheme)
}

fn back(to: &'static str, cookie: Option<HeaderValue>) -> Response {
    let mut response = (
        StatusCode::SEE_OTHER,
        [(header::LOCATION, HeaderValue::from_static(to))],
    )
        .into_response();
    response
        .headers_mut()
        .extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    response
}

const UNSTORED: [(HeaderName, HeaderValue); 1] = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];

/// `GET` [`TOPICS_PATH`]: those that are awake, by name.
async fn topics(State(state): State<ServerState>) -> Response {
    let mut topics: Vec<TopicFigures> = state.hub.awake();
    topics.sort_by(|one, other| one.topic.cmp(&other.topic));
    (UNSTORED, Json(topics)).into_response()
}

#[derive(Debug, Deserialize)]
struct After {
    topic: TopicName,
    #[serde(default)]
    after: Seq,
}

/// A page of a topic's log, in order; the next one begins after its last event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogPage {
    /// Of the newest event.
    pub head: Cursor,
    pub events: Vec<(Seq, Blob)>,
}

/// `GET` [`EVENTS_PATH`]
async fn events(State(state): State<ServerState>, Query(After { topic, after }): Query<After>) -> Response {
    match state.hub.events(&topic, after, limits::LOG_PAGE).await {
        Ok((records, head)) => {
            let events = records
                .into_iter()
                .map(|record| (record.seq, Blob(record.event)))
                .collect();
            (UNSTORED, Json(LogPage { head, events })).into_response()
        }
        Err(Denied::Unavailable | Denied::Full) => {
            Problem::unavailable("The topic cannot be reached now.").into_response()
        }
        Err(_) => Problem::not_found("There is no such topic.").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::origin::Scheme;
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn local_is_who_asks_for_a_loopback_name_without_a_proxy() {
        for host in [
            "localhost:3000",
            "LOCALHOST",
            "127.0.0.1:3000",
            "127.8.9.1",
            "[::1]:3000",
        ] {
            assert!(is_local(&headers(&[("host", host)])), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "0.0.0.0:3000",
        ] {
            assert!(!is_local(&headers(&[("host", host)])), "{host}");
        }
        assert!(!is_local(&headers(&[
            ("host", "localhost"),
            ("x-forwarded-for", "10.0.0.1")
        ])));
        assert!(!is_local(&headers(&[])));
    }

    #[test]
    fn the_cookie_is_for_this_site_and_no_script() {
        let cookie = |scheme| cookie(&Settings::default(), ClientScheme(scheme), "p", 1).unwrap();
        assert_eq!(
            cookie(Scheme::Http),
            "operator=p; Max-Age=1; Path=/; SameSite=Strict; HttpOnly"
        );
        assert!(cookie(Scheme::Https).to_str().unwrap().ends_with("; Secure"));
    }
}
