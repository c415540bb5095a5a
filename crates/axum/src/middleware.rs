//! Middleware that protects an app's routes. [`protect`] applies all of it in the right order; an app with its own middleware in
//! between applies the functions one by one, each with [`axum::middleware::from_fn_with_state`] and the gateway.
//!
//! From the outermost to the innermost:
//!
//! | function | purpose | rejection |
//! | --- | --- | --- |
//! | [`insert_client_addr`] | inserts [`ClientAddr`](crate::client_addr::ClientAddr) and [`ClientScheme`](crate::client_addr::ClientScheme) | none |
//! | [`limit_requests`] | counts the request towards its address's quota | 429 |
//! | [`check_host`] | serves only the site's own host names, against DNS rebinding | 400, 421 |
//! | [`check_origin`] | allows only pages of the site and of listed origins to post and open WebSockets | 403 |
//! | [`request_body_timeout`] | limits how long a request body may take; needs no state | 408 |

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};

use crate::gateway::Gateway;

pub use crate::client_addr::insert_client_addr;
pub use crate::connection::request_body::request_body_timeout;
pub use crate::host::check_host;
pub use crate::origin::check_origin;
pub use crate::quota::limit_requests;

/// Wraps `router` in all middleware of this module. Call it last, so that it covers every route.
pub fn protect<S: Clone + Send + Sync + 'static>(router: Router<S>, gateway: &Gateway) -> Router<S> {
    let state = || gateway.clone();
    router
        .layer(from_fn(request_body_timeout))
        .layer(from_fn_with_state(state(), check_origin))
        .layer(from_fn_with_state(state(), check_host))
        .layer(from_fn_with_state(state(), limit_requests))
        .layer(from_fn_with_state(state(), insert_client_addr))
}
