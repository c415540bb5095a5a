//! The pages: each rendered here first, with a policy of its own, and the plain forms for browsers that run no scripts.
//! Knows the document and the table of pages, not what is on them.

use std::collections::HashMap;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use leptos::config::LeptosOptions;
use leptos::nonce::use_nonce;
use leptos::prelude::{provide_context, use_context};
use leptos_axum::{
    LeptosRoutes as _, ResponseOptions, generate_route_list_with_exclusions_and_ssg_and_context,
    render_app_to_stream_with_context,
};
use tokio::time::timeout;

use super::error::Problem;
use super::headers::content_security_policy;
use super::hub::Form;
use super::limits;
use super::preferences;
use super::state::ServerState;
use crate::app::{App, shell};

/// The pages' routes, those of the server functions, and the forms'.
pub fn routes(state: &ServerState, forms: impl IntoIterator<Item = Form>) -> Router<ServerState> {
    let options = state.options.clone();
    let (pages, _) = generate_route_list_with_exclusions_and_ssg_and_context(App, None, context(state));
    let router = Router::new().leptos_routes_with_context(state, pages, context(state), move || shell(options.clone()));
    forms.into_iter().fold(router, |router, form| {
        let answer = post(async move |state, request| answer(state, request, form).await);
        router.route(form.path, answer.layer(DefaultBodyLimit::max(limits::FORM_BYTES)))
    })
}

/// What every page and every server function finds in its context.
fn context(state: &ServerState) -> impl Fn() + Clone + Send + Sync + use<> {
    let signals = state.signals.clone();
    move || {
        provide_context(signals.clone());
        if let Some(request) = use_context::<Parts>() {
            preferences::provide(&request.headers);
        }
        set_headers();
    }
}

/// The nonce was made for this rendering before the context is asked for; a server function has none.
fn set_headers() {
    let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>()) else {
        return;
    };
    if let Ok(policy) = HeaderValue::from_str(&content_security_policy(&nonce)) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
    // A page shows the visitor's language, and what is true now.
    response.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response.insert_header(header::VARY, HeaderValue::from_static("accept-language, cookie"));
}

/// Renders the page at the request's path, after `answer` has left there what it has to say.
async fn render(state: &ServerState, request: Request, answer: impl Fn() + Clone + Send + Sync + 'static) -> Response {
    let (common, options) = (context(state), state.options.clone());
    let additional = {
        let state = state.clone();
        move || {
            provide_context(state.clone());
            common();
            answer();
        }
    };
    render_app_to_stream_with_context(additional, move || shell(LeptosOptions::clone(&options)))(request).await
}

/// What is neither a route nor a file: a visitor gets a page, a program a problem.
pub async fn missing(State(state): State<ServerState>, request: Request) -> Response {
    let path = request.uri().path();
    if path.starts_with("/api/") || !accepts_html(request.headers()) {
        return Problem::not_found(format!("There is nothing at {path}.")).into_response();
    }
    let (mut parts, _) = request.into_parts();
    parts.method = axum::http::Method::GET;
    let mut response = render(&state, Request::from_parts(parts, Body::empty()), || {}).await;
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")))
}

#[derive(Debug, thiserror::Error)]
enum FormError {
    #[error("The form did not arrive in time.")]
    Slow,
    #[error("{}", .0.body_text())]
    Unreadable(#[from] FormRejection),
    #[error("The form has no field {0:?}.")]
    NoField(&'static str),
}

impl FormError {
    fn problem(&self) -> Problem {
        let status = match self {
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Unreadable(rejection) => rejection.status(),
            Self::NoField(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Problem::new(status, self.to_string())
    }
}

async fn answer(State(state): State<ServerState>, request: Request, form: Form) -> Response {
    let (parts, body) = request.into_parts();
    match read(Request::from_parts(parts.clone(), body), form.field).await {
        Ok(said) => {
            render(&state, Request::from_parts(parts, Body::empty()), move || {
                (form.answer)(&said)
            })
            .await
        }
        Err(error) => error.problem().into_response(),
    }
}

async fn read(request: Request, field: &'static str) -> Result<String, FormError> {
    let fields = axum::Form::<HashMap<String, String>>::from_request(request, &());
    let axum::Form(mut fields) = timeout(limits::FORM_WAIT, fields)
        .await
        .map_err(|_| FormError::Slow)??;
    fields.remove(field).ok_or(FormError::NoField(field))
}
