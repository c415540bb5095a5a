//! Whether the visitor is signed in as operator, from a tag in the page's head. The server authorizes each command on its own.

use leptos::prelude::*;

/// The name of the `<meta>` tag.
pub const META: &str = "duplex-operator";

/// In the context of each rendering for an operator.
#[derive(Debug, Clone, Copy)]
pub struct Operator;

/// The same on server and browser; does not change while the page is open.
pub fn is_operator() -> bool {
    if is_server() {
        return use_context::<Operator>().is_some();
    }
    let found = document().query_selector(&format!("meta[name=\"{META}\"]"));
    found.ok().flatten().is_some()
}
