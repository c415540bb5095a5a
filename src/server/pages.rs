//! Page routes: server-side rendering with a per-page content security policy, and the handlers of the no-JavaScript forms.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::post;
use leptos::config::LeptosOptions;
use leptos::nonce::use_nonce;
use leptos::prelude::{provide_context, use_context};
use leptos_axum::{
    AxumRouteListing, LeptosRoutes as _, ResponseOptions, generate_route_list_with_exclusions_and_ssg_and_context,
    render_app_async_with_context,
};

use super::access::Grant;
use super::headers::{ConnectSources, content_security_policy};
use super::identity::{FallbackIdentity, IssuedIdentity};
use super::page_paths::PagePaths;
use super::signals::SIGNALS_PATH;
use super::state::ServerState;
use super::{hydration, identity, limits, preferences};
use crate::app::{App, BuildId, HydrationScript, InlineAssets, shell};
use crate::apps::{HOME_PATH, HOME_SCRIPT};
use crate::server::forms::{CommandForm, PlainForm};
use crate::ui::not_found::NotFoundResponder;
use crate::ui::operator::Operator;
use crate::ui::permissions::Permissions;
use crate::wire::first_visit::FirstVisit;
use crate::wire::form::{Fields, RejectedForm};
use crate::wire::run_signals::RunSignals;
use duplex_axum::{PageVisitor, client_addr::ClientScheme, error::Problem};
use duplex_hub::{TopicCommand, quota::ClientKey};
use duplex_leptos::{
    simulation::PreviewSource,
    topic::{TopicSource, Visitor},
};
use duplex_protocol::session::Rejection;

/// The routes of pages, server functions and forms; and the pages' paths.
pub fn routes(
    state: &ServerState,
    forms: Vec<PlainForm>,
    commands: Vec<CommandForm>,
) -> (Router<ServerState>, PagePaths) {
    let options = state.options.clone();
    // Excludes the `leptos_ws` server function, which would let visitors write signals; `signals::socket` serves its path
    // instead.
    let excluded = Some(vec![SIGNALS_PATH.to_owned()]);
    let (pages, _) = generate_route_list_with_exclusions_and_ssg_and_context(App, excluded, context(state));
    let is_page = |path: &&str| !path.starts_with("/api/");
    let paths = PagePaths::new(pages.iter().map(AxumRouteListing::path).filter(is_page));
    let router = Router::new().leptos_routes_with_context(state, pages, context(state), move || shell(options.clone()));
    let router = forms.into_iter().fold(router, |router, form| {
        let handler = post(async move |state, request| answer_form(state, request, form).await);
        router.route(form.path, handler.layer(DefaultBodyLimit::max(limits::FORM_BYTES)))
    });
    let router = commands.into_iter().fold(router, |router, form| {
        let handler = post(async move |state, request| submit_command_form(state, request, form).await);
        router.route(form.path, handler.layer(DefaultBodyLimit::max(limits::FORM_BYTES)))
    });
    (router, paths)
}

/// Provides the context of every page and every server function.
fn context(state: &ServerState) -> impl Fn() + Clone + Send + Sync + use<> {
    let (state, build) = (state.clone(), state.build.clone());
    let (last_vitals, previews) = (state.last_vitals.clone(), simulation_previews(&state));
    let signals = run_signals(&state);
    move || {
        provide_context(previews.clone());
        provide_context(signals.clone());
        provide_context(last_vitals.get());
        provide_context(state.fragments.clone());
        provide_context(BuildId(build.clone()));
        provide_context(HydrationScript(hydration::path()));
        if let Some(response) = use_context::<ResponseOptions>() {
            provide_context(NotFoundResponder(Arc::new(move || {
                response.set_status(StatusCode::NOT_FOUND)
            })));
        }
        if let Some(request) = use_context::<Parts>() {
            if request.uri.path() == HOME_PATH {
                let style = state.critical_css.clone();
                provide_context(InlineAssets {
                    style,
                    script: HOME_SCRIPT,
                });
            }
            preferences::provide(&request.headers);
            let client = duplex_axum::quota::client(&request.extensions);
            provide_visitor(&state, client, &request);
        }
        set_headers();
    }
}

/// Provides the visitor, their rights, and the topics that they may read. A new visitor gets a cookie.
fn provide_visitor(state: &ServerState, client: ClientKey, request: &Parts) {
    let issued = issue_identity(state, request);
    if let Some(response) = use_context::<ResponseOptions>() {
        for cookie in issued.cookies {
            response.append_header(header::SET_COOKIE, cookie);
        }
    }
    let person = identity::person(
        state,
        &Grant::from_extensions(&request.extensions),
        &request.headers,
        FallbackIdentity::Secret(&issued.secret),
    );
    provide_context(Visitor(person.clone()));
    provide_context(FirstVisit(identity::first_visit(&request.headers, &state.settings)));
    provide_context(permissions(&Grant::from_extensions(&request.extensions)));
    let hub = Grant::from_extensions(&request.extensions).hub(&state.hub);
    if hub.is_operator() {
        provide_context(Operator);
    }
    let hub = state.hub_for_client(&hub, client.with_person(&person));
    provide_context(topic_source(PageVisitor::new(hub, person)));
}

fn issue_identity(state: &ServerState, request: &Parts) -> IssuedIdentity {
    let scheme = request.extensions.get::<ClientScheme>().copied().unwrap_or_default();
    identity::issue_identity(&request.headers, &state.settings, scheme)
}

fn run_signals(state: &ServerState) -> RunSignals {
    let signals = Arc::clone(&state.signals);
    RunSignals(Arc::new(move |run, text| {
        signals.set_run(run, text).map_err(|error| error.to_string())
    }))
}

fn permissions(grant: &Grant) -> Permissions {
    let authority = grant.rights().authority();
    Permissions {
        operator: authority.operator,
        demo: authority.demo,
    }
}

/// The simulations' previews, by path.
fn simulation_previews(state: &ServerState) -> PreviewSource {
    let simulations = Arc::clone(&state.simulations);
    PreviewSource(Arc::new(move |path| {
        simulations
            .iter()
            .find(|simulation| simulation.path() == path)?
            .preview()
    }))
}

fn topic_source(visitor: PageVisitor) -> TopicSource {
    TopicSource::new(move |name| {
        let visitor = visitor.clone();
        async move { visitor.state(&name).await }
    })
}

/// The home page may connect to any WebSocket server; all other pages connect only to this one.
fn connect_sources(request: &Parts) -> ConnectSources<'_> {
    if request.uri.path() == HOME_PATH {
        return ConnectSources::AnyWebSocket;
    }
    let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    ConnectSources::SameHost(request.uri.authority().map(Authority::as_str).or(host))
}

/// Sets the response headers of a page. Leptos provides the nonce before the context; a server function has none.
fn set_headers() {
    let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>()) else {
        return;
    };
    let request = use_context::<Parts>();
    let sources = request.as_ref().map_or(ConnectSources::SameHost(None), connect_sources);
    if let Ok(policy) = HeaderValue::from_str(&content_security_policy(&nonce, sources)) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, policy);
    }
    // The content depends on the visitor and changes at any time.
    response.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response.insert_header(header::VARY, HeaderValue::from_static("accept-language, cookie"));
}

/// Renders the page at the request's path, with the context that `answer` provides.
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
    // In-order rendering without streaming, because the client may not run scripts.
    render_app_async_with_context(additional, move || shell(LeptosOptions::clone(&options)))(request).await
}

/// The fallback where there is neither a route nor a file: a page for browsers, a problem document for programs.
pub async fn not_found(State(state): State<ServerState>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if path.starts_with("/api/") || !accepts_html(request.headers()) {
        return Problem::not_found(format!("There is nothing at {path}.")).into_response();
    }
    if let Err(response) = super::quota::check_page_quota(&state, &request) {
        return *response;
    }
    let (mut parts, _) = request.into_parts();
    parts.method = axum::http::Method::GET;
    // Leptos's router parses `//host/path` as a URL with a host and would render `/path`.
    if path.starts_with("//") {
        parts.uri = Uri::from_static("/not-found");
    }
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
    #[error("{}", .0.body_text())]
    Unreadable(#[from] FormRejection),
    #[error("The form has no field {0:?}.")]
    NoField(&'static str),
}

impl FormError {
    fn problem(&self) -> Problem {
        let status = match self {
            Self::Unreadable(rejection) => rejection.status(),
            Self::NoField(_) => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Problem::new(status, self.to_string())
    }
}

async fn answer_form(State(state): State<ServerState>, request: Request, form: PlainForm) -> Response {
    let (parts, body) = request.into_parts();
    let fields = read_fields(Request::from_parts(parts.clone(), body)).await;
    match fields.and_then(|mut fields| fields.remove(form.field).ok_or(FormError::NoField(form.field))) {
        Ok(field) => {
            render(&state, Request::from_parts(parts, Body::empty()), move || {
                (form.answer)(&field)
            })
            .await
        }
        Err(error) => error.problem().into_response(),
    }
}

/// Sends the command, then redirects to the page, so that reloading it does not post again. If the command is rejected, renders the
/// page with the reason.
async fn submit_command_form(State(state): State<ServerState>, request: Request, form: CommandForm) -> Response {
    let (parts, body) = request.into_parts();
    let fields = match read_fields(Request::from_parts(parts.clone(), body)).await {
        Ok(fields) => fields,
        Err(error) => return error.problem().into_response(),
    };
    let then = (form.redirect_to)(parts.uri.path(), &fields);
    let issued = issue_identity(&state, &parts);
    let mut person = identity::person(
        &state,
        &Grant::from_extensions(&parts.extensions),
        &parts.headers,
        FallbackIdentity::Secret(&issued.secret),
    );
    let client = duplex_axum::quota::client(&parts.extensions).with_person(&person);
    let hub = state.hub_for_client(&Grant::from_extensions(&parts.extensions).hub(&state.hub), client);
    let typed = fields.get("name").filter(|name| !name.trim().is_empty());
    let chosen = typed.map(|name| hub.name_policy().choose(&person.id, hub.is_operator(), name));
    let name = chosen.transpose().map(|name| name.filter(|name| !name.is_empty()));
    let name_cookie = name
        .as_ref()
        .ok()
        .and_then(|name| identity::name_cookie(name.as_deref()?));
    let rejection = match name {
        Ok(name) => {
            person.name = name.unwrap_or(person.name);
            send_command(PageVisitor::new(hub, person), (form.command)(parts.uri.path(), &fields)).await
        }
        Err(error) => Some(error.into()),
    };
    match rejection {
        None => {
            let location = HeaderValue::from_str(&then).unwrap_or(HeaderValue::from_static("/"));
            let cookies = issued
                .cookies
                .into_iter()
                .chain(name_cookie)
                .map(|cookie| (header::SET_COOKIE, cookie));
            let cookies = AppendHeaders(cookies.collect::<Vec<_>>());
            (StatusCode::SEE_OTHER, cookies, [(header::LOCATION, location)]).into_response()
        }
        Some(rejection) => {
            let form = RejectedForm { rejection, fields };
            let page = Request::from_parts(parts, Body::empty());
            let mut response = render(&state, page, move || provide_context(form.clone())).await;
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            response
        }
    }
}

async fn send_command(visitor: PageVisitor, command: Option<TopicCommand>) -> Option<Rejection> {
    let Some(command) = command else {
        let what = "the form's fields are not a valid command".to_owned();
        return Some(Rejection::Malformed { detail: what });
    };
    visitor.send_command(command).await.err()
}

async fn read_fields(request: Request) -> Result<Fields, FormError> {
    let fields = axum::Form::<Fields>::from_request(request, &());
    let axum::Form(fields) = fields.await?;
    Ok(fields)
}
