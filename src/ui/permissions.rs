//! The visitor's permissions, from a tag in the page's head. They only decide which controls the page offers: the server authorizes
//! each command on its own.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlMetaElement;

/// Provided as context when the server renders a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Signed in as operator.
    pub operator: bool,
    /// Every visitor may use shared controls (`--demo`).
    pub demo: bool,
}

/// Words in the content of `<meta name="duplex-permits">`.
const OPERATOR: &str = "operator";
const DEMO: &str = "demo";

impl Permissions {
    /// The permissions of the current page, on the server and in the browser.
    pub fn current() -> Self {
        if is_server() {
            use_context::<Self>().unwrap_or_default()
        } else {
            Self::parse(&meta_content())
        }
    }

    /// Whether the visitor may use shared controls: operators, and everyone under `--demo`.
    pub const fn may_control(self) -> bool {
        self.operator || self.demo
    }

    fn parse(content: &str) -> Self {
        let has = |name| content.split(' ').any(|word| word == name);
        Self {
            operator: has(OPERATOR),
            demo: has(DEMO),
        }
    }

    /// The content of the tag.
    pub const fn as_str(self) -> &'static str {
        match (self.operator, self.demo) {
            (false, false) => "",
            (true, false) => OPERATOR,
            (false, true) => DEMO,
            (true, true) => "operator demo",
        }
    }
}

fn meta_content() -> String {
    let found = document().query_selector(r#"meta[name="duplex-permits"]"#);
    let meta = found
        .ok()
        .flatten()
        .and_then(|meta| meta.dyn_into::<HtmlMetaElement>().ok());
    meta.map(|meta| meta.content()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_parsed_as_they_are_written() {
        for (operator, demo) in [(false, false), (true, false), (false, true), (true, true)] {
            let permissions = Permissions { operator, demo };
            assert_eq!(Permissions::parse(permissions.as_str()), permissions);
        }
    }
}
