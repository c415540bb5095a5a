//! HTML escaping for responses that the server renders without Leptos.

/// Escapes text for a text node, a title or a text area.
pub fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Escapes the content of a text node that the browser hydrates; an empty one becomes a space, because hydration needs a node.
pub fn text_node(content: &str) -> String {
    match content {
        "" => " ".to_owned(),
        content => text(content),
    }
}

/// Escapes text for an attribute value in double quotes.
pub fn attribute(value: &str) -> String {
    text(value).replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_contains_no_markup() {
        assert_eq!(text("</title> &lt;"), "&lt;/title&gt; &amp;lt;");
        assert_eq!(attribute("\" onload=\"&"), "&quot; onload=&quot;&amp;");
    }
}
