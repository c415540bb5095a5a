//! The status 404 for a page whose subject does not exist.

use std::sync::Arc;

use leptos::prelude::*;

/// Sets the response's status to 404. In the context of each rendering on the server.
#[derive(Clone)]
pub struct NotFoundResponder(pub Arc<dyn Fn() + Send + Sync>);

/// Responds with 404. Does nothing in the browser, which already has the response.
pub fn respond_not_found() {
    if let Some(NotFoundResponder(respond)) = use_context() {
        respond();
    }
}
