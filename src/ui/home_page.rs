//! Ways to the first page. Its document alone may open sockets to other servers: a document that was loaded for another page goes there by
//! loading it, not through the router.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

const HOME_PATH: &str = "/";

/// Whether the document was loaded for the first page.
#[derive(Clone, Copy)]
struct LoadedAsHome(bool);

/// Once for the document, while its address is still the one that it was loaded from.
pub fn provide() {
    let path = use_location().pathname.get_untracked();
    provide_context(LoadedAsHome(path == HOME_PATH));
}

/// The `rel` of a link to this path: the router leaves an external one to the browser.
pub fn rel(path: &str) -> Option<&'static str> {
    (path == HOME_PATH && !is_loaded_as_home()).then_some("external")
}

/// For the first page itself, where the router showed it all the same, as it does after going back.
pub fn reload_if_needed() {
    let first = is_loaded_as_home();
    Effect::new(move |_| {
        if !first {
            let _ = window().location().set_href(HOME_PATH);
        }
    });
}

/// What comes to life without the frame does so in the first page's document.
fn is_loaded_as_home() -> bool {
    use_context::<LoadedAsHome>().is_none_or(|LoadedAsHome(first)| first)
}
