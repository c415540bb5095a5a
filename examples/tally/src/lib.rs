//! The tally: a shared counter whose increments are never lost or counted twice.

pub mod app;
#[cfg(feature = "ssr")]
pub mod decider;
pub mod model;
pub mod page;
#[cfg(feature = "ssr")]
pub mod server;
#[cfg(feature = "ssr")]
pub mod visitor;

/// The browser's entry point: hydrates the page that the server rendered.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(app::App);
}
