//! What a supervisor asks: is the process alive, may it be sent visitors? Knows nothing that could fail.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::error::Problem;
use super::state::ServerState;

pub const ALIVE_PATH: &str = "/healthz";
pub const READY_PATH: &str = "/readyz";

pub fn routes() -> Router<ServerState> {
    Router::new()
        .route(ALIVE_PATH, get(alive))
        .route(READY_PATH, get(ready))
}

/// `GET` [`ALIVE_PATH`]
async fn alive() -> Response {
    ([(header::CACHE_CONTROL, "no-store")], "ok\n").into_response()
}

/// `GET` [`READY_PATH`]
async fn ready(State(state): State<ServerState>) -> Response {
    if state.shutdown.has_begun() {
        return Problem::unavailable("The server is going away.").into_response();
    }
    alive().await
}
