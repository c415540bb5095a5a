//! What the browser itself does with notifications, where it has them. Only from effects and event handlers.

use leptos::prelude::*;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Notification, NotificationOptions, NotificationPermission};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Permission {
    /// Nobody asked the browser yet.
    #[default]
    Unknown,
    /// The browser has no notifications, or not here.
    Unsupported,
    /// The visitor may be asked.
    Ask,
    Granted,
    Denied,
}

pub fn permission() -> Permission {
    let known = js_sys::Reflect::has(&window(), &JsValue::from_str("Notification"));
    if known != Ok(true) {
        return Permission::Unsupported;
    }
    match Notification::permission() {
        NotificationPermission::Granted => Permission::Granted,
        NotificationPermission::Denied => Permission::Denied,
        _ => Permission::Ask,
    }
}

/// Asks the visitor. Browsers want a click for it.
pub async fn ask() -> Permission {
    if permission() == Permission::Ask
        && let Ok(answer) = Notification::request_permission()
    {
        let _ = JsFuture::from(answer).await;
    }
    permission()
}

/// Shows a notification that leads to `link`. Tabs of the same `tag` show one between them.
pub fn show(title: &str, body: &str, tag: &str, link: String) {
    if permission() != Permission::Granted {
        return;
    }
    let options = NotificationOptions::new();
    options.set_body(body);
    options.set_tag(tag);
    options.set_icon("/favicon.svg");
    // Where only service workers may show them, the page's toast has to do.
    if let Ok(shown) = Notification::new_with_options(title, &options) {
        let follow = Closure::once_into_js(move || {
            let _ = window().focus();
            let _ = window().location().set_href(&link);
        });
        shown.set_onclick(Some(follow.unchecked_ref()));
    }
}
