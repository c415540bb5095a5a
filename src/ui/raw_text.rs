//! Texts for the places that the server's rendering writes as they are: a document's title (`leptos_meta`) and what a `<textarea>` holds
//! (`tachys`). In the browser both are set as texts.

use leptos::prelude::is_server;

/// What to give to such a place, so that the page shows `text`.
pub fn raw_text(text: String) -> String {
    if is_server() { escaped(&text) } else { text }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_could_begin_markup() {
        assert_eq!(escaped("</title> &lt;"), "&lt;/title&gt; &amp;lt;");
    }
}
