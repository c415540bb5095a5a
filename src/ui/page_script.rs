//! Calls into `hydration.js`, which runs before the app: it replays the input that `page.js` kept, and checks that the document
//! was not changed after the server rendered it. Acts only in the browser.

use js_sys::{Function, Reflect};
use leptos::prelude::window;
use wasm_bindgen::{JsCast, JsValue};

/// A hydration root: the island or the whole page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HydrationTarget {
    Island,
    /// The whole page; without the island if that is hydrated already.
    Page,
}

impl HydrationTarget {
    const fn name(self) -> &'static str {
        match self {
            Self::Island => "early",
            Self::Page => "page",
        }
    }

    /// Whether the document may be hydrated. Also saves the form values that the browser restored. True on a page without the
    /// script.
    pub fn is_intact(self) -> bool {
        call("isIntact", self.name()).is_none_or(|intact| intact.is_truthy())
    }

    /// Removes what the server rendered.
    pub fn clear(self) {
        call("clear", self.name());
    }

    /// Restores focus, scroll position and the island after the page was rendered from scratch.
    pub fn restore(self) {
        call("restore", self.name());
    }

    /// Replays the kept input. Call it once the event listeners are added.
    pub fn mark_hydrated(self) {
        call("markHydrated", self.name());
    }
}

/// Tells the script that the app has panicked: no event reaches the app from then on.
pub fn report_panic(message: &str) {
    call("stop", message);
}

fn call(name: &str, argument: &str) -> Option<JsValue> {
    let script = Reflect::get(&window(), &JsValue::from_str("duplexPage")).ok()?;
    let function = Reflect::get(&script, &JsValue::from_str(name)).ok()?;
    let function = function.dyn_ref::<Function>()?;
    function.call1(&script, &JsValue::from_str(argument)).ok()
}
