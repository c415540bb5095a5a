//! Health checks for a supervisor or a load balancer.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::error::Problem;
use crate::gateway::Gateway;

/// Answers 200 as long as the process runs.
pub const ALIVE_PATH: &str = "/healthz";
/// Answers 200 while the node accepts visitors, 503 once its shutdown has begun.
pub const READY_PATH: &str = "/readyz";

/// The routes [`ALIVE_PATH`] and [`READY_PATH`].
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
