//! What a supervisor asks: is the process alive, may it be sent visitors? Knows nothing that could fail.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::error::Problem;
use crate::gateway::Gateway;

pub const ALIVE_PATH: &str = "/healthz";
pub const READY_PATH: &str = "/readyz";

/// The routes, for any router.
pub fn routes<S: Clone + Send + Sync + 'static>(gateway: Gateway) -> Router<S> {
    Router::new()
        .route(ALIVE_PATH, get(alive))
        .route(READY_PATH, get(ready))
        .with_state(gateway)
}

/// `GET` [`ALIVE_PATH`]
async fn alive() -> Response {
    ([(header::CACHE_CONTROL, "no-store")], "ok\n").into_response()
}

/// `GET` [`READY_PATH`]
async fn ready(State(state): State<Gateway>) -> Response {
    if state.shutdown.has_begun() {
        return Problem::unavailable("The server is going away.").into_response();
    }
    alive().await
}
