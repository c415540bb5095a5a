//! Whether the visitor is signed in as operator, from a tag in the page's head. The server authorizes each command on its own.

use leptos::prelude::*;

/// The name of the `<meta>` tag.
pub const META: &str = "duplex-operator";

/// Provided as context when a page is rendered for an operator.
#[derive(Debug, Clone, Copy)]
pub struct Operator;

/// Returns the same value on server and client; constant for the lifetime of the document.
pub fn is_operator() -> bool {
    if is_server() {
        return use_context::<Operator>().is_some();
    }
    let found = document().query_selector(&format!("meta[name=\"{META}\"]"));
    found.ok().flatten().is_some()
}
