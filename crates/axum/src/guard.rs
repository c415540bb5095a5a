//! Middleware that protects an app's routes. [`protect`] applies all of it in the right order; an app with its own middleware in
//! between applies the functions one by one, each with [`axum::middleware::from_fn_with_state`] and the gateway.
//!
//! From the outermost to the innermost:
//!
//! | function | purpose | rejection |
//! | --- | --- | --- |
//! | [`client_addr`] | inserts [`ClientAddr`](crate::client_addr::ClientAddr) and [`ClientScheme`](crate::client_addr::ClientScheme) | none |
//! | [`quota`] | counts the request towards its address's quota | 429 |
//! | [`host`] | serves only the site's own host names, against DNS rebinding | 400, 421 |
//! | [`origin`] | allows only pages of the site and of listed origins to post and open WebSockets | 403 |
//! | [`request_body_timeout`] | limits how long a request body may take; needs no state | 408 |

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};

use crate::gateway::Gateway;

pub use crate::client_addr::insert as client_addr;
pub use crate::connection::request_body::request_body_timeout;
pub use crate::host::guard as host;
pub use crate::origin::guard as origin;
pub use crate::quota::limit_requests as quota;

/// Wraps `router` in all middleware of this module. Call it last, so that it covers every route.
pub fn protect<S: Clone + Send + Sync + 'static>(router: Router<S>, gateway: &Gateway) -> Router<S> {
    let state = || gateway.clone();
    router
        .layer(from_fn(request_body_timeout))
        .layer(from_fn_with_state(state(), origin))
        .layer(from_fn_with_state(state(), host))
        .layer(from_fn_with_state(state(), quota))
        .layer(from_fn_with_state(state(), client_addr))
}
