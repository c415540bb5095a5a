//! The pages: each rendered here first, with a policy of its own, and the plain forms for browsers that run no scripts.
//! Knows the document and the table of pages, not what is on them.

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
use super::headers::{Reach, content_security_policy};
use super::identity::{FallbackIdentity, Welcome};
use super::page_paths::PagePaths;
use super::signals::SIGNALS_PATH;
use super::state::ServerState;
use super::{hydration, identity, limits, preferences};
use crate::app::{App, Build, HydrationScript, InlineAssets, shell};
use crate::apps::{FIRST_PAGE, FIRST_SCRIPT};
use crate::server::forms::{CommandForm, Form};
use crate::ui::not_found::NotFoundResponder;
use crate::ui::operator::Operator;
use crate::ui::permissions::Permissions;
use crate::wire::first_visit::FirstVisit;
use crate::wire::form::{Fields, RejectedForm};
use crate::wire::run_signals::RunSignals;
use duplex_axum::{PageVisitor, client_addr::ClientScheme, error::Problem};
use duplex_hub::{TopicCommand, quota::Client};
use duplex_leptos::{
    simulation::SimulationSource,
    topic::{TopicSource, Visitor},
};
use duplex_protocol::session::Rejection;

/// The pages' routes, those of the server functions, and the forms'; and the pages' paths.
pub fn routes(state: &ServerState, forms: Vec<Form>, commands: Vec<CommandForm>) -> (Router<ServerState>, PagePaths) {
    let options = state.options.clone();
    // A server function of `leptos_ws`, which would let visitors write what they may only read. It has a door of its own.
    let elsewhere = Some(vec![SIGNALS_PATH.to_owned()]);
    let (pages, _) = generate_route_list_with_exclusions_and_ssg_and_context(App, elsewhere, context(state));
    let is_page = |path: &&str| !path.starts_with("/api/");
    let paths = PagePaths::of(pages.iter().map(AxumRouteListing::path).filter(is_page));
    let router = Router::new().leptos_routes_with_context(state, pages, context(state), move || shell(options.clone()));
    let router = forms.into_iter().fold(router, |router, form| {
        let answer = post(async move |state, request| answer(state, request, form).await);
        router.route(form.path, answer.layer(DefaultBodyLimit::max(limits::FORM_BYTES)))
    });
    let router = commands.into_iter().fold(router, |router, form| {
        let answer = post(async move |state, request| command(state, request, form).await);
        router.route(form.path, answer.layer(DefaultBodyLimit::max(limits::FORM_BYTES)))
    });
    (router, paths)
}

/// What every page and every server function finds in its context.
fn context(state: &ServerState) -> impl Fn() + Clone + Send + Sync + use<> {
    let (state, build) = (state.clone(), state.build.clone());
    let (last_vitals, glances) = (state.last_vitals.clone(), glances(&state));
    let signals = run_signals(&state);
    move || {
        provide_context(glances.clone());
        provide_context(signals.clone());
        provide_context(last_vitals.get());
        provide_context(state.fragments.clone());
        provide_context(Build(build.clone()));
        provide_context(HydrationScript(hydration::path()));
        if let Some(response) = use_context::<ResponseOptions>() {
            provide_context(NotFoundResponder(Arc::new(move || {
                response.set_status(StatusCode::NOT_FOUND)
            })));
        }
        if let Some(request) = use_context::<Parts>() {
            if request.uri.path() == FIRST_PAGE {
                let style = state.first_style.clone();
                provide_context(InlineAssets {
                    style,
                    script: FIRST_SCRIPT,
                });
            }
            preferences::provide(&request.headers);
            let client = duplex_axum::quota::client(&request.extensions);
            provide_visitor(&state, client, &request);
        }
        set_headers();
    }
}

/// Who the page is for, and the topics as this visitor may see them. A visitor who comes for the first time gets a cookie.
fn provide_visitor(state: &ServerState, client: Client, request: &Parts) {
    let welcome = welcome(state, request);
    if let Some(response) = use_context::<ResponseOptions>() {
        for cookie in welcome.cookies {
            response.append_header(header::SET_COOKIE, cookie);
        }
    }
    let person = identity::person(
        state,
        &Grant::of_request(&request.extensions),
        &request.headers,
        FallbackIdentity::Secret(&welcome.secret),
    );
    provide_context(Visitor(person.clone()));
    provide_context(FirstVisit(identity::first_visit(&request.headers, &state.settings)));
    provide_context(permits(&Grant::of_request(&request.extensions)));
    let hub = Grant::of_request(&request.extensions).hub(&state.hub);
    if hub.is_for_operator() {
        provide_context(Operator);
    }
    let hub = state.hub_for(&hub, client.known_as(&person));
    provide_context(source(PageVisitor::new(hub, person)));
}

fn welcome(state: &ServerState, request: &Parts) -> Welcome {
    let scheme = request.extensions.get::<ClientScheme>().copied().unwrap_or_default();
    identity::welcome(&request.headers, &state.settings, scheme)
}

fn run_signals(state: &ServerState) -> RunSignals {
    let signals = Arc::clone(&state.signals);
    RunSignals(Arc::new(move |run, text| {
        signals.set_run(run, text).map_err(|refused| refused.to_string())
    }))
}

fn permits(grant: &Grant) -> Permissions {
    let authority = grant.rights().authority();
    Permissions {
        operator: authority.operator,
        demo: authority.demo,
    }
}

/// What the simulations show of themselves.
fn glances(state: &ServerState) -> SimulationSource {
    let simulations = Arc::clone(&state.simulations);
    SimulationSource(Arc::new(move |path| {
        simulations.iter().find(|stage| stage.path() == path)?.preview()
    }))
}

fn source(visitor: PageVisitor) -> TopicSource {
    TopicSource::new(move |name| {
        let visitor = visitor.clone();
        async move { visitor.state(&name).await }
    })
}

/// The page of the first path is a client of any WebSocket server; the others are of this one.
fn reach(request: &Parts) -> Reach<'_> {
    if request.uri.path() == FIRST_PAGE {
        return Reach::AnySocket;
    }
    let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    Reach::Own(request.uri.authority().map(Authority::as_str).or(host))
}

/// The nonce was made for this rendering before the context is asked for; a server function has none.
fn set_headers() {
    let (Some(nonce), Some(response)) = (use_nonce(), use_context::<ResponseOptions>()) else {
        return;
    };
    let request = use_context::<Parts>();
    let reach = request.as_ref().map_or(Reach::Own(None), reach);
    if let Ok(policy) = HeaderValue::from_str(&content_security_policy(&nonce, reach)) {
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
    // Whole, not as a stream that scripts put together: a form is posted where none run.
    render_app_async_with_context(additional, move || shell(LeptosOptions::clone(&options)))(request).await
}

/// What is neither a route nor a file: a visitor gets a page, a program a problem.
pub async fn missing(State(state): State<ServerState>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if path.starts_with("/api/") || !accepts_html(request.headers()) {
        return Problem::not_found(format!("There is nothing at {path}.")).into_response();
    }
    if let Err(response) = super::quota::page(&state, &request) {
        return *response;
    }
    let (mut parts, _) = request.into_parts();
    parts.method = axum::http::Method::GET;
    // The router would take what follows two slashes for a host, and render the page of the path behind it.
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

async fn answer(State(state): State<ServerState>, request: Request, form: Form) -> Response {
    let (parts, body) = request.into_parts();
    let said = read(Request::from_parts(parts.clone(), body)).await;
    match said.and_then(|mut fields| fields.remove(form.field).ok_or(FormError::NoField(form.field))) {
        Ok(said) => {
            render(&state, Request::from_parts(parts, Body::empty()), move || {
                (form.answer)(&said)
            })
            .await
        }
        Err(error) => error.problem().into_response(),
    }
}

/// Has its effect, then sends the browser to the page itself, so that to load it again does not post again. Without effect,
/// the page says why.
async fn command(State(state): State<ServerState>, request: Request, form: CommandForm) -> Response {
    let (parts, body) = request.into_parts();
    let fields = match read(Request::from_parts(parts.clone(), body)).await {
        Ok(fields) => fields,
        Err(error) => return error.problem().into_response(),
    };
    let then = (form.then)(parts.uri.path(), &fields);
    let welcome = welcome(&state, &parts);
    let mut person = identity::person(
        &state,
        &Grant::of_request(&parts.extensions),
        &parts.headers,
        FallbackIdentity::Secret(&welcome.secret),
    );
    let client = duplex_axum::quota::client(&parts.extensions).known_as(&person);
    let hub = state.hub_for(&Grant::of_request(&parts.extensions).hub(&state.hub), client);
    let chosen = fields.get("name").filter(|name| !name.trim().is_empty());
    let chosen = chosen.map(|name| hub.names().choose(&person.id, hub.is_for_operator(), name));
    let name = chosen.transpose().map(|name| name.filter(|name| !name.is_empty()));
    let named = name
        .as_ref()
        .ok()
        .and_then(|name| identity::name_cookie(name.as_deref()?));
    let refused = match name {
        Ok(name) => {
            person.name = name.unwrap_or(person.name);
            decide(PageVisitor::new(hub, person), (form.command)(parts.uri.path(), &fields)).await
        }
        Err(error) => Some(error.into()),
    };
    match refused {
        None => {
            let back = HeaderValue::from_str(&then).unwrap_or(HeaderValue::from_static("/"));
            let cookies = welcome
                .cookies
                .into_iter()
                .chain(named)
                .map(|cookie| (header::SET_COOKIE, cookie));
            let cookies = AppendHeaders(cookies.collect::<Vec<_>>());
            (StatusCode::SEE_OTHER, cookies, [(header::LOCATION, back)]).into_response()
        }
        Some(rejection) => {
            let refused = RejectedForm { rejection, fields };
            let page = Request::from_parts(parts, Body::empty());
            let mut response = render(&state, page, move || provide_context(refused.clone())).await;
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            response
        }
    }
}

async fn decide(visitor: PageVisitor, command: Option<TopicCommand>) -> Option<Rejection> {
    let Some(command) = command else {
        let what = "the form's fields make no command".to_owned();
        return Some(Rejection::Malformed { detail: what });
    };
    visitor.send_command(command).await.err()
}

async fn read(request: Request) -> Result<Fields, FormError> {
    let fields = axum::Form::<Fields>::from_request(request, &());
    let axum::Form(fields) = fields.await?;
    Ok(fields)
}
