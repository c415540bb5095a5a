//! Actions that run once an element is visible. Browser only.

use leptos::{html::ElementType, prelude::*};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Element, IntersectionObserver, IntersectionObserverEntry, IntersectionObserverInit};

/// Minimum visible ratio of an element, so that scrolling past it does not count.
const MIN_RATIO: f64 = 0.4;

/// Observes an element until it is visible; disconnects when dropped.
pub struct VisibilityObserver {
    observer: IntersectionObserver,
    _callback: Closure<dyn FnMut(Vec<IntersectionObserverEntry>, IntersectionObserver)>,
}

impl VisibilityObserver {
    /// Calls `callback` once, when the element becomes visible.
    pub fn observe(element: &Element, callback: impl Fn() + 'static) -> Option<Self> {
        let closure = Closure::<dyn FnMut(Vec<IntersectionObserverEntry>, IntersectionObserver)>::new(
            move |entries: Vec<IntersectionObserverEntry>, observer: IntersectionObserver| {
                if entries.iter().any(|entry| entry.intersection_ratio() >= MIN_RATIO) {
                    observer.disconnect();
                    callback();
                }
            },
        );
        let options = IntersectionObserverInit::new();
        options.set_threshold(&MIN_RATIO.into());
        let observer = IntersectionObserver::new_with_options(closure.as_ref().unchecked_ref(), &options).ok()?;
        observer.observe(element);
        Some(Self {
            observer,
            _callback: closure,
        })
    }
}

impl Drop for VisibilityObserver {
    fn drop(&mut self) {
        self.observer.disconnect();
    }
}

/// Calls `callback` once, when the element becomes visible.
pub fn on_visible<E>(element: NodeRef<E>, callback: impl Fn() + Clone + 'static)
where
    E: ElementType + 'static,
    E::Output: JsCast + Clone + AsRef<Element> + 'static,
{
    Effect::new(move |_| {
        let Some(element) = element.get() else { return };
        let observer = SendWrapper::new(VisibilityObserver::observe(element.as_ref(), callback.clone()));
        on_cleanup(move || drop(observer));
    });
}
