//! Links to the home page. Only the home page's document may open sockets to other servers, so other documents navigate to the
//! home page with a full page load instead of client-side routing.

use leptos::prelude::*;
use leptos_router::hooks::use_location;

const HOME_PATH: &str = "/";

/// Whether the document was loaded for the home page.
#[derive(Clone, Copy)]
struct LoadedAsHome(bool);

/// Provides `LoadedAsHome`. Call it once per document, before the router changes the address.
pub fn provide() {
    let path = use_location().pathname.get_untracked();
    provide_context(LoadedAsHome(path == HOME_PATH));
}

/// The `rel` of a link to this path: the router leaves links with `external` to the browser.
pub fn rel(path: &str) -> Option<&'static str> {
    (path == HOME_PATH && !is_loaded_as_home()).then_some("external")
}

/// Loads the home page from the server if the router rendered it in another page's document, as after going back.
pub fn reload_if_needed() {
    let loaded_as_home = is_loaded_as_home();
    Effect::new(move |_| {
        if !loaded_as_home {
            let _ = window().location().set_href(HOME_PATH);
        }
    });
}

/// True if the context is missing: only the home page's island hydrates before the layout provides it.
fn is_loaded_as_home() -> bool {
    use_context::<LoadedAsHome>().is_none_or(|LoadedAsHome(home)| home)
}
