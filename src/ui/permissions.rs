//! What this page's visitor may do beyond what every visitor may, as the server says in the page's head. Only for what the page
//! offers: the server decides anew about each command.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlMetaElement;

/// In the context of a rendering on the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Signed in as operator.
    pub operator: bool,
    /// The controls of shared things are open to everybody (`--demo`).
    pub demo: bool,
}

/// In `<meta name="duplex-permits">`.
const OPERATOR: &str = "operator";
const DEMO: &str = "demo";

impl Permissions {
    /// Of the page that is being rendered, or that the browser shows.
    pub fn current() -> Self {
        if is_server() {
            use_context::<Self>().unwrap_or_default()
        } else {
            Self::read(&head())
        }
    }

    /// May change how things behave that belong to nobody in particular.
    pub const fn may_control(self) -> bool {
        self.operator || self.demo
    }

    fn read(text: &str) -> Self {
        let says = |word| text.split(' ').any(|said| said == word);
        Self {
            operator: says(OPERATOR),
            demo: says(DEMO),
        }
    }

    pub const fn written(self) -> &'static str {
        match (self.operator, self.demo) {
            (false, false) => "",
            (true, false) => OPERATOR,
            (false, true) => DEMO,
            (true, true) => "operator demo",
        }
    }
}

fn head() -> String {
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
    fn permits_are_read_as_they_are_written() {
        for (operator, demo) in [(false, false), (true, false), (false, true), (true, true)] {
            let permits = Permissions { operator, demo };
            assert_eq!(Permissions::read(permits.written()), permits);
        }
    }
}
