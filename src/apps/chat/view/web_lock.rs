//! Locks between this browser's tabs (Web Locks). They go with the page that holds them, however it ends. Browsers have them in
//! secure contexts only.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use js_sys::{Function, Object, Promise, Reflect};
use leptos::{ev, prelude::*, task::spawn_local};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, PageTransitionEvent};

thread_local! {
    static STARTED: Cell<bool> = const { Cell::new(false) };
    /// The page is there: a lock that is granted is held.
    static WANTED: Cell<bool> = const { Cell::new(false) };
    /// Ends the hold of this page's lock; there while it is held.
    static RELEASE: RefCell<Option<Function>> = const { RefCell::new(None) };
}

pub fn is_supported() -> bool {
    manager().is_some()
}

/// Holds this lock as long as the page is there: a page in the back/forward cache is not. A page holds one.
pub fn hold(name: String) {
    if STARTED.replace(true) {
        return;
    }
    request(&name);
    window_event_listener_untyped("pagehide", |_| {
        WANTED.set(false);
        if let Some(release) = RELEASE.take() {
            let _ = release.call0(&JsValue::UNDEFINED);
        }
    });
    window_event_listener(ev::Custom::<PageTransitionEvent>::new("pageshow"), move |event| {
        if event.persisted() {
            request(&name);
        }
    });
}

pub fn is_held() -> bool {
    RELEASE.with_borrow(Option::is_some)
}

fn request(name: &str) {
    WANTED.set(true);
    let keep = || {
        if !WANTED.get() {
            return JsValue::UNDEFINED;
        }
        let held = Promise::new(&mut |release, _| {
            RELEASE.replace(Some(release));
        });
        held.into()
    };
    ask(name, &Object::new(), keep);
}

/// Acts when nobody holds this lock, now or within this time. Without locks it acts at once.
pub fn when_free(name: &str, within: Duration, act: impl FnOnce() + 'static) {
    let (true, Ok(controller)) = (is_supported(), AbortController::new()) else {
        return act();
    };
    let options = Object::new();
    let _ = Reflect::set(&options, &"signal".into(), &controller.signal());
    set_timeout(move || controller.abort(), within);
    ask(name, &options, move || {
        act();
        JsValue::UNDEFINED
    });
}

/// What `granted` gives is waited for with the lock held, if it is a promise.
fn ask(name: &str, options: &Object, granted: impl FnOnce() -> JsValue + 'static) {
    let Some((locks, request)) = manager() else { return };
    let granted = Closure::once(granted);
    let asked = request.call3(&locks, &name.into(), options, granted.as_ref());
    let Some(asked) = asked.ok().and_then(|asked| asked.dyn_into::<Promise>().ok()) else {
        return;
    };
    spawn_local(async move {
        // The closure lives until the lock has gone, or was not granted in time.
        let _ = JsFuture::from(asked).await;
        drop(granted);
    });
}

/// `navigator.locks`, and its `request`.
fn manager() -> Option<(JsValue, Function)> {
    let locks = Reflect::get(&window().navigator(), &"locks".into()).ok()?;
    let request = Reflect::get(&locks, &"request".into()).ok()?.dyn_into().ok()?;
    Some((locks, request))
}
