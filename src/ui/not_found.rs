//! Sets status 404 for a page whose resource does not exist.

use std::sync::Arc;

use leptos::prelude::*;

/// Sets the response's status to 404. Provided as context when the server renders a page.
#[derive(Clone)]
pub struct NotFoundResponder(pub Arc<dyn Fn() + Send + Sync>);

/// Responds with 404. A no-op in the browser.
pub fn respond_not_found() {
    if let Some(NotFoundResponder(respond)) = use_context() {
        respond();
    }
}
