//! HTML of plain text, for what the server writes without a view.

/// For a text node, a title or a text area.
pub fn text(plain: &str) -> String {
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// For the value of an attribute in double quotes.
pub fn attribute(plain: &str) -> String {
    text(plain).replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_could_begin_markup() {
        assert_eq!(text("</title> &lt;"), "&lt;/title&gt; &amp;lt;");
        assert_eq!(attribute("\" onload=\"&"), "&quot; onload=&quot;&amp;");
    }
}
