//! Work that waits until a visitor sees what it is for. Acts only in the browser.

use leptos::{html::ElementType, prelude::*};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Element, IntersectionObserver, IntersectionObserverEntry, IntersectionObserverInit};

/// How much of an element is to be seen: what only begins to show may be passed by.
const ENOUGH: f64 = 0.4;

/// Watches an element until it is seen; ends when dropped.
pub struct VisibilityObserver {
    observer: IntersectionObserver,
    _seen: Closure<dyn FnMut(Vec<IntersectionObserverEntry>, IntersectionObserver)>,
}

impl VisibilityObserver {
    /// Calls `act` once, when the element comes into view.
    pub fn observe(element: &Element, act: impl Fn() + 'static) -> Option<Self> {
        let seen = Closure::<dyn FnMut(Vec<IntersectionObserverEntry>, IntersectionObserver)>::new(
            move |entries: Vec<IntersectionObserverEntry>, observer: IntersectionObserver| {
                if entries.iter().any(|entry| entry.intersection_ratio() >= ENOUGH) {
                    observer.disconnect();
                    act();
                }
            },
        );
        let options = IntersectionObserverInit::new();
        options.set_threshold(&ENOUGH.into());
        let observer = IntersectionObserver::new_with_options(seen.as_ref().unchecked_ref(), &options).ok()?;
        observer.observe(element);
        Some(Self { observer, _seen: seen })
    }
}

impl Drop for VisibilityObserver {
    fn drop(&mut self) {
        self.observer.disconnect();
    }
}

/// Calls `act` once, when the element comes into view.
pub fn on_visible<E>(element: NodeRef<E>, act: impl Fn() + Clone + 'static)
where
    E: ElementType + 'static,
    E::Output: JsCast + Clone + AsRef<Element> + 'static,
{
    Effect::new(move |_| {
        let Some(element) = element.get() else { return };
        let kept = SendWrapper::new(VisibilityObserver::observe(element.as_ref(), act.clone()));
        on_cleanup(move || drop(kept));
    });
}
