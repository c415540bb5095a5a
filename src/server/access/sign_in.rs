//! How an operator signs in with a browser, and out: the form of the page `/status`, which asks for a token, and the page of a
//! sign-in link. To open the link changes nothing, as programs look at links too; its button does.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, FromRequest as _, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::authenticate::{CameFrom, Taken, TokenRefused};
use super::plain_page::{self, Page};
use super::sign_in_links::LINK_PATH;
use crate::i18n::*;
use crate::server::cookies::Cookie;
use crate::server::limits;
use crate::server::preferences;
use crate::server::state::ServerState;
use crate::ui::text::fill;
use duplex_axum::client_addr::ClientScheme;
use duplex_axum::origin;
use duplex_hub::Role;

pub const SIGN_IN_PATH: &str = "/api/operator/sign-in";
pub const SIGN_OUT_PATH: &str = "/api/operator/sign-out";

/// The operator's page.
const PAGE: &str = "/status";

/// Behind the guard that refuses other origins.
pub fn routes() -> Router<ServerState> {
    Router::new()
        .route(SIGN_IN_PATH, post(with_token))
        .route(SIGN_OUT_PATH, post(sign_out))
        .layer(DefaultBodyLimit::max(limits::FORM_BYTES))
}

/// Beside that guard: the page says `no-referrer`, so that its address goes nowhere, and browsers then post its form with
/// `Origin: null`. The code is the proof; whoever knows it may use it.
pub fn link_routes() -> Router<ServerState> {
    Router::new()
        .route(LINK_PATH, get(show_link).post(with_link))
        .layer(DefaultBodyLimit::max(limits::FORM_BYTES))
}

type Fields = BTreeMap<String, String>;

async fn with_token(
    State(state): State<ServerState>,
    CameFrom(source): CameFrom,
    scheme: ClientScheme,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let typed = fields.get("token").map(|typed| typed.trim()).unwrap_or_default();
    let access = &state.access;
    match access.take_with(&access.sign_ins, typed, source) {
        Ok(Taken { id, roles }) if roles.contains(&Role::Operator) => {
            access.sign_ins.succeeded(source);
            tracing::info!(token = id, "an operator signed in with a token");
            enter(&state, Some(id), &headers, scheme)
        }
        Ok(Taken { id, .. }) => {
            tracing::warn!(
                token = id,
                "a token without the role operator was typed at the operator's page"
            );
            back("/status?refused", None)
        }
        Err(TokenRefused::TooMany(wait)) => too_many(wait, &headers),
        Err(refused) => {
            tracing::warn!("a sign-in was refused: {refused}");
            back("/status?refused", None)
        }
    }
}

async fn show_link(Query(query): Query<Fields>, headers: HeaderMap) -> Response {
    let locale = preferences::locale(&headers);
    // A code has nothing to escape; what is none leads to the page that says so.
    let code = query
        .get("code")
        .filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let code = code.map(String::as_str).unwrap_or_default();
    let form = format!(
        r#"<form method="post" action="{LINK_PATH}"><input type="hidden" name="code" value="{code}"><button>{}</button></form>"#,
        td_string!(locale, sign_in.button)
    );
    plain_page::answer(
        StatusCode::OK,
        &Page {
            locale,
            title: td_string!(locale, sign_in.title),
            text: td_string!(locale, sign_in.text),
            after: &form,
        },
    )
}

async fn with_link(
    State(state): State<ServerState>,
    CameFrom(source): CameFrom,
    scheme: ClientScheme,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(problem) = origin::check_opaque(&parts, &state.gateway.settings) {
        return problem.into_response();
    }
    let headers = parts.headers.clone();
    let form = Form::<Fields>::from_request(Request::from_parts(parts, body), &state).await;
    let fields = match form {
        Ok(Form(fields)) => fields,
        Err(error) => return error.into_response(),
    };
    let code = fields.get("code").cloned().unwrap_or_default();
    let (access, throttle) = (state.access.clone(), &state.access.sign_ins);
    let consumed = tokio::task::spawn_blocking(move || access.links.consume(&code)).await;
    match consumed {
        Ok(Ok(true)) => {
            throttle.succeeded(source);
            tracing::info!("an operator signed in with a link");
            enter(&state, None, &headers, scheme)
        }
        Ok(Ok(false)) => {
            if let Err(wait) = throttle.check(source) {
                return too_many(wait, &headers);
            }
            throttle.failed(source);
            tracing::warn!("a sign-in link was refused: it was used, is too old or is none");
            refused_link(&headers)
        }
        Ok(Err(error)) => {
            tracing::error!("no sign-in by link: {error}");
            refused_link(&headers)
        }
        Err(error) => {
            tracing::error!("no sign-in by link: {error}");
            refused_link(&headers)
        }
    }
}

fn refused_link(headers: &HeaderMap) -> Response {
    let locale = preferences::locale(headers);
    plain_page::answer(
        StatusCode::FORBIDDEN,
        &Page {
            locale,
            title: td_string!(locale, sign_in.refused),
            text: td_string!(locale, sign_in.refused_text),
            after: "",
        },
    )
}

fn too_many(wait: Duration, headers: &HeaderMap) -> Response {
    let (locale, seconds) = (preferences::locale(headers), wait.as_secs().max(1));
    let text = fill(
        td_string!(locale, sign_in.too_many_text),
        &[("seconds", &seconds.to_string())],
    );
    let mut response = plain_page::answer(
        StatusCode::TOO_MANY_REQUESTS,
        &Page {
            locale,
            title: td_string!(locale, sign_in.too_many),
            text: &text,
            after: "",
        },
    );
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}

fn enter(state: &ServerState, token: Option<String>, headers: &HeaderMap, scheme: ClientScheme) -> Response {
    // A session of before, whoever's it was, does not go on beside the new one.
    end(state, headers);
    let id = state.access.sessions.begin(token);
    back(PAGE, cookie(state, id.as_str(), limits::SESSION_LIFE, scheme))
}

async fn sign_out(State(state): State<ServerState>, scheme: ClientScheme, headers: HeaderMap) -> Response {
    end(&state, &headers);
    back(PAGE, cookie(&state, "", Duration::ZERO, scheme))
}

fn end(state: &ServerState, headers: &HeaderMap) {
    if let Some(id) = state.access.session(headers) {
        state.access.sessions.end(id);
    }
}

fn cookie(state: &ServerState, id: &str, life: Duration, scheme: ClientScheme) -> Option<HeaderValue> {
    let cookie = Cookie {
        name: &state.access.cookie,
        value: id,
        max_age: u32::try_from(life.as_secs()).unwrap_or(u32::MAX),
        same_site: "Strict",
    };
    cookie.header(scheme)
}

fn back(to: &'static str, cookie: Option<HeaderValue>) -> Response {
    let mut response = (
        StatusCode::SEE_OTHER,
        [
            (header::LOCATION, HeaderValue::from_static(to)),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ],
    )
        .into_response();
    response
        .headers_mut()
        .extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
    response
}
