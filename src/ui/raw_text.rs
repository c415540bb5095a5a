//! Texts for the places that the server's rendering writes as they are: a document's title (`leptos_meta`) and what a `<textarea>` holds
//! (`tachys`). In the browser both are set as texts.

use leptos::prelude::is_server;

use super::escape;

/// What to give to such a place, so that the page shows `text`.
pub fn raw_text(text: String) -> String {
    if is_server() { escape::text(&text) } else { text }
}
