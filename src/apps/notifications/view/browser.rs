//! Wrapper around the browser's Notification API. Call only from effects and event handlers: the server has no `window`.

use leptos::prelude::*;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Notification, NotificationOptions, NotificationPermission};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Permission {
    /// Not queried yet.
    #[default]
    Unknown,
    /// The browser has no Notification API, or only in secure contexts.
    Unsupported,
    /// The page may request the permission.
    Prompt,
    Granted,
    Denied,
}

pub fn permission() -> Permission {
    let is_supported = js_sys::Reflect::has(&window(), &JsValue::from_str("Notification"));
    if is_supported != Ok(true) {
        return Permission::Unsupported;
    }
    match Notification::permission() {
        NotificationPermission::Granted => Permission::Granted,
        NotificationPermission::Denied => Permission::Denied,
        _ => Permission::Prompt,
    }
}

/// Requests the permission from the visitor. Browsers require a user gesture.
pub async fn request_permission() -> Permission {
    if permission() == Permission::Prompt
        && let Ok(answer) = Notification::request_permission()
    {
        let _ = JsFuture::from(answer).await;
    }
    permission()
}

/// Shows a notification that opens `link`. Notifications with the same `tag` replace each other across tabs.
pub fn notify(title: &str, body: &str, tag: &str, link: String) {
    if permission() != Permission::Granted {
        return;
    }
    let options = NotificationOptions::new();
    options.set_body(body);
    options.set_tag(tag);
    options.set_icon("/favicon.svg");
    // The constructor fails in browsers that allow only service workers to show notifications; the page's toast remains.
    if let Ok(notification) = Notification::new_with_options(title, &options) {
        let open_link = Closure::once_into_js(move || {
            let _ = window().focus();
            let _ = window().location().set_href(&link);
        });
        notification.set_onclick(Some(open_link.unchecked_ref()));
    }
}
