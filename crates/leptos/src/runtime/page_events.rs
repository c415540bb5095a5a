//! Page events that connections depend on: network, visibility, the back/forward cache, freezing.
//! <https://developer.chrome.com/docs/web-platform/page-lifecycle-api>

use std::rc::Rc;

use leptos::ev;
use leptos::leptos_dom::helpers::WindowListenerHandle;
use leptos::prelude::*;
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Event, PageTransitionEvent, VisibilityState};

/// The window event that requests an immediate reconnect.
pub(crate) const RETRY_EVENT: &str = "duplex-retry";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageEvent {
    Online,
    Offline,
    Visible(bool),
    /// `pagehide`: the page is unloaded, or enters the back/forward cache.
    Hide,
    /// `pageshow`; `restored` from the back/forward cache.
    Show {
        restored: bool,
    },
    /// `freeze`: the browser suspends a hidden page.
    Freeze,
    /// `resume`: the browser runs the page again.
    Resume,
    /// The visitor requests an immediate reconnect ([`retry_now`](crate::status::retry_now)).
    Retry,
}

/// A listener on the document, with the name of its event.
type DocumentListener = (&'static str, Closure<dyn Fn(Event)>);

/// The listeners; dropping removes them.
pub(crate) struct PageEvents {
    window: Vec<WindowListenerHandle>,
    /// `freeze` and `resume` are dispatched to the document and do not bubble.
    document: Vec<DocumentListener>,
}

impl PageEvents {
    /// Calls `handler` for each event until the value is dropped. Browser only.
    pub(crate) fn listen(handler: impl Fn(PageEvent) + 'static) -> Self {
        let handler: Rc<dyn Fn(PageEvent)> = Rc::new(handler);
        let on_window = |name: &str, event: fn() -> PageEvent| {
            let handler = Rc::clone(&handler);
            window_event_listener_untyped(name, move |_| handler(event()))
        };
        let show = SendWrapper::new(Rc::clone(&handler));
        let show = window_event_listener(ev::Custom::<PageTransitionEvent>::new("pageshow"), move |event| {
            let restored = event.persisted();
            show(PageEvent::Show { restored });
        });
        let window = vec![
            on_window("online", || PageEvent::Online),
            on_window("offline", || PageEvent::Offline),
            on_window("visibilitychange", || PageEvent::Visible(is_visible())),
            on_window("pagehide", || PageEvent::Hide),
            on_window(RETRY_EVENT, || PageEvent::Retry),
            show,
        ];
        let on_document = |name: &'static str, event: PageEvent| {
            let handler = Rc::clone(&handler);
            let listener: Closure<dyn Fn(Event)> = Closure::new(move |_: Event| handler(event));
            let callback = listener.as_ref().unchecked_ref();
            let _ = document().add_event_listener_with_callback(name, callback);
            (name, listener)
        };
        let document = vec![
            on_document("freeze", PageEvent::Freeze),
            on_document("resume", PageEvent::Resume),
        ];
        Self { window, document }
    }
}

impl Drop for PageEvents {
    fn drop(&mut self) {
        for listener in self.window.drain(..) {
            listener.remove();
        }
        for (name, listener) in &self.document {
            let _ = document().remove_event_listener_with_callback(name, listener.as_ref().unchecked_ref());
        }
    }
}

/// <https://developer.mozilla.org/docs/Web/API/Document/visibilityState>
pub(crate) fn is_visible() -> bool {
    document().visibility_state() != VisibilityState::Hidden
}

/// <https://developer.mozilla.org/docs/Web/API/Navigator/onLine>
pub(crate) fn is_online() -> bool {
    window().navigator().on_line()
}
