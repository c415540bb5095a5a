//! Ways to the first page. Its document alone may open sockets to other servers: a document that was loaded for another page goes there by
//! loading it, not through the router.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

const FIRST_PAGE: &str = "/";

/// Whether the document was loaded for the first page.
#[derive(Clone, Copy)]
struct LoadedFirst(bool);

/// Once for the document, while its address is still the one that it was loaded from.
pub fn provide() {
    let path = use_location().pathname.get_untracked();
    provide_context(LoadedFirst(path == FIRST_PAGE));
}

/// The `rel` of a link to this path: the router leaves an external one to the browser.
pub fn rel(path: &str) -> Option<&'static str> {
    (path == FIRST_PAGE && !is_loaded_first()).then_some("external")
}

/// For the first page itself, where the router showed it all the same, as it does after going back.
pub fn load_anew_if_needed() {
    let first = is_loaded_first();
    Effect::new(move |_| {
        if !first {
            let _ = window().location().set_href(FIRST_PAGE);
        }
    });
}

/// What comes to life without the frame does so in the first page's document.
fn is_loaded_first() -> bool {
    use_context::<LoadedFirst>().is_none_or(|LoadedFirst(first)| first)
}
