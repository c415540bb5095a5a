//! Whether the page is an operator's: the server says so in its head. What an operator may do the server decides each time.

use leptos::prelude::*;

/// The name of the tag in the head.
pub const META: &str = "duplex-operator";

/// In the context of a rendering for an operator, and nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Operator;

/// The same on both sides, and as long as the page stands.
pub fn is_operator() -> bool {
    if is_server() {
        return use_context::<Operator>().is_some();
    }
    let found = document().query_selector(&format!("meta[name=\"{META}\"]"));
    found.ok().flatten().is_some()
}
