//! The server: its router, middleware and background tasks. Depends only on the list of applications, never on a particular one.

pub mod access;
mod assets;
pub mod background;
mod backup;
mod compress;
pub mod config;
mod cookies;
pub mod data;
mod document_shape;
pub mod forms;
mod fuzz;
mod fuzz_commands;
mod headers;
mod hydration;
mod identity;
pub mod limits;
pub mod metrics;
pub mod moderation;
mod monitor;
pub mod names;
pub mod notify;
pub mod operator;
mod page_paths;
mod pages;
pub mod preferences;
mod quota;
mod ranges;
mod signals;
pub mod site;
pub mod size;
pub mod snapshot;
pub mod state;
pub mod telemetry;
pub mod tls;
pub mod token;
pub mod unread;
pub mod vitals;

use std::path::Path;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;

use self::state::ServerState;
use crate::apps::server::measure;
use crate::ui::preferences::PREFERENCES_PATH;
use duplex_axum::error::Problem;
use duplex_axum::listen::Server;
use duplex_axum::{endpoint, health, ingest, middleware, simulation};

/// The server's router; the binary and the tests serve the same one. Build it before serving: while Leptos generates its route
/// list, it suppresses resource loading in the whole process, so a page rendered meanwhile never completes.
pub fn router(state: ServerState) -> Router {
    let apps = &state.apps;
    let (pages, paths) = pages::routes(&state, apps.forms(), apps.command_forms());
    let files = assets::files(Path::new(&*state.options.site_root), pages::not_found, state.clone())
        .layer(from_fn_with_state(paths, page_paths::redirect));
    Router::new()
        .merge(health::routes(state.gateway.clone()))
        .route("/api/vitals", get(vitals::get_vitals))
        .merge(duplex_axum::routes(state.gateway.clone()))
        .merge(endpoint::routes(state.gateway.clone(), apps.endpoints()))
        .merge(ingest::routes(state.gateway.clone(), apps.ingest_endpoints()))
        .merge(simulation::routes(state.gateway.clone(), &state.simulations))
        .merge(unread::route::routes(apps.unread_endpoints()))
        .route(signals::SIGNALS_PATH, any(signals::socket::upgrade_socket))
        .route(
            PREFERENCES_PATH,
            post(preferences::save).layer(DefaultBodyLimit::max(limits::FORM_BYTES)),
        )
        .merge(
            pages
                .layer(from_fn_with_state(state.clone(), quota::limit_page_requests))
                .layer(from_fn(page_paths::reject_dot_segments)),
        )
        .merge(operator::routes())
        .merge(hydration::routes())
        .merge(files)
        .layer(from_fn(document_shape::append))
        .layer(from_fn_with_state(compress::slots(), compress::compress))
        .merge(apps.routes())
        .layer(from_fn(middleware::request_body_timeout))
        .layer(from_fn_with_state(state.clone(), moderation::reject_banned))
        .layer(from_fn_with_state(state.clone(), access::authenticate))
        .layer(from_fn_with_state(state.gateway.clone(), middleware::check_origin))
        .merge(access::sign_in::link_routes().layer(from_fn(middleware::request_body_timeout)))
        .layer(from_fn_with_state(state.gateway.clone(), middleware::check_host))
        .layer(from_fn_with_state(state.gateway.clone(), middleware::limit_requests))
        .layer(CatchPanicLayer::custom(panic_response))
        .layer(from_fn(headers::add_security_headers))
        .layer(from_fn_with_state(state.clone(), metrics::count_responses))
        .layer(from_fn_with_state(state.clone(), measure::count_bytes))
        .layer(from_fn_with_state(
            state.gateway.clone(),
            middleware::insert_client_addr,
        ))
        .with_state(state)
}

/// The router for connections beyond the limit: health checks are answered; every other request gets 503.
fn health_router(state: ServerState) -> Router {
    health::routes(state.gateway.clone())
        .fallback(async || Problem::unavailable("The server has reached its connection limit.").into_response())
        .layer(from_fn(headers::add_security_headers))
        .layer(from_fn_with_state(state.clone(), metrics::count_responses))
        .with_state(state)
}

fn panic_response(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Internal server error; details are in the server's log.",
    )
    .into_response()
}

/// Serves at `listener` until shutdown begins, then drains until every connection has ended or the deadline has passed. Builds
/// the router eagerly, not in the future; see [`router`].
pub fn run(listener: TcpListener, state: ServerState) -> impl Future<Output = ()> + Send {
    let router = router(state.clone());
    accept_until_drained(listener, router, state)
}

/// The limit of concurrent TCP connections: enough for `sockets` WebSockets, within the process's limit of open files.
fn connection_limit(sockets: usize) -> usize {
    let wanted = sockets.saturating_mul(limits::TCP_CONNECTIONS_PER_WEBSOCKET);
    let files = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
    let possible = usize::try_from(files.saturating_sub(limits::RESERVED_FDS)).unwrap_or(usize::MAX);
    if possible < wanted {
        tracing::warn!(
            wanted,
            possible,
            "the limit of open files allows fewer connections (ulimit -n)"
        );
    }
    wanted.min(possible)
}

async fn accept_until_drained(listener: TcpListener, router: Router, state: ServerState) {
    vitals::spawn_vitals(&state);
    moderation::load_rules(&state).await;
    background::spawn_background_tasks(&state);
    monitor::spawn_monitor(&state);
    access::start_token_watcher(&state);
    let server = Server::new(router, state.gateway.clone())
        .max_connections(connection_limit(state.settings.max_connections))
        .drain_deadline(state.settings.drain_deadline)
        .health(health_router(state));
    server.serve(listener).await;
}
