//! Escaping for texts that the server's rendering does not escape: a document's title (`leptos_meta`) and the content of a
//! `<textarea>` (`tachys`). The browser sets both as plain text.

use leptos::prelude::is_server;

use super::escape;

/// Escapes `text` on the server; returns it unchanged in the browser.
pub fn raw_text(text: String) -> String {
    if is_server() { escape::text(&text) } else { text }
}
