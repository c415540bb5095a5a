//! How a page comes to life in the browser: first the part of it that cannot wait, and the app around it (router, frame, bell)
//! when the visitor turns to that. A page without such a part is all app.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use leptos::mount::{hydrate_from, hydrate_from_async};
use leptos::prelude::*;
use leptos::tachys::dom::body;
use leptos::wasm_split::wasm_split;
use wasm_bindgen::{JsCast, closure::Closure};
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, Event, EventSource, HtmlElement, KeyboardEvent, KeyboardEventInit, MessageEvent, MouseEvent};

use crate::app::App;
use crate::apps;
use crate::i18n::Language;
use crate::ui::early::{Alive, EARLY};
use crate::ui::sight::Sight;
use crate::wire::summons::CAME;

/// What tells that the visitor turns to something. A press on what is not alive yet is done again when it is.
const TURNS: [&str; 6] = [
    "pointerover",
    "touchstart",
    "focusin",
    "keydown",
    "click",
    "visibilitychange",
];

pub fn start() {
    match document().get_element_by_id(EARLY) {
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
fn wake(early: HtmlElement) -> Alive {
    let language = Language::of_document();
    let owner = Rc::new(RefCell::new(None));
    let its_own = Rc::clone(&owner);
    let view = hydrate_from(early, move || {
        *its_own.borrow_mut() = Owner::current();
        provide_context(language);
        apps::early()
    });
    Alive::new(language, owner.take(), view)
}

/// The router and all that it shows, over what the server rendered.
#[wasm_split(app, wasm_split_path = leptos::wasm_split, return_wrapper(let alive = _; { alive.await } -> ()))]
fn app(alive: Option<Alive>) -> Pin<Box<dyn Future<Output = ()>>> {
    let view = move || {
        if let Some(alive) = alive {
            provide_context(alive);
        }
        view! { <App/> }
    };
    Box::pin(async move { hydrate_from_async(body(), view).await.forget() })
}

type Ear<E> = Closure<dyn FnMut(E)>;

#[derive(Default)]
struct Waiting {
    /// Until the app was asked for.
    alive: RefCell<Option<Alive>>,
    /// What the visitor did last that the app shall hear of.
    held: RefCell<Option<Again>>,
    ears: RefCell<Option<Ear<Event>>>,
    sight: RefCell<Option<Sight>>,
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
            *self.sight.borrow_mut() = Sight::of(&footer, move || this.load());
        }
        if let Ok(source) = EventSource::new(apps::NEWS) {
            let this = Rc::clone(&self);
            let news = Ear::new(move |news: MessageEvent| {
                if let Some(alive) = &*this.alive.borrow() {
                    alive.called.set(news.data() == CAME);
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
        let Some(target) = target else { return self.look() };
        if matches!(target.closest("#early"), Ok(Some(_))) {
            return;
        }
        if let Some(again) = Again::of(event, &target) {
            event.prevent_default();
            event.stop_propagation();
            *self.held.borrow_mut() = Some(again);
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
        if let Some(again) = self.held.take() {
            again.act();
        }
    }
}

/// What is done again, as the visitor did it.
enum Again {
    Click(HtmlElement),
    /// With Alt, by the key's place.
    Key(String),
}

impl Again {
    /// None of what asks for nothing, or for something that is the browser's own.
    fn of(event: &Event, target: &Element) -> Option<Self> {
        if let Some(key) = event.dyn_ref::<KeyboardEvent>() {
            return key.alt_key().then(|| Self::Key(key.code()));
        }
        let mouse = event.dyn_ref::<MouseEvent>().filter(|_| event.type_() == "click")?;
        let special =
            mouse.button() != 0 || mouse.ctrl_key() || mouse.meta_key() || mouse.shift_key() || mouse.alt_key();
        let pressed = target.closest("a, button").ok()??;
        (!special).then(|| pressed.dyn_into().ok().map(Self::Click))?
    }

    fn act(self) {
        match self {
            Self::Click(element) => element.click(),
            Self::Key(code) => {
                let init = KeyboardEventInit::new();
                init.set_alt_key(true);
                init.set_code(&code);
                init.set_bubbles(true);
                init.set_cancelable(true);
                if let Ok(event) = KeyboardEvent::new_with_keyboard_event_init_dict("keydown", &init) {
                    let _ = document().dispatch_event(&event);
                }
            }
        }
    }
}
