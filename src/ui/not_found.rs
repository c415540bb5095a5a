//! A page whose subject does not exist says so to the server too, which answers with the status 404.

use std::sync::Arc;

use leptos::prelude::*;

/// In the context of each rendering on the server.
#[derive(Clone)]
pub struct NotFoundResponder(pub Arc<dyn Fn() + Send + Sync>);

/// In the browser, where the answer came long ago, it does nothing.
pub fn respond_not_found() {
    if let Some(NotFoundResponder(answer)) = use_context() {
        answer();
    }
}
