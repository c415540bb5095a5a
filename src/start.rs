//! How a page comes to life in the browser: first the part of it that cannot wait, and the app around it (router, frame, bell)
//! when the visitor turns to that. A page without such a part is all app. A document that something changed on its way is not
//! hydrated but rendered afresh; input that came too early is kept by `page.js`.

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
use crate::i18n::Language;
use crate::ui::island::{ISLAND_ID, MountedIsland};
use crate::ui::page_script::{self, Part};
use crate::ui::visibility::VisibilityObserver;
use crate::wire::unread::NEWLY_UNREAD;

/// What tells that the visitor turns to something. The last comes from `page.js`: it keeps a press on what is not alive yet.
const TURNS: [&str; 7] = [
    "pointerover",
    "touchstart",
    "focusin",
    "keydown",
    "click",
    "visibilitychange",
    "duplex-held",
];

pub fn start() {
    match document().get_element_by_id(ISLAND_ID) {
        None => spawn_local(app(None)),
        Some(early) => {
            let waiting = Rc::new(Waiting {
                alive: RefCell::new(Some(wake(early.unchecked_into()))),
                ..Waiting::default()
            });
            waiting.listen();
        }
    }
}

/// Brings to life what the server rendered into this element, in the document's language.
fn wake(early: HtmlElement) -> MountedIsland {
    let language = Language::of_document();
    let owner = Rc::new(RefCell::new(None));
    let its_own = Rc::clone(&owner);
    let view = move || {
        *its_own.borrow_mut() = Owner::current();
        provide_context(language);
        apps::home_page_island()
    };
    let view: Box<dyn Any> = if Part::Early.is_intact() {
        Box::new(hydrate_from(early, view))
    } else {
        Part::Early.clear();
        Box::new(render(&early, view))
    };
    // Effects of what came to life are still to run: they begin to listen.
    set_timeout(|| Part::Early.alive(), Duration::ZERO);
    MountedIsland::new(language, owner.take(), view)
}

/// The router and all that it shows, over what the server rendered.
#[wasm_split(app, wasm_split_path = leptos::wasm_split, return_wrapper(let alive = _; { alive.await } -> ()))]
fn app(alive: Option<MountedIsland>) -> Pin<Box<dyn Future<Output = ()>>> {
    let view = move || {
        if let Some(alive) = alive {
            provide_context(alive);
        }
        view! { <App/> }
    };
    Box::pin(async move {
        if Part::Page.is_intact() {
            hydrate_from_async(body(), view).await.forget();
        } else {
            Part::Page.clear();
            std::mem::forget(render(&body(), view));
            Part::Page.restore();
        }
        set_timeout(|| Part::Page.alive(), Duration::ZERO);
    })
}

/// Renders as if the server had rendered nothing, but with the data that it put into the page.
fn render<V>(parent: &HtmlElement, view: impl FnOnce() -> V) -> impl Any
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

/// After a panic.
pub fn stop(why: &str) {
    page_script::stop(why);
}

type Ear<E> = Closure<dyn FnMut(E)>;

#[derive(Default)]
struct Waiting {
    /// Until the app was asked for.
    alive: RefCell<Option<MountedIsland>>,
    ears: RefCell<Option<Ear<Event>>>,
    sight: RefCell<Option<VisibilityObserver>>,
    news: RefCell<Option<(EventSource, Ear<MessageEvent>)>>,
}

impl Waiting {
    fn listen(self: Rc<Self>) {
        let this = Rc::clone(&self);
        let ears = Ear::new(move |event: Event| this.hear(&event));
        for turn in TURNS {
            let _ = document().add_event_listener_with_callback_and_bool(turn, ears.as_ref().unchecked_ref(), true);
        }
        *self.ears.borrow_mut() = Some(ears);
        if let Ok(Some(footer)) = document().query_selector("footer") {
            let this = Rc::clone(&self);
            *self.sight.borrow_mut() = VisibilityObserver::observe(&footer, move || this.load());
        }
        if let Ok(source) = EventSource::new(apps::UNREAD_EVENTS_PATH) {
            let this = Rc::clone(&self);
            let news = Ear::new(move |news: MessageEvent| {
                if let Some(alive) = &*this.alive.borrow() {
                    alive.woken_by_unread.set(news.data() == NEWLY_UNREAD);
                }
                this.load();
            });
            source.set_onmessage(Some(news.as_ref().unchecked_ref()));
            *self.news.borrow_mut() = Some((source, news));
        }
        self.look();
    }

    fn hear(self: &Rc<Self>, event: &Event) {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let Some(target) = target else {
            return if event.type_() == "visibilitychange" {
                self.look()
            } else {
                self.load()
            };
        };
        if matches!(target.closest("#early"), Ok(Some(_))) {
            return;
        }
        self.load();
    }

    /// A page in the background is all app: it may have to notify, and browsers allow but a few streams to all pages of a site.
    fn look(self: &Rc<Self>) {
        if document().hidden() {
            self.load();
        }
    }

    fn load(self: &Rc<Self>) {
        let Some(alive) = self.alive.borrow_mut().take() else {
            return;
        };
        if let Some((source, _)) = &*self.news.borrow() {
            source.close();
        }
        if let Ok(Some(sheet)) = document().query_selector("link[rel=stylesheet]") {
            let _ = sheet.remove_attribute("disabled");
        }
        let this = Rc::clone(self);
        spawn_local(async move {
            app(Some(alive)).await;
            // Effects of what came to life are still to run: they begin to listen.
            set_timeout(move || this.end(), Duration::ZERO);
        });
    }

    fn end(&self) {
        drop((self.sight.take(), self.news.take()));
        if let Some(ears) = self.ears.take() {
            for turn in TURNS {
                let ears = ears.as_ref().unchecked_ref();
                let _ = document().remove_event_listener_with_callback_and_bool(turn, ears, true);
            }
        }
    }
}
