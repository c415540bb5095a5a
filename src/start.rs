//! Hydration of a page: its island first; the app around it (router, layout, notification bell) on the visitor's first interaction
//! outside the island. A page without an island hydrates as a whole. If a proxy or an extension has changed the document, it is
//! rendered from scratch instead of hydrated. `page.js` keeps input that arrives before the page is hydrated.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hydration_context::{HydrateSharedContext, SharedContext as _};
use leptos::mount::{hydrate_from, hydrate_from_async};
use leptos::prelude::*;
use leptos::tachys::dom::body;
use leptos::wasm_split::wasm_split;
use wasm_bindgen::{JsCast, closure::Closure};
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, Event, EventSource, HtmlElement, MessageEvent};

use crate::app::App;
use crate::apps;
use crate::i18n::LocaleSignal;
use crate::ui::hydration_queue::HydrationQueue;
use crate::ui::island::{ISLAND_ID, IslandHandle};
use crate::ui::page_script::{self, HydrationTarget};
use crate::ui::visibility::VisibilityObserver;
use crate::wire::unread::NEWLY_UNREAD;

/// Events that load the app when their target is outside the island. `page.js` dispatches the last one when it keeps a press on
/// an element that is not hydrated yet.
const WAKE_EVENTS: [&str; 7] = [
    "pointerover",
    "touchstart",
    "focusin",
    "keydown",
    "click",
    "visibilitychange",
    "duplex-press-kept",
];

pub fn start() {
    match document().get_element_by_id(ISLAND_ID) {
        None => spawn_local(hydrate_app(None)),
        Some(element) => {
            let app = Rc::new(DeferredApp {
                island: RefCell::new(Some(mount_island(element.unchecked_into()))),
                ..DeferredApp::default()
            });
            app.listen();
        }
    }
}

/// Hydrates the island in this element, in the document's language.
fn mount_island(element: HtmlElement) -> IslandHandle {
    let language = LocaleSignal::of_document();
    let owner = Rc::new(RefCell::new(None));
    let island_owner = Rc::clone(&owner);
    let view = move || {
        *island_owner.borrow_mut() = Owner::current();
        provide_context(language);
        apps::home_page_island()
    };
    let view: Box<dyn Any> = if HydrationTarget::Island.is_intact() {
        Box::new(hydrate_from(element, view))
    } else {
        HydrationTarget::Island.clear();
        Box::new(mount_with_hydration_data(&element, view))
    };
    // Its effects, which add event listeners, have not run yet.
    set_timeout(|| HydrationTarget::Island.mark_hydrated(), Duration::ZERO);
    IslandHandle::new(language, owner.take(), view)
}

/// Hydrates the router and everything that it renders.
#[wasm_split(app, wasm_split_path = leptos::wasm_split, return_wrapper(let hydrated = _; { hydrated.await } -> ()))]
fn hydrate_app(island: Option<IslandHandle>) -> Pin<Box<dyn Future<Output = ()>>> {
    let queue = HydrationQueue::default();
    let view = {
        let queue = queue.clone();
        move || {
            provide_context(queue);
            if let Some(island) = island {
                provide_context(island);
            }
            view! { <App/> }
        }
    };
    Box::pin(async move {
        if HydrationTarget::Page.is_intact() {
            hydrate_from_async(body(), view).await.forget();
        } else {
            HydrationTarget::Page.clear();
            std::mem::forget(mount_with_hydration_data(&body(), view));
            HydrationTarget::Page.restore();
        }
        queue.drain().await;
        set_timeout(|| HydrationTarget::Page.mark_hydrated(), Duration::ZERO);
    })
}

/// Mounts a view without hydrating it, but with the hydration data that the server put into the page.
fn mount_with_hydration_data<V>(parent: &HtmlElement, view: impl FnOnce() -> V) -> impl Any
where
    V: IntoView,
    V::State: 'static,
{
    let _ = any_spawner::Executor::init_wasm_bindgen();
    let data = Arc::new(HydrateSharedContext::new());
    let owner = Owner::new_root(Some(data.clone()));
    let mounted = owner.with(|| {
        let mut built = view().into_view().build();
        built.mount(parent, None);
        built
    });
    data.hydration_complete();
    (owner, mounted)
}

/// Reports a panic to the page's script, after which no event reaches the app.
pub fn report_panic(message: &str) {
    page_script::report_panic(message);
}

type Listener<E> = Closure<dyn FnMut(E)>;

/// The app while only the island is hydrated, and the listeners that load it.
#[derive(Default)]
struct DeferredApp {
    /// `None` once the app is loading.
    island: RefCell<Option<IslandHandle>>,
    listener: RefCell<Option<Listener<Event>>>,
    footer_observer: RefCell<Option<VisibilityObserver>>,
    unread_stream: RefCell<Option<(EventSource, Listener<MessageEvent>)>>,
}

impl DeferredApp {
    fn listen(self: Rc<Self>) {
        let this = Rc::clone(&self);
        let listener = Listener::new(move |event: Event| this.on_event(&event));
        for name in WAKE_EVENTS {
            let callback = listener.as_ref().unchecked_ref();
            let _ = document().add_event_listener_with_callback_and_bool(name, callback, true);
        }
        *self.listener.borrow_mut() = Some(listener);
        if let Ok(Some(footer)) = document().query_selector("footer") {
            let this = Rc::clone(&self);
            *self.footer_observer.borrow_mut() = VisibilityObserver::observe(&footer, move || this.load());
        }
        if let Ok(source) = EventSource::new(apps::UNREAD_EVENTS_PATH) {
            let this = Rc::clone(&self);
            let listener = Listener::new(move |message: MessageEvent| {
                if let Some(island) = &*this.island.borrow() {
                    island.woken_by_unread.set(message.data() == NEWLY_UNREAD);
                }
                this.load();
            });
            source.set_onmessage(Some(listener.as_ref().unchecked_ref()));
            *self.unread_stream.borrow_mut() = Some((source, listener));
        }
        self.load_if_hidden();
    }

    fn on_event(self: &Rc<Self>, event: &Event) {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let Some(target) = target else {
            return if event.type_() == "visibilitychange" {
                self.load_if_hidden()
            } else {
                self.load()
            };
        };
        if matches!(target.closest(&["#", ISLAND_ID].concat()), Ok(Some(_))) {
            return;
        }
        self.load();
    }

    /// A hidden page loads the app at once: it may have to show notifications, and browsers limit how many streams the pages of
    /// a site hold together.
    fn load_if_hidden(self: &Rc<Self>) {
        if document().hidden() {
            self.load();
        }
    }

    fn load(self: &Rc<Self>) {
        let Some(island) = self.island.borrow_mut().take() else {
            return;
        };
        if let Some((source, _)) = &*self.unread_stream.borrow() {
            source.close();
        }
        if let Ok(Some(sheet)) = document().query_selector("link[rel=stylesheet]") {
            let _ = sheet.remove_attribute("disabled");
        }
        let this = Rc::clone(self);
        spawn_local(async move {
            hydrate_app(Some(island)).await;
            // The app's effects, which add event listeners, have not run yet.
            set_timeout(move || this.stop_listening(), Duration::ZERO);
        });
    }

    fn stop_listening(&self) {
        drop((self.footer_observer.take(), self.unread_stream.take()));
        if let Some(listener) = self.listener.take() {
            for name in WAKE_EVENTS {
                let callback = listener.as_ref().unchecked_ref();
                let _ = document().remove_event_listener_with_callback_and_bool(name, callback, true);
            }
        }
    }
}
