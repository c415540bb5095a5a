//! A stage of the server in a page: what the server's rendering said of it. Knows no application.

use std::sync::Arc;

use leptos::prelude::*;
use serde::de::DeserializeOwned;

/// Where the server's rendering finds what a stage shows of itself, as JSON, by the stage's path. In the context of a rendering
/// on the server, and nowhere else.
#[derive(Clone)]
pub struct StageSource(pub Arc<dyn Fn(&str) -> Option<String> + Send + Sync>);

/// What the stage showed when the page was rendered; it travels in the page. None where the page was not rendered by the
/// server: the stage's own line will say it.
pub fn glance<T: DeserializeOwned>(path: &'static str) -> Option<T> {
    let shown: Option<String> =
        SharedValue::new(|| use_context::<StageSource>().and_then(|StageSource(source)| source(path))).into_inner();
    serde_json::from_str(&shown?).ok()
}
