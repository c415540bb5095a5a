//! Locks between the browser's tabs (the Web Locks API). A lock is released when its page ends, even if it crashes. Available
//! only in secure contexts.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use js_sys::{Function, Object, Promise, Reflect};
use leptos::{ev, prelude::*, task::spawn_local};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, PageTransitionEvent};

thread_local! {
    static REQUESTED: Cell<bool> = const { Cell::new(false) };
    /// The page is active, so a granted lock is to be held.
    static PAGE_ACTIVE: Cell<bool> = const { Cell::new(false) };
    /// Releases this page's lock; `Some` while it is held.
    static RELEASE: RefCell<Option<Function>> = const { RefCell::new(None) };
}

pub fn is_supported() -> bool {
    lock_manager().is_some()
}

/// Holds this lock while the page is active; a page in the back/forward cache is not. A page holds one lock.
pub fn hold(name: String) {
    if REQUESTED.replace(true) {
        return;
    }
    acquire(&name);
    window_event_listener_untyped("pagehide", |_| {
        PAGE_ACTIVE.set(false);
        if let Some(release) = RELEASE.take() {
            let _ = release.call0(&JsValue::UNDEFINED);
        }
    });
    window_event_listener(ev::Custom::<PageTransitionEvent>::new("pageshow"), move |event| {
        if event.persisted() {
            acquire(&name);
        }
    });
}

pub fn is_held() -> bool {
    RELEASE.with_borrow(Option::is_some)
}

fn acquire(name: &str) {
    PAGE_ACTIVE.set(true);
    let hold = || {
        if !PAGE_ACTIVE.get() {
            return JsValue::UNDEFINED;
        }
        let released = Promise::new(&mut |release, _| {
            RELEASE.replace(Some(release));
        });
        released.into()
    };
    request_lock(name, &Object::new(), hold);
}

/// Calls `callback` when the lock becomes free, unless `timeout` elapses first; immediately without the API.
pub fn when_free(name: &str, timeout: Duration, callback: impl FnOnce() + 'static) {
    let (true, Ok(controller)) = (is_supported(), AbortController::new()) else {
        return callback();
    };
    let options = Object::new();
    let _ = Reflect::set(&options, &"signal".into(), &controller.signal());
    set_timeout(move || controller.abort(), timeout);
    request_lock(name, &options, move || {
        callback();
        JsValue::UNDEFINED
    });
}

/// Requests a lock. If `granted` returns a promise, the lock is held until that settles.
fn request_lock(name: &str, options: &Object, granted: impl FnOnce() -> JsValue + 'static) {
    let Some((locks, request)) = lock_manager() else { return };
    let granted = Closure::once(granted);
    let promise = request.call3(&locks, &name.into(), options, granted.as_ref());
    let Some(promise) = promise.ok().and_then(|promise| promise.dyn_into::<Promise>().ok()) else {
        return;
    };
    spawn_local(async move {
        // The closure lives until the lock is released, or was not granted in time.
        let _ = JsFuture::from(promise).await;
        drop(granted);
    });
}

/// `navigator.locks` and its `request` function.
fn lock_manager() -> Option<(JsValue, Function)> {
    let locks = Reflect::get(&window().navigator(), &"locks".into()).ok()?;
    let request = Reflect::get(&locks, &"request".into()).ok()?.dyn_into().ok()?;
    Some((locks, request))
}
