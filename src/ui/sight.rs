//! Work that waits until a visitor sees what it is for. Acts only in the browser.

use leptos::{html, prelude::*};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{IntersectionObserver, IntersectionObserverEntry};

/// Calls `act` once, when the element comes into view.
pub fn when_seen(element: NodeRef<html::Aside>, act: impl Fn() + Clone + 'static) {
    Effect::new(move |_| {
        let Some(element) = element.get() else { return };
        let act = act.clone();
        let seen = Closure::<dyn FnMut(Vec<IntersectionObserverEntry>, IntersectionObserver)>::new(
            move |entries: Vec<IntersectionObserverEntry>, observer: IntersectionObserver| {
                if entries.iter().any(IntersectionObserverEntry::is_intersecting) {
                    observer.disconnect();
                    act();
                }
            },
        );
        let Ok(observer) = IntersectionObserver::new(seen.as_ref().unchecked_ref()) else {
            return;
        };
        observer.observe(&element);
        let kept = SendWrapper::new((observer, seen));
        on_cleanup(move || kept.0.disconnect());
    });
}
