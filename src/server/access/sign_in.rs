//! Sign-in and sign-out of operators in a browser: the form of the page `/status`, which takes a token, and the page of a sign-in
//! link. Opening the link has no effect, because programs prefetch links; submitting its form signs in.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, FromRequest as _, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::authenticate::{ThrottleKey, TokenRejection, VerifiedToken};
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

/// Routes that need the origin check.
pub fn routes() -> Router<ServerState> {
    Router::new()
        .route(SIGN_IN_PATH, post(sign_in_with_token))
        .route(SIGN_OUT_PATH, post(sign_out))
        .layer(DefaultBodyLimit::max(limits::FORM_BYTES))
}

/// Routes exempt from the general origin check: the page's `no-referrer` policy, which keeps its URL from leaking, makes browsers
/// post its form with `Origin: null`, which these routes allow. The code authenticates the request.
pub fn link_routes() -> Router<ServerState> {
    Router::new()
        .route(LINK_PATH, get(link_page).post(sign_in_with_link))
        .layer(DefaultBodyLimit::max(limits::FORM_BYTES))
}

type Fields = BTreeMap<String, String>;

async fn sign_in_with_token(
    State(state): State<ServerState>,
    ThrottleKey(source): ThrottleKey,
    scheme: ClientScheme,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Response {
    let typed = fields.get("token").map(|typed| typed.trim()).unwrap_or_default();
    let access = &state.access;
    match access.verify_throttled(&access.sign_in_throttle, typed, source) {
        Ok(VerifiedToken { id, roles }) if roles.contains(&Role::Operator) => {
            access.sign_in_throttle.record_success(source);
            tracing::info!(token = id, "an operator signed in with a token");
            sign_in(&state, Some(id), &headers, scheme)
        }
        Ok(VerifiedToken { id, .. }) => {
            tracing::warn!(token = id, "a sign-in was rejected: the token lacks the role operator");
            redirect("/status?refused", None)
        }
        Err(TokenRejection::TooMany(wait)) => too_many_attempts(wait, &headers),
        Err(rejection) => {
            tracing::warn!("a sign-in was rejected: {rejection}");
            redirect("/status?refused", None)
        }
    }
}

async fn link_page(Query(query): Query<Fields>, headers: HeaderMap) -> Response {
    let locale = preferences::locale(&headers);
    // Only hexadecimal digits need no escaping; any other code is invalid and is dropped, so that posting the form fails.
    let code = query
        .get("code")
        .filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let code = code.map(String::as_str).unwrap_or_default();
    let form = format!(
        r#"<form method="post" action="{LINK_PATH}"><input type="hidden" name="code" value="{code}"><button>{}</button></form>"#,
        td_string!(locale, sign_in.button)
    );
    plain_page::respond(
        StatusCode::OK,
        &Page {
            locale,
            title: td_string!(locale, sign_in.title),
            text: td_string!(locale, sign_in.text),
            form_html: &form,
        },
    )
}

async fn sign_in_with_link(
    State(state): State<ServerState>,
    ThrottleKey(source): ThrottleKey,
    scheme: ClientScheme,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(problem) = origin::check_allowing_null_origin(&parts, &state.gateway.settings) {
        return problem.into_response();
    }
    let headers = parts.headers.clone();
    let form = Form::<Fields>::from_request(Request::from_parts(parts, body), &state).await;
    let fields = match form {
        Ok(Form(fields)) => fields,
        Err(error) => return error.into_response(),
    };
    let code = fields.get("code").cloned().unwrap_or_default();
    let (access, throttle) = (state.access.clone(), &state.access.sign_in_throttle);
    let consumed = tokio::task::spawn_blocking(move || access.links.consume(&code)).await;
    match consumed {
        Ok(Ok(true)) => {
            throttle.record_success(source);
            tracing::info!("an operator signed in with a link");
            sign_in(&state, None, &headers, scheme)
        }
        Ok(Ok(false)) => {
            if let Err(wait) = throttle.check(source) {
                return too_many_attempts(wait, &headers);
            }
            throttle.record_failure(source);
            tracing::warn!("a sign-in link was rejected: used, expired or unknown");
            rejected_link(&headers)
        }
        Ok(Err(error)) => {
            tracing::error!("cannot check a sign-in link: {error}");
            rejected_link(&headers)
        }
        Err(error) => {
            tracing::error!("cannot check a sign-in link: {error}");
            rejected_link(&headers)
        }
    }
}

fn rejected_link(headers: &HeaderMap) -> Response {
    let locale = preferences::locale(headers);
    plain_page::respond(
        StatusCode::FORBIDDEN,
        &Page {
            locale,
            title: td_string!(locale, sign_in.rejected),
            text: td_string!(locale, sign_in.rejected_text),
            form_html: "",
        },
    )
}

fn too_many_attempts(wait: Duration, headers: &HeaderMap) -> Response {
    let (locale, seconds) = (preferences::locale(headers), wait.as_secs().max(1));
    let text = fill(
        td_string!(locale, sign_in.too_many_text),
        &[("seconds", &seconds.to_string())],
    );
    let mut response = plain_page::respond(
        StatusCode::TOO_MANY_REQUESTS,
        &Page {
            locale,
            title: td_string!(locale, sign_in.too_many),
            text: &text,
            form_html: "",
        },
    );
    response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    response
}

fn sign_in(state: &ServerState, token: Option<String>, headers: &HeaderMap, scheme: ClientScheme) -> Response {
    // The browser's previous session ends.
    end_session(state, headers);
    let id = state.access.sessions.create(token);
    redirect(PAGE, cookie(state, id.as_str(), limits::SESSION_LIFETIME, scheme))
}

async fn sign_out(State(state): State<ServerState>, scheme: ClientScheme, headers: HeaderMap) -> Response {
    end_session(&state, &headers);
    redirect(PAGE, cookie(&state, "", Duration::ZERO, scheme))
}

fn end_session(state: &ServerState, headers: &HeaderMap) {
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

fn redirect(to: &'static str, cookie: Option<HeaderValue>) -> Response {
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
