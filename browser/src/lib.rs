//! The browser's entry point: hydrates the page that the server rendered.

#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    std::panic::set_hook(Box::new(|panic| {
        console_error_panic_hook::hook(panic);
        duplex::start::report_panic(&panic.to_string());
    }));
    duplex::start::start();
}
