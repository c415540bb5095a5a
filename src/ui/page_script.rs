//! Calls into `hydration.js`, which runs before a page's program: it gives it the early input that `page.js` has kept, and knows
//! whether the document is still the one that the server sent. Acts only in the browser.

use js_sys::{Function, Reflect};
use leptos::prelude::window;
use wasm_bindgen::{JsCast, JsValue};

/// What is hydrated at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Early,
    /// All but the early part, if that is alive already.
    Page,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::Page => "page",
        }
    }

    /// Whether the document may be hydrated; keeps what browsers have put into its fields. A page without the script is.
    pub fn is_intact(self) -> bool {
        call("isIntact", self.name()).is_none_or(|intact| intact.is_truthy())
    }

    /// Removes what the server rendered.
    pub fn clear(self) {
        call("clear", self.name());
    }

    /// After it was rendered afresh: focus, scroll position, and the early part.
    pub fn restore(self) {
        call("restore", self.name());
    }

    /// Its listeners are there: gives them the input that was kept.
    pub fn alive(self) {
        call("alive", self.name());
    }
}

/// After a panic: no event reaches the program any more.
pub fn stop(why: &str) {
    call("stop", why);
}

fn call(name: &str, argument: &str) -> Option<JsValue> {
    let script = Reflect::get(&window(), &JsValue::from_str("duplexPage")).ok()?;
    let function = Reflect::get(&script, &JsValue::from_str(name)).ok()?;
    let function = function.dyn_ref::<Function>()?;
    function.call1(&script, &JsValue::from_str(argument)).ok()
}
