//! The part of a page that comes to life before everything else: before the router and the frame, which it does without.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use leptos::prelude::*;
use send_wrapper::SendWrapper;

use super::lazy::preload_loader;
use crate::i18n::Language;

/// The element's id: a page has one such part, or none.
pub const ISLAND_ID: &str = "early";

/// What came to life early. The app that comes later finds it in its context, and ends it with the page.
#[derive(Clone)]
pub struct MountedIsland {
    pub language: Language,
    /// The app comes because something came for the visitor.
    pub woken_by_unread: SendWrapper<Rc<Cell<bool>>>,
    life: SendWrapper<Rc<RefCell<Option<Life>>>>,
}

impl MountedIsland {
    pub fn new(language: Language, owner: Option<Owner>, view: impl Any) -> Self {
        let view = Box::new(view);
        Self {
            language,
            woken_by_unread: SendWrapper::new(Rc::default()),
            life: SendWrapper::new(Rc::new(RefCell::new(Some(Life { owner, _view: view })))),
        }
    }

    fn take(&self) -> Option<Life> {
        self.life.borrow_mut().take()
    }
}

/// Ends when dropped: effects first, as with every other component, then the view.
struct Life {
    owner: Option<Owner>,
    _view: Box<dyn Any>,
}

impl Drop for Life {
    fn drop(&mut self) {
        if let Some(owner) = &self.owner {
            owner.cleanup();
        }
    }
}

/// Shows `view`, or takes over what shows it already.
#[component]
pub fn Island(view: fn() -> AnyView) -> impl IntoView {
    preload_loader();
    match use_context::<MountedIsland>().and_then(|alive| alive.take()) {
        None => view! { <div id=ISLAND_ID>{view()}</div> }.into_any(),
        Some(life) => {
            let life = SendWrapper::new(life);
            on_cleanup(move || drop(life));
            view! { <div id=ISLAND_ID inner_html=""></div> }.into_any()
        }
    }
}
